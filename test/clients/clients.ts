/** Clients as people use them. Each comes back by itself when it has lost its connection, as its library does that. */
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient } from 'graphql-ws';
import reconnecting from 'reconnecting-websocket';
import { retry } from 'rxjs';
import { webSocket } from 'rxjs/webSocket';
import { WebSocket } from 'ws';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import { startChild } from '../support/process.ts';
import { Watch } from '../support/watch.ts';

export const PEERS = fileURLToPath(new URL('peers.py', import.meta.url));
export const PYTHON = '/usr/bin/python3';
/** Its types do not know that it is CommonJS: the class is the module itself. */
const Reconnecting = reconnecting as unknown as typeof reconnecting.default;
const RETRY = 100;
const PATIENCE = 60_000;

/** What a client has told: `open`, `echo …`, `ready` after the last echo, `close …`. Attempts that fail are left out. */
export class Diary {
  readonly events: string[] = [];
  readonly #watch = new Watch();

  note(event: string): void {
    const last = this.events.at(-1);
    if (event.startsWith('close') && (last === undefined || last.startsWith('close'))) return;
    this.events.push(event);
    this.#watch.changed();
  }

  /** Everything up to the time when it was ready so often. */
  async untilReady(times: number): Promise<string[]> {
    const end = await this.#watch.until(
      () => this.events.flatMap((event, at) => (event === 'ready' ? [at + 1] : []))[times - 1],
      () => `being ready ${times} times: ${this.events.join(', ')}`,
      PATIENCE,
    );
    return this.events.slice(0, end);
  }
}

export type StartClient = (cleanup: Cleanup, port: number, diary: Diary) => void;

/** Sends the first message; each answer brings the next. */
function talk(diary: Diary, sends: readonly (() => void)[]): (answer: string) => void {
  let next = 0;
  const proceed = (): void => {
    const send = sends[next];
    next += 1;
    if (send === undefined) diary.note('ready');
    else send();
  };
  diary.note('open');
  proceed();
  return (answer) => {
    diary.note(`echo ${answer}`);
    proceed();
  };
}

const startWs: StartClient = (cleanup, port, diary) => {
  let current: WebSocket | null = null;
  let isOver = false;
  const connect = (): void => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    current = socket;
    socket.on('error', () => undefined);
    socket.on('open', () => {
      const take = talk(diary, [
        () => socket.send('text'),
        () => socket.send(Buffer.from('binary')),
        () => {
          socket.send('frag', { fin: false });
          socket.send('mented');
        },
      ]);
      socket.on('message', (data, isBinary) => take(`${(data as Buffer).toString()}${isBinary ? ', binary' : ''}`));
    });
    socket.on('close', (code) => {
      diary.note(`close ${code}`);
      void setTimeout(RETRY).then(() => isOver || connect());
    });
  };
  connect();
  atEnd(cleanup, () => {
    isOver = true;
    current?.terminate();
  });
};

const startReconnecting: StartClient = (cleanup, port, diary) => {
  const options = { WebSocket, minReconnectionDelay: RETRY, maxReconnectionDelay: RETRY };
  const socket = new Reconnecting(`ws://127.0.0.1:${port}/`, [], options);
  let take: ((answer: string) => void) | null = null;
  socket.addEventListener('open', () => {
    take = talk(diary, [() => socket.send('text'), () => socket.send(Buffer.from('binary'))]);
  });
  socket.addEventListener('message', ({ data }) => take?.(String(data)));
  socket.addEventListener('close', ({ code }) => diary.note(`close ${code}`));
  atEnd(cleanup, () => socket.close());
};

const startRxjs: StartClient = (cleanup, port, diary) => {
  let take: ((answer: string) => void) | null = null;
  const subject = webSocket<string>({
    url: `ws://127.0.0.1:${port}/`,
    WebSocketCtor: WebSocket as never,
    serializer: (value) => value,
    deserializer: ({ data }) => String(data),
    openObserver: { next: () => void (take = talk(diary, [() => subject.next('text')])) },
    closeObserver: { next: ({ code }) => diary.note(`close ${code}`) },
  });
  const subscription = subject.pipe(retry({ delay: RETRY })).subscribe({
    next: (answer) => take?.(answer),
    complete: () => diary.note('complete: it does not come back'),
  });
  atEnd(cleanup, () => subscription.unsubscribe());
};

const startGraphql: StartClient = (cleanup, port, diary) => {
  const client = createClient({
    url: `ws://127.0.0.1:${port}/`,
    webSocketImpl: WebSocket,
    retryAttempts: Infinity,
    retryWait: () => setTimeout(RETRY),
    // Of a server that is not there yet `ws` tells by an error of its own. Codes such as 1011 end it all the same.
    shouldRetry: () => true,
    on: {
      opened: () => diary.note('open'),
      closed: (event) => diary.note(`close ${(event as { code?: number }).code}`),
    },
  });
  const unsubscribe = client.subscribe<{ word: string }>(
    { query: 'subscription { word }' },
    {
      next: ({ data }) => {
        diary.note(`echo ${data?.word}`);
        diary.note('ready');
      },
      error: (error) => diary.note(`error, it does not come back: ${(error as Error).message}`),
      complete: () => undefined,
    },
  );
  atEnd(cleanup, unsubscribe);
};

function python(library: string): StartClient {
  return (cleanup, port, diary) => {
    const child = startChild(cleanup, PYTHON, [PEERS, library, 'client', String(port)]);
    let rest = '';
    child.process.stdout?.on('data', (text: string) => {
      const lines = `${rest}${text}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) diary.note(line);
    });
    // It has no end of its own.
    atEnd(cleanup, () => child.stop('SIGKILL'));
  };
}

export const CLIENTS = [
  { name: 'ws', start: startWs, needs: [] },
  { name: 'reconnecting-websocket', start: startReconnecting, needs: [] },
  { name: 'rxjs', start: startRxjs, needs: [] },
  { name: 'graphql-ws', start: startGraphql, needs: [] },
  { name: 'python3-websockets', start: python('websockets'), needs: ['python3-websockets'] },
  { name: 'python3-websocket', start: python('websocket'), needs: ['python3-websocket'] },
  { name: 'python3-tornado', start: python('tornado'), needs: ['python3-tornado'] },
  { name: 'python3-aiohttp', start: python('aiohttp'), needs: ['python3-aiohttp'] },
] as const;
