/** Ends behind real fronts: what they do themselves, and what clients do behind them. */
import type { WebSocket } from 'ws';
import { startCaddy } from '../support/caddy.ts';
import type { Scope } from '../support/scope.ts';
import type { Kind, Stage } from './kind.ts';
import { chat, connectClient, type Front, socketOf, startForwardingHaproxy, startMasterNginx, wait } from './rig.ts';

const FRONT = ['front'];
const CLIENT = ['client'];
const ABRUPT = ['abrupt_end'];

const nginx = (readTimeout: string) => (scope: Scope, port: number) => startMasterNginx(scope, port, readTimeout);
const haproxy = (tunnelTimeout: string) => (scope: Scope, port: number) =>
  startForwardingHaproxy(scope, port, tunnelTimeout);
const caddy = (scope: Scope, port: number): Promise<Front> =>
  startCaddy(scope, `neko.example.com {\n\treverse_proxy 127.0.0.1:${port}\n}\n`);

/** Clients at addresses of their own. */
async function crowd({ scope, port }: Stage, prefix: string, count: number, gapMs = 0): Promise<WebSocket[]> {
  const clients = [];
  for (let index = 0; index < count; index += 1) {
    clients.push(await connectClient(scope, port, `${prefix}-${index}/ws`, 2 + index));
    await wait(gapMs);
  }
  return clients;
}

/** The front does something to three clients that talk at different times. */
function toCrowd(what: string, front: NonNullable<Kind['front']>, key: Kind['key'], signal: NodeJS.Signals): Kind {
  return {
    what,
    key,
    front,
    async run(stage, prefix) {
      const clients = await crowd(stage, prefix, 3, 400);
      clients.forEach((ws, index) => chat(ws, 700 + 300 * index));
      await wait(1_500);
      stage.front?.child.process.kill(signal);
      return 3;
    },
  };
}

const RELOAD = { initiator: FRONT, cause: ['front_reload'], names: /reloaded or restarted/ };
const IDLE = {
  initiator: [...FRONT, ...CLIENT],
  cause: ['front_idle_cut', ...ABRUPT],
  names: /cut the connection after|of silence.*(?:proxy in front ended it|cut)/,
};

function idle(what: string, front: NonNullable<Kind['front']>): Kind {
  return {
    what,
    key: IDLE,
    front,
    async run({ scope, port }, prefix, round) {
      const ws = await connectClient(scope, port, `${prefix}/ws`, 2 + round);
      // Not all of its life, so that silence and lifetime can be told apart.
      await wait(700 * round);
      ws.send('hello');
      await new Promise((resolve) => ws.once('close', resolve));
      return 1;
    },
  };
}

/** One of several clients leaves while the others stay. */
function oneOfMany(
  what: string,
  front: NonNullable<Kind['front']>,
  key: Kind['key'],
  act: (ws: WebSocket) => unknown,
): Kind {
  return {
    what,
    key,
    front,
    async run(stage, prefix) {
      const others = await crowd(stage, `/other${prefix}`, 3);
      const [ws] = await crowd(stage, prefix, 1);
      for (const each of others) chat(each);
      if (ws !== undefined) {
        ws.send('hello');
        await wait(500);
        act(ws);
      }
      await wait(1_500);
      for (const each of others) each.close(1000);
      return 1;
    },
  };
}

const GONE = { initiator: CLIENT, cause: ABRUPT, names: /crashed|was killed/ };

export const FRONT_KINDS: readonly Kind[] = [
  idle('nginx cuts after 3 s of silence', nginx('3s')),
  idle('HAProxy 2.6 cuts after 3 s of silence, by a reset', haproxy('3s')),
  {
    what: 'nginx cuts three silent clients, one broadcast ago',
    key: {
      initiator: FRONT,
      cause: ['front_idle_cut', 'front_reload'],
      names: /cut them|cuts connections|cut the connection/,
    },
    front: nginx('4s'),
    async run(stage, prefix) {
      await crowd(stage, prefix, 3, 300);
      for (const ws of stage.neko.all) ws.send('{"event":"member/connected"}');
      await wait(4_500);
      return 3;
    },
  },
  toCrowd('nginx is reloaded with worker_shutdown_timeout, three clients that talk', nginx('60s'), RELOAD, 'SIGHUP'),
  {
    what: 'nginx is reloaded with worker_shutdown_timeout, ten silent clients, one broadcast ago',
    key: { initiator: FRONT, cause: ['front_reload', 'front_idle_cut'], names: /reloaded or restarted/ },
    front: nginx('60s'),
    async run(stage, prefix) {
      await crowd(stage, prefix, 10);
      for (const ws of stage.neko.all) ws.send('{"event":"member/connected"}');
      await wait(2_500);
      stage.front?.child.process.kill('SIGHUP');
      await wait(2_000);
      return 10;
    },
  },
  toCrowd('nginx is stopped', nginx('60s'), RELOAD, 'SIGTERM'),
  toCrowd('HAProxy is killed', haproxy('60s'), RELOAD, 'SIGKILL'),
  toCrowd('Caddy is killed', caddy, RELOAD, 'SIGKILL'),
  toCrowd(
    'Caddy is stopped',
    caddy,
    { initiator: CLIENT, cause: ['close_frame'], names: /proxy in front.*reloaded or stopped/ },
    'SIGTERM',
  ),
  oneOfMany('one of four behind nginx is killed', nginx('60s'), GONE, (ws) => socketOf(ws).end()),
  oneOfMany('one of four behind nginx resets', nginx('60s'), GONE, (ws) => socketOf(ws).resetAndDestroy()),
  oneOfMany('one of four behind HAProxy is killed', haproxy('60s'), GONE, (ws) => socketOf(ws).end()),
  oneOfMany('one of four behind Caddy is killed', caddy, GONE, (ws) => socketOf(ws).end()),
  oneOfMany(
    'one of four behind nginx closes its page',
    nginx('60s'),
    { initiator: CLIENT, cause: ['close_frame'], names: /left, closed or reloaded/ },
    (ws) => ws.close(1001),
  ),
  {
    what: 'a browser with three tabs behind nginx is killed, others stay',
    key: { initiator: CLIENT, cause: ABRUPT, names: /one client.*crashed or was killed/ },
    front: nginx('60s'),
    async run(stage, prefix) {
      const others = await crowd(stage, `/other${prefix}`, 3);
      const tabs = [];
      for (let index = 0; index < 3; index += 1)
        tabs.push(await connectClient(stage.scope, stage.port, `${prefix}-${index}/ws`, 9));
      for (const each of others) chat(each);
      await wait(700);
      for (const ws of tabs) socketOf(ws).end();
      await wait(1_500);
      for (const each of others) each.close(1000);
      return 3;
    },
  },
  {
    what: 'five short connections behind nginx, one after another, are killed',
    key: GONE,
    front: nginx('60s'),
    async run(stage, prefix) {
      for (let index = 0; index < 5; index += 1) {
        const ws = await connectClient(stage.scope, stage.port, `${prefix}-${index}/ws`, 2);
        ws.send('hello');
        await wait(250);
        socketOf(ws).end();
      }
      return 5;
    },
  },
  {
    what: 'two of five clients behind nginx lose their network in the same second',
    key: GONE,
    front: nginx('60s'),
    async run(stage, prefix) {
      const others = await crowd(stage, `/other${prefix}`, 3);
      const gone = await crowd(stage, prefix, 2);
      for (const each of [...others, ...gone]) chat(each);
      await wait(800);
      for (const ws of gone) socketOf(ws).end();
      await wait(1_500);
      for (const each of others) each.close(1000);
      return 2;
    },
  },
];
