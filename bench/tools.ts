/** Compiles what the benchmark needs: the echo server and the generators with a C compiler, the peers with tsc. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ROOT } from './systems.ts';

const LOAD = fileURLToPath(new URL('load/', import.meta.url));
const PEERS = fileURLToPath(new URL('peers/', import.meta.url));

export interface Tools {
  readonly echo: string;
  readonly websocket: string;
  readonly http: string;
  readonly storm: string;
  /** Where the compiled peers are. */
  readonly peers: string;
}

/** @throws Error that says what to install */
export function compileTools(folder: string): Tools {
  const compile = (name: string): string => compileC(name, folder);
  return {
    echo: compile('echo'),
    websocket: compile('websocket'),
    http: compile('http'),
    storm: compile('storm'),
    peers: compilePeers(),
  };
}

function compileC(name: string, folder: string): string {
  const out = `${folder}/${name}`;
  const compiler = process.env['CC'] ?? 'cc';
  try {
    execFileSync(compiler, ['-std=gnu17', '-O3', '-o', out, `${LOAD}${name}.c`], {
      stdio: ['ignore', 'inherit', 'pipe'],
    });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    const isMissing = code === 'ENOENT';
    const problem = isMissing
      ? `${compiler} is not installed: apt-get install gcc libc6-dev, or set CC`
      : String(stderr);
    throw new Error(`cannot compile ${name}.c: ${problem}`, { cause: error });
  }
  return out;
}

/** Below node_modules, where they find their libraries; without a loader, which would cost them memory. */
function compilePeers(): string {
  const out = `${ROOT}/node_modules/.cache/bench-peers`;
  mkdirSync(out, { recursive: true });
  writeFileSync(`${out}/package.json`, '{ "type": "module" }\n');
  const options = ['-p', `${PEERS}tsconfig.json`, '--outDir', out];
  execFileSync(process.execPath, [`${ROOT}/node_modules/typescript/bin/tsc`, ...options], { stdio: 'inherit' });
  return out;
}
