/** The workflows cannot run here; what they have to say can be read. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
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
  const build = jobs['image'].steps?.find(({ uses }) => uses?.startsWith('docker/build-push-action@'))?.with;
  assert.equal(build?.['platforms'], 'linux/amd64,linux/arm64');
  assert.equal(build['provenance'], 'mode=max');
  const [name] = String(build['build-args']).split('=');
  assert.ok(read('Dockerfile').includes(`ARG ${name}=`), name);
});

test('workflows may read alone unless a job says more, and pin what they use', () => {
  for (const name of readdirSync(new URL('.github/workflows/', ROOT))) {
    const { permissions, jobs } = workflow(name);
    assert.deepEqual(permissions, { contents: 'read' }, name);
    for (const { uses } of Object.values(jobs).flatMap(({ steps }) => steps ?? [])) {
      if (uses !== undefined) assert.match(uses, /^[\w./-]+@v\d+$/, name);
    }
  }
});
