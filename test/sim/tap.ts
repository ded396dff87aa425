/** Who wants to know what passes a socket of the proxy. */
export interface Tap {
  /** The proxy has read this. */
  read(bytes: Uint8Array): void;
  /** The proxy writes this. */
  wrote(piece: Uint8Array): void;
  /** The proxy writes this, but the socket was lost a moment ago. */
  dropped(piece: Uint8Array): void;
  /** The proxy ends its direction. */
  ended(): void;
  /** The proxy lets go of the socket, and of so many bytes that wait in it. @param byPeer it was lost to the peer */
  destroyed(how: 'destroy' | 'reset', waiting: number, byPeer: boolean): void;
}
