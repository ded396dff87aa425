/** Where a request goes, whom it is from, and whether it may come in: none of it is the client's to choose. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { Scope } from '../support/scope.ts';
import { type HttpTarget, startHttpTarget, statusOf } from '../support/hostile.ts';
import { temporaryFolder } from '../support/process.ts';
import { fieldOf, startRawUpstream, upgradeRequest } from '../support/raw-http.ts';

const scope = new Scope();
after(() => scope.undo());

/** Nobody is to come here. */
const elsewhere = await startRawUpstream(scope, undefined, true);
const EVIL = `127.0.0.1:${elsewhere.port}`;
const ROOMS = 'rooms.example.com';

// All before the first test: what starts beside running tests may be taken for a part of them.
const target = await startHttpTarget({});
const untrusting = await startHttpTarget({ settings: { TRUSTED_PROXIES: '192.0.2.1' } });
const trusting = await startHttpTarget({ settings: { TRUSTED_PROXIES: 'loopback' } });
const guarded = await startHttpTarget({ settings: { ALLOWED_ORIGINS: `https://${ROOMS}` } });

/** Rooms of one upstream; which of them it was shows in what the log says. */
const routed = await startHttpTarget(async (upstreamPort, own) => {
  const folder = await temporaryFolder(own);
  const upstream = `upstream: http://127.0.0.1:${upstreamPort}`;
  const routes = [
    `{ name: alpha, host: ${ROOMS}, path: /room/alpha, ${upstream} }`,
    `{ name: wild, host: "*.${ROOMS}", path: /room/alpha, ${upstream} }`,
    `{ name: bystander, path: /bystander, ${upstream} }`,
  ];
  await writeFile(join(folder, 'config.yaml'), `routes:\n${routes.map((route) => `  - ${route}\n`).join('')}`);
  return { args: ['--config', join(folder, 'config.yaml')] };
});

/** The request target, and what of it goes upstream; null when it is refused. */
const TARGETS: readonly (readonly [string, string | null])[] = [
  [`http://${EVIL}/a?b=c`, '/a?b=c'],
  [`HTTP://${EVIL}/a`, '/a'],
  [`https://${EVIL}/a`, '/a'],
  [`ws://${EVIL}/a`, '/a'],
  [`http://${EVIL}`, '/'],
  [`http://${EVIL}?a`, '/?a'],
  [`http://user:password@${EVIL}/a`, '/a'],
  [`http://rooms.example.com@${EVIL}/a`, '/a'],
  [`http://${EVIL}\\@rooms.example.com/a`, null],
  [`http://${EVIL}#@rooms.example.com/a`, null],
  ['http:///a', null],
  [`ftp://${EVIL}/a`, null],
  [`file:///etc/passwd`, null],
  [`//${EVIL}/a`, `//${EVIL}/a`],
  [`///${EVIL}/a`, `///${EVIL}/a`],
  [`/\\${EVIL}/a`, `/\\${EVIL}/a`],
  [`\\\\${EVIL}\\a`, null],
  [`@${EVIL}/a`, null],
  [`/@${EVIL}/a`, `/@${EVIL}/a`],
  [`:@${EVIL}/a`, null],
  [`.${EVIL}/a`, null],
  [EVIL, null],
  [`/a%0d%0aHost:%20${EVIL}%0d%0a`, `/a%0d%0aHost:%20${EVIL}%0d%0a`],
  ['/a%00b', '/a%00b'],
  ['/a/../b', '/a/../b'],
  ['/../../etc/passwd', '/../../etc/passwd'],
  ['/%2e%2e/%2E%2e/etc/passwd', '/%2e%2e/%2E%2e/etc/passwd'],
  ['/a/..;/b', '/a/..;/b'],
  ['/a//b', '/a//b'],
  ['/%c0%ae%c0%ae/', '/%c0%ae%c0%ae/'],
  ['/a%zz', '/a%zz'],
  ['/\xff\xfe', null],
  ['/a?b=http://c/#d', '/a?b=http://c/#d'],
  ['*', null],
  ['a', null],
  ['?a', null],
  ['/a\tb', null],
  ['/a\x7fb', null],
];

