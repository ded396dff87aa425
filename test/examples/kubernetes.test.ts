/** The manifests: how their numbers and names fit together, and what the program makes of their environment. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deployment } from 'kubernetes-models/apps/v1';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1';
import { Service } from 'kubernetes-models/v1';
import { parseAllDocuments } from 'yaml';
import { loadSettings } from '../../src/config/load.ts';
import type { Settings } from '../../src/core/settings.ts';
import { createMetrics } from '../../src/observe/metrics/metrics.ts';
import { exampleFiles, readExample } from '../support/examples.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly name: string;
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe: Probe;
  readonly livenessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly securityContext: Record<string, unknown>;
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // Each kind has its own; what a test reads is checked by it.
  readonly spec: {
    readonly selector?: { readonly matchLabels?: Record<string, string> } & Record<string, unknown>;
    readonly ports?: readonly { readonly targetPort: string }[];
    readonly template?: {
      readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> };
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext?: Record<string, unknown>;
        readonly containers: readonly Container[];
      };
    };
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly metrics?: readonly { readonly pods: { readonly metric: { readonly name: string } } }[];
  };
}

interface Pod {
  readonly all: readonly Manifest[];
  readonly template: NonNullable<Manifest['spec']['template']>;
  readonly container: Container;
  readonly settings: Settings;
}

function readPod(file: string): Pod {
  const all = parseAllDocuments(readExample(file)).map((document) => {
    assert.deepEqual(document.errors, []);
    return document.toJS() as Manifest;
  });
  const template = find(all, 'Deployment').spec.template ?? assert.fail('no template');
  const container = template.spec.containers.find(({ name }) => name === 'keepalive') ?? assert.fail('no container');
  const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  const { settings, warnings } = loadSettings({ env, cwd: '/nowhere' });
  assert.deepEqual(warnings, []);
  return { all, template, container, settings };
}

function find(all: readonly Manifest[], kind: string): Manifest {
  return all.find((manifest) => manifest.kind === kind) ?? assert.fail(`no ${kind}`);
}

/** What the API server would say: each kind has its class, and that its schema. */
function validate(manifest: object): void {
  const { apiVersion, kind } = manifest as { apiVersion: string; kind: string };
  const make = KINDS[`${apiVersion}/${kind}`] ?? assert.fail(`${apiVersion} ${kind}`);
  make(manifest).validate();
}

const KINDS: Readonly<Record<string, (manifest: object) => { validate(): void }>> = {
  'apps/v1/Deployment': (manifest) => new Deployment(manifest),
  'v1/Service': (manifest) => new Service(manifest),
  'policy/v1/PodDisruptionBudget': (manifest) => new PodDisruptionBudget(manifest),
  'autoscaling/v2/HorizontalPodAutoscaler': (manifest) =>
    new HorizontalPodAutoscaler(manifest as ConstructorParameters<typeof HorizontalPodAutoscaler>[0]),
};

const allFiles = exampleFiles('.yaml').filter((file) => file.startsWith('kubernetes/'));

test('every manifest is valid by the schemas of the API', () => {
  assert.equal(allFiles.length, 2);
  for (const file of allFiles) for (const manifest of readPod(file).all) validate(manifest);
});

test('a manifest with a wrong type, or without what is required, is not', () => {
  const [deployment = assert.fail()] = readPod('kubernetes/deployment.yaml').all;
  const broken = (change: (copy: { spec: { selector?: unknown; minReadySeconds?: unknown } }) => void): object => {
    const copy = structuredClone(deployment) as { spec: { selector?: unknown } };
    change(copy);
    return copy;
  };
  assert.throws(() => validate(broken(({ spec }) => void delete spec.selector)), /selector/);
  assert.throws(() => validate(broken(({ spec }) => void (spec.minReadySeconds = 'soon'))), /minReadySeconds/);
});

test('nothing sets replicas that an autoscaler decides', () => {
  for (const file of allFiles) {
    const { all } = readPod(file);
    if (!all.some(({ kind }) => kind === 'HorizontalPodAutoscaler')) continue;
    assert.equal('replicas' in find(all, 'Deployment').spec, false, file);
  }
});

