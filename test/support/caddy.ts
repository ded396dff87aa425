/** A real Caddy with a Caddyfile; it gets no certificate and keeps nothing. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { Front } from './nginx.ts';
import { startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

/** The site `neko.example.com` becomes a free port without TLS. */
export async function startCaddy(cleanup: Cleanup, text: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'Caddyfile');
  const site = text.replace(/^neko\.example\.com \{/m, `http://127.0.0.1:${port} {`);
  await writeFile(config, `{\n\tadmin off\n\tauto_https off\n}\n\n${site}`);
  const child = startChild(cleanup, requireProgram('caddy'), ['run', '--config', config, '--adapter', 'caddyfile'], {
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  });
  await untilListening(child, port);
  return { port, child };
}
