import type { RandomInt32 } from './frame.ts';
import type { Pieces } from './pieces.ts';
import type { OutstandingPing } from './ping-tags.ts';
import type { RelayLimits } from './relay.ts';
import type { Side } from './report.ts';
import type { KeepaliveSettings } from './settings.ts';

/** What all tunnels of a route share. */
export interface TunnelContext {
  readonly random: RandomInt32;
  readonly toClient: Pieces;
  readonly toUpstream: Pieces;
  /** A Ping of ours was answered. */
  answered(side: Side, ping: OutstandingPing, now: number): void;
  /** Real traffic came back after the client side had been without any for `gap` ms, kept open by Pings. */
  bridged(gap: number): void;
}

export interface TunnelOptions {
  readonly keepalive: KeepaliveSettings;
  /** How long queued bytes may make no progress, in ms. */
  readonly stall: number;
  /** Kept as it is: tunnels of the same kind share it. */
  readonly limits: RelayLimits;
}
