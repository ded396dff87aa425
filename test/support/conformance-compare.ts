/** Tells two observations of a case apart. */
import type { Case } from './conformance-case.ts';
import type { Observation, Seen } from './conformance-run.ts';

/** Pings of ours (FIN, no reserved bit, eight bytes; unmasked towards the client, masked towards the server), and the empty Pong that a client gets in their place while it owes four answers. */
const INJECTED = { client: /^(?:8908[0-9a-f]{16}|8a00)$/, server: /^8988[0-9a-f]{24}$/ };

export interface Allowances {
  /** `seen` was observed while Pings were injected: those that the direct run does not have are left out. */
  readonly withPings?: boolean;
  /** What a client sends to a server that has ended without a Close is lost, sooner or later: the server has stopped listening. */
  readonly endsBare?: boolean;
}

/** One line for each case in which something differs. */
export function differences(
  cases: readonly Case[],
  direct: readonly Observation[],
  seen: readonly Observation[],
  { withPings = false, endsBare = false }: Allowances = {},
): string[] {
  return cases.flatMap((each, index) => {
    const [expected, actual] = [direct[index], seen[index]];
    if (expected === undefined || actual === undefined) return [`${each.group}: ${each.name}: did not run`];
    const own = withPings ? withoutInjected(actual, expected) : actual;
    const difference =
      endsBare && !each.isPlain
        ? firstDifference(untilItEnded(expected, own), untilItEnded(own, expected))
        : firstDifference(expected, own);
    return difference === null ? [] : [`${each.group}: ${each.name}: ${difference}`];
  });
}

/** How many injected Pings each end saw. */
export function countInjected(direct: readonly Observation[], seen: readonly Observation[]): number {
  return seen.reduce((sum, actual, index) => {
    const expected = direct[index];
    if (expected === undefined) return sum;
    return sum + actual.client.frames.length - withoutInjected(actual, expected).client.frames.length;
  }, 0);
}

function withoutInjected(seen: Observation, direct: Observation): Observation {
  const { client, server } = seen;
  return {
    ...seen,
    client: { ...client, frames: remove(client.frames, direct.client.frames, INJECTED.client) },
    server: server && { ...server, frames: remove(server.frames, direct.server?.frames ?? [], INJECTED.server) },
  };
}

/** With what the server saw in both runs alone. */
function untilItEnded(one: Observation, other: Observation): Observation {
  const frames = one.server?.frames.slice(0, other.server?.frames.length) ?? [];
  return { ...one, server: one.server && { ...one.server, frames, rest: '' } };
}

function remove(frames: readonly string[], direct: readonly string[], injected: RegExp): string[] {
  const known = new Set(direct);
  return frames.filter((frame) => known.has(frame) || !injected.test(frame));
}

function firstDifference(expected: Observation, actual: Observation): string | null {
  return (
    differentList('head', expected.head, actual.head) ??
    differentEnd('client', expected.client, actual.client) ??
    differentServer(expected, actual)
  );
}

function differentServer(expected: Observation, actual: Observation): string | null {
  if (expected.server === null || actual.server === null) {
    return expected.server === actual.server ? null : 'the server saw the connection end in one run alone';
  }
  const { first } = actual.server;
  if (first !== expected.server.first) return `the first end the server saw was of the ${first}`;
  return differentEnd('server', expected.server, actual.server);
}

function differentEnd(who: string, expected: Seen, actual: Seen): string | null {
  const frames = differentList(`frames the ${who} saw`, expected.frames, actual.frames);
  if (frames !== null) return frames;
  if (expected.rest !== actual.rest) return `${who} rest: ${expected.rest || '-'} became ${actual.rest || '-'}`;
  if (expected.end !== actual.end) return `end the ${who} saw: ${expected.end} became ${actual.end}`;
  return null;
}

function differentList(what: string, expected: readonly string[], actual: readonly string[]): string | null {
  const count = Math.max(expected.length, actual.length);
  for (let at = 0; at < count; at += 1) {
    if (expected[at] !== actual[at]) {
      return `${what}, number ${at + 1}: ${expected[at] ?? 'none'} became ${actual[at] ?? 'none'}`;
    }
  }
  return null;
}
