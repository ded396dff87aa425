/** The built program under soak: its log read line by line, what it holds measured from outside. */
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { type Exposition, parseExposition } from '../support/exposition.ts';
import { type Child, MAIN, startChild, temporaryFolder } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

export type LogLine = Readonly<Record<string, unknown>>;

/** What the process holds, garbage excluded. */
export interface Holdings {
  /** Bytes of the heap and of buffers outside it. */
  readonly memory: number;
  /** Bytes. */
  readonly resident: number;
  readonly descriptors: number;
}

export class SoakProxy {
  readonly port: number;
  readonly #child: Child;
  readonly #configure: (pingMs: number) => void;
  readonly #adminPort: number;
  readonly #inspector: WebSocket;
  #calls = 0;

  constructor(
    child: Child,
    ports: { proxy: number; admin: number },
    inspector: WebSocket,
    configure: (pingMs: number) => void,
  ) {
    this.#child = child;
    this.port = ports.proxy;
    this.#adminPort = ports.admin;
    this.#inspector = inspector;
    this.#configure = configure;
  }

  /** Reads the configuration again, with another interval. */
  reload(pingMs: number): void {
    this.#configure(pingMs);
    this.#child.process.kill('SIGHUP');
  }

  async metrics(): Promise<Exposition> {
    const answer = await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`, { headers: { connection: 'close' } });
    return parseExposition(await answer.text(), 'text');
  }

  async holdings(): Promise<Holdings> {
    await this.#inspect('HeapProfiler.collectGarbage');
    await this.#inspect('HeapProfiler.collectGarbage');
    const { result } = (await this.#inspect('Runtime.evaluate', {
      expression: 'process.memoryUsage()',
      returnByValue: true,
    })) as { result: { value: NodeJS.MemoryUsage } };
    const { heapUsed, external } = result.value;
    const resident =
      1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${this.#child.pid}/status`, 'utf8'))?.[1]);
    return { memory: heapUsed + external, resident, descriptors: this.descriptors() };
  }

  descriptors(): number {
    return readdirSync(`/proc/${this.#child.pid}/fd`).length;
  }

  /** @returns the exit code */
  async stop(): Promise<number | null> {
    // A program that is looked into does not exit.
    this.#inspector.close();
    await once(this.#inspector, 'close');
    return (await this.#child.stop()).code;
  }

  async #inspect(method: string, params: object = {}): Promise<unknown> {
    this.#calls += 1;
    const id = this.#calls;
    this.#inspector.send(JSON.stringify({ id, method, params }));
    for (;;) {
      const [data] = (await once(this.#inspector, 'message')) as [Buffer];
      const answer = JSON.parse(data.toString()) as { id?: number; result?: unknown };
      if (answer.id === id) return answer.result;
    }
  }
}

export interface SoakProxyOptions {
  readonly upstreamPort: number;
  /** Of the server for plain HTTP. */
  readonly plainPort: number;
  readonly onLine: (line: LogLine) => void;
}

export async function startSoakProxy(
  cleanup: Cleanup,
  { upstreamPort, plainPort, onLine }: SoakProxyOptions,
): Promise<SoakProxy> {
  const file = join(await temporaryFolder(cleanup), 'config.yaml');
  const text = (pingMs: number): string => `listen: 127.0.0.1:0
routes:
  - { name: plain, path: /plain, upstream: "http://127.0.0.1:${plainPort}" }
  - { name: soak, path: /soak, upstream: "http://127.0.0.1:${upstreamPort}" }
keepalive:
  ping_interval: ${pingMs}ms
  pong_timeout: 3s
  upstream_ping_interval: 2s
  upstream_pong_timeout: 10s
  adaptive: false
timeouts: { drain: 2s }
admin: { listen: 127.0.0.1:0 }
log: { format: json, requests: true }
`;
  const configure = (pingMs: number): void => writeFileSync(file, text(pingMs));
  configure(1000);
  const child = startChild(cleanup, process.execPath, ['--inspect=127.0.0.1:0', MAIN, '--config', file]);
  const ports = { proxy: 0, admin: 0 };
  const watch = new Watch();
  child.process.stdout?.on('data', () => {
    for (const line of linesOf(child)) {
      if (line['msg'] === 'listening') ports.proxy = portOf(line);
      else if (line['msg'] === 'status page and metrics listening') ports.admin = portOf(line);
      else onLine(line);
    }
    watch.changed();
  });
  const url = await child.until(() => /ws:\/\/\S+/.exec(child.stderr)?.[0], 'the inspector');
  await watch.until(
    () => ports.proxy > 0 && ports.admin > 0,
    () => `the proxy: ${child.stderr}`,
  );
  const inspector = new WebSocket(url);
  atEnd(cleanup, () => inspector.terminate());
  await once(inspector, 'open');
  return new SoakProxy(child, ports, inspector, configure);
}

/** Takes away what the child has written, so that hours of it are not kept. */
function linesOf(child: Child): LogLine[] {
  child.stdout = '';
  return child.logs.splice(0);
}

function portOf(line: LogLine): number {
  return Number(String(line['address']).split(':').at(-1));
}
