/** The image, as far as it can be made and run without a container engine. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { type Room, startRoom } from '../../src/demo/room.ts';
import { atEnd, type Cleanup } from '../support/cleanup.ts';
import * as container from '../support/container-run.ts';
import { buildImage, type Image } from '../support/container-steps.ts';
import { freePort } from '../support/free-port.ts';
import { connectIdle } from '../support/idle-client.ts';
import { Scope } from '../support/scope.ts';
import { type Child, temporaryFolder, untilListening } from '../support/process.ts';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const COMMIT = '0123abcd';

interface Manifest {
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

interface Running {
  readonly child: Child;
  readonly port: number;
  readonly settings: Record<string, string>;
}

async function startContainer(cleanup: Cleanup, image: Image, room: Room, first: boolean): Promise<Running> {
  const [port, admin] = [await freePort(cleanup), await freePort(cleanup)];
  const settings = {
    UPSTREAM: `http://127.0.0.1:${room.port}`,
    LISTEN: `127.0.0.1:${port}`,
    ADMIN_LISTEN: `127.0.0.1:${admin}`,
  };
  const command = container.commandOf(image, 'ENTRYPOINT');
  const child = container.startInImage(cleanup, image, { command, settings, first });
  await untilListening(child, port);
  return { child, port, settings };
}

async function startQuietRoom(cleanup: Cleanup): Promise<Room> {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  atEnd(cleanup, () => room.close());
  return room;
}

describe('the image', { skip: container.skipWithoutRoot }, () => {
  const scope = new Scope();
  let image: Image;

  before(
    async () => {
      const folder = await temporaryFolder(scope);
      await chmod(folder, 0o755);
      image = await buildImage(PROJECT, folder, { COMMIT });
      container.makeReadOnly(image);
    },
    { timeout: 120_000 },
  );
  after(() => scope.undo());

  test('holds the built program and what it needs to run, and nothing else', () => {
    const manifest = JSON.parse(readFileSync(`${PROJECT}package.json`, 'utf8')) as Manifest;
    assert.deepEqual(readdirSync(image.root), ['app']);
    assert.deepEqual(readdirSync(`${image.root}/app`).toSorted(), ['LICENSE', 'dist', 'node_modules', 'package.json']);
    for (const name of Object.keys(manifest.dependencies)) {
      assert.ok(existsSync(`${image.root}/app/node_modules/${name}`), name);
    }
    for (const name of Object.keys(manifest.devDependencies)) {
      assert.ok(!existsSync(`${image.root}/app/node_modules/${name}`), name);
    }
  });

  test('holds nothing that is made for one architecture', () => {
    const files = readdirSync(image.root, { recursive: true, encoding: 'utf8' });
    assert.deepEqual(
      files.filter((file) => /\.(?:node|so|wasm)$/.test(file)),
      [],
    );
  });

  test('holds no maps, type declarations or tests', () => {
    const files = readdirSync(image.root, { recursive: true, encoding: 'utf8' });
    const useless = /\.(?:map|[cm]?ts)$|\/(?:__tests__|tests?|benchmarks)\//;
    assert.deepEqual(
      files.filter((file) => useless.test(file)),
      [],
    );
  });

  test('knows the commit it was made of', () => {
    assert.equal(readFileSync(`${image.root}/app/dist/commit`, 'utf8'), `${COMMIT}\n`);
  });

  test('connects a client as another user on a tree nobody can write to', async (t) => {
    const room = await startQuietRoom(t);
    const { child, port } = await startContainer(t, image, room, false);
    const client = await connectIdle(t, port, 'guest');
    client.say('through the container');
    await client.hears('through the container');
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
    assert.match(status, /^CapBnd:\t0+$/m);
    assert.equal(child.stderr, '');
  });

  test('is healthy while it runs, and not before', async (t) => {
    const room = await startQuietRoom(t);
    const command = container.commandOf(image, 'HEALTHCHECK');
    const admin = { ADMIN_LISTEN: `127.0.0.1:${await freePort(t)}` };
    const early = container.startInImage(t, image, { command, settings: admin });
    assert.equal((await early.exited).code, 1, early.stderr);
    const { settings } = await startContainer(t, image, room, false);
    const check = container.startInImage(t, image, { command, settings });
    assert.equal((await check.exited).code, 0, check.stderr);
  });

  test('takes its stop signal as process 1 on a read-only root, and ends what is open', {
    skip: container.skipWithoutNamespaces,
  }, async (t) => {
    const room = await startQuietRoom(t);
    const { child, port } = await startContainer(t, image, room, true);
    const client = await connectIdle(t, port, 'guest');
    const code = new Promise((resolve) => client.socket.once('close', resolve));
    const pid = container.pidBelow(child);
    assert.match(readFileSync(`/proc/${pid}/status`, 'utf8'), /^NSpid:\t\d+\t1$/m);
    process.kill(pid, image.config.get('STOPSIGNAL'));
    assert.equal(await code, 1006, 'without a Close');
    assert.deepEqual(await child.exited, { code: 0, signal: null });
  });
});
