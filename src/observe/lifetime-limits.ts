/**
 * Whether a front ends connections when they have reached an age, whatever passes (Caddy's `stream_timeout`). Evidence is the age at which
 * connections of a front ended without a Close frame: three that agree, opened more than two seconds apart by at least two clients, more of them
 * than three beyond those that disagree, and nothing older.
 */
import { agesAgree } from '../core/adaptive.ts';
import type { CloseReport } from '../core/events.ts';

const AGREEING = 3;
const APART_MS = 2_000;
const MAX_REMEMBERED = 32;
const MAX_FRONTS = 256;
const WINDOW_MS = 7 * 86_400_000;

/** `or_idle`: nothing had passed on any of them since it was opened, so that an idle limit explains it as well. */
export type LifetimeFit = 'no' | 'or_idle' | 'yes';

interface Life {
  readonly openedAt: number;
  readonly endedAt: number;
  readonly durationMs: number;
  readonly client: string;
  /** Nothing had passed since it was opened, so its age and its silence are the same. */
  readonly wasSilent: boolean;
}

export class LifetimeLimits {
  readonly #lives = new Map<string, Life[]>();

  /** Takes note of an end, the first of those that came within a second, and says whether a limit on lifetimes explains it. */
  observe(report: CloseReport): LifetimeFit {
    const lives = this.#livesOf(report);
    const life = lifeOf(report);
    lives.push(life);
    if (lives.length > MAX_REMEMBERED) lives.shift();
    const same = lives.filter(({ durationMs }) => agesAgree(durationMs, life.durationMs));
    const agreeing = apart(same);
    const clients = new Set(agreeing.map(({ client }) => client)).size;
    if (clients < 2 || agreeing.length < AGREEING + lives.length - same.length) return 'no';
    return agreeing.every(({ wasSilent }) => wasSilent) ? 'or_idle' : 'yes';
  }

  /** Whether there is so much evidence that a look at the open connections is worth while. */
  suspects(front: string): boolean {
    return (this.#lives.get(front)?.length ?? 0) >= AGREEING - 1;
  }

  /** The lives of a front, now the most recently used one. */
  #livesOf({ front, endedAt }: CloseReport): Life[] {
    const lives = (this.#lives.get(front) ?? []).filter((life) => life.endedAt > endedAt - WINDOW_MS);
    this.#lives.delete(front);
    this.#lives.set(front, lives);
    for (const oldest of this.#lives.keys()) {
      if (this.#lives.size <= MAX_FRONTS) break;
      this.#lives.delete(oldest);
    }
    return lives;
  }
}

function lifeOf({ endedAt, durationMs, wireIdleMs, client }: CloseReport): Life {
  return { openedAt: endedAt - durationMs, endedAt, durationMs, client, wasSilent: agesAgree(durationMs, wireIdleMs) };
}

/** Those of them that were opened more than two seconds after the one before. */
function apart(lives: readonly Life[]): Life[] {
  const kept: Life[] = [];
  for (const life of lives.toSorted((one, other) => one.openedAt - other.openedAt)) {
    const last = kept.at(-1);
    if (last === undefined || life.openedAt - last.openedAt > APART_MS) kept.push(life);
  }
  return kept;
}
