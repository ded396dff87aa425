/** The program that serves: everything started in order, and what signals do. */
import type { Logger } from 'pino';
import { Operations } from './admin/operations.ts';
import { App } from './app.ts';
import type { Arguments } from './command-line/arguments.ts';
import { ConfigError, formatProblem } from './config/errors.ts';
import { type Loaded, loadSettings } from './config/load.ts';
import { MountedFile } from './config/reload.ts';
import { formatListen } from './config/values.ts';
import { createProgramLog } from './observe/log/logger.ts';
import { freeCompilationsAtOnce } from './runtime/compiler.ts';
import { createIdleCollector } from './runtime/idle-collector.ts';
import { limitsInForce } from './server/descriptors.ts';
import { readBuild } from './version.ts';

/** In the demo `--listen` is for the front; the proxy takes any port behind it. */
const DEMO_PROXY = '127.0.0.1:0';

/** @throws ConfigError when the configuration has mistakes, ListenError when an address cannot be had */
export async function serve(flags: Arguments['flags']): Promise<void> {
  freeCompilationsAtOnce();
  const demo = flags.demo === true ? await (await import('./demo/demo.ts')).startDemo(process.env) : null;
  const load = (): Loaded =>
    loadSettings(
      demo === null ? { flags } : { flags: { ...flags, upstream: demo.upstream, listen: [DEMO_PROXY] }, env: demo.env },
    );
  const { settings, warnings, file } = load();
  const { log, output } = createProgramLog(settings.log);
  for (const warning of warnings) log.warn(warning);
  const operations = new Operations({ settings, log, build: readBuild(), droppedLogLines: () => output.dropped });
  const { observer, adaptive, health } = operations;
  const app = new App({ settings, log, observer, adaptive, health });
  operations.attach(app);
  stopOnSignals(log, async () => {
    await app.close();
    await operations.close();
    await demo?.close();
    await output.flush();
  });
  reloadOnSignal(log, app, load, new MountedFile(file), (ok) => operations.reloaded(ok));
  const { admin, addresses } = await listenOn(app, operations);
  log.info({ version: readBuild().version, limits: limitsInForce(settings) }, 'started');
  for (const address of addresses) log.info({ address: formatListen(address) }, 'listening');
  if (admin !== null) log.info({ address: formatListen(admin) }, 'status page and metrics listening');
  const changes = (): number => app.connections.total + operations.endsTold;
  if (settings.idleCollection) (await createIdleCollector(changes))?.start();
  if (demo === null) return;
  const statusPage = admin === null ? null : `http://${formatListen(admin)}/`;
  const page = await demo.open(flags.listen?.[0], addresses, statusPage);
  process.stdout.write(`\n  Demo: ${page}\n  Status page: ${statusPage ?? 'off'}\n\n`);
}

/** All listeners, or none: what has started would keep the program alive. */
async function listenOn(app: App, operations: Operations) {
  try {
    return { admin: await operations.listen(), addresses: await app.listen() };
  } catch (error) {
    await operations.close();
    throw error;
  }
}

/** The first signal stops in order, a second one at once. */
function stopOnSignals(log: Logger, stop: () => Promise<void>): void {
  let isStopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      log.info({ signal }, 'stopping');
      void stop().then(() => process.exit(0));
    });
  }
}

/** SIGHUP puts the configuration in force as it is now, unless there is a mistake in it. */
function reloadOnSignal(
  log: Logger,
  app: App,
  load: () => Loaded,
  mounted: MountedFile,
  reloaded: (ok: boolean) => void,
): void {
  process.on('SIGHUP', () => {
    if (app.isDraining) return;
    try {
      const { settings, warnings, file } = load();
      const keys = app.reload(settings);
      log.level = settings.log.level;
      for (const warning of warnings) log.warn(warning);
      if (keys.length > 0) log.warn({ keys }, 'changed keys that need a restart are left as they were');
      log.info({ file }, 'configuration reloaded');
      const fault = mounted.reread(file);
      if (fault !== null) log.warn({ file }, `the configuration file is mounted as a single file: ${fault}`);
      reloaded(true);
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [String(error)];
      log.error({ problems }, 'configuration not reloaded, the old one stays in force');
      reloaded(false);
    }
  });
}
