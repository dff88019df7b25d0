import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { StatusAccess } from '../../src/model/settings.ts';
import { Access } from '../../src/status/access.ts';

const anAccess = (settings: Partial<StatusAccess> = {}) =>
  new Access({
    settings: () => ({
      ...{ token: undefined, tokenFile: undefined, protect: false, showOutput: false, allowedHosts: [] },
      ...settings,
    }),
    hostName: 'Box.lan',
  });

describe('Access', () => {
  test.each([
    '127.0.0.1',
    '127.0.0.1:8080',
    '192.168.1.2:80',
    '[::1]:8080',
    '[2001:db8::1]',
    'localhost:8080',
    'LOCALHOST',
    'lazy.localhost',
    'lazy-proxy:8080',
    'box.lan:8080',
    'Proxy.Example.com',
  ])('lets %s ask', (host) => {
    expect(anAccess({ allowedHosts: ['proxy.example.com'] }).explainHost(host)).toBeUndefined();
  });

  test('names what is to be listed without its port, as the setting takes it', () => {
    expect(anAccess().explainHost('proxy.example.com:8443')).toBe(
      '"proxy.example.com" is no name of this proxy; list it in status.allowed_hosts if it is',
    );
    expect(anAccess().explainOrigin('https://proxy.example.com:8443')).toBe(
      'a page of "https://proxy.example.com:8443" may change nothing; list "proxy.example.com" in status.allowed_hosts if it is yours',
    );
  });

  test.each([
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost.evil.example:8080',
    'evil.example.',
    'evil.example:8080:80',
    'user@localhost',
    'localhost/evil.example',
    '127.0.0.1:8080#.evil.example',
    '[::1].evil.example',
    '[evil]',
    '',
    ' ',
    undefined,
  ])('does not let %s ask, and names the setting', (host) => {
    expect(anAccess().explainHost(host)).toContain('status.allowed_hosts');
  });

  test.each([
    [undefined, true],
    ['http://127.0.0.1:8080', true],
    ['https://localhost', true],
    ['app://lazy-proxy', true],
    ['https://evil.example', false],
    ['null', false],
    ['', false],
    ['https://localhost.evil.example', false],
  ])('lets a page of %s change something: %s', (origin, may) => {
    expect(anAccess().explainOrigin(origin) === undefined).toBe(may);
  });

  test.each([
    ['Bearer s3cret', 'trusted'],
    ['bearer   s3cret ', 'trusted'],
    ['Bearer s3cre', 'wrong'],
    ['Bearer s3cret2', 'wrong'],
    ['Bearer S3CRET', 'wrong'],
    ['Bearer', 'wrong'],
    ['Bearer ', 'wrong'],
    ['s3cret', 'wrong'],
    ['', 'wrong'],
    [undefined, 'stranger'],
    // A reverse proxy in front asks for a login of its own, and passes it on.
    ['Basic YW5uYTpodW50ZXIy', 'stranger'],
    ['Digest username="anna"', 'stranger'],
    ['Basic s3cret', 'stranger'],
  ])('judges %s as %s', async (authorization, kind) => {
    expect(await anAccess({ token: 's3cret' }).judge(authorization)).toEqual({ kind });
  });

  test('trusts nobody where there is no token', async () => {
    for (const shown of [undefined, 'Bearer ', 'Bearer undefined'])
      expect(await anAccess().judge(shown)).toMatchObject({ kind: 'unset' });
  });

  test('reads the token of a file as it is now, and trusts nobody while it is empty or missing', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'access-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const tokenFile = path.join(folder, 'token');
    const access = anAccess({ tokenFile });
    const missing = await access.judge('Bearer ');
    expect(missing).toMatchObject({ kind: 'unset', why: expect.stringContaining('ENOENT') });
    await writeFile(tokenFile, 'first\n');
    expect(await access.judge('Bearer first')).toEqual({ kind: 'trusted' });
    await writeFile(tokenFile, 'second\n');
    expect(await access.judge('Bearer first')).toEqual({ kind: 'wrong' });
    await writeFile(tokenFile, '\n');
    expect(await access.judge('Bearer ')).toMatchObject({ kind: 'unset' });
  });

  test.each([
    ['a folder', '.', 'is not a file'],
    ['a device without an end', '/dev/zero', 'is not a file'],
    ['two words', 'two', 'holds more than a token'],
    ['a sign that no header has', 'sign', 'holds more than a token'],
    ['a large file', 'large', 'holds more than a token'],
  ])('trusts nobody where the file of the token is or has %s', async (_what, name, why) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'access-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await writeFile(path.join(folder, 'two'), 'first\nsecond\n');
    await writeFile(path.join(folder, 'sign'), 's3crét\n');
    await writeFile(path.join(folder, 'large'), 'x'.repeat(5_000));
    const access = anAccess({ tokenFile: path.resolve(folder, name) });
    for (const shown of ['Bearer first', `Bearer ${'x'.repeat(4_096)}`])
      expect(await access.judge(shown)).toEqual({ kind: 'unset', why: expect.stringContaining(why) });
  });
});
