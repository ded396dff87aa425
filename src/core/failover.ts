/** Which of the upstreams of a route a request goes to: the first that can be reached. */
import type { UpstreamTarget } from './settings.ts';

/** What is remembered of upstreams. Every call is synchronous. */
export interface UpstreamHealth {
  /** It took no connection the last time. */
  isDown(upstream: UpstreamTarget): boolean;
  /** It has just taken no connection. @param error why, for operators */
  unreachable(upstream: UpstreamTarget, error: string): void;
  /** It has just taken a connection, whatever it answered. */
  reached(upstream: UpstreamTarget): void;
}

/** Remembers nothing: every request begins with the first upstream. */
export const NO_HEALTH: UpstreamHealth = { isDown: () => false, unreachable: () => {}, reached: () => {} };

/**
 * In the configured order, those that are down last: what is known of them may be old. Undefined when all were tried.
 *
 * @param tried without success, by this request
 */
export function nextUpstream(
  upstreams: readonly UpstreamTarget[],
  tried: readonly UpstreamTarget[],
  health: Pick<UpstreamHealth, 'isDown'>,
): UpstreamTarget | undefined {
  if (upstreams.length === 1) return tried.length === 0 ? upstreams[0] : undefined;
  const left = upstreams.filter((upstream) => !tried.includes(upstream));
  return left.find((upstream) => !health.isDown(upstream)) ?? left[0];
}
