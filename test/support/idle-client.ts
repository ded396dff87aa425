/** A `ws` client that says nothing until it is told to, as a legacy page between heartbeats. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { atEnd, type Cleanup } from './cleanup.ts';
import { Watch } from './watch.ts';

export interface IdleClient {
  readonly socket: WebSocket;
  readonly messages: readonly string[];
  pings: number;
  /** Milliseconds after it dialled at which it was closed, or null. */
  closedAfter: number | null;
  say(content: string): void;
  /** Resolves when somebody said so in the room. */
  hears(content: string): Promise<unknown>;
  /** Resolves with the milliseconds it was open. */
  untilClosed(): Promise<number>;
  /** Resolves at the first Ping after so many ms; rejects when it is closed before. */
  outlives(ms: number): Promise<unknown>;
}

export async function connectIdle(cleanup: Cleanup, port: number, name: string): Promise<IdleClient> {
  const dialled = performance.now();
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?password=x&username=${name}`);
  atEnd(cleanup, () => socket.terminate());
  await once(socket, 'open');
  const age = (): number => performance.now() - dialled;
  const watch = new Watch();
  const messages: string[] = [];
  const client: IdleClient = {
    socket,
    messages,
    pings: 0,
    closedAfter: null,
    say: (content) => socket.send(JSON.stringify({ event: 'chat/message', content })),
    hears: (content) => watch.until(() => messages.some((text) => text.includes(`"content":"${content}"`)), content),
    untilClosed: () => watch.until(() => client.closedAfter, 'the cut'),
    outlives: (ms) => {
      const lived = (): boolean => {
        if (client.closedAfter !== null) throw new Error(`cut after ${Math.round(client.closedAfter)} ms`);
        return age() >= ms;
      };
      return watch.until(lived, `a Ping after ${ms} ms; ${client.pings} came`, ms + 10_000);
    },
  };
  socket.on('message', (data: Buffer) => {
    messages.push(data.toString());
    watch.changed();
  });
  socket.on('ping', () => {
    client.pings += 1;
    watch.changed();
  });
  socket.on('close', () => {
    client.closedAfter = age();
    watch.changed();
  });
  return client;
}
