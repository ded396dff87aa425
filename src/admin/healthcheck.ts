/** Asks a running program's admin listener how it is, as a container's health check does. */
import { request } from 'node:http';
import type { Address } from '../core/settings.ts';

/** Docker gives a check 30 s. A live program answers in milliseconds, and says within 5 s that no upstream can be reached. */
const PATIENCE_MS = 7_000;
/** Of an answer's text: what is shown of it is one sentence. */
const MAX_DETAIL = 200;

/** What listens everywhere is asked on the loopback address. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** `/healthz`: whether the process lives. `/readyz`: and whether it reaches an upstream and is not stopping. */
export type HealthPage = '/healthz' | '/readyz';

/** @returns null when all is well, else what is wrong */
export function askHealth(address: Address, page: HealthPage, patienceMs = PATIENCE_MS): Promise<string | null> {
  const place =
    address.kind === 'unix'
      ? { socketPath: address.path }
      : { host: LOOPBACK[address.host] ?? address.host, port: address.port };
  return new Promise((resolve) => {
    const asked = request({ ...place, path: page, agent: false, headers: { Host: 'localhost' } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(0, MAX_DETAIL)));
      answer.on('close', () => resolve(faultOf(answer.statusCode, page, text.trim())));
    });
    const timer = setTimeout(() => asked.destroy(new Error(`no answer within ${patienceMs} ms`)), patienceMs);
    asked.on('error', (error) => resolve(`the admin listener does not answer: ${error.message}`));
    asked.on('close', () => clearTimeout(timer));
    asked.end();
  });
}

function faultOf(status: number | undefined, page: HealthPage, text: string): string | null {
  if (status === 200) return null;
  if (page === '/readyz' && status === 503) return `not ready: ${text}`;
  return `the admin listener answered ${status}, is it another program's?`;
}
