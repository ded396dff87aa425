/** What is measured, as data. */
import type { SystemName } from './systems.ts';

/** What one run of a load on one system brings. Rates are per second, latencies in µs, CPU in cores, memory in bytes. */
export const METRICS = {
  rate: { title: 'per second', digits: 0 },
  p50_us: { title: 'p50 µs', digits: 0 },
  p99_us: { title: 'p99 µs', digits: 0 },
  mb_per_s: { title: 'MB/s', digits: 0 },
  cores: { title: "proxy's CPU, cores", digits: 2 },
  per_core: { title: 'per second of its CPU', digits: 0 },
  bytes: { title: 'bytes per connection', digits: 0 },
  idle_cores: { title: 'CPU while idle, cores', digits: 3 },
  memory_left: { title: 'memory afterwards ÷ at the start', digits: 2 },
  back_s: { title: 's until all are in', digits: 2 },
  again: { title: 'attempts more than one each', digits: 0 },
  p99_ms: { title: 'p99 of handshakes, ms', digits: 0 },
  in_us: { title: 'µs of CPU for each that came', digits: 0 },
  cold_us: { title: 'on a fresh program', digits: 0 },
  out_us: { title: 'for each that left', digits: 0 },
  peak_bytes: { title: 'bytes per connection at the peak', digits: 0 },
  survivors: { title: 'clients in at the end', digits: 0 },
  most: { title: 'clients in at most', digits: 0 },
} as const;
export type Metric = keyof typeof METRICS;
export type Sample = Partial<Record<Metric, number>>;

interface Common {
  readonly name: string;
  readonly title: string;
  /** Loads of one group run round by round together, so that they can be compared. */
  readonly group: string;
  readonly systems: readonly SystemName[];
  /** What its table shows; the first is what ratios are made of. */
  readonly metrics: readonly [Metric, ...Metric[]];
  readonly conns: number;
}

export type Load = Common &
  (
    | { readonly kind: 'messages'; readonly size: number; readonly inflight: number }
    | { readonly kind: 'idle' }
    | { readonly kind: 'setup' }
    | { readonly kind: 'requests' }
    | { readonly kind: 'download'; readonly bytes: number }
    | StormShape
  );

interface StormShape {
  readonly kind: 'storm';
  /** So many come at a time, the next when all of them are in; null: all at once. */
  readonly step: number | null;
  /** Bytes that a program may use, sockets and all; null: as much as it likes. */
  readonly memory: number | null;
}
export type StormLoad = Common & StormShape;

const ALL: readonly SystemName[] = [
  'direct',
  'ours',
  'other',
  'image',
  'net-pipe',
  'http-proxy',
  'ws-relay',
  'nginx',
  'haproxy',
  'caddy',
];
const PROXIES = ALL.filter((name) => name !== 'direct');
const MESSAGES: readonly SystemName[] = [...ALL, 'read-write'];
const HTTP: readonly SystemName[] = ['direct', 'ours', 'other', 'image', 'http-library', 'nginx', 'haproxy'];
const STORM: readonly SystemName[] = [
  'ours',
  'other',
  'image',
  'net-pipe',
  'http-proxy',
  'nginx',
  'haproxy',
  'caddy',
  'image-newer',
  'net-pipe-newer',
];
const OURS: readonly SystemName[] = ['ours', 'other', 'image', 'image-newer', 'net-pipe', 'net-pipe-newer'];
const GROWTH: readonly SystemName[] = ['ours', 'other', 'read-write', 'net-pipe', 'haproxy'];

function messages(name: string, group: string, conns: number, size: number, inflight: number): Load {
  const bytes = size < 1024 ? `${size} B` : `${size / 1024} KiB`;
  return {
    kind: 'messages',
    name,
    group,
    title: `${count(conns)} connections, ${bytes}, ${inflight} in flight`,
    systems: group === 'growth' ? GROWTH : MESSAGES,
    metrics: ['rate', 'p50_us', 'p99_us', 'cores', 'per_core'],
    conns,
    size,
    inflight,
  };
}

function idle(name: string, conns: number, systems: readonly SystemName[]): Load {
  const title = `${count(conns)} idle connections`;
  return { kind: 'idle', name, group: 'idle', title, systems, metrics: ['bytes', 'idle_cores', 'memory_left'], conns };
}

export const LOADS: readonly Load[] = [
  messages('A', 'A', 50, 64, 1),
  messages('B', 'B', 50, 64, 32),
  messages('C', 'C', 50, 1024, 8),
  messages('D', 'D', 10, 65536, 4),
  {
    ...messages('G', 'G', 50, 64, 32),
    title: 'as B, and a Ping every 100 ms on every connection',
    systems: ['ours', 'ours-pinging'],
  },
  {
    kind: 'setup',
    name: 'F',
    group: 'F',
    title: 'setting up 4,000 connections',
    systems: ALL,
    metrics: ['rate', 'cores', 'per_core'],
    conns: 4000,
  },
  {
    kind: 'storm',
    name: 'S',
    group: 'S',
    title: '9,000 clients come back at once, and leave at once',
    systems: STORM,
    metrics: ['back_s', 'again', 'p99_ms', 'in_us', 'cold_us', 'out_us', 'peak_bytes', 'bytes'],
    conns: 9000,
    step: null,
    memory: null,
  },
  {
    kind: 'storm',
    name: 'S100',
    group: 'S100',
    title: '3,000 clients come in steps of 100',
    systems: OURS,
    metrics: ['peak_bytes', 'bytes', 'cold_us'],
    conns: 3000,
    step: 100,
    memory: null,
  },
  {
    kind: 'storm',
    name: 'S128',
    group: 'S128',
    title: '3,000 clients come at once, and there are 128 MiB',
    systems: STORM,
    metrics: ['survivors', 'most', 'back_s', 'peak_bytes', 'bytes'],
    conns: 3000,
    step: null,
    memory: 128 * 2 ** 20,
  },
  messages('N10', 'growth', 10, 64, 4),
  messages('N100', 'growth', 100, 64, 4),
  messages('N1000', 'growth', 1000, 64, 4),
  messages('N5000', 'growth', 5000, 64, 4),
  idle('E', 4000, PROXIES),
  idle('E1000', 1000, ['ours', 'other', 'net-pipe']),
  idle('E9000', 9000, ['ours', 'other']),
  {
    kind: 'requests',
    name: 'H',
    group: 'H',
    title: 'plain HTTP, 50 connections, small answers',
    systems: HTTP,
    metrics: ['rate', 'p50_us', 'p99_us', 'cores', 'per_core'],
    conns: 50,
  },
  {
    kind: 'download',
    name: 'I',
    group: 'I',
    title: 'plain HTTP, one body of 1 GiB',
    systems: HTTP,
    metrics: ['mb_per_s', 'cores'],
    conns: 1,
    bytes: 2 ** 30,
  },
];

export function count(value: number): string {
  return value.toLocaleString('en-US');
}
