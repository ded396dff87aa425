/**
 * A conformance suite whose reference is the same server without the proxy: whatever a server does about hundreds of right and
 * wrong byte streams, both ends see the same through the proxy, down to the bytes of every frame and the manner of the end.
 */
import assert from 'node:assert/strict';
import { after, test, type TestContext } from 'node:test';
import type { Case } from '../support/conformance-case.ts';
import { baseCases } from '../support/conformance-cases.ts';
import { countInjected, differences } from '../support/conformance-compare.ts';
import { deflateCases, OFFER } from '../support/conformance-deflate.ts';
import { downCases, runDownCases } from '../support/conformance-down.ts';
import { type Observation, type Route, runCases } from '../support/conformance-run.ts';
import { type ConformanceServer, type ServerHabits, startConformanceServer } from '../support/conformance-server.ts';
import { utf8Cases } from '../support/conformance-utf8.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { startProxy } from '../support/process.ts';
import { startRawServer } from '../support/raw-websocket.ts';
import { RELAYS, startRelay } from '../support/relays.ts';
import { skipWithout } from '../support/requirements.ts';

const NO_PINGS = { KEEPALIVE_PING_INTERVAL: 'off', KEEPALIVE_UPSTREAM_PING_INTERVAL: 'off' };
/** A server that stands still while sixty of them come gives up, as `ws` does: the machine may be loaded. */
const PINGS = {
  KEEPALIVE_MODE: 'always',
  KEEPALIVE_PING_INTERVAL: '100ms',
  KEEPALIVE_UPSTREAM_PING_INTERVAL: '100ms',
};
/** How long a relay that loses something may keep a case waiting, in ms. */
const CONTROL_PATIENCE = 500;

const base = [...baseCases(), ...utf8Cases()];
const withOffer = base.map((each) => ({ ...each, headers: OFFER.headers }));
const SERVERS: readonly { name: string; habits: ServerHabits; cases: readonly Case[] }[] = [
  { name: 'ws', habits: {}, cases: base },
  { name: 'ws, deflate', habits: { compress: true }, cases: [...withOffer, ...deflateCases()] },
  { name: 'ws, ending without a Close', habits: { endsBare: true }, cases: base },
];

const rows = [['compared with the server alone', 'cases', 'different', '']];

after(() => {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, n) => cell.padEnd(widths[n] ?? 0))
        .join('  ')
        .trimEnd(),
    );
});

function note(what: string, cases: readonly Case[], found: readonly string[], remark = ''): void {
  rows.push([what, String(cases.length), String(found.length), remark]);
}

/** Cases, and what was observed of them without anything in between. */
interface Reference {
  readonly cases: readonly Case[];
  readonly direct: readonly Observation[];
}

function choose({ cases, direct }: Reference, fits: (index: number) => boolean): Reference {
  return { cases: cases.filter((_, index) => fits(index)), direct: direct.filter((_, index) => fits(index)) };
}

/** Every connection was ended in order, and every one that was accepted brought something to compare. */
function checkDirect({ cases, direct }: Reference, endsBare: boolean): void {
  const odd = cases.filter(({ path = '' }, index) => {
    const { client, server } = direct[index] as Observation;
    if (server === null) return false;
    // A bare end at once leaves the client nothing to say.
    const isMute = server.frames.length + server.rest.length === 0 && !(endsBare && path.startsWith('/close/'));
    return client.end !== 'fin' || server.end !== 'fin' || isMute;
  });
  assert.deepEqual(
    odd.map((each) => each.name),
    ['an end at once'],
  );
  assert.ok(direct.filter(({ server }) => server === null).length < cases.length / 20, 'few are refused');
}

async function compareWithPings(what: string, reference: Reference, route: Route, endsBare: boolean): Promise<void> {
  const { cases, direct } = reference;
  const seen = await runCases(cases, { ...route, pings: true });
  const [found, injected] = [
    differences(cases, direct, seen, { withPings: true, endsBare }),
    countInjected(direct, seen),
  ];
  note(what, cases, found, `${injected} Pings injected`);
  assert.deepEqual(found, []);
  // Most cases wait for one; those that are refused do not.
  assert.ok(injected > cases.length * 0.9, `only ${injected} Pings`);
}

