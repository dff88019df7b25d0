/** What real reverse proxies make of what they are told. Caddy is Debian's; where there is none, its tests are left out. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { askingAt } from '../../support/api-proxy.ts';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const HAS_CADDY = spawnSync('caddy', ['version']).status === 0;
const SERVER = `
const { PORT, NAME } = process.env;
require("node:http").createServer((request, response) => response.end(NAME + " at " + request.url)).listen(PORT, "127.0.0.1");
`;

async function startProxy(hosts: readonly string[]) {
  const [front, status, target] = [await freePort(), await freePort(), await freePort()];
  const textOf = (names: readonly string[]) => `
status: { listen: "127.0.0.1:${status}", token: s3cret, protect: true }
http: { listen: "127.0.0.1:${front}" }
docker: { labels: false }
services:
  wiki:
    command: [${process.execPath}, server.cjs]
    env: { PORT: "${target}", NAME: wiki }
    hosts: ${JSON.stringify(names)}
    http_port: ${target}
`;
  const cwd = await createFolder({ 'lazy-proxy.yaml': textOf(hosts), 'server.cjs': SERVER });
  const program = await startProgram({ cwd });
  return { cwd, status, program, textOf };
}

async function startCaddy(config: unknown): Promise<void> {
  const cwd = await createFolder({ 'caddy.json': JSON.stringify(config) });
  const env = { ...process.env, HOME: cwd, XDG_DATA_HOME: cwd, XDG_CONFIG_HOME: cwd };
  const program = ['sh', '-c', 'exec caddy "$@" 2>&1', 'sh'];
  const args = ['run', '--config', 'caddy.json'];
  await startProgram({ cwd, program, args, env, until: 'serving initial configuration' });
}

/** Asks Caddy for a host. */
async function askFor(host: string, port: number): Promise<{ status: number | undefined; body: string }> {
  const sent = request({ host: '127.0.0.1', port, path: '/page', headers: { host }, agent: false });
  sent.end();
  const [response] = await once(sent, 'response');
  let body = '';
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, body };
}

test.runIf(HAS_CADDY)('Caddy loads /caddy and serves a sleeping service by its host', async () => {
  const { status, program } = await startProxy(['wiki.lan', '*.wiki.lan']);
  const [port, admin] = [await freePort(), await freePort()];
  const headers = { authorization: 'Bearer s3cret' };
  const asked = await askingAt(status)(`/caddy?tls=off&listen=127.0.0.1:${port}`, { headers });
  expect(asked.status).toBe(200);
  await startCaddy({ admin: { listen: `127.0.0.1:${admin}` }, ...(asked.json as object) });
  expect(await askFor('unknown.lan', port)).toEqual({ status: 404, body: '' });
  expect(program.linesWith('wiki').filter((line) => /start/.test(line))).toEqual([]);
  expect(await askFor('wiki.lan', port)).toEqual({ status: 200, body: 'wiki at /page' });
  expect(await askFor('a.wiki.lan', port)).toEqual({ status: 200, body: 'wiki at /page' });
});

test.runIf(HAS_CADDY)('Caddy asks again by itself, and serves a host that has come', async () => {
  const { cwd, status, textOf, program } = await startProxy([]);
  const port = await freePort();
  const url = `http://127.0.0.1:${status}/caddy?tls=off&listen=127.0.0.1:${port}&poll=1s`;
  const header = { Authorization: ['Bearer s3cret'] };
  await startCaddy({
    admin: { config: { load: { module: 'http', method: 'GET', url, header }, load_delay: '1s' } },
  });
  const answerTo = (host: string) => askFor(host, port).catch(() => undefined);
  await expect.poll(() => answerTo('wiki.lan'), { timeout: 15_000 }).toMatchObject({ status: 404 });
  await writeFile(`${cwd}/lazy-proxy.yaml`, textOf(['wiki.lan']));
  await program.logged('lazy-proxy.yaml: ');
  await expect
    .poll(() => answerTo('wiki.lan'), { timeout: 15_000 })
    .toEqual({ status: 200, body: 'wiki at /page' });
});
