#!/usr/bin/env node
/** Arguments, signals, exit codes: 0 fine, 1 failed, 2 bad arguments or configuration. */
import { type Arguments, parseArguments } from './command-line/arguments.ts';
import type { DoctorOptions } from './command-line/doctor-options.ts';
import { ConfigError, UsageError } from './config/errors.ts';
import { loadSettings } from './config/load.ts';
import { type Note, renderConfig } from './config/effective.ts';
import { formatListen } from './config/values.ts';
import type { Settings } from './core/settings.ts';
import { askHealth } from './admin/healthcheck.ts';
import { limitsInForce } from './server/descriptors.ts';
import { describeBuild, readBuild } from './version.ts';

const FAILED = 1;
const BAD_USAGE = 2;

/** What a command does not need is not loaded: a health check runs every few seconds. */
async function main(argv: readonly string[]): Promise<void> {
  const parsed = parseArguments(argv);
  if (parsed.command === 'doctor') {
    await doctor(parsed.doctor);
    return;
  }
  const { flags } = parsed;
  switch (parsed.command) {
    case 'help':
      process.stdout.write(parsed.text);
      return;
    case 'version':
      process.stdout.write(`${describeBuild(readBuild())}\n`);
      return;
    case 'check':
      check(flags);
      return;
    case 'serve':
      await (await import('./serve.ts')).serve(flags);
      return;
    case 'healthcheck':
      await healthcheck(flags, parsed.ready);
      return;
  }
}

async function doctor(options: DoctorOptions): Promise<void> {
  const { runDoctor } = await import('./doctor/doctor.ts');
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
  const { config, settings, warnings } = loadSettings({ flags });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(renderConfig(config, autoNotes(settings)));
  process.stderr.write('ok\n');
}

/** What each `auto` comes to on this machine. */
function autoNotes(settings: Settings): Note[] {
  const { descriptors, memory_mib: memory, ...inForce } = limitsInForce(settings);
  const { connections, handshakes, requests } = settings.limits;
  return Object.entries({ connections, handshakes, requests })
    .filter(([, value]) => value === 'auto')
    .map(([key]) => ({
      path: ['limits', key],
      text: `${inForce[key]} here, with ${descriptors} descriptors and ${memory} MiB of memory`,
    }));
}

async function healthcheck(flags: Arguments['flags'], ready: boolean): Promise<void> {
  const { listen } = loadSettings({ flags, needsUpstream: false }).settings.admin;
  if (listen === null) throw new UsageError('admin.listen is off, so there is nothing to ask; give it an address');
  if (listen.kind === 'tcp' && listen.port === 0) {
    throw new UsageError('admin.listen has port 0, and only the running program knows the real one; give it a port');
  }
  const fault = await askHealth(listen, ready ? '/readyz' : '/healthz');
  process.stdout.write(fault === null ? (ready ? 'ready\n' : 'healthy\n') : `${formatListen(listen)}: ${fault}\n`);
  process.exitCode = fault === null ? 0 : FAILED;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const isUsage = error instanceof UsageError || error instanceof ConfigError;
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(isUsage ? BAD_USAGE : FAILED);
});
