/** The program without its command line: configured as usual, in this process, with everything it reports kept. */
import { App } from '../../src/app.ts';
import { loadSettings } from '../../src/config/load.ts';
import type { CloseReport, ConnectionInfo, UpgradeFailure } from '../../src/core/events.ts';
import { atEnd, type Cleanup } from './cleanup.ts';
import { createSinkLogger, type LogSink } from './log-sink.ts';
import { SILENT } from './reports.ts';
import { Watch } from './watch.ts';

export interface RunningApp {
  readonly app: App;
  readonly port: number;
  readonly opened: readonly ConnectionInfo[];
  readonly closed: readonly CloseReport[];
  readonly failures: readonly UpgradeFailure[];
  /** Routes and statuses of plain HTTP. */
  readonly requests: readonly (readonly [string, number])[];
  readonly sink: LogSink;
  /** Resolves once `probe` is true; asked whenever something is reported. */
  until(probe: () => boolean, what: string): Promise<true>;
}

/** @param settings in the form of the program's variables, without `WSKP_` */
export async function startApp(
  t: Cleanup,
  settings: Readonly<Record<string, string>>,
  descriptors?: number,
): Promise<RunningApp> {
  const watch = new Watch();
  const [opened, closed, failures, requests] = [[], [], [], []] as [
    ConnectionInfo[],
    CloseReport[],
    UpgradeFailure[],
    (readonly [string, number])[],
  ];
  const note = <T>(list: T[], value: T): void => {
    list.push(value);
    watch.changed();
  };
  const { sink, log } = createSinkLogger();
  const app = new App({
    settings: settingsOf(settings),
    log,
    observer: {
      ...SILENT,
      opened: (info) => note(opened, info),
      closed: (report) => note(closed, report),
      upgradeFailed: (failure) => note(failures, failure),
      httpRequest: (route, status) => note(requests, [route, status]),
    },
    ...(descriptors === undefined ? {} : { descriptors }),
  });
  atEnd(t, () => app.close());
  const [address] = await app.listen();
  const port = address?.kind === 'tcp' ? address.port : 0;
  return { app, port, opened, closed, failures, requests, sink, until: (probe, what) => watch.until(probe, what) };
}

/** Settings as they come from the environment alone, on a free port. */
export function settingsOf(settings: Readonly<Record<string, string>>): ReturnType<typeof loadSettings>['settings'] {
  const all = { LISTEN: '127.0.0.1:0', TIMEOUTS_DRAIN: '100ms', ...settings };
  const env = Object.fromEntries(Object.entries(all).map(([name, value]) => [`WSKP_${name}`, value]));
  const readFile = (): never => {
    throw Object.assign(new Error('no file'), { code: 'ENOENT' });
  };
  return loadSettings({ env, readFile }).settings;
}
