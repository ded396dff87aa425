/** A place for log lines in tests: everything that was written, as text and as parsed lines. */
import { createLogger } from '../../src/observe/log/logger.ts';
import type { Settings } from '../../src/core/settings.ts';

type LogSettings = Settings['log'];

export class LogSink {
  text = '';

  write(line: string): void {
    this.text += line;
  }

  /** The lines written so far, or those with this message. */
  lines(message?: string): Record<string, unknown>[] {
    const lines = this.text.split('\n').filter((line) => line !== '');
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    return message === undefined ? parsed : parsed.filter((line) => line['msg'] === message);
  }
}

/** A logger that writes JSON at `trace` into a sink, unless told otherwise. */
export function createSinkLogger(
  settings: Partial<LogSettings> = {},
  now = (): number => performance.now(),
): {
  sink: LogSink;
  log: ReturnType<typeof createLogger>;
} {
  const sink = new LogSink();
  const log = createLogger(
    { level: 'trace', format: 'json', query: 'redact', requests: false, ...settings },
    { destination: sink, now },
  );
  return { sink, log };
}
