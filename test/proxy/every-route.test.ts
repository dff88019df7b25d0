/** Who may ask what, of each route that there is: a rule that holds for most of them is worth nothing. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { startApiProxy } from '../support/api-proxy.ts';

const TOKEN = { authorization: 'Bearer s3cret' };
/** Programs ask for these, by whatever name leads to the proxy. */
const BY_ANY_NAME = ['/status', '/problems', '/health', '/ready', '/metrics', '/traefik', '/caddy'];
const PAGE = ['/', '/dashboard.js', '/dashboard.css', '/dashboard.svg'];

const DESCRIBED: Readonly<Record<string, object>> = parse(readFileSync('schema/openapi.yaml', 'utf8')).paths;
const ROUTES = Object.entries(DESCRIBED).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => [method.toUpperCase(), path.replace('{name}', 'app')] as const),
);
const READ = [...ROUTES.flatMap(([method, path]) => (method === 'GET' ? [path] : [])), '/api/nothing'];
const CHANGES = ROUTES.filter(([method]) => method === 'POST');

const reading = (paths: readonly string[]) =>
  paths.flatMap((path) => ['GET', 'HEAD'].map((method) => [method, path] as const));
const start = (status: string) => startApiProxy('  app: { command: [sleep, "60"] }\n', { status });

test('a name that leads here from elsewhere is refused by each route of the API and by the page, and the setting named', async () => {
  const { ask } = await start(', token: s3cret, allowed_hosts: [proxy.example]');
  const guarded = [...READ.filter((path) => !BY_ANY_NAME.includes(path)), ...PAGE];
  for (const [method, path] of [...reading(guarded), ...CHANGES])
    for (const url of [path, `${path}?service=app`]) {
      const askAs = (host: string) => ask(url, { method, headers: { ...TOKEN, host } });
      const { status, body } = await askAs('evil.example');
      expect([method, url, status]).toEqual([method, url, 403]);
      if (method !== 'HEAD') expect(body, url).toContain('status.allowed_hosts');
      for (const host of ['proxy.example', 'localhost'])
        expect((await askAs(host)).status, `${method} ${url}`).not.toBe(403);
    }
});

test('what programs read is answered by any name', async () => {
  const { ask } = await start('');
  for (const [method, path] of reading(BY_ANY_NAME))
    expect((await ask(path, { method, headers: { host: 'evil.example' } })).status, path).toBe(200);
});

test('each route needs the token where protect is on, but for the health checks and the page', async () => {
  const { ask } = await start(', token: s3cret, protect: true');
  for (const [method, path] of [...reading([...READ, '/status', '/problems']), ...CHANGES]) {
    for (const authorization of [undefined, 'Basic YW5uYTpodW50ZXIy', 'Bearer s3cre7', 'Bearer']) {
      const shown = authorization === undefined ? {} : { authorization };
      const { status, headers } = await ask(path, { method, headers: shown });
      expect([method, path, status, headers['www-authenticate']]).toEqual([method, path, 401, 'Bearer']);
    }
    expect((await ask(path, { method, headers: TOKEN })).status, path).not.toBe(401);
  }
  for (const [method, path] of reading(['/health', '/ready', ...PAGE]))
    expect((await ask(path, { method })).status, path).not.toBe(401);
});

test('no route lets pages of other sites read it', async () => {
  const { ask } = await start('');
  const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
  for (const path of new Set([...BY_ANY_NAME, ...PAGE, ...READ]))
    for (const method of ['GET', 'OPTIONS']) {
      const answer = await ask(path, { method, headers });
      const allowing = Object.keys(answer.headers).filter((name) => name.startsWith('access-control'));
      expect(allowing, `${method} ${path}`).toEqual([]);
    }
});

test('who asks at the same moment with the token and without it get each their own answer', async () => {
  const { ask } = await startApiProxy('  app: { command: [sleep, "60"], env: { WORD: hunter2 } }\n', {
    status: ', token: s3cret',
  });
  // Answers are made one after the other, so that some of these wait for the same turn.
  const asked = Array.from({ length: 12 }, (_, index) => {
    const isTrusted = index % 2 === 1;
    return ask('/api/config', { headers: isTrusted ? TOKEN : {} }).then(({ body }) => [
      isTrusted,
      body.includes('hunter2'),
    ]);
  });
  for (const [isTrusted, isShown] of await Promise.all(asked)) expect(isShown).toBe(isTrusted);
});