async function compareBehindNginx(
  t: TestContext,
  name: string,
  server: ConformanceServer,
  cases: readonly Case[],
): Promise<void> {
  const proxy = await startProxy(t, server.port, NO_PINGS);
  const [front, frontOfProxy] = await Promise.all(
    [server.port, proxy.port].map((port) => startNginx(t, nginxBefore(port, '60s'))),
  );
  assert.ok(front && frontOfProxy);
  const direct = await runCases(cases, { port: front.port, server });
  const all = differences(cases, direct, await runCases(cases, { port: frontOfProxy.port, server }));
  // nginx resets a server whose answer crosses the client's end, or does not: the two are in a race.
  const found = all.filter((line) => !line.endsWith('end the server saw: reset became fin'));
  note(`${name}: nginx, then the proxy (with nginx, then the server)`, cases, found);
  assert.deepEqual(found, []);
}

for (const { name, habits, cases } of SERVERS) {
  const { endsBare = false } = habits;
  test(`${name}: both ends see the same through the proxy`, async (t) => {
    const server = await startConformanceServer(t, habits);
    const reference = { cases, direct: await runCases(cases, { port: server.port, server }) };
    checkDirect(reference, endsBare);

    await t.test('without Pings', async (t) => {
      const { port } = await startProxy(t, server.port, NO_PINGS);
      const found = differences(cases, reference.direct, await runCases(cases, { port, server }), { endsBare });
      note(`${name}: the proxy without Pings`, cases, found);
      assert.deepEqual(found, []);
    });

    await t.test('with Pings every 100 ms', async (t) => {
      const { port } = await startProxy(t, server.port, PINGS);
      await compareWithPings(`${name}: the proxy with Pings every 100 ms`, reference, { port, server }, endsBare);
    });

    await t.test('behind nginx', { skip: skipWithout('nginx') }, async (t) => {
      await compareBehindNginx(
        t,
        name,
        server,
        cases.filter((each) => each.isPlain),
      );
    });
  });
}

test('both ends see the same of whatever a server sends', async (t) => {
  const cases = downCases(base);
  const server = await startRawServer(t, { allowHalfOpen: true });
  const direct = await runDownCases(cases, { port: server.port, server });
  const strict = await startProxy(t, server.port, NO_PINGS);
  const found = differences(cases, direct, await runDownCases(cases, { port: strict.port, server }));
  note('scripted server: the proxy without Pings', cases, found);
  assert.deepEqual(found, []);

  const pinged = await startProxy(t, server.port, PINGS);
  const some = choose({ cases, direct }, (index) => index % 4 === 0);
  const seen = await runDownCases(some.cases, { port: pinged.port, server, pings: true });
  const foundWithPings = differences(some.cases, some.direct, seen, { withPings: true });
  note(
    'scripted server: the proxy with Pings every 100 ms',
    some.cases,
    foundWithPings,
    `${countInjected(some.direct, seen)} Pings injected`,
  );
  assert.deepEqual(foundWithPings, []);
});

test('relays that change something are told apart', async (t) => {
  const server = await startConformanceServer(t, {});
  const plain = base.filter((each) => each.isPlain);
  const all = { cases: plain, direct: await runCases(plain, { port: server.port, server }) };
  // Where every case has to wait in vain, some are enough.
  const some = choose(all, (index) => index % 20 === 0);
  for (const kind of RELAYS) {
    await t.test(kind, async (t) => {
      const { cases, direct } = kind === 'loses-fin' ? some : all;
      const port = await startRelay(t, server.port, kind);
      const found = differences(cases, direct, await runCases(cases, { port, server, patience: CONTROL_PATIENCE }));
      const expected = kind === 'faithful';
      note(`control: a relay that is ${kind}`, cases, found, found.length > 0 ? 'told apart' : 'no difference');
      assert.equal(found.length === 0, expected, found[0]);
    });
  }
});
