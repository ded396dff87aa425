/** The admin listener of a program under test. */
import { type Exposition, parseExposition } from './exposition.ts';
import type { Program } from './process.ts';

export interface ReportedRoute {
  readonly name: string;
  readonly ping_interval_ms: number | null;
  readonly connections_open: number;
  readonly connections_total: number;
  readonly cuts_prevented: number;
  readonly closes: Readonly<Record<string, number>>;
  readonly upgrade_failures: Readonly<Record<string, number>>;
  readonly upstreams: readonly Record<string, unknown>[];
}

/** `/status`. */
export interface Reported {
  readonly version: number;
  readonly program: string;
  readonly connections_limit: number | null;
  readonly draining: boolean;
  readonly routes: readonly ReportedRoute[];
  readonly learned: readonly Record<string, unknown>[];
  readonly connections: readonly Record<string, unknown>[];
  readonly closes: readonly Record<string, unknown>[];
  readonly upgrade_failures: readonly Record<string, unknown>[];
  readonly minutes: readonly Record<string, unknown>[];
  readonly marks: readonly Record<string, unknown>[];
}

export async function adminPort({ child }: Pick<Program, 'child'>): Promise<number> {
  const line = await child.log('status page and metrics listening');
  return Number(String(line['address']).split(':').at(-1));
}

export async function adminGet(program: Pick<Program, 'child'>, path: string): Promise<Response> {
  // A connection each: one that is kept may be closed by the program just when it is used again.
  return fetch(`http://127.0.0.1:${await adminPort(program)}${path}`, { headers: { connection: 'close' } });
}

export async function readStatus(program: Pick<Program, 'child'>): Promise<Reported> {
  return (await (await adminGet(program, '/status')).json()) as Reported;
}

export async function readMetrics(program: Pick<Program, 'child'>): Promise<Exposition> {
  return parseExposition(await (await adminGet(program, '/metrics')).text(), 'text');
}
