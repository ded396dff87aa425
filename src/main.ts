#!/usr/bin/env node
/** Arguments, signals, exit codes: 0 fine, 1 failed, 2 bad arguments or configuration. */
import type { Logger } from 'pino';
import { raiseAllocatorThresholds } from './allocator.ts';
import { App } from './app.ts';
import { type Arguments, HELP, parseArguments } from './config/arguments.ts';
import type { DoctorOptions } from './config/doctor-arguments.ts';
import { ConfigError, formatProblem, UsageError } from './config/errors.ts';
import { type Loaded, loadSettings } from './config/load.ts';
import { renderSettings } from './config/render.ts';
import { formatListen } from './config/values.ts';
import { startDemo } from './demo/demo.ts';
import { runDoctor } from './doctor/doctor.ts';
import { createIdleCollector } from './idle-collector.ts';
import { askHealth } from './io/healthcheck.ts';
import { createLogger } from './observe/logger.ts';
import { Operations } from './operations.ts';
import { describeBuild, readBuild } from './version.ts';

const FAILED = 1;
const BAD_USAGE = 2;

/** In the demo `--listen` is for the front; the proxy takes any port behind it. */
const DEMO_PROXY = '127.0.0.1:0';

async function main(argv: readonly string[]): Promise<void> {
  const parsed = parseArguments(argv);
  if (parsed.command === 'doctor') {
    await doctor(parsed.doctor);
    return;
  }
  const { command, flags } = parsed;
  switch (command) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`${describeBuild(readBuild())}\n`);
      return;
    case 'check':
      check(flags);
      return;
    case 'serve':
      await serve(flags);
      return;
    case 'healthcheck':
      await healthcheck(flags);
      return;
  }
}

async function doctor(options: DoctorOptions): Promise<void> {
  const stop = new AbortController();
  // Once: a second Ctrl-C ends the program.
  process.once('SIGINT', () => stop.abort());
  const { isTTY: isTerminal } = process.stdout;
  const output = {
    write: (text: string) => process.stdout.write(text),
    isTerminal,
    colors: isTerminal && (process.env['NO_COLOR'] ?? '') === '',
  };
  process.exitCode = (await runDoctor(options, output, stop.signal)) ? 0 : FAILED;
}

function check(flags: Arguments['flags']): void {
  const { settings, warnings } = loadSettings({ flags });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(renderSettings(settings));
}

async function healthcheck(flags: Arguments['flags']): Promise<void> {
  const { listen } = loadSettings({ flags, needsUpstream: false }).settings.admin;
  if (listen === null) throw new UsageError('admin.listen is off, so there is nothing to ask; give it an address');
  if (listen.kind === 'tcp' && listen.port === 0) {
    throw new UsageError('admin.listen has port 0, and only the running program knows the real one; give it a port');
  }
  const fault = await askHealth(listen);
  process.stdout.write(fault === null ? 'healthy\n' : `${formatListen(listen)}: ${fault}\n`);
  process.exitCode = fault === null ? 0 : FAILED;
}

async function serve(flags: Arguments['flags']): Promise<void> {
  const demo = flags.demo === true ? await startDemo(process.env) : null;
  const load = (): Loaded =>
    loadSettings(
      demo === null ? { flags } : { flags: { ...flags, upstream: demo.upstream, listen: [DEMO_PROXY] }, env: demo.env },
    );
  const { settings, warnings } = load();
  const log = createLogger(settings.log);
  for (const warning of warnings) log.warn(warning);
  const operations = new Operations({ settings, log, build: readBuild() });
  const app = new App({ settings, log, observer: operations.observer, adaptive: operations.adaptive });
  operations.attach(app);
  stopOnSignals(log, async () => {
    await app.close();
    await operations.close();
    await demo?.close();
  });
  reloadOnSignal(log, app, load);
  const { admin, addresses } = await listenOn(app, operations);
  for (const address of addresses) log.info({ address: formatListen(address) }, 'listening');
  if (admin !== null) log.info({ address: formatListen(admin) }, 'status page and metrics listening');
  raiseAllocatorThresholds();
  (await createIdleCollector())?.start();
  if (demo === null) return;
  const page = await demo.open(flags.listen?.[0], addresses);
  process.stdout.write(
    `\n  Demo: ${page}\n  Status page: ${admin === null ? 'off' : `http://${formatListen(admin)}/`}\n\n`,
  );
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
      if (isStopping) process.exit(FAILED);
      isStopping = true;
      log.info({ signal }, 'stopping');
      void stop().then(() => process.exit(0));
    });
  }
}

/** SIGHUP puts the configuration in force as it is now, unless there is a mistake in it. */
function reloadOnSignal(log: Logger, app: App, load: () => Loaded): void {
  process.on('SIGHUP', () => {
    if (app.isDraining) return;
    try {
      const { settings, warnings, file } = load();
      const keys = app.reload(settings);
      log.level = settings.log.level;
      for (const warning of warnings) log.warn(warning);
      if (keys.length > 0) log.warn({ keys }, 'changed keys that need a restart are left as they were');
      log.info({ file }, 'configuration reloaded');
    } catch (error) {
      const problems = error instanceof ConfigError ? error.problems.map(formatProblem) : [String(error)];
      log.error({ problems }, 'configuration not reloaded, the old one stays in force');
    }
  });
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(isUsage ? BAD_USAGE : FAILED);
});
