/** What the README says is held against the program. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { loadSettings } from '../../src/config/load.ts';
import { startNginx } from '../support/nginx.ts';
import { connectRaw } from '../support/raw-websocket.ts';
import { skipWithout } from '../support/requirements.ts';
import { startProxy } from '../support/process.ts';
import { startRoom } from '../../src/demo/room.ts';

const README = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const PACKAGE = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  scripts: Record<string, string>;
};

/** The content of the only block of that language which contains `part`. */
function block(language: string, part: string): string {
  const blocks = [...README.matchAll(/^```(\w*)\n([^]*?)^```$/gm)].filter(
    ([, tag, text]) => tag === language && text?.includes(part),
  );
  assert.equal(blocks.length, 1, `one ${language} block with ${part}`);
  return blocks[0]?.[2] ?? '';
}

test('the scripts that it names exist', () => {
  for (const [, script = ''] of README.matchAll(/npm run (\w+)/g)) assert.ok(script in PACKAGE.scripts, script);
});

test('the environment of its compose file is valid', () => {
  const compose = parse(block('yaml', 'services:')) as {
    services: { keepalive: { environment: Record<string, string> } };
  };
  const { settings } = loadSettings({ env: compose.services.keepalive.environment, cwd: '/nowhere' });
  assert.equal(settings.routes[0]?.upstreams[0]?.url, 'http://neko:8080');
});

test('its nginx lines make a WebSocket work', { skip: skipWithout('nginx') }, async (t) => {
  const room = await startRoom({ host: '127.0.0.1', port: 0 });
  t.after(() => room.close());
  const proxy = await startProxy(t, room.port);
  const location = block('nginx', 'location').replace('127.0.0.1:8081', `127.0.0.1:${proxy.port}`);
  const nginx = await startNginx(t, location);
  const client = await connectRaw(t, { port: nginx.port, path: '/ws?password=x&username=y' });
  assert.match((await client.nextMessage()).payload.toString(), /"event":/);
});
