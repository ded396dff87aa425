/** What clients do. Each kind gets a client that is open, and numbers between 0 and 1. */
import { setTimeout } from 'node:timers/promises';
import { bytesOf, type Fate, type SoakClient } from './client.ts';
import { ORDERS } from './upstream.ts';

type Random = () => number;

interface Kind {
  readonly name: string;
  /** So many of a hundred. */
  readonly share: number;
  readonly fate: Fate;
  readonly act: (client: SoakClient, random: Random) => Promise<void>;
}

/** Codes that a client closes with; null: none. */
const CODES = [1000, 1001, 4001, null] as const;
const KIB = 1024;
/** Longer than the proxy takes to find somebody dead. */
const DEAD_MS = 5_000;

const between = (random: Random, least: number, most: number): number => least + random() * (most - least);
const pause = (random: Random, most: number): Promise<unknown> => setTimeout(between(random, 10, most));

async function chat(client: SoakClient, random: Random): Promise<void> {
  const messages = between(random, 3, 10);
  for (let sent = 0; sent < messages; sent += 1) {
    await client.say(bytesOf(between(random, 1, 3_000)), 1 + Math.floor(random() * 3));
    await pause(random, 300);
  }
  await client.echoed();
}

async function close(client: SoakClient, random: Random): Promise<void> {
  await client.close(CODES[Math.floor(random() * CODES.length)] ?? null);
}

async function talk(client: SoakClient, random: Random): Promise<void> {
  await chat(client, random);
  await close(client, random);
}

async function burst(client: SoakClient, random: Random): Promise<void> {
  for (let sent = 0; sent < 4; sent += 1) await client.say(bytesOf(between(random, 64, 256) * KIB));
  await client.echoed();
  await close(client, random);
}

async function readSlowly(client: SoakClient, random: Random): Promise<void> {
  client.end.peer.stopReading();
  for (let sent = 0; sent < 8; sent += 1) await client.say(bytesOf(128 * KIB));
  await setTimeout(between(random, 300, 1_200));
  client.end.peer.resumeReading();
  await client.echoed();
  await close(client, random);
}

async function ping(client: SoakClient, random: Random): Promise<void> {
  for (let sent = 0; sent < 8; sent += 1) {
    client.ping();
    await pause(random, 300);
  }
  await close(client, random);
}

function killed(how: 'fin' | 'reset') {
  return async (client: SoakClient, random: Random): Promise<void> => {
    await chat(client, random);
    // In the middle of traffic: what is on its way is lost.
    if (random() < 0.5) await client.say(bytesOf(64 * KIB));
    client.kill(how);
    await client.gone();
  };
}

function ordered(text: string) {
  return async (client: SoakClient, random: Random): Promise<void> => {
    await chat(client, random);
    client.order(text);
    await client.gone();
  };
}

/** Only a side that has answered a Ping is judged by its silence. */
async function answered({ end }: SoakClient): Promise<void> {
  await end.until(() => end.gone || end.pongs.count > 0, 'a Ping');
}

/** As a machine that was suspended: TCP stands, and nobody is there. */
async function freeze(client: SoakClient): Promise<void> {
  await answered(client);
  client.end.peer.stopReading();
  await setTimeout(DEAD_MS);
  client.end.peer.resumeReading();
  await client.gone();
}

async function fallSilent(client: SoakClient): Promise<void> {
  await answered(client);
  client.end.mute = true;
  await client.gone();
}

export const KINDS: readonly Kind[] = [
  { name: 'talks and closes', share: 30, fate: 'orderly', act: talk },
  { name: 'sends bursts', share: 8, fate: 'orderly', act: burst },
  { name: 'reads slowly', share: 6, fate: 'orderly', act: readSlowly },
  { name: 'sends Pings of its own', share: 8, fate: 'orderly', act: ping },
  { name: 'is closed by the upstream', share: 8, fate: 'orderly', act: ordered(ORDERS.close) },
  { name: 'is closed with 1006', share: 4, fate: 'orderly', act: ordered(ORDERS.reserved) },
  { name: 'ends without a Close', share: 10, fate: 'killed', act: killed('fin') },
  { name: 'resets', share: 10, fate: 'killed', act: killed('reset') },
  { name: 'loses its upstream', share: 4, fate: 'ended by the upstream', act: ordered(ORDERS.fin) },
  { name: 'has its upstream reset', share: 4, fate: 'ended by the upstream', act: ordered(ORDERS.reset) },
  { name: 'freezes', share: 4, fate: 'dead', act: freeze },
  { name: 'falls silent', share: 4, fate: 'dead', act: fallSilent },
];

/** A kind by its share. @param at from 0 to 1 */
export function kindAt(at: number): Kind {
  let rest = at * KINDS.reduce((sum, { share }) => sum + share, 0);
  for (const kind of KINDS) {
    rest -= kind.share;
    if (rest < 0) return kind;
  }
  throw new Error(`${at} is not below 1`);
}
