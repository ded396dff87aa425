/** Many WebSockets at once, each with its two ends. */
import type { Cleanup } from './cleanup.ts';
import { closeCode, OPCODE, type RawFrame } from './frames.ts';
import { connectRaw, type ConnectOptions, type RawPeer, type RawServer } from './raw-websocket.ts';

/** So many handshakes at a time. */
const BATCH = 50;

export interface Crowd {
  readonly clients: readonly RawPeer[];
  readonly upstreams: readonly RawPeer[];
}

/** Opens so many connections to a proxy in front of `server`. */
export async function openCrowd(t: Cleanup, count: number, options: ConnectOptions, server: RawServer): Promise<Crowd> {
  const clients: RawPeer[] = [];
  const upstreams: RawPeer[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - clients.length) }, () => connectRaw(t, options));
    clients.push(...(await Promise.all(batch)));
    while (upstreams.length < clients.length) upstreams.push(await server.next());
  }
  return { clients, upstreams };
}

/** Answers a Close with the same and then ends, as a proper peer does. @param onClose gets the Close that came */
export async function answerClose(peer: RawPeer, onClose: (code: number | null) => void = () => {}): Promise<void> {
  const isClose = ({ opcode }: RawFrame): boolean => opcode === OPCODE.close;
  const frame = await peer.until(() => peer.frames.find(isClose), 'a Close', 60_000);
  onClose(closeCode(frame));
  peer.sendFrame({ opcode: OPCODE.close, payload: frame.payload });
  peer.end();
}
