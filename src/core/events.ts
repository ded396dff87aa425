/**
 * What the proxy tells about its connections: closed sets of words shared by logs, metrics and the status page,
 * and the interface through which connections report without knowing who listens.
 */

export type Side = 'client' | 'upstream';

/** Who made the connection end. `front`: the proxy in front of this one. */
export type Initiator = 'client' | 'front' | 'upstream' | 'proxy';

export const CLOSE_CAUSES = [
  'close_frame',
  'reserved_code',
  'abrupt_end',
  'front_idle_cut',
  'front_lifetime_cut',
  'front_reload',
  'pong_timeout',
  'stall',
  'close_timeout',
  'frame_limit',
  'rate_limit',
  'bad_length',
  'max_age',
  'drain',
  'internal_error',
] as const;
export type CloseCause = (typeof CLOSE_CAUSES)[number];

export const UPGRADE_FAILURES = [
  'bad_request',
  'origin',
  'no_route',
  'limit',
  'upstream_unreachable',
  'upstream_timeout',
  'upstream_refused',
  'upstream_invalid',
  'client_gone',
] as const;
export type UpgradeFailureReason = (typeof UPGRADE_FAILURES)[number];

/** Why a plain request was answered by the proxy and not forwarded. One that is a handshake is an `UpgradeFailureReason` instead. */
export const REQUEST_REFUSALS = [
  'bad_request',
  'bad_host',
  'transfer_coding',
  'method',
  'version',
  'header_limit',
  'timeout',
  'no_route',
  'websocket_only',
  'limit',
  'limit_per_ip',
] as const;
export type RequestRefusal = (typeof REQUEST_REFUSALS)[number];

/** By what operators find a request again in other logs. Safe to show: printable, bounded, without secrets. */
export interface RequestIdentity {
  readonly host: string;
  readonly userAgent: string;
  /** `X-Request-ID`, or the trace id of `traceparent`, from a trusted peer; else made. At most 128 visible ASCII characters. */
  readonly requestId: string;
}

/** Who a WebSocket belongs to. `path` is safe to show: secrets are already replaced. */
export interface ConnectionInfo {
  readonly id: string;
  readonly route: string;
  /** Address of the client, resolved through the trusted proxies. */
  readonly client: string;
  /** Address of the TCP peer (`unix` on a unix socket), about which idle limits are learned: the proxy in front, or the client itself. */
  readonly front: string;
  /** That peer spoke for a client at another address, so it is a proxy in front. One that did not may be one all the same. */
  readonly frontIsKnown: boolean;
  readonly path: string;
  /** Its URL, where the route has several. */
  readonly upstream?: string | undefined;
  readonly request: RequestIdentity;
}

/**
 * - `open`: nothing is awaited
 * - `waiting`: a Ping is not answered yet
 * - `blocked`: bytes wait for a side that takes none at the moment
 * - `closing`: its end is known and under way
 */
export type ConnectionState = 'open' | 'waiting' | 'blocked' | 'closing';

/** What is to be seen of an open connection. Times are ms on the monotonic clock. */
export interface ConnectionView extends ConnectionInfo {
  readonly openedAt: number;
  /** When something that was not the proxy's own last passed. */
  readonly activeAt: number;
  readonly state: ConnectionState;
  /** Towards the client, as the next four. Null: not known yet. */
  readonly rttMs: number | null;
  readonly answersPings: boolean;
  readonly pings: number;
  readonly pongs: number;
  /** `Infinity`: off. */
  readonly intervalMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** How a connection ended, in facts. */
export interface CloseFacts {
  readonly initiator: Initiator;
  readonly cause: CloseCause;
  /** Which side the cause was seen on. */
  readonly side: Side;
  /** Close code as seen on the wire; null when there was no Close frame or it carried none. */
  readonly code: number | null;
  /** Close reason as seen on the wire, at most 123 bytes of UTF-8; empty when none. */
  readonly reason: string;
  /** The end came as a TCP reset rather than an orderly end. */
  readonly reset: boolean;
}

/** What a connection has moved so far. Up is from the client to the upstream; what the proxy injects or swallows counts apart. */
export interface ConnectionTotals {
  readonly bytesUp: number;
  readonly bytesDown: number;
  readonly framesUp: number;
  readonly framesDown: number;
  readonly pingsClient: number;
  readonly pingsUpstream: number;
  readonly pongsClient: number;
  readonly pongsUpstream: number;
  /** Empty Pongs to the client that nobody had asked for, in the place of Pings. */
  readonly unsolicitedPongs: number;
  /** Frames that broke a rule of RFC 6455 and were passed on all the same: the endpoint judges. */
  readonly violationsUp: number;
  readonly violationsDown: number;
}

export interface CloseReport extends ConnectionInfo, CloseFacts, ConnectionTotals {
  /** When the reason for its end became known, in ms on the monotonic clock. */
  readonly endedAt: number;
  readonly durationMs: number;
  /** The newest rule that was broken, in words; null when none was. */
  readonly violation: string | null;
  /** Newest round trip to the client measured by a Ping, null when none was answered. */
  readonly rttMs: number | null;
  /** The side has answered a Ping on this connection, ours or an application's. Only such a side is judged by its silence. */
  readonly answersPingsClient: boolean;
  readonly answersPingsUpstream: boolean;
  /** How long no message had passed, either way, when it ended: the proxy's own Pings and a Close left out. For people. */
  readonly idleMs: number;
  /** How long no byte at all had passed on the client side, either way, when it ended. What a front sees. */
  readonly wireIdleMs: number;
  /** A Ping of the proxy's own to the client was unanswered when it ended. */
  readonly pingUnanswered: boolean;
}

export interface UpgradeFailure {
  readonly reason: UpgradeFailureReason;
  /** `default`, a route's name, or `none` when no route matched. */
  readonly route: string;
  readonly client: string;
  readonly path: string;
  /** Left out where no request was read. */
  readonly request?: RequestIdentity;
  /** Status sent to the client; 0 when it was gone. */
  readonly status: number;
  /** One sentence for the operator, with the next step where there is one. No secrets. */
  readonly detail: string;
}

/** The part of pino's interface that is used outside `observe/`. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Who is told of connections and requests. Every call is synchronous and must not throw. */
export interface Observer {
  opened(info: ConnectionInfo): void;
  closed(report: CloseReport): void;
  upgradeFailed(failure: UpgradeFailure): void;
  /** An upstream's 101 was passed on although it breaks a rule that not every client insists on. @param detail what is odd about it */
  oddHandshake(route: string, detail: string): void;
  /** A plain HTTP request was answered (`status`), or its client left before (`499`). @param refusal why it was not forwarded */
  httpRequest(route: string, status: number, refusal?: RequestRefusal): void;
}

/** What happens on open connections. Each call stands for one event, so nothing that comes with every chunk is told here. */
export interface TrafficObserver {
  /** An injected Ping was answered. */
  ponged(info: ConnectionInfo, side: Side, rttMs: number): void;
  /** A byte passed on the client side after a second or more without any, either way; whose byte does not matter. */
  outlived(info: ConnectionInfo, silenceMs: number): void;
  /** Traffic came back after a gap that the front would have cut, had there been no Pings. */
  bridged(info: ConnectionInfo, gapMs: number): void;
  /** The program did not run for so long: it was suspended, or its event loop was blocked. */
  stoodStill(ms: number): void;
}
