/** The unit under a real systemd, installed by the commands of its README from a tarball of this project. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROJECT } from './images.ts';
import { run, succeeds, until } from './run.ts';
import type { Table } from './table.ts';

const NAME = 'wskp-systemd';
const UNIT = 'ws-keepalive-proxy';
const CONFIG = '/etc/ws-keepalive-proxy/config.yaml';
const INIT = ['--entrypoint', '/sbin/init', '--env', 'container=docker', '--tmpfs', '/run', '--tmpfs', '/tmp'];
/** What systemd needs of its container; less than `--privileged`, which asks also for what not every machine gives. */
const RIGHTS = ['SYS_ADMIN', 'SYS_PTRACE', 'NET_ADMIN', 'DAC_READ_SEARCH'].flatMap((name) => ['--cap-add', name]);
const CONFINEMENT = ['seccomp', 'apparmor'].flatMap((name) => ['--security-opt', `${name}=unconfined`]);
const CGROUPS = ['--cgroupns', 'host', '--volume', '/sys/fs/cgroup:/sys/fs/cgroup:rw'];

/** Without the right to raise it, the limit on descriptors stays what the container has. */
const withinHardLimit = (file: string): string => `sed -i "s/^LimitNOFILE=.*/LimitNOFILE=$(ulimit -Hn)/" ${file}`;

/** Connects without pause until /tmp/over is there, then prints how many were answered and how many were not. */
const CROWD = `
  const { connect } = require('node:net');
  const { existsSync, writeFileSync } = require('node:fs');
  const counts = { answered: 0, lost: 0 };
  const visit = () => new Promise((resolve) => {
    let heard = '';
    const socket = connect(8081, '127.0.0.1', () => socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'));
    socket.on('data', (chunk) => (heard += chunk)).on('error', () => {});
    socket.on('close', () => resolve(heard.startsWith('HTTP/1.1 ') ? 'answered' : 'lost'));
  });
  const comeAgain = async () => {
    while (!existsSync('/tmp/over')) counts[await visit()]++;
  };
  visit().then(() => writeFileSync('/tmp/crowd-is-here', ''));
  Promise.all(Array.from({ length: 50 }, comeAgain)).then(() => console.log(counts.answered, counts.lost));
`;

