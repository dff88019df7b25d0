import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkCertificate } from '../../../src/system/tls/check-certificate.ts';
import { makeCertificate } from '../../support/certificates.ts';

const DAY_MS = 24 * 3_600_000;
const madeMs = Date.now();
const one = makeCertificate();
const other = makeCertificate({ host: 'other.lan', days: 10 });
const check = (cert: string, key: string, nowMs = madeMs + 60_000) =>
  checkCertificate({ cert, key, nowMs }).map(({ severity, message }) => `${severity} ${message}`);

describe('checkCertificate', () => {
  test('finds nothing in a good pair', () => {
    expect(check(one.cert, one.key)).toEqual([]);
  });

  test.each([
    [15.9 * DAY_MS, []],
    [16.5 * DAY_MS, ['warning the certificate expires soon: it is good until …']],
    [31 * DAY_MS, ['error the certificate has expired: it was good until …']],
    [-2 * DAY_MS, ['error the certificate is not good before …']],
  ])('says %j later: %j', (ageMs, expected) => {
    const found = check(one.cert, one.key, madeMs + ageMs);
    expect(found.map((line) => line.replace(/(until|before) .*/, '$1 …'))).toEqual(expected);
  });

  test('finds a key of another certificate', () => {
    expect(check(one.cert, other.key)).toEqual(['error the key belongs to another certificate']);
  });

  test('finds certificates in the wrong order, and one behind the first that expires', () => {
    expect(check(`${other.cert}${one.cert}`, one.key, madeMs + 60_000)).toEqual([
      'error the key belongs to certificate 2 of the file, which has to come first',
      expect.stringMatching(/^warning the certificate expires soon/),
    ]);
    expect(check(`${one.cert}${other.cert}`, one.key)).toEqual([
      expect.stringMatching(/^warning certificate 2 of the file expires soon/),
    ]);
  });

  test('finds what is no certificate, and files that are mixed up', () => {
    expect(check('hello', one.key)).toEqual(['error the certificate is no PEM certificate']);
    expect(check(one.key, one.cert)).toEqual([
      'error the certificate is no PEM certificate; it holds a key: are the two files mixed up?',
    ]);
    expect(check(one.cert, other.cert)).toEqual([
      'error the key is no PEM private key; it holds a certificate: are the two files mixed up?',
    ]);
    expect(check('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', one.key)).toEqual([
      expect.stringMatching(/^error the certificate can't be read: /),
    ]);
  });

  test('finds a key that is locked, and shows none of it', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const locked = privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 's3cret',
    });
    expect(check(one.cert, String(locked))).toEqual([
      'error the key is locked with a password; openssl pkey -in KEY -out UNLOCKED takes it off',
    ]);
    expect(check(one.cert, 's3cret').join()).not.toContain('s3cret');
  });
});
