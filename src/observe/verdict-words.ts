/** What the rules of the verdict table look like, and the words they are made of. */
import { agesAgree } from '../core/adaptive.ts';
import type { CloseReport, Side } from '../core/events.ts';

/** What the front may have done to a connection. */
export type FrontFit = 'idle' | 'lifetime' | 'reload';

/** How a connection ended, and what is known of others, by which the rules go. */
export interface JudgedEnd extends CloseReport {
  /** Ends of the same kind within a second of this one, this one included. */
  readonly together: number;
  /** Whether those were of more than one client address. */
  readonly severalClients: boolean;
  /** Whether a connection is left that would have ended as well, had all been ended. */
  readonly someLeft: boolean;
  /** Whether they came after the same silence on the wire, of a second or more. */
  readonly sameSilence: boolean;
  /** Whether others of its peer ended after the same silence and none outlived it, but nobody knows whether that peer is a front. */
  readonly likeOthers: boolean;
  /** What the front may have done, by what is known of others. Several: they cannot be told apart. */
  readonly fits: ReadonlySet<FrontFit>;
  /** How long the proxy itself had stood still just before, in ms; 0: it had not. */
  readonly stoodStillMs: number;
}

/**
 * A row of the verdict table: what most likely happened, and what to do about it. The first row of a cause whose `when`
 * holds gives the verdict; the last row of each cause has no `when`. The troubleshooting page is written from the rows.
 */
export interface VerdictRule<Facts> {
  readonly id: string;
  /** What people notice, for the troubleshooting page. */
  readonly symptom: string;
  readonly when?: (facts: Facts) => boolean;
  /** What happened: a sentence without its full stop. */
  readonly sentence: (facts: Facts) => string;
  /** The next step, where there is one to take. */
  readonly remedy?: (facts: Facts) => string;
  /** Facts for which this row, and none before it, holds, for the page and the tests; a client's end unless said otherwise. */
  readonly example?: Partial<Facts>;
}

/** Idle limits met in the wild, in seconds, with those who come with them. */
const KNOWN_LIMITS: readonly (readonly [seconds: number, owner: string])[] = [
  [30, 'Jetty and of the Google Cloud load balancer'],
  [50, 'many HAProxy configurations (timeout client, timeout tunnel)'],
  [55, 'Heroku'],
  [60, 'nginx (proxy_read_timeout) and of the AWS ALB'],
  [100, 'YARP'],
  [240, 'the Azure load balancer'],
  [300, 'Envoy (stream idle timeout)'],
  [350, 'the AWS NLB'],
];

/** Close codes by which an endpoint complains about its peer (RFC 6455 section 7.4.1). */
const COMPLAINTS: Readonly<Record<number, string>> = {
  1002: 'a frame that breaks RFC 6455',
  1003: 'a kind of data that it does not take',
  1007: 'data that does not fit its type, such as text that is not UTF-8',
  1008: 'a breach of its policy',
  1009: 'a message that is too big for it',
  1010: 'an extension that was not negotiated',
};

/** Whose default idle limit this silence (milliseconds) is, to follow the words "idle limit of", or null. */
export function likelyOwner(idleMs: number): string | null {
  return KNOWN_LIMITS.find(([limit]) => agesAgree(idleMs, limit * 1_000))?.[1] ?? null;
}

export function closeCodeMeaning(code: number | null): string | null {
  return COMPLAINTS[Number(code)] ?? null;
}

/** Neko's legacy protocol lives on `/ws`, under any prefix; its newer one on `/api/ws`. */
export function isLegacyPath(path: string): boolean {
  return /^[^?]*(?<!\/api)\/ws(?:\?|$)/.test(path);
}

/** Either of Neko's two protocols. */
export function isNekoPath(path: string): boolean {
  return /^[^?]*\/ws(?:\?|$)/.test(path);
}

/** A side that was asked and has never answered a Ping on this connection. */
export function neverAnswered(facts: CloseReport, side: Side): boolean {
  return side === 'client'
    ? facts.pingsClient > 0 && !facts.answersPingsClient
    : facts.pingsUpstream > 0 && !facts.answersPingsUpstream;
}

/** The proxy in front, as far as it is known that there is one. */
export function frontOf({ frontIsKnown }: CloseReport): string {
  return frontIsKnown ? 'the proxy in front' : 'a proxy in front, if there is one,';
}

/** `80 ms`, `3 s`, `60.1 s`. Never 0. */
export function seconds(milliseconds: number): string {
  return milliseconds < 950
    ? `${Math.max(1, Math.round(milliseconds))} ms`
    : `${Number((milliseconds / 1_000).toFixed(1))} s`;
}
