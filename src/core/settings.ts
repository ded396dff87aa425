/**
 * The effective settings, as every layer sees them. Durations are milliseconds and sizes bytes; `Infinity` means off.
 * `config/` produces them from files, environment and flags; nothing else needs to know where they came from.
 */

/** Where to listen or to connect. `host` carries no brackets. */
export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

export interface UpstreamTarget {
  readonly address: Address;
  /** TLS towards the upstream (https://, wss://). */
  readonly tls: boolean;
  /** How operators know it: the URL from the configuration. It carries no credentials. */
  readonly url: string;
}

/** `idle`: Ping only what is quiet in either direction. `always`: Ping every interval. */
export type PingMode = 'idle' | 'always';

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

export interface Route {
  /** Label in logs and metrics. */
  readonly name: string;
  /** Exact host, `*.suffix`, or null for any. Lower case, without port. */
  readonly host: string | null;
  /** Prefix of whole path segments, without a trailing slash, or null for any. */
  readonly path: string | null;
  readonly upstream: UpstreamTarget;
  readonly keepalive: KeepaliveSettings;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
/** `redact`: no query value is shown. `keep`: values of parameters not known to carry secrets are shown. */
export type QueryLogging = 'redact' | 'keep';

export interface Settings {
  readonly listen: readonly Address[];
  /** First match wins. A top-level upstream is the last route, named `default`. */
  readonly routes: readonly Route[];
  /** `ca`: `system`, or the path of a PEM file. */
  readonly upstreamTls: { readonly ca: string; readonly verify: boolean };
  /** Exact origins, or `same-host`. Empty: no check. */
  readonly allowedOrigins: readonly string[];
  /** CIDRs, addresses, or the names `loopback` and `private`. */
  readonly trustedProxies: readonly string[];
  readonly timeouts: {
    readonly connect: number;
    readonly handshake: number;
    readonly stall: number;
    readonly drain: number;
  };
  readonly limits: {
    readonly connections: number | 'auto';
    readonly connectionsPerIp: number;
    readonly frame: number;
    readonly headerBytes: number;
    readonly buffer: number;
    readonly controlFramesPerSecond: number;
  };
  readonly admin: { readonly listen: Address | null; readonly hosts: readonly string[] };
  readonly probe: boolean;
  readonly log: {
    readonly level: LogLevel;
    readonly format: 'auto' | 'json' | 'pretty';
    readonly query: QueryLogging;
  };
}