describe('a request target', () => {
  for (const [text, wanted] of TARGETS) {
    const outcome = wanted === null ? '400' : `goes to the upstream as ${visible(wanted)}`;
    target.attack(visible(text), outcome, async (t) => {
      const plain = `GET ${text} HTTP/1.1\r\nHost: ${ROOMS}\r\nConnection: close\r\n\r\n`;
      for (const request of [plain, upgradeRequest({ line: `GET ${text} HTTP/1.1` })]) {
        const status = statusOf(await (await target.ask(t, request)).head());
        assert.ok(wanted === null ? status === 400 : status === 200 || status === 101, `status ${status}`);
      }
      assert.deepEqual(
        target.heads.map((head) => head.split('\r\n')[0]),
        wanted === null ? [] : Array(2).fill(`GET ${wanted} HTTP/1.1`),
      );
      for (const head of target.heads) assert.deepEqual(fieldOf(head, 'host'), [ROOMS]);
      assert.equal(elsewhere.peers.length, 0);
    });
  }

  target.attack('a Host that names another server', 'the upstream is dialled all the same', async (t) => {
    const plain = await target.ask(t, `GET / HTTP/1.1\r\nHost: ${EVIL}\r\nConnection: close\r\n\r\n`);
    assert.equal(statusOf(await plain.end()), 200);
    assert.equal(elsewhere.peers.length, 0);
  });

  for (const line of [`CONNECT ${EVIL} HTTP/1.1`, `CONNECT /a HTTP/1.1`]) {
    target.attack(line.replace(EVIL, 'another server'), 'ended, and nobody is dialled', async (t) => {
      const client = await target.ask(t, `${line}\r\nHost: ${EVIL}\r\n\r\n`);
      assert.doesNotMatch(await client.end(), /^HTTP\/1\.1 2/);
      assert.equal(elsewhere.peers.length, 0);
      await target.assertDialled(0);
    });
  }
});

