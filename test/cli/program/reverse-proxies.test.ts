/**
 * What real reverse proxies make of what they are told. Caddy is Debian's; where there is none, its tests are left out. Of Traefik only what
 * reads and matches is built, where that is asked for; else the answer is checked against what Traefik documents.
 */
import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { findGoProgram } from '../../../scripts/go-programs.mjs';
import { askingAt } from '../../support/api-proxy.ts';
import { freePort } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { TRAEFIK_SCHEMA } from '../../support/traefik-schema.ts';
import { createFolder } from './folder.ts';

const TRAEFIK = await findGoProgram('traefik');
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

test('Traefik takes /traefik, and leads each host to where it is served', async () => {
  const [door, secure, status, own] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const textOf = (services: object) =>
    JSON.stringify({
      status: { listen: `127.0.0.1:${status}` },
      http: { listen: `127.0.0.1:${door}`, https: `127.0.0.1:${secure}` },
      docker: { labels: false },
      traefik: { proxy_host: 'proxy.lan' },
      services,
    });
  const command = [process.execPath, 'server.cjs'];
  const services = {
    wiki: { command, hosts: ['wiki.lan', '*.wiki.lan'], http_port: 1 },
    deep: { command, hosts: ['*.deep.wiki.lan'], http_port: 1 },
    git: { command, tls_hosts: ['git.lan', '*.git.lan'] },
    old: {
      command,
      ports: [`127.0.0.1:${own}:1`],
      traefik_hosts: [`old.lan:${own}`],
      traefik_tcp_hosts: [`db.lan:${own}`],
    },
  };
  const cwd = await createFolder({ 'lazy-proxy.yaml': textOf(services), 'server.cjs': SERVER });
  const program = await startProgram({ cwd });
  const { json } = await askingAt(status)('/traefik');
  const validate = new Ajv().compile(TRAEFIK_SCHEMA);
  expect([validate(json), validate.errors]).toEqual([true, null]);
  if (TRAEFIK === undefined) return;
  const hosts = [
    'wiki.lan',
    'a.wiki.lan',
    'a.deep.wiki.lan',
    'git.lan',
    'a.git.lan',
    'old.lan',
    'db.lan',
    'lan',
    'wikixlan',
  ];
  const ask = async () => {
    const { stdout } = await promisify(execFile)(TRAEFIK, [`http://127.0.0.1:${status}/traefik`, ...hosts]);
    return JSON.parse(stdout) as Readonly<Record<string, { readonly http?: string; readonly tcp?: string }>>;
  };
  const web = { http: `http://proxy.lan:${door}` };
  expect(await ask()).toEqual({
    ...{ 'wiki.lan': web, 'a.wiki.lan': web, 'a.deep.wiki.lan': web },
    ...{ 'git.lan': { tcp: `proxy.lan:${secure}` }, 'a.git.lan': { tcp: `proxy.lan:${secure}` } },
    ...{ 'old.lan': { http: `http://proxy.lan:${own}` }, 'db.lan': { tcp: `proxy.lan:${own}` } },
    ...{ lan: {}, wikixlan: {} },
  });
  // What is left when all services have gone takes every route away.
  await writeFile(`${cwd}/lazy-proxy.yaml`, textOf({}));
  await program.logged('service wiki removed');
  expect(Object.values(await ask())).toEqual(hosts.map(() => ({})));
});
