/** The sidecar's pod, as far as podman plays it: images, ports and probes; no Service. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { askBoth } from './ask.ts';
import { IMAGE, PROJECT } from './images.ts';
import { run, until } from './run.ts';
import type { Table } from './table.ts';

const PART = 'kubernetes/sidecar.yaml';

export async function tryPod(table: Table): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'wskp-pod-'));
  const file = join(folder, 'pod.yaml');
  const text = await readFile(join(PROJECT, 'examples', PART), 'utf8');
  const [deployment = ''] = text.split('\n---\n');
  // The room listens everywhere, whatever Neko's variables say.
  const local = deployment.replace(/image: registry\S+/, `image: localhost/${IMAGE}:latest`);
  await writeFile(file, local.replaceAll(/^( *)image: .*$/gm, '$&\n$1imagePullPolicy: Never'));
  // "neko-pod", and in older versions "neko-pod-0".
  const pod = (): Promise<string> => run('podman', ['pod', 'ps', '--format', '{{.Name}}', '--filter', 'name=neko-pod']);
  const place = async (): Promise<string> => {
    const infra = await run('podman', ['pod', 'inspect', '--format', '{{.InfraContainerID}}', await pod()]);
    const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}{{.NetworkSettings.IPAddress}}';
    const [address] = (await run('podman', ['inspect', '--format', format, infra])).split(' ');
    return `${address}:8081`;
  };
  const ask = async (): Promise<void> => askBoth(await place());
  try {
    await table.row(PART, 'podman', 'kube play', async () => {
      await run('podman', ['kube', 'play', file]);
      return `answered after ${await until(ask)} s`;
    });
    for (const name of ['neko', 'keepalive']) {
      await table.row(PART, 'podman', `kill ${name}`, async () => {
        const pid = Number(await run('podman', ['inspect', '--format', '{{.State.Pid}}', `${await pod()}-${name}`]));
        process.kill(pid, 'SIGKILL');
        return `answered again after ${await until(ask)} s`;
      });
    }
  } finally {
    await run('podman', ['pod', 'rm', '--force', '--time', '1', await pod()]).catch(() => undefined);
    await rm(folder, { recursive: true });
  }
}