test('the deployment fits the Pod Security level restricted, the sidecar needs privileged for a host port alone', () => {
  const { template, container } = readPod('kubernetes/deployment.yaml');
  assert.match(readExample('kubernetes/deployment.yaml'), /^# Pod Security: restricted$/m);
  const pod = template.spec.securityContext ?? {};
  assert.deepEqual(pod, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  assert.equal(
    container.ports.some((port) => 'hostPort' in port),
    false,
  );
  assert.match(
    readExample('kubernetes/sidecar.yaml'),
    /^# Pod Security: privileged, only because of Neko's hostPort;/m,
  );
  const { securityContext } = readPod('kubernetes/sidecar.yaml').container;
  assert.equal(securityContext['runAsNonRoot'], true);
  assert.deepEqual(securityContext['seccompProfile'], { type: 'RuntimeDefault' });
});

test('in the sidecar pod Neko goes after the proxy has said goodbye, and within the grace period', () => {
  const { template, container, settings } = readPod('kubernetes/sidecar.yaml');
  const neko = template.spec.containers.find(({ name }) => name === 'neko') ?? assert.fail('no neko');
  const [own, nekos] = [container, neko].map(({ lifecycle }) => Number(lifecycle.preStop.exec.command[1]) * 1000);
  assert.ok((nekos ?? 0) > (own ?? 0) + settings.timeouts.drain);
  assert.ok(template.spec.terminationGracePeriodSeconds * 1000 > (nekos ?? 0));
});

for (const file of ['kubernetes/deployment.yaml', 'kubernetes/sidecar.yaml']) {
  test(`${file} names the ports that the program listens on, and its Service the public one alone`, () => {
    const { all, template, container, settings } = readPod(file);
    const ports = new Map(container.ports.map(({ name, containerPort }) => [name, containerPort]));
    assert.deepEqual(settings.listen, [{ kind: 'tcp', host: '0.0.0.0', port: ports.get('http') }]);
    assert.deepEqual(settings.admin.listen, { kind: 'tcp', host: '0.0.0.0', port: ports.get('admin') });
    assert.equal(template.metadata.annotations['prometheus.io/port'], String(ports.get('admin')));
    const service = find(all, 'Service').spec;
    assert.deepEqual(service.selector, template.metadata.labels);
    assert.deepEqual(
      service.ports?.map(({ targetPort }) => targetPort),
      ['http'],
    );
  });

  test(`${file} asks for readiness and life where they are told`, () => {
    const { container } = readPod(file);
    assert.deepEqual(container.readinessProbe.httpGet, { path: '/readyz', port: 'admin' });
    assert.deepEqual(container.livenessProbe.httpGet, { path: '/healthz', port: 'admin' });
  });

  test(`${file} waits for the goodbye after the endpoints have forgotten the pod`, () => {
    const { template, container, settings } = readPod(file);
    const [program, seconds] = container.lifecycle.preStop.exec.command;
    assert.equal(program, 'sleep');
    const needed = Number(seconds) * 1000 + settings.timeouts.drain;
    assert.ok(template.spec.terminationGracePeriodSeconds * 1000 > needed, `${needed} ms`);
  });

  test(`${file} gives the container no rights`, () => {
    const { securityContext } = readPod(file).container;
    assert.equal(securityContext['readOnlyRootFilesystem'], true);
    assert.equal(securityContext['allowPrivilegeEscalation'], false);
    assert.deepEqual(securityContext['capabilities'], { drop: ['ALL'] });
  });
}

test('the disruption budget and the autoscaler are about the deployment, and the metric exists', async () => {
  const { all, template } = readPod('kubernetes/deployment.yaml');
  assert.deepEqual(find(all, 'PodDisruptionBudget').spec.selector?.matchLabels, template.metadata.labels);
  const { scaleTargetRef, metrics = [] } = find(all, 'HorizontalPodAutoscaler').spec;
  assert.equal(scaleTargetRef?.kind, 'Deployment');
  assert.equal(scaleTargetRef.name, find(all, 'Deployment').metadata.name);
  const { body } = await createMetrics({ version: '', commit: '' }).exposition();
  for (const { pods } of metrics) assert.match(body, new RegExp(`^# TYPE ${pods.metric.name} gauge$`, 'm'));
  assert.equal(metrics.length, 1);
});

test('the sidecar shares its pod with Neko, which nobody reaches but the proxy', () => {
  const { template, settings } = readPod('kubernetes/sidecar.yaml');
  const neko = template.spec.containers.find(({ name }) => name === 'neko');
  const bind = neko?.env.find(({ name }) => name === 'NEKO_SERVER_BIND')?.value;
  assert.equal(settings.routes[0]?.upstreams[0]?.url, `http://${bind}`);
  assert.match(bind ?? '', /^127\./);
});
