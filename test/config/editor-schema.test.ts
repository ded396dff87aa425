/** The schema for editors: accepts what the program accepts, marks the slips that are made most. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';

const read = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const EXAMPLE = read('config.example.yaml');
const schema = z.fromJSONSchema(JSON.parse(read('config.schema.json')) as z.core.JSONSchema.JSONSchema);
const accepts = (yaml: string): boolean => schema.safeParse(parse(yaml)).success;

test('the example names the schema that lies beside it, and fits it', () => {
  assert.match(EXAMPLE, /^# yaml-language-server: \$schema=\.\/config\.schema\.json$/m);
  assert.equal(schema.safeParse(parse(EXAMPLE)).error, undefined);
});

test('it accepts what the program accepts', () => {
  for (const yaml of [
    'upstream: unix:/run/neko.sock',
    'listen: ["0.0.0.0:8080", "[::]:8080"]\nallowed_origins: same-host',
    'keepalive: {ping_interval: 1.5s, pong_timeout: off, mode: always}\nlimits: {connections: 5, frame: 1 MiB}',
    'routes: [{path: /a, upstream: http://a, limits: {connections: 5}, timeouts: {stall: 9s}}]',
    'admin: {listen: off}\nlog:',
  ])
    assert.ok(accepts(yaml), yaml);
});

test('it refuses what the program refuses', () => {
  for (const yaml of [
    'upstreem: http://neko',
    'upstream: neko:8080',
    'keepalive: {ping_interval: 10}',
    'keepalive: {ping_interval: 30 sec}',
    'keepalive: {mode: sometimes}',
    'timeouts: {stall: off}',
    'limits: {connections: 0}',
    'limits: {buffer: 256KB}',
    'probe: maybe',
    'routes: [{path: /a}]',
  ])
    assert.ok(!accepts(yaml), yaml);
});
