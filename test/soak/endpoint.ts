/** One outer end of a connection: it counts the bytes on its side of the proxy, and which of them are the proxy's own. */
import { type RawFrame, OPCODE } from '../support/frames.ts';
import type { RawPeer } from '../support/raw-websocket.ts';
import { Watch } from '../support/watch.ts';

/** How a client's own Pings begin; the proxy's are random. */
export const OWN_PING = 'of the application';
/** Without the mask's four bytes. */
const SHORT_HEAD = 2;
const MASK = 4;

/** Frames of the proxy at this end. */
interface Injected {
  count: number;
  bytes: number;
}

export class Endpoint {
  readonly pings: Injected = { count: 0, bytes: 0 };
  /** Answers to them. */
  readonly pongs: Injected = { count: 0, bytes: 0 };
  closeSent = false;
  closeReceived = false;
  /** Reads, and answers no Ping. */
  mute = false;
  gone = false;
  readonly watch = new Watch();
  readonly #onFrame: (frame: RawFrame, end: Endpoint) => void;
  #peer: RawPeer | null = null;
  #written = 0;

  constructor(onFrame: (frame: RawFrame, end: Endpoint) => void) {
    this.#onFrame = onFrame;
  }

  /** For the peer's `autoPong`. After a Close nothing is answered any more. */
  readonly answers = (ping: RawFrame): boolean => {
    const answer = !this.mute && !this.closeSent;
    if (ping.payload.toString('latin1').startsWith(OWN_PING)) return answer;
    this.pings.count += 1;
    this.pings.bytes += ping.raw.length;
    if (!answer) return false;
    this.pongs.count += 1;
    this.pongs.bytes += SHORT_HEAD + (ping.masked ? 0 : MASK) + ping.payload.length;
    this.watch.changed();
    return true;
  };

  get peer(): RawPeer {
    if (this.#peer === null) throw new Error('there is no peer yet');
    return this.#peer;
  }

  /** Bytes after the handshake, by the kernel's own account. */
  get received(): number {
    return this.peer.socket.bytesRead - this.peer.head.length;
  }

  get sent(): number {
    return this.peer.socket.bytesWritten - this.#written;
  }

  /** To be called before the peer has sent any frame. */
  attach(peer: RawPeer): void {
    this.#peer = peer;
    this.#written = peer.socket.bytesWritten;
    peer.socket.on('data', this.#onData);
    peer.socket.on('close', this.#onClose);
    this.gone = peer.socket.destroyed;
  }

  close(payload: Uint8Array): void {
    this.closeSent = true;
    if (this.peer.socket.writable) this.peer.sendFrame({ opcode: OPCODE.close, payload });
  }

  until(probe: () => boolean, what: string, patience?: number): Promise<boolean> {
    return this.watch.until(probe, what, patience);
  }

  readonly #onData = (): void => {
    const { peer } = this;
    // The peer keeps all it has seen, and this is to last for hours.
    peer.chunks.length = 0;
    for (const frame of peer.frames.splice(0)) {
      if (frame.opcode === OPCODE.close) this.closeReceived = true;
      this.#onFrame(frame, this);
    }
    this.watch.changed();
  };

  readonly #onClose = (): void => {
    this.gone = true;
    this.watch.changed();
  };
}