/** @param image that has systemd as well */
export async function trySystemd(table: Table, image: string): Promise<void> {
  const inside = (...words: string[]): Promise<string> => run('docker', ['exec', NAME, ...words]);
  const shell = (text: string): Promise<string> => inside('sh', '-ec', text);
  const show = (property: string): Promise<string> =>
    inside('systemctl', 'show', '--value', '--property', property, UNIT);
  const folder = await mkdtemp(join(tmpdir(), 'wskp-unit-'));
  await run('docker', ['rm', '--force', NAME]).catch(() => undefined);
  try {
    await table.row('systemd', 'docker', 'install from a tarball, start', async () => {
      const tarball =
        (await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: PROJECT })).split('\n').at(-1) ??
        '';
      await run('docker', [
        'run',
        '--detach',
        '--name',
        NAME,
        '--network',
        'host',
        ...RIGHTS,
        ...CONFINEMENT,
        ...CGROUPS,
        ...INIT,
        image,
      ]);
      for (const path of [
        join(folder, tarball),
        join(PROJECT, 'examples/systemd/config.yaml'),
        join(PROJECT, 'examples/systemd', `${UNIT}.service`),
      ]) {
        await run('docker', ['cp', path, `${NAME}:/root/`]);
      }
      await until(() => inside('systemctl', 'list-units'));
      await shell(`cd /root && npm install --global --no-audit --no-fund ./${tarball} && install -D --mode=0644 config.yaml ${CONFIG}
        install --mode=0644 ${UNIT}.service /etc/systemd/system/ && ${withinHardLimit(`/etc/systemd/system/${UNIT}.service`)} && systemctl daemon-reload && systemctl enable --now ${UNIT}`);
      await until(() => inside(UNIT, 'healthcheck'));
      const environment = await shell(
        `tr '\\0' '\\n' < /proc/$(systemctl show --value --property MainPID ${UNIT})/environ`,
      );
      if (!environment.includes('MALLOC_TRIM_THRESHOLD_=')) throw new Error("the environment is not the unit's");
      return `active and healthy; version ${await inside(UNIT, '--version')}`;
    });
    await table.row('systemd', 'docker', 'reload of a good file, then of a bad one', async () => {
      const pid = await show('MainPID');
      await shell(`echo 'keepalive: { ping_interval: 7s }' >> ${CONFIG} && systemctl reload ${UNIT}`);
      await until(() => shell(`journalctl --unit ${UNIT} | grep -q 'configuration reloaded'`));
      await shell(`cp ${CONFIG} /root/good && echo 'nonsense: 1' >> ${CONFIG}`);
      if (await succeeds('docker', ['exec', NAME, 'systemctl', 'reload', UNIT])) throw new Error('reload said nothing');
      if ((await show('MainPID')) !== pid || (await show('ActiveState')) !== 'active')
        throw new Error('it was restarted');
      // Not "healthcheck", which reads the same file.
      await inside(
        'node',
        '-e',
        "fetch('http://127.0.0.1:9090/healthz').then((answer) => process.exit(answer.ok ? 0 : 1))",
      );
      return 'reloaded; then an error, the same process runs on';
    });
    await table.row('systemd', 'docker', 'restart with a bad file, then with a good one', async () => {
      if (await succeeds('docker', ['exec', NAME, 'systemctl', 'restart', UNIT]))
        await until(async () => {
          if ((await show('ActiveState')) !== 'failed') throw new Error(await show('ActiveState'));
        });
      // Longer than RestartSec: whatever would start it again has had its time.
      await new Promise((resolve) => setTimeout(resolve, 5000));
      const [active, restarts, status] = [
        await show('ActiveState'),
        await show('NRestarts'),
        await show('ExecMainStatus'),
      ];
      if (active !== 'failed' || restarts !== '0') throw new Error(`${active}, restarted ${restarts} times`);
      await shell(`cp /root/good ${CONFIG} && systemctl restart ${UNIT}`);
      await until(() => inside(UNIT, 'healthcheck'));
      return `failed with status ${status} and stayed so; then active`;
    });
    await table.row('systemd', 'docker', 'kill, then stop', async () => {
      await shell(`systemctl kill --signal=KILL ${UNIT}`);
      const seconds = await until(() => inside(UNIT, 'healthcheck'));
      await inside('systemctl', 'stop', UNIT);
      const result = await show('Result');
      if (result !== 'success') throw new Error(result);
      return `back after ${seconds} s; stopped in order`;
    });
    await table.row('systemd', 'docker', 'socket unit: a second instance takes over', async () => {
      await run('docker', ['cp', `${PROJECT}/examples/systemd`, `${NAME}:/root/examples`]);
      const instance = `/etc/systemd/system/${UNIT}@.service`;
      await shell(`cd /root/examples && cp -L ${UNIT}@.service ${instance} && ${withinHardLimit(instance)}
        cp -r ${UNIT}@.service.d ${UNIT}.socket /etc/systemd/system/ && systemctl daemon-reload
        systemctl enable --now ${UNIT}.socket ${UNIT}@9090`);
      const ask = (port: number): Promise<string> =>
        inside('node', '-e', `fetch('http://127.0.0.1:${port}/healthz').then(({ ok }) => process.exit(ok ? 0 : 1))`);
      await until(() => ask(9090));
      const crowd = inside('node', '-e', CROWD);
      await until(() => shell('test -e /tmp/crowd-is-here'));
      await shell(`systemctl enable --now ${UNIT}@9091`);
      await until(() => ask(9091));
      await shell(`systemctl disable --now --no-block ${UNIT}@9090`);
      await until(async () => {
        if (await succeeds('docker', ['exec', NAME, 'systemctl', 'is-active', `${UNIT}@9090`])) throw new Error('runs');
      });
      await shell('touch /tmp/over');
      const [served, failed] = (await crowd).split(' ');
      if (Number(served) < 100 || failed !== '0') throw new Error(`${served} served, ${failed} not`);
      const state = await inside('systemctl', 'is-active', `${UNIT}.socket`, `${UNIT}@9091`);
      return `${served} connections meanwhile, none refused or reset; ${state.replaceAll('\n', ', ')}`;
    });
  } finally {
    await run('docker', ['rm', '--force', NAME]).catch(() => undefined);
    await rm(folder, { recursive: true });
  }
}
