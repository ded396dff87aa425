import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { type Config, ConfigError, createApp, type Log, type Proxy } from '../../src/index.ts';
import { atEnd } from '../support/cleanup.ts';
import { connectIdle } from '../support/idle-client.ts';

interface Line {
  readonly message: string;
  readonly fields: object;
}

interface Embedded {
  readonly proxy: Proxy;
  readonly room: Room;
  readonly lines: readonly Line[];
  readonly config: Config;
}

async function embed(t: TestContext, more: Config = {}): Promise<Embedded> {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(t, () => room.close());
  const lines: Line[] = [];
  const note = (fields: object, message: string): void => void lines.push({ message, fields });
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const config: Config = {
    listen: '127.0.0.1:0',
    upstream: `http://127.0.0.1:${room.port}`,
    keepalive: { ping_interval: '100ms' },
    admin: { listen: 'off' },
    ...more,
  };
  const proxy = createApp({ config, log });
  atEnd(t, () => proxy.close());
  return { proxy, room, lines, config };
}

async function portOf(proxy: Proxy): Promise<number> {
  const { addresses } = await proxy.listen();
  const [address] = addresses;
  return address?.kind === 'tcp' ? address.port : assert.fail('no port');
}

test('a program embeds the proxy: it listens, Pings, logs where it was told, and ends what is open', async (t) => {
  const { proxy, lines } = await embed(t);
  const client = await connectIdle(t, await portOf(proxy), 'guest');
  await client.outlives(300);
  client.say('inside');
  await client.hears('inside');
  const code = new Promise((resolve) => client.socket.once('close', resolve));
  await proxy.close();
  assert.equal(await code, 1006, 'without a Close');
  const messages = lines.map(({ message }) => message);
  assert.ok(messages.includes('websocket opened') && messages.includes('websocket closed'), messages.join());
});

test('the environment of the program is not its configuration', async (t) => {
  process.env['WSKP_UPSTREAM'] = 'nonsense';
  t.after(() => delete process.env['WSKP_UPSTREAM']);
  const { proxy } = await embed(t);
  assert.equal(typeof (await portOf(proxy)), 'number');
});

test('the admin listener comes along unless it is off', async (t) => {
  const { proxy } = await embed(t, { admin: { listen: '127.0.0.1:0' } });
  const { admin } = await proxy.listen();
  assert.ok(admin?.kind === 'tcp');
  const metrics = await (await fetch(`http://127.0.0.1:${admin.port}/metrics`)).text();
  assert.match(metrics, new RegExp(`ws_keepalive_build_info\\{version="${proxy.build.version}"`));
});

test('every mistake in a configuration is told at once', () => {
  const config: Config = { upstream: 'neko', keepalive: { ping_interval: '10' } };
  assert.throws(
    () => createApp({ config }),
    (error) => error instanceof ConfigError && error.problems.length === 2,
  );
});

test('a reload changes the interval of what is open; one with a mistake changes nothing', async (t) => {
  const { proxy, config } = await embed(t, { keepalive: { ping_interval: '1h' } });
  const client = await connectIdle(t, await portOf(proxy), 'guest');
  assert.throws(() => proxy.reload({ ...config, keepalive: { ping_interval: 'soon' } }), ConfigError);
  assert.deepEqual(proxy.reload({ ...config, keepalive: { ping_interval: '50ms' } }), []);
  await client.outlives(100);
  assert.deepEqual(proxy.reload({ ...config, listen: '127.0.0.1:1' }), ['listen']);
});

test('what is likely not meant is logged as a warning', async (t) => {
  const { lines } = await embed(t, { keepalive: { ping_interval: '50s' } });
  assert.ok(
    lines.some(({ message }) => message.includes('front_idle_timeout')),
    JSON.stringify(lines),
  );
});

test('an address that is taken is an error, and nothing stays behind', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.after(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const { proxy } = await embed(t, { listen: `127.0.0.1:${port}`, admin: { listen: '127.0.0.1:0' } });
  await assert.rejects(proxy.listen(), { code: 'EADDRINUSE' });
});

test('what the types of a configuration refuse, the program refuses as well', () => {
  const configs: readonly Config[] = [
    // @ts-expect-error an upstream is text
    { upstream: 5 },
    // @ts-expect-error a duration has a unit, so it is text
    { keepalive: { ping_interval: 10 } },
    // @ts-expect-error a mode is one of two words
    { keepalive: { mode: 'sometimes' } },
    // @ts-expect-error a list of addresses holds text alone
    { listen: ['127.0.0.1:1', 2] },
    // @ts-expect-error a route needs an upstream
    { routes: [{ host: 'a.example.com' }] },
    // @ts-expect-error there is no such key
    { upstreem: 'http://neko:8080' },
  ];
  for (const config of configs) assert.throws(() => createApp({ config }), ConfigError, JSON.stringify(config));
});
