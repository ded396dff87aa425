/**
 * A client that never answers a Ping and then vanishes without a word, in a network namespace of its own (`unshare --user
 * --map-root-user --net`), whose kernel gives up early. Prints the closing line of the proxy, with how long it took.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { startRoom } from '../../src/demo/room.ts';
import { MAIN, startChild } from './process.ts';
import { connectRaw } from './raw-websocket.ts';
import { Scope } from './scope.ts';

/** Here the proxy listens, and the client is. */
const [PROXY, CLIENT] = ['10.9.0.1', '10.9.0.2'];
/** Unanswered retransmissions after which the kernel gives a peer up: some seconds in place of some 16 minutes. */
const RETRIES = '3';

/** A kernel takes its time, in ms. */
const PATIENCE = 120_000;

const ip = (...args: readonly string[]): unknown => execFileSync('ip', args);

ip('link', 'set', 'lo', 'up');
ip('link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1');
ip('link', 'set', 'v0', 'up');
ip('link', 'set', 'v1', 'up');
ip('addr', 'add', `${PROXY}/24`, 'dev', 'v0');
ip('addr', 'add', `${CLIENT}/32`, 'dev', 'lo');
// Without its address what is sent to the client leaves through the link, and nobody there takes it.
ip('neigh', 'add', CLIENT, 'lladdr', '02:00:00:00:00:02', 'dev', 'v0', 'nud', 'permanent');
writeFileSync('/proc/sys/net/ipv4/tcp_retries2', RETRIES);

const scope = new Scope();
const room = await startRoom({ port: 0, host: '127.0.0.1' });
const args = ['--upstream', `http://127.0.0.1:${room.port}`, '--listen', `${PROXY}:0`];
const env = {
  ...process.env,
  WSKP_ADMIN_LISTEN: 'off',
  WSKP_KEEPALIVE_PING_INTERVAL: '200ms',
  WSKP_KEEPALIVE_PONG_TIMEOUT: '400ms',
};
const child = startChild(scope, process.execPath, [MAIN, ...args], { env, cwd: '/' });
const address = String((await child.log('listening'))['address']);
const port = Number(address.split(':').at(-1));
const client = await connectRaw(scope, { host: PROXY, localAddress: CLIENT, port, autoPong: false });
const isMute = (): boolean => client.frames.length > 5;
await client.until(isMute, 'several Pings, for longer than pong_timeout');
const outlived = client.ended === null;
ip('addr', 'del', `${CLIENT}/32`, 'dev', 'lo');
const vanishedAt = performance.now();
const line = await child.until(() => child.logs.find(({ msg }) => msg === 'websocket closed'), 'the end', PATIENCE);
process.stdout.write(`${JSON.stringify({ ...line, outlived, took: Math.round(performance.now() - vanishedAt) })}\n`);
client.socket.destroy();
await child.stop();
await room.close();
await scope.undo();
