/** Arguments of the benchmark. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { LOADS, type Load } from './loads.ts';
import { type Beside, type OtherBuild, SYSTEMS, type SystemName } from './systems.ts';

export const HELP = `Usage: npm run bench -- [options]

  --quick              loads A to D, one short round: about a minute
  --loads A,B          some loads only: ${LOADS.map((load) => load.name).join(' ')}
  --systems ours,...   some systems only: ${SYSTEMS.join(' ')}
  --rounds N           rounds in turn (5)
  --secs N             measured seconds of each run (3)
  --write              write docs/benchmarks.md; a full run does so by itself
  --no-write           never write it
  --other MAIN_JS      measure another build of this program beside this one
  --newer-node FILE    measure on this binary of Node as well
  --other-env K=V      with this in its environment; may be repeated; alone: of this same build

SIGINT lets the round under way end, and writes what there is.
`;

export interface Options extends Beside {
  readonly loads: readonly Load[];
  readonly systems: readonly SystemName[];
  readonly rounds: number;
  readonly secs: number;
  readonly warm: number;
  readonly writes: boolean;
}

export class OptionError extends Error {}

const FULL = { rounds: 5, secs: 3, warm: 1 };
const QUICK = { rounds: 1, secs: 1, warm: 0.5 };

/** @throws OptionError, or the TypeError of parseArgs; null: help was asked for */
export function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      loads: { type: 'string' },
      systems: { type: 'string' },
      rounds: { type: 'string' },
      secs: { type: 'string' },
      write: { type: 'boolean', default: false },
      'no-write': { type: 'boolean', default: false },
      other: { type: 'string' },
      'newer-node': { type: 'string' },
      'other-env': { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const times = values.quick ? QUICK : FULL;
  const isPartial = values.quick || values.loads !== undefined || values.systems !== undefined;
  return {
    loads: chooseLoads(values.loads ?? (values.quick ? 'A,B,C,D' : undefined)),
    systems: chooseSystems(values.systems),
    rounds: readNumber('--rounds', values.rounds, times.rounds),
    secs: readNumber('--secs', values.secs, times.secs),
    warm: times.warm,
    writes: (values.write || !isPartial) && !values['no-write'],
    newerNode: values['newer-node'] === undefined ? null : readProgram(values['newer-node']),
    other: readOther(values.other, values['other-env']),
  };
}

function chooseLoads(text: string | undefined): readonly Load[] {
  if (text === undefined) return LOADS;
  const known = LOADS.map((load) => load.name);
  const names = chosen('--loads', text, known);
  return LOADS.filter((load) => names.includes(load.name));
}

function chooseSystems(text: string | undefined): readonly SystemName[] {
  if (text === undefined) return SYSTEMS;
  const names = chosen('--systems', text, SYSTEMS);
  return SYSTEMS.filter((name) => names.includes(name));
}

function chosen(option: string, text: string, known: readonly string[]): readonly string[] {
  const names = text.split(',');
  const wrong = names.filter((name) => !known.includes(name));
  if (wrong.length > 0) throw new OptionError(`${option}: no ${wrong.join(', ')}; there are ${known.join(', ')}`);
  return names;
}

function readNumber(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0)) throw new OptionError(`${option} ${text}: write a number above 0`);
  return value;
}

function readProgram(path: string): string {
  if (!existsSync(path)) throw new OptionError(`--newer-node ${path}: there is no such file`);
  return resolve(path);
}

function readOther(main: string | undefined, settings: readonly string[]): OtherBuild | null {
  if (main === undefined && settings.length === 0) return null;
  const entries = settings.map((setting) => {
    const at = setting.indexOf('=');
    if (at < 1) throw new OptionError(`--other-env ${setting}: write NAME=value`);
    return [setting.slice(0, at), setting.slice(at + 1)] as const;
  });
  return { main: main === undefined ? null : resolve(main), env: Object.fromEntries(entries) };
}
