import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_HEALTH, nextUpstream, type UpstreamHealth } from '../../src/core/failover.ts';
import type { UpstreamTarget } from '../../src/core/settings.ts';

const target = (path: string): UpstreamTarget => ({ address: { kind: 'unix', path }, tls: false, url: `unix:${path}` });
const [a, b, c] = [target('/a'), target('/b'), target('/c')];
const down = (...those: UpstreamTarget[]): Pick<UpstreamHealth, 'isDown'> => ({ isDown: (one) => those.includes(one) });

test('a single upstream is tried once, whatever is known of it', () => {
  assert.equal(nextUpstream([a], [], down(a)), a);
  assert.equal(nextUpstream([a], [a], down()), undefined);
});

test('upstreams are tried in the configured order', () => {
  assert.equal(nextUpstream([a, b, c], [], NO_HEALTH), a);
  assert.equal(nextUpstream([a, b, c], [a], NO_HEALTH), b);
  assert.equal(nextUpstream([a, b, c], [a, b], NO_HEALTH), c);
  assert.equal(nextUpstream([a, b, c], [a, b, c], NO_HEALTH), undefined);
});

test('what is down comes last, and is tried all the same', () => {
  assert.equal(nextUpstream([a, b, c], [], down(a)), b);
  assert.equal(nextUpstream([a, b, c], [b], down(a)), c);
  assert.equal(nextUpstream([a, b, c], [b, c], down(a, b, c)), a);
  assert.equal(nextUpstream([a, b, c], [], down(a, b, c)), a);
});

test('without a memory nothing is down', () => {
  NO_HEALTH.unreachable(a, 'refused');
  NO_HEALTH.reached(a);
  assert.equal(NO_HEALTH.isDown(a), false);
});
