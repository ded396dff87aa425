/** The configuration in force: as the settings that the other layers see, and as the YAML that `check` prints. */
import { Document, isScalar } from 'yaml';
import { z } from 'zod';
import type { KeepaliveSettings, Route, Settings } from '../core/settings.ts';
import type { Config } from './keys.ts';
import { infoAt, type KeyPath, keysAt, schemaAt } from './schema.ts';

type Policy = Config['keepalive'];
type ConfiguredRoute = Config['routes'][number];

interface EffectiveRoute extends ConfiguredRoute {
  readonly name: string;
  readonly keepalive: Policy;
  readonly timeouts: Config['timeouts'];
  readonly limits: Config['limits'] & ConfiguredRoute['limits'];
}

/** A configuration in which every route says all of its own. */
export interface EffectiveConfig extends Config {
  readonly routes: EffectiveRoute[];
}

/** The name of the route at `index` when the file gives none. */
export function defaultRouteName(index: number): string {
  return `route-${index + 1}`;
}

/** Names the routes and lets them inherit, key by key. */
export function completeRoutes(config: Config): EffectiveConfig {
  return { ...config, routes: config.routes.map((route, index) => complete(route, defaultRouteName(index), config)) };
}

function complete(route: ConfiguredRoute, name: string, { keepalive, timeouts, limits }: Config): EffectiveRoute {
  return {
    ...route,
    name: route.name ?? name,
    keepalive: { ...keepalive, ...route.keepalive },
    timeouts: { ...timeouts, ...route.timeouts },
    limits: { ...limits, ...route.limits },
  };
}

/** The effective settings. A key is found under its own name in camel case; the top-level upstream is the last route. */
export function toSettings(config: EffectiveConfig): Settings {
  const { upstream, keepalive: _, routes, ...rest } = config;
  const own = { keepalive: {}, timeouts: {}, limits: { connections: Infinity, connections_per_ip: Infinity } };
  const fallback = upstream && complete({ upstream, ...own }, 'default', config);
  return {
    ...camelKeys(rest),
    limits: camelKeys(rest.limits),
    routes: [...routes, ...(fallback ? [fallback] : [])].map(toRoute),
  };
}

function toRoute({ name, host, path, upstream, keepalive, timeouts, limits }: EffectiveRoute): Route {
  return {
    name,
    host: host ?? null,
    path: path ?? null,
    upstreams: upstream,
    keepalive: toKeepalive(keepalive),
    timeouts: { ...timeouts, connect: connectLimit(timeouts, upstream.length) },
    limits: camelKeys(limits),
  };
}

/** Of several upstreams each gets its share of the time that a client waits at most, so that the last one is reached in it. */
function connectLimit({ connect, handshake }: Config['timeouts'], upstreams: number): number {
  return upstreams === 1 ? connect : Math.min(connect, Math.floor(handshake / upstreams));
}

function toKeepalive(policy: Policy): KeepaliveSettings {
  const { mode } = policy;
  return {
    client: { interval: policy.ping_interval, timeout: policy.pong_timeout, mode },
    upstream: { interval: policy.upstream_ping_interval, timeout: policy.upstream_pong_timeout, mode },
    adaptive: policy.adaptive,
    frontIdleTimeout: policy.front_idle_timeout,
  };
}

type CamelCase<Name> = Name extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Name;

/** `connections_per_ip` becomes `connectionsPerIp`. */
export function camelCase(name: string): string {
  return name.replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function camelKeys<T extends object>(tree: T): { [K in keyof T as CamelCase<K>]: T[K] } {
  const entries = Object.entries(tree).map(([name, value]) => [camelCase(name), value as unknown]);
  return Object.fromEntries(entries) as ReturnType<typeof camelKeys<T>>;
}

/** A comment behind the value at `path`. */
export interface Note {
  readonly path: KeyPath;
  readonly text: string;
}

/** YAML that loads to the same configuration: every key with its value, in the order of `keys.ts`. */
export function renderConfig(config: EffectiveConfig, notes: readonly Note[] = []): string {
  const document = new Document(written(config, []));
  for (const { path, text } of notes) {
    const node = document.getIn(path, true);
    if (isScalar(node)) node.comment = ` ${text}`;
  }
  return document.toString();
}

function written(value: unknown, path: KeyPath): unknown {
  const info = infoAt(path);
  if (info !== undefined) return info.isList ? (value as unknown[]).map(info.kind.write) : info.kind.write(value);
  if (schemaAt(path) instanceof z.ZodArray)
    return (value as unknown[]).map((each, index) => written(each, [...path, index]));
  const tree = value as Record<string, unknown>;
  const given = keysAt(path).filter((key) => tree[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, written(tree[key], [...path, key])]));
}