function visible(text: string): string {
  return text
    .replaceAll(EVIL, 'elsewhere:80')
    .replace(/[^\x21-\x7e]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16)}`);
}

/** Host, path, and whether some route is for them. */
const ROUTED: readonly (readonly [string, string, boolean])[] = [
  [ROOMS, '/room/alpha', true],
  [ROOMS, '/room/alpha/ws', true],
  [ROOMS, '/room/alpha?a', true],
  [`${ROOMS}:8443`, '/room/alpha', true],
  [`${ROOMS}.`, '/room/alpha', true],
  [ROOMS.toUpperCase(), '/room/alpha', true],
  [`a.${ROOMS}`, '/room/alpha', true],
  [ROOMS, '/room/alphabet', false],
  [ROOMS, '/room/alpha;a', false],
  [ROOMS, '/room/alpha%2fws', false],
  [ROOMS, '/room/%61lpha', false],
  [ROOMS, '/room/ALPHA', false],
  [ROOMS, '//room/alpha', false],
  [ROOMS, '/room//alpha', false],
  [ROOMS, '/./room/alpha', false],
  [ROOMS, '/x/../room/alpha', false],
  [ROOMS, '/room/alpha\\..\\beta', false],
  [ROOMS, '/room', false],
  [ROOMS, '/?/room/alpha', false],
  [`${ROOMS}.evil.example`, '/room/alpha', false],
  [`evil${ROOMS}`, '/room/alpha', false],
  [`.${ROOMS}`, '/room/alpha', false],
  ['evil.example', '/room/alpha', false],
];

describe('a route', () => {
  for (const [host, path, fits] of ROUTED) {
    routed.attack(`Host ${host} with ${path}`, fits ? 'fits' : '404, and nobody is dialled', async (t) => {
      const plain = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      for (const request of [plain, upgradeRequest({ line: `GET ${path} HTTP/1.1`, set: { Host: host } })]) {
        const status = statusOf(await (await routed.ask(t, request)).head());
        assert.ok(fits ? status === 200 || status === 101 : status === 404, `status ${status}`);
      }
      await routed.assertDialled(fits ? 2 : 0);
    });
  }

  routed.attack('X-Forwarded-Host of a route', 'not asked for routes', async (t) => {
    const lines = [`X-Forwarded-Host: ${ROOMS}`, `X-Original-URL: /room/alpha`, `X-Rewrite-URL: /room/alpha`];
    const client = await routed.ask(
      t,
      upgradeRequest({ line: 'GET /room/alpha HTTP/1.1', set: { Host: 'evil.example' }, add: lines }),
    );
    assert.equal(statusOf(await client.head()), 404);
  });
});

const FORGED = '6.6.6.6';

/** Every spelling under which somebody may believe who the client is. */
const FORGERIES: readonly (readonly string[])[] = [
  [`X-Forwarded-For: ${FORGED}`],
  [`x-forwarded-for: ${FORGED}`],
  [`X-Forwarded-For: ${FORGED}`, `X-Forwarded-For: ${FORGED}`],
  [`X-Forwarded-For: ${FORGED}, 127.0.0.1`],
  [`X_Forwarded_For: ${FORGED}`],
  [`X-Forwarded_For: ${FORGED}`],
  [`X.Forwarded.For: ${FORGED}`],
  [`X-Real-IP: ${FORGED}`],
  [`X_Real_IP: ${FORGED}`],
  [`x-REAL_ip: ${FORGED}`],
  [`True-Client-IP: ${FORGED}`],
  [`True_Client_IP: ${FORGED}`],
  [`Forwarded: for=${FORGED};host=${FORGED};proto=https`],
  [`X-Forwarded-Host: ${FORGED}`],
  [`X_Forwarded_Host: ${FORGED}`],
  [`X-Forwarded-Port: ${FORGED}`],
  [`X-Forwarded-Proto: ${FORGED}`],
];

/** Both kinds of request with these lines; the heads that came upstream. */
async function headsWith(
  t: Parameters<HttpTarget['ask']>[0],
  via: HttpTarget,
  lines: readonly string[],
  connection = '',
) {
  const plain = ['GET / HTTP/1.1', `Host: ${ROOMS}`, `Connection: close${connection}`, ...lines, '', ''].join('\r\n');
  const upgrade = upgradeRequest({ set: { Connection: `Upgrade${connection}` }, add: lines });
  for (const request of [plain, upgrade])
    assert.match(await (await via.ask(t, request)).head(), /^HTTP\/1\.1 (?:200|101) /);
  assert.equal(via.heads.length, 2);
  return via.heads;
}

describe('a forged address', () => {
  for (const lines of FORGERIES) {
    untrusting.attack(`${lines.join(' and ')} from a stranger`, 'taken out', async (t) => {
      for (const head of await headsWith(t, untrusting, lines)) {
        assert.ok(!head.includes(FORGED), head);
        assert.deepEqual(fieldOf(head, 'x-real-ip'), ['127.0.0.1']);
        assert.deepEqual(fieldOf(head, 'x-forwarded-for'), ['127.0.0.1']);
      }
    });
  }

  for (const name of ['X-Forwarded-For', 'X-Real-IP', 'x-real-ip, X-FORWARDED-FOR', 'Host', 'Forwarded']) {
    trusting.attack(`Connection: ${name}, behind a trusted front`, 'removes nothing', async (t) => {
      const lines = ['X-Forwarded-For: 192.0.2.7', 'X-Real-IP: 192.0.2.7'];
      for (const head of await headsWith(t, trusting, lines, `, ${name}`)) {
        assert.deepEqual(fieldOf(head, 'x-real-ip'), ['192.0.2.7']);
        assert.deepEqual(fieldOf(head, 'x-forwarded-for'), ['192.0.2.7, 127.0.0.1']);
        assert.deepEqual(fieldOf(head, 'host'), [ROOMS]);
      }
    });
  }

  for (const claim of [
    `${FORGED}, 192.0.2.7`,
    `${FORGED}, unknown, 192.0.2.7`,
    `${FORGED},, 192.0.2.7`,
    `${FORGED}, 192.0.2.7:80`,
  ]) {
    trusting.attack(
      `X-Forwarded-For: ${claim}, behind a trusted front`,
      'the client is who the front saw',
      async (t) => {
        for (const head of await headsWith(t, trusting, [`X-Forwarded-For: ${claim}`])) {
          assert.ok(!head.includes(FORGED), head);
          assert.deepEqual(fieldOf(head, 'x-real-ip'), ['192.0.2.7']);
        }
      },
    );
  }

  trusting.attack('True-Client-IP and underscores, behind a trusted front', 'taken out', async (t) => {
    const lines = [`True-Client-IP: ${FORGED}`, `X_Real_IP: ${FORGED}`, `X_Forwarded_For: ${FORGED}`];
    for (const head of await headsWith(t, trusting, lines)) assert.ok(!head.includes(FORGED), head);
  });

  untrusting.attack('an address forged in a trailer', 'taken out', async (t) => {
    const head = `POST / HTTP/1.1\r\nHost: ${ROOMS}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-Real-IP\r\n\r\n`;
    const client = await untrusting.ask(t, `${head}0\r\nX-Real-IP: ${FORGED}\r\nX-Forwarded-For: ${FORGED}\r\n\r\n`);
    await client.end();
    assert.doesNotMatch((await untrusting.firstDialled()).text, new RegExp(FORGED));
  });
});

/** Further header lines, and whether they may come in. */
const ORIGINS: readonly (readonly [string, readonly string[], boolean])[] = [
  ['the one that is allowed', [`https://${ROOMS}`], true],
  ['the same in other casing', [`HTTPS://${ROOMS.toUpperCase()}`], true],
  ['the same with its default port', [`https://${ROOMS}:443`], true],
  ['none', [], false],
  ['an empty one', [''], false],
  ['null', ['null'], false],
  ['*', ['*'], false],
  ['another port', [`https://${ROOMS}:8443`], false],
  ['another scheme', [`http://${ROOMS}`], false],
  ['a longer name', [`https://${ROOMS}.evil.example`], false],
  ['a name that ends like it', [`https://evil${ROOMS}`], false],
  ['a name below it', [`https://a.${ROOMS}`], false],
  ['it as user information', [`https://${ROOMS}@evil.example`], false],
  ['user information before it', [`https://user@${ROOMS}`], false],
  ['it with a path', [`https://${ROOMS}/`], false],
  ['it with a fragment', [`https://evil.example#https://${ROOMS}`], false],
  ['it with a trailing dot', [`https://${ROOMS}.`], false],
  ['two in one line', [`https://${ROOMS} https://evil.example`], false],
  ['two with a comma', [`https://${ROOMS}, https://evil.example`], false],
  ['two lines, the allowed one first', [`https://${ROOMS}`, 'https://evil.example'], false],
  ['the allowed one twice', [`https://${ROOMS}`, `https://${ROOMS}`], false],
];

describe('an Origin', () => {
  for (const [what, origins, fits] of ORIGINS) {
    guarded.attack(`Origin: ${what}`, fits ? '101' : '403, and nobody is dialled', async (t) => {
      const add = origins.map((origin) => `Origin: ${origin}`);
      const client = await guarded.ask(t, upgradeRequest({ add }));
      assert.equal(statusOf(await client.head()), fits ? 101 : 403);
      await guarded.assertDialled(fits ? 1 : 0);
    });
  }
});
