/** Asks a running program's admin listener whether it is alive, as a container's health check does. */
import { request } from 'node:http';
import type { Address } from '../core/settings.ts';

/** Docker gives a check 30 s, Kubernetes a second; a live program answers in milliseconds. */
const PATIENCE_MS = 5_000;

/** What listens everywhere is asked on the loopback address. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** @returns null when it is alive, else what is wrong */
export function askHealth(address: Address, patienceMs = PATIENCE_MS): Promise<string | null> {
  const place =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: LOOPBACK[address.host] ?? address.host, port: address.port };
  return new Promise((resolve) => {
    const asked = request({ ...place, path: '/healthz', agent: false, headers: { Host: 'localhost' } }, (answer) => {
      answer.resume();
      const { statusCode } = answer;
      resolve(statusCode === 200 ? null : `the admin listener answered ${statusCode}, is it another program's?`);
    });
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    asked.on('error', (error) => resolve(`the admin listener does not answer: ${error.message}`));
    asked.on('close', () => clearTimeout(timer));
    asked.end();
  });
}
