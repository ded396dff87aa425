/** What a kind of end is, and how its verdict is scored. */
import type { Scope } from '../support/scope.ts';
import type { Program } from '../support/process.ts';
import type { Front, Neko } from './rig.ts';

export interface Stage {
  readonly scope: Scope;
  readonly proxy: Program;
  readonly neko: Neko;
  /** Where clients connect: the front, or the proxy itself. */
  readonly port: number;
  readonly front: Front | null;
}

/** The key, written down before any run: what the log may say, and the words that name the true cause. */
export interface Key {
  readonly initiator: readonly string[];
  readonly cause: readonly string[];
  readonly names: RegExp;
}

export interface Kind {
  readonly what: string;
  readonly key: Key;
  readonly settings?: Readonly<Record<string, string>>;
  readonly front?: (scope: Scope, proxyPort: number) => Promise<Front>;
  /** The upstream in place of the scripted Neko: its port. */
  readonly upstream?: (scope: Scope) => Promise<number>;
  /** Brings the end about. Paths that begin with `prefix` are looked at. @returns how many ends there are */
  run(stage: Stage, prefix: string, round: number): Promise<number>;
}

export type Score = 'right' | 'vague' | 'wrong';

/** Wrong: another cause, or the true one is not named. Vague: others are named beside it. */
export function score(key: Key, line: Readonly<Record<string, unknown>>): Score {
  const verdict = String(line['verdict']);
  const fits = key.initiator.includes(String(line['initiator'])) && key.cause.includes(String(line['cause']));
  if (!fits || !key.names.test(verdict)) return 'wrong';
  const [sentence = ''] = verdict.split('; ');
  return /\bor (?:the|a|an|it|its|when|because|somebody|one)\b|, or /.test(sentence) ? 'vague' : 'right';
}
