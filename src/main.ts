#!/usr/bin/env node
/** Arguments, signals, exit codes: 0 fine, 1 failed, 2 bad arguments or configuration. */
import { readFileSync } from 'node:fs';
import type { Logger } from 'pino';
import { App } from './app.ts';
import { type Arguments, HELP, parseArguments } from './config/arguments.ts';
import { ConfigError, UsageError } from './config/errors.ts';
import { loadSettings } from './config/load.ts';
import { renderSettings } from './config/render.ts';
import { formatListen } from './config/values.ts';
import { type Room, startRoom } from './demo/room.ts';
import { systemClock } from './io/clock.ts';
import { createLogger } from './observe/logger.ts';
import { createMetrics } from './observe/metrics.ts';
import { createObserver } from './observe/observer.ts';

const FAILED = 1;
const BAD_USAGE = 2;

async function main(argv: readonly string[]): Promise<void> {
  const { command, flags } = parseArguments(argv);
  switch (command) {
    case 'help':
      process.stdout.write(HELP);
      return;
    case 'version':
      process.stdout.write(`${version()}\n`);
      return;
    case 'check':
      check(flags);
      return;
    case 'serve':
      await serve(flags);
      return;
    case 'healthcheck':
      throw new UsageError('healthcheck does not work yet');
  }
}

function check(flags: Arguments['flags']): void {
  const { settings, warnings } = loadSettings({ flags });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(renderSettings(settings));
}

async function serve(flags: Arguments['flags']): Promise<void> {
  const room = flags.demo === true ? await startRoom({ host: '127.0.0.1', port: 0 }) : null;
  const { settings, warnings } = loadSettings({ flags: room === null ? flags : demoFlags(flags, room) });
  const log = createLogger(settings.log);
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics({ version: version(), commit: '' });
  const observer = createObserver({ log, metrics, timing: systemClock, isAdaptive: () => false });
  const app = new App({ settings, log, observer });
  metrics.attach(app);
  stopOnSignals(log, async () => {
    await app.close();
    observer.flush();
    await room?.close();
  });
  for (const address of await app.listen()) {
    log.info({ address: formatListen(address) }, 'listening');
    if (room !== null) process.stdout.write(`\n  Demo: http://${formatListen(address)}/\n\n`);
  }
}

/** The demo brings its own upstream, and is for this machine alone unless told otherwise. */
function demoFlags(flags: Arguments['flags'], room: Room): Arguments['flags'] {
  return { ...flags, upstream: `http://127.0.0.1:${room.port}`, listen: flags.listen ?? ['127.0.0.1:8080'] };
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

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = isUsage ? BAD_USAGE : FAILED;
});
