import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findDashboardFile } from '../../src/status/dashboard-page.ts';

describe('findDashboardFile', () => {
  let folder: URL;
  beforeAll(async () => {
    const made = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-page-'));
    await writeFile(path.join(made, 'index.html.gz'), gzipSync('<p>hello'));
    folder = pathToFileURL(`${made}/`);
  });
  afterAll(() => rm(folder, { recursive: true }));

  const ask = (url: string, headers: Readonly<Record<string, string>> = {}) =>
    findDashboardFile(url, { headers, folder })?.make();

  test('answers with what was compressed, to whoever takes that', () => {
    const answer = ask('/', { 'accept-encoding': 'br, gzip' });
    expect(answer?.status).toBe(200);
    expect(answer?.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'content-encoding': 'gzip',
      'x-content-type-options': 'nosniff',
    });
    expect(answer?.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self';/);
    expect(answer?.headers['content-security-policy']).not.toContain('unsafe');
    expect(gunzipSync(answer?.body ?? '').toString()).toBe('<p>hello');
  });

  test.each([{}, { 'accept-encoding': 'br' }, { 'accept-encoding': 'gzip;q=0' }])(
    'answers with the plain file to %j',
    (headers) => {
      const answer = ask('/', headers);
      expect(answer?.headers).not.toHaveProperty('content-encoding');
      expect(answer?.body.toString()).toBe('<p>hello');
    },
  );

  test('sends nothing to whoever has it', () => {
    const etag = ask('/')?.headers['etag'] ?? '';
    expect(ask('/', { 'if-none-match': `"other", ${etag}` })).toMatchObject({
      status: 304,
      body: Buffer.alloc(0),
    });
    expect(ask('/', { 'if-none-match': '"other"' })?.status).toBe(200);
  });

  test('says so where the build lacks it, and is silent about other paths', () => {
    expect(ask('/dashboard.js')).toMatchObject({ status: 404 });
    expect(ask('/dashboard.map')).toBeUndefined();
    expect(ask('/../index.html')).toBeUndefined();
  });
});
