/** A real Apache in the foreground, with the timeouts it has when no file sets any. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort } from './free-port.ts';
import type { Front } from './nginx.ts';
import { startChild, temporaryFolder, untilListening } from './process.ts';
import { requireProgram } from './requirements.ts';

const MODULES = ['mpm_event', 'authz_core', 'proxy', 'proxy_http', 'proxy_wstunnel'];

/** `site` is a virtual host on port 80, which becomes a free port. */
export async function startApache(cleanup: Cleanup, site: string): Promise<Front> {
  const folder = await temporaryFolder(cleanup);
  const port = await freePort(cleanup);
  const config = join(folder, 'apache.conf');
  // Debian's user for it; a process that is not root's stays what it is.
  const text = `
ServerRoot ${folder}
ServerName localhost
DefaultRuntimeDir ${folder}
PidFile ${folder}/apache.pid
ErrorLog ${folder}/error.log
User www-data
Group www-data
Listen 127.0.0.1:${port}
${MODULES.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${site.replace('<VirtualHost *:80>', `<VirtualHost 127.0.0.1:${port}>`)}
`;
  await writeFile(config, text);
  const child = startChild(cleanup, requireProgram('apache2'), ['-DFOREGROUND', '-f', config]);
  await untilListening(child, port);
  return { port, child };
}
