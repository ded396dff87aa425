import type { KeepaliveSettings, PingSettings } from '../../src/core/settings.ts';
import type { DirectionLimits } from '../../src/core/direction.ts';
import type { Random } from './random.ts';

const NEVER = Number.POSITIVE_INFINITY;
const KIB = 1024;

/** What the proxy of one simulated world is set to. */
export interface WorldSettings {
  /** One is in force at first, and a reload changes to the next one. */
  readonly keepalives: readonly [KeepaliveSettings, KeepaliveSettings];
  readonly stall: number;
  readonly limits: DirectionLimits;
  readonly buffer: number;
  readonly drain: number;
  /** Code of the Close of a stop; null: it sends none. */
  readonly drainCode: number | null;
  /** Client sockets are read as upstream ones are, and not through `data` events. */
  readonly clientReader: boolean;
  /** Node's own mark, in bytes: it differs between its releases. */
  readonly highWaterMark: number;
}

export function drawSettings(random: Random): WorldSettings {
  const first = drawKeepalive(random);
  const second = { ...first, client: changed(first.client, random), upstream: changed(first.upstream, random) };
  return {
    keepalives: [first, second],
    stall: random.pick([2500, 20_000, 60_000]),
    limits: {
      maxPayload: random.pick([NEVER, 4 * KIB * KIB]),
      controlRate: random.pick([NEVER, 20]),
      extensions: false,
    },
    buffer: random.pick([16 * KIB, 64 * KIB, 256 * KIB]),
    drain: 8000,
    drainCode: random.chance(0.5) ? 1012 : null,
    clientReader: random.chance(0.5),
    highWaterMark: random.pick([16 * KIB, 64 * KIB]),
  };
}

function drawKeepalive(random: Random): KeepaliveSettings {
  const mode = random.chance(0.8) ? 'idle' : 'always';
  const isJudging = random.chance(0.95);
  return {
    client: { interval: random.pick([5, 10, 20, 30, 60, 60]) * 1000, timeout: random.pick([10, 30]) * 1000, mode },
    upstream: {
      interval: random.chance(0.9) ? random.pick([20, 30, 60, 60]) * 1000 : NEVER,
      timeout: isJudging ? random.pick([15, 60]) * 1000 : NEVER,
      mode,
    },
    adaptive: false,
    frontIdleTimeout: 60_000,
  };
}

/** A reload makes the interval longer or shorter; the timeout stays, so that slow answers remain good answers. */
function changed(settings: PingSettings, random: Random): PingSettings {
  return { ...settings, interval: settings.interval * random.pick([0.5, 1, 2, 2]) };
}
