/** The workflows cannot run here; what they have to say can be read. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { parseDockerfile } from '../support/container-steps.ts';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Record<string, unknown>;
}

interface Job {
  readonly needs?: string;
  readonly uses?: string;
  readonly permissions?: Record<string, string>;
  readonly strategy?: { readonly matrix: { readonly node: readonly number[] } };
  readonly steps?: readonly Step[];
}

interface Workflow {
  readonly on: Record<string, unknown>;
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, Job>;
}

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');
const workflow = (name: string): Workflow => parse(read(`.github/workflows/${name}`)) as Workflow;

test('the tests run in full on each line of Node, that of the image and the oldest one allowed included', () => {
  const { test: job } = workflow('test.yml').jobs;
  assert.deepEqual(job?.strategy?.matrix.node, [20, 22, 24]);
  assert.ok(job.steps?.some(({ run }) => run === '.ci/run'));
  const image = parseDockerfile(read('Dockerfile'))[0]?.text.split('=')[1];
  assert.ok(job.strategy.matrix.node.includes(Number(image)), image);
  const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
  assert.match(engines.node, new RegExp(`^>=${Math.min(...job.strategy.matrix.node)}\\.`));
});

test('a tag publishes for both architectures with provenance, after the tests alone', () => {
  const { on, jobs } = workflow('release.yml');
  assert.deepEqual(on, { push: { tags: ['v*'] } });
  assert.equal(jobs['test']?.uses, './.github/workflows/test.yml');
  assert.ok('workflow_call' in workflow('test.yml').on);
  assert.equal(jobs['image']?.needs, 'test');
  assert.equal(jobs['package']?.needs, 'test');
  assert.deepEqual(jobs['package'].permissions, { contents: 'read', 'id-token': 'write' });
  assert.ok(jobs['package'].steps?.some(({ run }) => run === 'npm publish --provenance --access public'));
  assert.equal(jobs['test'].needs, 'names');
  const build = jobs['image'].steps?.find(({ uses }) => uses?.startsWith('docker/build-push-action@'))?.with;
  assert.equal(build?.['platforms'], 'linux/amd64,linux/arm64');
  assert.equal(build['provenance'], 'mode=max');
  const [name] = String(build['build-args']).split('=');
  assert.ok(read('Dockerfile').includes(`ARG ${name}=`), name);
});

test("a tag that is not the version, and a repository that is not the package's, are refused with what to do", () => {
  const { version } = JSON.parse(read('package.json')) as { version: string };
  const check = (tag: string, repository: string): [number | null, string] => {
    const script = fileURLToPath(new URL('.github/check-release.mjs', ROOT));
    const { status, stderr } = spawnSync(process.execPath, [script, tag, repository], { encoding: 'utf8' });
    return [status, stderr];
  };
  const own = 'ws-keepalive-proxy/ws-keepalive-proxy';
  assert.deepEqual(check(`v${version}`, own), [0, '']);
  const [status, text] = check('v99.0.0', 'someone/fork');
  assert.equal(status, 1);
  assert.match(text, /^the tag is v99\.0\.0, and package\.json says .*: tag v/m);
  assert.match(text, /^this is someone\/fork, and package\.json says .*change repository/m);
});

test('each pull request builds the image and runs it', () => {
  const { on, jobs } = workflow('test.yml');
  assert.ok('pull_request' in on);
  assert.ok(jobs['engines']?.steps?.some(({ run }) => run?.endsWith('npm run test:engine')));
});

test('workflows may read alone unless a job says more, and pin what they use', () => {
  for (const name of readdirSync(new URL('.github/workflows/', ROOT))) {
    const { permissions, jobs } = workflow(name);
    assert.deepEqual(permissions, { contents: 'read' }, name);
    for (const { uses } of Object.values(jobs).flatMap(({ steps }) => steps ?? [])) {
      if (uses !== undefined) assert.match(uses, /^[\w./-]+@[0-9a-f]{40}$/, name);
    }
  }
});
