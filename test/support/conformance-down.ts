/** The other direction: a scripted server sends what no correct server would, and what it may, to a client that watches. */
import { type Case, MASK } from './conformance-case.ts';
import { type Observation, seenOf } from './conformance-run.ts';
import { buildFrame, closePayload, FrameParser, OPCODE, type RawFrame } from './frames.ts';
import { connectRaw, type RawPeer, type RawServer } from './raw-websocket.ts';
import { Scope } from './scope.ts';

export interface DownRoute {
  readonly port: number;
  readonly server: RawServer;
  readonly pings?: boolean;
}

/** What clients send in the plain cases of one step, as a server would send it: without masks, and with a Close at the end. */
export function downCases(cases: readonly Case[]): Case[] {
  return cases
    .filter((each) => each.isPlain && each.path === undefined && each.steps.length === 1)
    .flatMap((each) => {
      const [step] = each.steps;
      if (step?.kind !== 'send') return [];
      return [{ ...each, steps: [{ ...step, bytes: asServer(step.bytes) }] }];
    });
}

function asServer(bytes: Buffer): Buffer {
  const parser = new FrameParser();
  const frames = parser.push(bytes);
  const unmasked = frames.map((frame) => buildFrame({ ...frame, mask: frame.masked ? null : MASK }));
  const closes = parser.midFrame || frames.some((frame) => frame.opcode === OPCODE.close);
  const end = closes ? [] : [buildFrame({ opcode: OPCODE.close, payload: closePayload(1000) })];
  return Buffer.concat([...unmasked, ...end, parser.rest]);
}

export async function runDownCases(cases: readonly Case[], route: DownRoute): Promise<Observation[]> {
  const observations: Observation[] = [];
  // One after the other, so that the server knows whom it has got.
  for (const each of cases) observations.push(await runDownCase(each, route));
  return observations;
}

async function runDownCase(each: Case, route: DownRoute): Promise<Observation> {
  const scope = new Scope();
  try {
    const client = await connectRaw(scope, { port: route.port, allowHalfOpen: true, mask: MASK });
    const server = await route.server.next();
    if (route.pings) await Promise.all([untilPinged(client), untilPinged(server)]);
    await play(each, client, server);
    return { head: [], client: seenOf(client), server: { ...seenOf(server), first: 'server' } };
  } finally {
    await scope.undo();
  }
}

/** The client answers a Close with the same one; the server ends TCP first, and the client answers that. */
async function play(each: Case, client: RawPeer, server: RawPeer): Promise<void> {
  for (const step of each.steps) if (step.kind === 'send') server.send(step.bytes);
  if (!server.midFrame) {
    const close = await client.until(() => closeOf(client), 'the Close');
    client.sendFrame({ opcode: OPCODE.close, payload: close.payload });
    await server.until(() => closeOf(server), 'the answer to the Close');
  }
  server.end();
  await client.untilEnded();
  client.end();
  await server.untilEnded();
}

function untilPinged(peer: RawPeer): Promise<RawFrame> {
  return peer.until(() => peer.frames.find((frame) => frame.opcode === OPCODE.ping), 'an injected Ping');
}

function closeOf(peer: RawPeer): RawFrame | undefined {
  return peer.frames.find((frame) => frame.opcode === OPCODE.close);
}
