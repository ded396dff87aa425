/**
 * The effective settings, as every layer sees them. Durations are milliseconds and sizes bytes; `Infinity` means off.
 * `config/` produces them from files, environment and flags; nothing else needs to know where they came from. A key is
 * found under its own name in camel case: `limits.connections_per_ip` is `limits.connectionsPerIp`.
 */

/** Where to listen or to connect. `host` carries no brackets. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Where the public listeners are: `fd` is a listening socket that the parent process has opened and holds. */
export type ListenAddress = Address | { readonly kind: 'fd'; readonly fd: number };

export interface UpstreamTarget {
  readonly address: Address;
  /** TLS towards the upstream (https://, wss://). */
  readonly tls: boolean;
  /** How operators know it: the URL from the configuration. It carries no credentials. */
  readonly url: string;
}

/** `idle`: Ping only what is quiet in either direction. `always`: Ping every interval. */
export const PING_MODES = ['idle', 'always'] as const;
export type PingMode = (typeof PING_MODES)[number];

/** Ping policy towards one side of a connection. */
export interface PingSettings {
  /** Quiet time after which a Ping is sent. `Infinity`: no Pings. */
  readonly interval: number;
  /** How long a Ping may stay unanswered. `Infinity`: never judge. */
  readonly timeout: number;
  readonly mode: PingMode;
}

export interface KeepaliveSettings {
  readonly client: PingSettings;
  readonly upstream: PingSettings;
  /** Learn a shorter interval from connections that were cut while idle. */
  readonly adaptive: boolean;
  /** What the proxy in front allows; only warned about and used to count bridged gaps. */
  readonly frontIdleTimeout: number;
}

export interface Timeouts {
  readonly connect: number;
  readonly handshake: number;
  readonly stall: number;
  readonly drain: number;
}

export interface Limits {
  readonly connections: number | 'auto';
  readonly connectionsPerIp: number;
  /** How old a WebSocket may become, in ms. */
  readonly age: number;
  readonly handshakes: number | 'auto';
  readonly requests: number | 'auto';
  readonly requestsPerIp: number;
  readonly frame: number;
  readonly headerBytes: number;
  readonly buffer: number;
  readonly controlFramesPerSecond: number;
}

export interface Route {
  /** Label in logs and metrics. */
  readonly name: string;
  /** Exact host, `*.suffix`, or null for any. Lower case, without port. */
  readonly host: string | null;
  /** Prefix of whole path segments, without a trailing slash, or null for any. */
  readonly path: string | null;
  /** At least one, in the order in which they are tried. */
  readonly upstreams: readonly UpstreamTarget[];
  readonly keepalive: KeepaliveSettings;
  readonly timeouts: Timeouts;
  /** `connections` and `connectionsPerIp` count this route; those of the settings count all. */
  readonly limits: Limits & { readonly connections: number };
}

/** From the most to the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
type LogLevel = (typeof LOG_LEVELS)[number];

/** `redact`: no query value is shown. `keep`: values of parameters not known to carry secrets are shown. */
export const QUERY_LOGGING = ['redact', 'keep'] as const;
export type QueryLogging = (typeof QUERY_LOGGING)[number];

export interface Settings {
  readonly listen: readonly ListenAddress[];
  /** First match wins. A top-level upstream is the last route, named `default`. */
  readonly routes: readonly Route[];
  /** `ca`: `system`, or the path of a PEM file. */
  readonly upstreamTls: { readonly ca: string; readonly verify: boolean };
  /** Exact origins, or `same-host`. Empty: no check. */
  readonly allowedOrigins: readonly string[];
  /** CIDRs, addresses, or the names `loopback` and `private`. */
  readonly trustedProxies: readonly string[];
  /** Code of the Close with which open connections end when the proxy stops; null: they end without one. */
  readonly drainCode: number | null;
  /** Every connection begins with a PROXY head, from a peer in `trustedProxies`. */
  readonly proxyProtocol: boolean;
  readonly timeouts: Timeouts;
  readonly limits: Limits;
  readonly admin: { readonly listen: Address | null; readonly hosts: readonly string[] };
  readonly probe: boolean;
  /** Collect garbage in quiet moments. */
  readonly idleCollection: boolean;
  readonly log: {
    readonly level: LogLevel;
    readonly format: 'auto' | 'json' | 'pretty';
    readonly query: QueryLogging;
    /** One line for each plain request. */
    readonly requests: boolean;
  };
}
