import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { Admission } from '../../src/tunnel/admission.ts';
import { routeTo } from '../support/routes.ts';

/** As much of a socket as is needed here. */
function fakeSocket(): Socket & { readonly gone: boolean } {
  const socket = Object.assign(new EventEmitter(), {
    gone: false,
    destroy(): void {
      socket.gone = true;
      socket.emit('close');
    },
  });
  return socket as unknown as Socket & { readonly gone: boolean };
}

const UPSTREAM = { address: { kind: 'tcp', host: '127.0.0.1', port: 1 }, tls: false, url: 'http://a' } as const;
const ANY = routeTo(UPSTREAM);

function enter(admission: Admission, client: string, route = ANY): { socket: Socket; status: number | undefined } {
  const socket = fakeSocket();
  admission.begin(socket);
  return { socket, status: admission.enter(client, socket, route)?.status };
}

const limited = (connections: number, connectionsPerIp = Infinity): Admission =>
  new Admission(() => ({ connections, connectionsPerIp }));

test('as many are let in as there are places, and the next one gets 503', () => {
  const admission = limited(2);
  assert.deepEqual(
    ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((client) => enter(admission, client).status),
    [undefined, undefined, 503],
  );
});

test('a handshake that fails gives its place back when its socket closes', () => {
  const admission = limited(1);
  const { socket } = enter(admission, '192.0.2.1');
  assert.equal(admission.size, 1);
  socket.emit('close');
  assert.deepEqual([admission.size, admission.clients], [0, 0]);
  assert.equal(enter(admission, '192.0.2.1').status, undefined);
});

test('a socket that is gone before its handshake begins takes no place', () => {
  const admission = limited(1);
  const socket = Object.assign(fakeSocket(), { destroyed: true });
  admission.begin(socket);
  admission.enter('192.0.2.1', socket, ANY);
  assert.equal(admission.size, 0);
});

test('a refused handshake has no place to give back', () => {
  const admission = limited(1);
  enter(admission, '192.0.2.1');
  enter(admission, '192.0.2.2').socket.emit('close');
  assert.equal(admission.size, 1);
});

test('a tunnel keeps the place of its handshake until it is over, whenever the socket closes', () => {
  const admission = limited(1);
  const { socket } = enter(admission, '192.0.2.1');
  admission.handOver(socket);
  socket.emit('close');
  assert.equal(admission.size, 1);
  admission.leave('192.0.2.1', 'default');
  assert.deepEqual([admission.size, admission.clients], [0, 0]);
  assert.equal(socket.listenerCount('close'), 0);
});

test('one client gets its own number of places, and the next one 429', () => {
  const admission = limited(10, 2);
  assert.deepEqual(
    ['192.0.2.1', '192.0.2.1', '192.0.2.1', '192.0.2.2'].map((client) => enter(admission, client).status),
    [undefined, undefined, 429, undefined],
  );
  assert.equal(admission.clients, 2);
});

test('the addresses of one /64 are one client, however they are written', () => {
  const admission = limited(10, 1);
  const clients = ['2001:db8::1', '2001:0DB8:0:0:ffff::2', '2001:db8:0:1::1', 'fe80::1%eth0', 'fe80::2%eth1'];
  assert.deepEqual(
    clients.map((client) => enter(admission, client).status),
    [undefined, 429, undefined, undefined, 429],
  );
});

test('a limit that was changed counts at once, for what is open as well', () => {
  let connectionsPerIp = Infinity;
  const admission = new Admission(() => ({ connections: Infinity, connectionsPerIp }));
  enter(admission, '192.0.2.1');
  connectionsPerIp = 1;
  assert.equal(enter(admission, '192.0.2.1').status, 429);
});

test('once closed it lets nobody in', () => {
  const admission = limited(Infinity);
  admission.close();
  assert.equal(enter(admission, '192.0.2.1').status, 503);
});

test('a cut ends the sockets of handshakes under way, refused ones included, and no others', () => {
  const admission = limited(2);
  const tunnel = enter(admission, '192.0.2.1').socket as ReturnType<typeof fakeSocket>;
  admission.handOver(tunnel);
  const waiting = [enter(admission, '192.0.2.2'), enter(admission, '192.0.2.3')];
  admission.cut();
  assert.deepEqual(
    waiting.map(({ socket }) => (socket as ReturnType<typeof fakeSocket>).gone),
    [true, true],
  );
  assert.equal(tunnel.gone, false);
  assert.equal(admission.size, 1);
});

test('a route has places of its own, within those of all', () => {
  const admission = limited(3);
  const alpha = routeTo(UPSTREAM, 'alpha', { limits: { connections: 2 } });
  const beta = routeTo(UPSTREAM, 'beta', { limits: { connections: 2 } });
  assert.deepEqual(
    [alpha, alpha, alpha, beta, beta].map((route, index) => enter(admission, `192.0.2.${index}`, route).status),
    [undefined, undefined, 503, undefined, 503],
  );
  admission.leave('192.0.2.0', 'alpha');
  assert.equal(enter(admission, '192.0.2.9', alpha).status, undefined);
});

test('one client gets its places on a route, and others elsewhere', () => {
  const admission = limited(10, 3);
  const alpha = routeTo(UPSTREAM, 'alpha', { limits: { connectionsPerIp: 1 } });
  assert.deepEqual(
    [alpha, alpha, ANY, ANY, ANY].map((route) => enter(admission, '192.0.2.1', route).status),
    [undefined, 429, undefined, undefined, 429],
  );
});
