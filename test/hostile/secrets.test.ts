/** Secrets in every place that comes near a log, a metric, a page or an error of the proxy's own. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { buildFrame, closePayload, OPCODE } from '../support/frames.ts';
import { adminText, type HttpTarget, startHttpTarget } from '../support/hostile.ts';
import { fieldOf, switchingProtocols, upgradeRequest } from '../support/raw-http.ts';
import { Scope } from '../support/scope.ts';

const SECRET = 'hunter2secret';
const settings = { LOG_LEVEL: 'trace', ALLOWED_ORIGINS: 'https://rooms.example.com', LIMITS_HEADER_BYTES: '4KiB' };
const ORIGIN = 'Origin: https://rooms.example.com';

const targets = [
  ['log.query: redact', await startHttpTarget({ settings })],
  ['log.query: keep', await startHttpTarget({ settings: { ...settings, LOG_QUERY: 'keep' } })],
] as const satisfies readonly (readonly [string, HttpTarget])[];

/** Request targets that carry it. */
const PATHS = [
  `/ws?password=${SECRET}&username=a`,
  `/ws?token=${SECRET}`,
  `/ws?pwd=${SECRET}&usr=a`,
  `/ws?access_token=${SECRET}`,
  `/ws?PASSWORD=${SECRET}`,
  `/ws?pass%77ord=${SECRET}`,
  `/ws?a=b;password=${SECRET}`,
  `/ws?user[password]=${SECRET}`,
  `/ws?url=http://a/?password=${SECRET}`,
  `/ws?password=a;${SECRET}`,
  `/ws%3Fpassword=${SECRET}`,
  `/ws;password=${SECRET}`,
  `http://user:${SECRET}@rooms.example.com/ws`,
];

/** Further header lines that carry it. */
const LINES = [
  `Authorization: Basic ${SECRET}`,
  `Cookie: session=${SECRET}`,
  `Sec-WebSocket-Protocol: ${SECRET}`,
  `Proxy-Authorization: Bearer ${SECRET}`,
  `Referer: https://rooms.example.com/?password=${SECRET}`,
  `X-Forwarded-For: ${SECRET}`,
  `X-Api-Key: ${SECRET}`,
];

/** Nothing of what the program has said so far holds it. */
async function assertUntold(target: HttpTarget): Promise<void> {
  const scope = new Scope();
  const { child } = target.program;
  try {
    const pages = await Promise.all(['/metrics', '/status', '/'].map((path) => adminText(scope, target.program, path)));
    for (const text of [child.stdout, child.stderr, ...pages]) {
      const at = text.indexOf(SECRET);
      assert.ok(at < 0, `told: ${text.slice(Math.max(0, at - 300), at + 50)}`);
    }
  } finally {
    await scope.undo();
  }
}

for (const [mode, target] of targets) {
  describe(`secrets, ${mode}`, () => {
    const get = (path: string, lines: readonly string[] = []): string =>
      [`GET ${path} HTTP/1.1`, 'Host: rooms.example.com', 'Connection: close', ...lines, '', ''].join('\r\n');
    const upgrade = (path: string, lines: readonly string[] = [ORIGIN]): string =>
      upgradeRequest({ line: `GET ${path} HTTP/1.1`, add: lines });
    /** Of the proxy itself: its answers are searched as well. */
    const REFUSED: readonly (readonly [string, (path: string) => string])[] = [
      [
        'a handshake that is none',
        (path) => upgradeRequest({ line: `GET ${path} HTTP/1.1`, set: { 'Sec-WebSocket-Key': SECRET } }),
      ],
      [
        'a wrong version',
        (path) => upgradeRequest({ line: `GET ${path} HTTP/1.1`, set: { 'Sec-WebSocket-Version': SECRET } }),
      ],
      ['an Origin that may not come in', (path) => upgrade(path, [`Origin: https://${SECRET}.example`])],
      ['a head that is too large', (path) => get(path, [`X-A: ${SECRET.repeat(1000)}`])],
      ['a head that is broken', (path) => get(path, [`X-A : ${SECRET}`])],
      ['a stripped Upgrade', (path) => get(path, [`Sec-WebSocket-Key: ${SECRET}`])],
    ];

    for (const path of PATHS) {
      target.attack(`${path} (${mode})`, 'served, and told nowhere', async (t) => {
        const client = await target.ask(t, upgrade(path));
        assert.match(await client.head(), /^HTTP\/1\.1 101 /);
        await assertUntold(target);
        client.socket.destroy();
        await (await target.ask(t, get(path))).end();
        for (const [, request] of REFUSED) {
          const answer = await (await target.ask(t, request(path))).end();
          assert.match(answer, /^HTTP\/1\.1 4/);
          assert.ok(!answer.includes(SECRET), answer);
        }
        await assertUntold(target);
      });
    }

    for (const line of LINES) {
      target.attack(`${line} (${mode})`, 'told nowhere', async (t) => {
        const protocol = fieldOf(line, 'sec-websocket-protocol');
        assert.match(await (await target.ask(t, upgrade('/ws', [ORIGIN, line]))).head(), /^HTTP\/1\.1 101 /);
        await (await target.ask(t, get('/', [line]))).end();
        const refused = await (await target.ask(t, upgrade('/ws', [line]))).end();
        assert.ok(!refused.includes(SECRET), protocol.join());
        await assertUntold(target);
      });
    }

    for (const [what, answer] of [
      ['a status line', `HTTP/1.1 ${SECRET} OK\r\n\r\n`],
      ['a header that is broken', `HTTP/1.1 200 OK\r\nX-A : token=${SECRET}\r\n\r\n`],
      [
        'a wrong accept',
        `HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${SECRET}\r\n\r\n`,
      ],
      ['no answer', ''],
    ] as const) {
      target.attackWith(
        `${what} of an upstream (${mode})`,
        '502, and told nowhere',
        (peer) => {
          peer.send(answer);
          peer.socket.end();
        },
        async (t) => {
          for (const request of [upgrade(`/ws?token=${SECRET}`), get(`/?token=${SECRET}`)]) {
            const text = await (await target.ask(t, request)).end();
            if (text.includes(' 502 ')) assert.ok(!text.includes(SECRET), text);
          }
          await assertUntold(target);
        },
      );
    }

    target.attackWith(
      `a refusal with cookies (${mode})`,
      'passed on, and told nowhere',
      (peer) =>
        peer.send(
          `HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=${SECRET}\r\nContent-Length: ${SECRET.length}\r\n\r\n${SECRET}`,
        ),
      async (t) => {
        const text = await (await target.ask(t, upgrade('/ws'))).end();
        assert.match(text, new RegExp(`^HTTP/1.1 403 [^]*${SECRET}$`));
        await assertUntold(target);
      },
    );

    target.attackWith(
      `a close reason with a URL (${mode})`,
      'passed on, its query told nowhere',
      (peer, head) => {
        const reason = `gone: /ws?token=${SECRET}&password=${SECRET}`;
        peer.socket.write(switchingProtocols(head));
        peer.socket.write(buildFrame({ opcode: OPCODE.close, payload: closePayload(4000, reason) }));
      },
      async (t) => {
        const client = await target.ask(t, upgrade('/ws'));
        await client.until(SECRET);
        client.socket.destroy();
        const { child } = target.program;
        await child.log('websocket closed', (line) => line['code'] === 4000);
        await assertUntold(target);
      },
    );
  });
}
