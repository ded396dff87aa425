/** The doctor as an operator runs it: against real fronts, and against everything that goes wrong on the way. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { Server } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { atEnd } from '../support/cleanup.ts';
import { OPCODE } from '../support/frames.ts';
import { deadPort, listen } from '../support/http.ts';
import { nginxBefore, startNginx } from '../support/nginx.ts';
import { spawnProgram, startProxy } from '../support/process.ts';
import { startRawServer } from '../support/raw-websocket.ts';
import { skipWithout } from '../support/requirements.ts';

interface Finding {
  readonly subject: string;
  readonly level: string;
  readonly text: string;
  readonly advice: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

interface Report {
  readonly code: number | null;
  readonly url: string;
  readonly healthy: boolean;
  readonly findings: readonly Finding[];
  /** The one that was looked for. */
  readonly on: (subject: string) => Finding;
}

const SECRET = 'hunter2';
const LOGIN = `password=${SECRET}&username=ann`;
const nginx = { skip: skipWithout('nginx') };

const fixture = (name: string): Buffer => readFileSync(new URL(`../fixtures/${name}`, import.meta.url));
const certificate = { key: fixture('localhost.key.pem'), cert: fixture('localhost.cert.pem') };

/** Runs it for machines. Whatever it is asked, the password is in none of its output. */
async function askDoctor(t: TestContext, url: string, ...args: string[]): Promise<Report> {
  const child = spawnProgram(t, { args: ['doctor', url, '--json', ...args] });
  const { code } = await child.exited;
  assert.ok(!(child.stdout + child.stderr).includes(SECRET), child.stdout + child.stderr);
  assert.equal(child.stderr, '');
  const report = JSON.parse(child.stdout) as Pick<Report, 'url' | 'healthy' | 'findings'>;
  const on = (subject: string): Finding =>
    report.findings.find((finding) => finding.subject === subject) ?? assert.fail(child.stdout);
  return { ...report, code, on };
}

/** The one thing that is wrong, in words: everything before it went well, and nothing came after it. */
async function diagnosis(t: TestContext, url: string, ...args: string[]): Promise<Finding> {
  const { code, healthy, findings } = await askDoctor(t, url, ...args);
  assert.deepEqual([code, healthy], [1, false]);
  assert.deepEqual(findings.filter(({ level }) => level === 'bad').length, 1, JSON.stringify(findings));
  return findings.find(({ level }) => level === 'bad') ?? assert.fail();
}

async function quietRoom(t: TestContext): Promise<Room> {
  const room = await startRoom({ port: 0, host: '127.0.0.1' });
  atEnd(t, () => room.close());
  return room;
}

/** Without a listener for upgrades Node answers them like any request. */
const serve = (t: TestContext, listener: RequestListener): Promise<number> => listen(t, createHttpServer(listener));

