import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CertificateFacts, explainCertificate } from '../../src/doctor/certificate.ts';
import type { Finding } from '../../src/doctor/findings.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-03-01T12:00:00Z');

function explain(certificate: Partial<CertificateFacts>, insecure = false): Finding {
  const good: CertificateFacts = {
    code: null,
    host: 'neko.example.com',
    names: ['neko.example.com'],
    isForHost: true,
    validFrom: NOW - 30 * DAY,
    validTo: NOW + 60 * DAY,
    privateAuthority: null,
    version: 'TLSv1.3',
  };
  return explainCertificate({ ...good, ...certificate }, insecure, NOW);
}

test('a good certificate is told with its last day', () => {
  const { level, text } = explain({});
  assert.deepEqual([level, text], ['ok', 'TLSv1.3, certificate valid for another 60 days, until 2026-04-30']);
});

test('one that ought to have been renewed is a warning', () => {
  const { level, text } = explain({ validFrom: NOW - 80 * DAY, validTo: NOW + 10.5 * DAY });
  assert.deepEqual([level, text], ['warn', 'TLSv1.3, but the certificate expires in 10 days, on 2026-03-12']);
  assert.match(explain({ validTo: NOW + 1000 }).text, /expires in less than an hour/);
});

test('one that lives for days or hours is not expected to live for weeks', () => {
  assert.equal(explain({ validFrom: NOW - 3 * DAY, validTo: NOW + 3 * DAY }).level, 'ok');
  assert.match(
    explain({ validFrom: NOW - DAY / 4, validTo: NOW + DAY / 4 }).text,
    /^TLSv1.3, certificate valid for another 6 hours/,
  );
  assert.equal(explain({ validFrom: NOW - 6 * DAY, validTo: NOW + DAY / 2 }).level, 'warn');
});

test('an expired one is told with its date', () => {
  const { level, text } = explain({ code: 'CERT_HAS_EXPIRED', validFrom: NOW - 100 * DAY, validTo: NOW - 5 * DAY });
  assert.deepEqual([level, text], ['bad', 'the certificate expired on 2026-02-24, 5 days ago']);
});

test('one that is not valid yet is told with its date', () => {
  const { text } = explain({ code: 'CERT_NOT_YET_VALID', validFrom: NOW + DAY });
  assert.equal(text, 'the certificate is not valid before 2026-03-02');
});

test('everything that is wrong is told at once', () => {
  const { text, advice } = explain({
    code: 'DEPTH_ZERO_SELF_SIGNED_CERT',
    isForHost: false,
    names: ['a', '*.b'],
    validTo: NOW - 3 * DAY,
  });
  assert.equal(
    text,
    'the certificate is self-signed, so browsers refuse it; the certificate expired on 2026-02-26, 3 days ago; the certificate is not for neko.example.com but for a, *.b',
  );
  assert.equal(advice.split('\n').length, 4);
});

test('a name is missing or wrong', () => {
  const wrong = { code: 'ERR_TLS_CERT_ALTNAME_INVALID', isForHost: false };
  assert.equal(explain({ ...wrong, names: ['a'] }).text, 'the certificate is not for neko.example.com but for a');
  assert.equal(explain({ ...wrong, names: [] }).text, 'the certificate is not for neko.example.com');
});

test('faults of the chain are explained', () => {
  const text = (code: string): string => explain({ code }).text;
  assert.match(text('SELF_SIGNED_CERT_IN_CHAIN'), /authority that this machine does not know/);
  assert.match(explain({ code: 'SELF_SIGNED_CERT_IN_CHAIN' }).advice, /NODE_EXTRA_CA_CERTS/);
  assert.match(text('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /chain .* incomplete, or ends at an authority/);
  assert.match(explain({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }).advice, /fullchain\.pem.*NODE_EXTRA_CA_CERTS/s);
  assert.match(text('CERT_HAS_EXPIRED'), /a certificate of the chain has expired/);
  assert.match(text('CERT_NOT_YET_VALID'), /a certificate of the chain is not valid yet/);
  assert.match(text('CERT_REVOKED'), /cannot be trusted \(CERT_REVOKED\)/);
});

test('--insecure makes a fault a warning', () => {
  const { level, text } = explain({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, true);
  assert.deepEqual([level, text.endsWith('(continued because of --insecure)')], ['warn', true]);
});

test('an authority of your own is named, for browsers do not know it', () => {
  const { level, text } = explain({ privateAuthority: 'My CA' });
  assert.equal(level, 'ok');
  assert.match(
    text,
    /; signed by My CA, an authority that browsers trust only if they were told to, as this machine was$/,
  );
});
