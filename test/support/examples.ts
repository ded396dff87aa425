/** The files of `examples/`, and the real fronts among them, moved to free ports of this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startApache } from './apache.ts';
import { startCaddy } from './caddy.ts';
import type { Cleanup } from './cleanup.ts';
import { startHaproxyWith } from './haproxy-file.ts';
import { type Front, startNginxWith } from './nginx.ts';
import type { ProgramName } from './requirements.ts';

export const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

/** Where the proxy listens in examples for one host. */
export const PROXY_ADDRESS = '127.0.0.1:8081';

/** @param path below `examples/` */
export function readExample(path: string): string {
  return readFileSync(join(EXAMPLES, path), 'utf8');
}

/** Paths below `examples/` of the files with one of these extensions. */
export function exampleFiles(...extensions: readonly string[]): string[] {
  const files = readdirSync(EXAMPLES, { recursive: true, encoding: 'utf8' });
  return files.filter((file) => extensions.includes(extname(file))).toSorted();
}

/** Replaces each key; one that does not occur is an error, so that no example is tested as something else. */
export function adapt(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((result, [from, to]) => {
    if (!result.includes(from)) throw new Error(`the example does not contain ${from}`);
    return result.replaceAll(from, to);
  }, text);
}

export interface ExampleFront {
  readonly name: string;
  readonly program: ProgramName;
  /** Path below `examples/`. */
  readonly file: string;
  /** What its defaults do to an idle WebSocket, in ms; `Infinity`: nothing. */
  readonly idleLimit: number;
  /** Starts it as the example has it, before whatever listens on this port. */
  start(cleanup: Cleanup, upstreamPort: number): Promise<Front>;
}

type Start = (cleanup: Cleanup, text: string) => Promise<Front>;

function front(program: ProgramName, file: string, idleLimit: number, start: Start): ExampleFront {
  return {
    name: file.split('/')[0] ?? file,
    program,
    file,
    idleLimit,
    start: (cleanup, upstreamPort) =>
      start(cleanup, adapt(readExample(file), { [PROXY_ADDRESS]: `127.0.0.1:${upstreamPort}` })),
  };
}

/** The fronts that run here. */
export const FRONTS: readonly ExampleFront[] = [
  front('nginx', 'nginx/neko.conf', 60_000, startNginxWith),
  front('haproxy', 'haproxy/haproxy.cfg', 50_000, startHaproxyWith),
  front('apache2', 'apache/neko.conf', 60_000, startApache),
  front('caddy', 'caddy/Caddyfile', Infinity, startCaddy),
];