// At the same time: most of what they do is to be silent.
describe('the doctor', { concurrency: 4 }, () => {
  test('finds nginx, the proxy and a quiet room healthy, and the Pings between them', nginx, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, { KEEPALIVE_PING_INTERVAL: '300ms' });
    const front = await startNginx(t, nginxBefore(proxy.port, '1s'));
    const report = await askDoctor(t, `ws://127.0.0.1:${front.port}/ws?${LOGIN}`, '--for', '4s');
    assert.deepEqual([report.code, report.healthy], [0, true], JSON.stringify(report.findings));
    assert.deepEqual(
      report.findings.map(({ subject, level }) => [subject, level]),
      ['name', 'tcp', 'room', 'handshake', 'rtt', 'lifetime', 'pings'].map((subject) => [
        subject,
        subject === 'room' ? 'note' : 'ok',
      ]),
    );
    assert.match(report.on('handshake').text, /^101 in \d+ ms from nginx\S*, no subprotocol, no extensions$/);
    const { count, intervalMs } = report.on('pings').facts as { count: number; intervalMs: number };
    assert.ok(intervalMs >= 200 && intervalMs < 1000, `every ${intervalMs} ms`);
    assert.ok(count >= 4, `${count} Pings`);
    assert.equal(report.url, `ws://127.0.0.1:${front.port}/ws?password=[redacted]&username=[redacted]`);
  });

  test('finds the idle limit of nginx within one step, under a path prefix', nginx, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, { KEEPALIVE_PING_INTERVAL: '300ms', PROBE: 'true' });
    // The prefix is nginx's: the room of the demo has none.
    const front = await startNginx(
      t,
      `${nginxBefore(proxy.port, '2s')}
      location = /room/alpha/ws { rewrite ^ /ws last; }`,
    );
    const ladder = ['--for', '4s', '--find-timeout', '--ladder', '3s,1s,1.5s,2.5s'];
    const report = await askDoctor(t, `ws://127.0.0.1:${front.port}/room/alpha/ws?${LOGIN}`, ...ladder);
    assert.deepEqual([report.code, report.healthy], [0, true], JSON.stringify(report.findings));
    const { facts, level, text } = report.on('timeouts');
    assert.deepEqual([level, facts['survivedMs'], facts['notSurvivedMs']], ['ok', 1500, 2500]);
    const cut = Number(facts['cutAfterMs']);
    assert.ok(cut > 1500 && cut < 2500, `cut after ${cut} ms`);
    assert.match(text, /^silent connections are cut after (?:1\.\d|2(?:\.\d)?) s \(1\.5 s survives, 2\.5 s does not\)/);
  });

  test('says that the interval is too long for the limit it found', nginx, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, { PROBE: 'true' });
    const front = await startNginx(t, nginxBefore(proxy.port, '2s'));
    const url = `ws://127.0.0.1:${front.port}/ws?${LOGIN}`;
    const report = await askDoctor(t, url, '--for', '6s', '--ladder', '1s,3s');
    assert.deepEqual([report.code, report.healthy], [1, false]);
    assert.match(report.on('lifetime').text, /^cut without a Close frame after (?:1\.\d|2(?:\.\d)?) s of silence/);
    assert.match(report.on('lifetime').advice, /ping_interval to (?:\d00ms|1s) or less/);
    assert.equal(report.on('timeouts').level, 'warn');
    assert.match(report.on('timeouts').advice, /^Set keepalive\.ping_interval to (?:\d00ms|1s) or less\.$/);
  });

  test('names the lines that nginx lacks', nginx, async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port);
    const front = await startNginx(t, `location / { proxy_pass http://127.0.0.1:${proxy.port}; }`);
    const { subject, text, advice, facts } = await diagnosis(t, `ws://127.0.0.1:${front.port}/ws?${LOGIN}`);
    assert.equal(subject, 'handshake');
    assert.equal(text, '426 Upgrade Required from ws-keepalive-proxy: the Upgrade header was lost on the way');
    assert.match(
      advice,
      /for \/ws:\n +proxy_http_version 1\.1;\n +proxy_set_header Upgrade \$http_upgrade;\n +proxy_set_header Connection "upgrade";/,
    );
    assert.match(String(facts['server']), /^nginx/);
  });

  test('tells whose 502 it is', nginx, async (t) => {
    const dead = await deadPort();
    const proxy = await startProxy(t, dead);
    const ours = await diagnosis(t, `ws://127.0.0.1:${proxy.port}/ws?${LOGIN}`);
    assert.equal(
      ours.text,
      '502 Bad Gateway from ws-keepalive-proxy: The server behind this address could not be reached',
    );
    const front = await startNginx(t, nginxBefore(dead, '1s'));
    const theirs = await diagnosis(t, `ws://127.0.0.1:${front.port}/ws?${LOGIN}`);
    assert.match(
      theirs.text,
      /^502 Bad Gateway from nginx\S*: what is behind it cannot be reached from there, or does not answer properly$/,
    );
  });

  test('says that the probe is off', async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port);
    const url = `ws://127.0.0.1:${proxy.port}/ws?${LOGIN}`;
    const { subject, text, advice } = await diagnosis(t, url, '--for', '500ms', '--ladder', '100ms');
    assert.deepEqual([subject, text], ['timeouts', 'there is no probe endpoint at /.well-known/ws-keepalive/probe']);
    assert.match(advice, /probe: true/);
  });

  test('the path of the probe belongs to the upstream while the probe is off, and to the proxy while it is on', async (t) => {
    const seen: string[] = [];
    const upstream = await serve(t, (req, res) => {
      seen.push(req.url ?? '');
      res.end('upstream');
    });
    const path = '/room/.well-known/ws-keepalive/probe';
    const off = await startProxy(t, upstream);
    assert.equal(await (await fetch(`http://127.0.0.1:${off.port}${path}`)).text(), 'upstream');
    const on = await startProxy(t, upstream, { PROBE: 'true' });
    assert.equal((await fetch(`http://127.0.0.1:${on.port}${path}`)).status, 426);
    const { code } = await askDoctor(t, `ws://127.0.0.1:${on.port}${path}`, '--for', '200ms', '--ladder', '100ms');
    assert.equal(code, 0);
    assert.deepEqual(seen, [path]);
  });

  test('tells a wrong path from a page that is no WebSocket', async (t) => {
    const room = await quietRoom(t);
    const missing = await diagnosis(t, `ws://127.0.0.1:${room.port}/wss?${LOGIN}`);
    assert.match(missing.text, /^404 Not Found from .*: there is nothing at \/wss$/);
    const page = await serve(t, (req, res) => res.end(`<p>${req.url}</p>`));
    const ordinary = await diagnosis(t, `ws://127.0.0.1:${page}/?${LOGIN}`);
    assert.match(ordinary.text, /^200 OK from .*: an ordinary page, not a WebSocket$/);
  });

  test('shows where a redirect goes, without the password in it', async (t) => {
    const port = await serve(t, (req, res) => {
      res.writeHead(301, { Location: `https://neko.example.com${req.url}`, Server: `a ${req.url}` }).end();
    });
    const { text } = await diagnosis(t, `ws://127.0.0.1:${port}/ws?${LOGIN}`);
    assert.match(text, /: a redirect to wss:\/\/neko\.example\.com\/ws$/);
  });

  test('says that a password is needed or forbidden', async (t) => {
    const port = await serve(t, (req, res) => {
      const isKnown = req.headers.authorization === `Basic ${Buffer.from(`ann:${SECRET}`).toString('base64')}`;
      res
        .writeHead(isKnown ? 403 : 401, { 'X-Echo': String(req.headers.authorization) })
        .end(req.headers.authorization);
    });
    assert.match(
      (await diagnosis(t, `ws://127.0.0.1:${port}/ws`)).text,
      /^401 Unauthorized from .*: it asks for a login$/,
    );
    const forbidden = await diagnosis(t, `ws://ann:${SECRET}@127.0.0.1:${port}/ws`);
    assert.match(forbidden.text, /^403 Forbidden from .*: not allowed$/);
    const header = ['--header', `Authorization: Basic ${Buffer.from(`ann:${SECRET}`).toString('base64')}`];
    assert.match((await diagnosis(t, `ws://127.0.0.1:${port}/ws`, ...header)).text, /^403 /);
  });

  test('recognises a password that Neko refused after its 101', async (t) => {
    const server = await startRawServer(t);
    const answer = diagnosis(t, `ws://127.0.0.1:${server.port}/ws?${LOGIN}`, '--for', '5s');
    const peer = await server.next();
    const message = `{"event":"system/disconnect","title":"","message":"invalid password ${SECRET}"}\n`;
    peer.sendFrame({ opcode: OPCODE.text, payload: message });
    peer.end();
    const { subject, text, advice } = await answer;
    assert.equal(subject, 'lifetime');
    assert.match(
      text,
      /^Neko accepted the WebSocket and refused the login \d+(?:\.\d)? m?s later \("invalid password \[redacted\]"\)$/,
    );
    assert.match(advice, /^A wrong password/);
  });

  test('tells a name without an address from a port without a listener', async (t) => {
    const name = await diagnosis(t, `ws://nowhere.invalid/ws?${LOGIN}`);
    assert.equal(name.subject, 'name');
    const port = await deadPort();
    const refused = await diagnosis(t, `ws://127.0.0.1:${port}/ws?${LOGIN}`);
    assert.deepEqual([refused.subject, refused.text], ['tcp', `nothing listens on 127.0.0.1:${port}`]);
    const secure = await diagnosis(t, `wss://127.0.0.1:${port}/ws?${LOGIN}`);
    assert.equal(secure.text, `nothing listens on 127.0.0.1:${port}`);
  });

  test('sends no password past a certificate that cannot be trusted, unless it is told to', async (t) => {
    const seen: string[] = [];
    const server = createHttpsServer(certificate, (req, res) => {
      seen.push(req.url ?? '');
      res.writeHead(404).end();
    });
    const port = await listen(t, server);
    const url = `wss://localhost:${port}/ws?${LOGIN}`;
    const stopped = await diagnosis(t, url);
    assert.equal(stopped.subject, 'tls');
    assert.match(stopped.text, /^the certificate is self-signed, so browsers refuse it/);
    assert.deepEqual(seen, []);
    const forced = await askDoctor(t, url, '--insecure');
    assert.equal(forced.on('tls').level, 'warn');
    assert.match(forced.on('handshake').text, /^404 /);
    assert.deepEqual(seen, [`/ws?${LOGIN}`]);
  });

  test('knows TLS and plain ports from each other', async (t) => {
    const plain = await serve(t, (_req, res) => res.end());
    const tls = await diagnosis(t, `wss://127.0.0.1:${plain}/ws?${LOGIN}`);
    assert.deepEqual([tls.subject, tls.text], ['tls', 'the port speaks no TLS']);
  });

  test('knows a server that speaks HTTP/2 only', async (t) => {
    const server: Server = createSecureServer({ ...certificate, allowHTTP1: false });
    const port = await listen(t, server);
    const { subject, text, advice } = await diagnosis(t, `wss://localhost:${port}/ws?${LOGIN}`);
    assert.deepEqual([subject, text], ['tls', 'the server speaks HTTP/2 only']);
    assert.match(advice, /HTTP\/1\.1/);
  });

  test('writes lines for people, each fault with what to do', async (t) => {
    const room = await quietRoom(t);
    const proxy = await startProxy(t, room.port, { KEEPALIVE_PING_INTERVAL: '200ms' });
    const url = `ws://127.0.0.1:${proxy.port}/ws?${LOGIN}`;
    const well = spawnProgram(t, { args: ['doctor', url, '--for', '2s'] });
    assert.equal((await well.exited).code, 0, well.stdout);
    assert.match(well.stdout, /^ {2}ok {4}pings {6}\d+ Pings in 2 s, about one every \d{3} ms$/m);
    assert.match(well.stdout, /\n\nHealthy\.\n$/);
    const ill = spawnProgram(t, { args: ['doctor', url.replace('/ws', '/nothing')] });
    assert.equal((await ill.exited).code, 1);
    assert.match(ill.stdout, /^ {2}FAIL {2}handshake {2}404 Not Found .*\n(?: {19}.*\n)+\nNot healthy\.\n$/m);
    assert.ok(`${well.stdout}${ill.stdout}`.split('\n').every((line) => line.length <= 80 || line === url));
    assert.ok(!`${well.stdout}${ill.stdout}`.includes(SECRET));
  });

  test('ends early on Ctrl-C and tells what it knows by then', async (t) => {
    const room = await quietRoom(t);
    const child = spawnProgram(t, { args: ['doctor', `ws://127.0.0.1:${room.port}/ws?${LOGIN}`] });
    await child.until(() => child.stdout.includes('rtt'), 'the round trip');
    child.process.kill('SIGINT');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
    assert.match(child.stdout, /note {2}lifetime {3}stopped after \d+(?:\.\d)? m?s; it was open until then/);
    assert.match(child.stdout, /\nStopped early; nothing failed until then\.\n$/);
  });

  test('needs a URL, and exits with 2 without one', async (t) => {
    const child = spawnProgram(t, { args: ['doctor'] });
    assert.equal((await child.exited).code, 2);
    assert.match(child.stderr, /^doctor needs a URL/);
  });
});
