/** What users of lazy-tcp-proxy set up around their labels: where its file is, its variables, its schedules. */
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { freePort, freePorts } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const GREETER =
  'require("net").createServer((client) => client.end("hello")).listen(process.env.PORT, "127.0.0.1")';

/** A file with one process, which says hello on a port. */
async function greetingFile(port: number): Promise<string> {
  const target = await freePort();
  const command = [process.execPath, '-e', GREETER];
  const app = { command, ports: [` 127.0.0.1 : ${port} : ${target} `], env: { PORT: target } };
  return JSON.stringify({ services: [{ name: 'app', ...app }] });
}

async function ask(port: number): Promise<string> {
  const client = connect(port, '127.0.0.1').setEncoding('utf8');
  onTestFinished(() => void client.destroy());
  let answer = '';
  client.on('data', (chunk) => {
    answer += chunk;
  });
  await once(client, 'close');
  return answer;
}

/** The environment of the tests, without an engine. */
function envOf(cwd: string, env: Readonly<Record<string, string>>) {
  return { PATH: process.env['PATH'], DOCKER_SOCK: path.join(cwd, 'none.sock'), STATUS_PORT: '0', ...env };
}

describe('the file that CONFIG_PATH names', () => {
  test.each([
    ['whose folder is there', []],
    ['whose folders are missing as well', ['data', 'config']],
  ])('%s is waited for, and served as soon as it is made', async (_, folders) => {
    const cwd = await createFolder();
    const file = path.join(cwd, ...folders, 'config.yaml');
    const port = await freePort();
    const env = envOf(cwd, { CONFIG_PATH: path.relative(cwd, file) });
    const proxy = await startProgram({ cwd, env });
    expect(proxy.linesWith('CONFIG_PATH').map((line) => line.replace(/^.* (?=INFO)/, ''))).toEqual([
      `INFO: CONFIG_PATH names ${path.relative(cwd, file)}, which is not there yet: it is read as soon as it is; until then services come from labels alone`,
    ]);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, await greetingFile(port));
    await proxy.logged(`listener 127.0.0.1:${port}/tcp opened for app`);
    expect(await ask(port)).toBe('hello');
  });

  test('is waited for without labels, too', async () => {
    const cwd = await createFolder();
    const env = envOf(cwd, { CONFIG_PATH: '/nowhere/config.yaml' });
    const proxy = await startProgram({ cwd, env, args: ['run', '--no-labels'] });
    expect(await proxy.logged('CONFIG_PATH names')).toContain(
      '/nowhere/config.yaml, which is not there yet: it is read as soon as it is; until then there is nothing to serve (--no-labels)',
    );
  });

  test('is left out by print-effective-config until it is there', async () => {
    const cwd = await createFolder();
    const env = { CONFIG_PATH: 'config.yaml' };
    const args = ['print-effective-config', '--no-labels'];
    const before = await runProgram(args, { cwd, env });
    expect({ ...before, stdout: parse(before.stdout).services }).toEqual({
      ...{ status: 0, stdout: {} },
      stderr: 'lazy-proxy: CONFIG_PATH names config.yaml, which is not there yet\n',
    });
    await writeFile(path.join(cwd, 'config.yaml'), 'services:\n');
    expect(await runProgram(args, { cwd, env })).toEqual({ ...before, stderr: '' });
  });
});

describe('the variables', () => {
  test('that do nothing here are told, one line each, with what does instead', async () => {
    const cwd = await createFolder({ 'lazy-proxy.yaml': 'docker: { labels: false }\n' });
    const variables = {
      ADMIN_PORT: '8081',
      ADMIN_API_KEY: 's3cret',
      CORS_ALLOW_ORIGINS: '*',
      COMPOSE_DIR: '/compose',
      RECIPES_DIR: '/recipes',
      LISTEN_START_PORT: '10000',
      METRICS_POSTGRES_URL: 'postgres://u:s3cret@db/metrics',
    };
    const proxy = await startProgram({ cwd, env: envOf(cwd, variables) });
    const told = proxy.linesWith('does nothing here').map((line) => line.replace(/^.* (?=WARN)/, ''));
    expect(told).toEqual([
      'WARN: $ADMIN_PORT: does nothing here: there is no admin server; the API is on the status server (STATUS_PORT), under /api, and the file is read again when it changes',
      'WARN: $ADMIN_API_KEY: does nothing here: LAZY_PROXY_TOKEN, or status.token in the file, is what the API asks for',
      'WARN: $CORS_ALLOW_ORIGINS: does nothing here: no CORS headers are sent; put page and API behind one proxy, and list its name in status.allowed_hosts',
      'WARN: $COMPOSE_DIR: does nothing here: missing containers are not made; "docker compose create" makes them, and they are used at once',
      'WARN: $RECIPES_DIR: does nothing here: there are no recipes; write services into the file, or labels on containers',
      'WARN: $LISTEN_START_PORT: does nothing here: listen ports are not given out; write each one under ports, as listen:target',
      'WARN: $METRICS_POSTGRES_URL: does nothing here: no figures are stored; GET /status has those of the moment, and webhook_url posts each event',
    ]);
    expect(proxy.log()).not.toContain('s3cret');
  });

  test('place the status server: WEB_PORT before STATUS_PORT', async () => {
    const cwd = await createFolder({ 'lazy-proxy.yaml': 'docker: { labels: false }\n' });
    const [web = 0, status = 0] = await freePorts(2);
    const env = envOf(cwd, { WEB_PORT: String(web), STATUS_PORT: String(status) });
    await startProgram({ cwd, env });
    expect(await (await fetch(`http://127.0.0.1:${web}/health`)).text()).toBe('ok');
    await expect(fetch(`http://127.0.0.1:${status}/health`)).rejects.toThrow();
    expect(await runProgram(['healthcheck'], { cwd, env })).toMatchObject({ status: 0, stdout: 'ok\n' });
  });
});

describe('the schedules', () => {
  test('fire at intervals from the start of the proxy', async () => {
    const services = {
      app: { command: ['sleep', '1000'], cron_start: '@every 1s', cron_stop: '@every 52w' },
      later: { command: ['sleep', '1000'], cron_start: '@yearly' },
    };
    const text = JSON.stringify({ status: 'off', docker: { labels: false }, services });
    const cwd = await createFolder({ 'lazy-proxy.yaml': text });
    const proxy = await startProgram({ cwd, env: envOf(cwd, { LOG_FORMAT: 'json' }) });
    await expect
      .poll(() => proxy.linesWith('app: cron_start').length, { timeout: 15_000 })
      .toBeGreaterThan(2);
    expect(proxy.linesWith('app: cron_stop')).toEqual([]);
    expect(proxy.linesWith('later: cron_start')).toEqual([]);
    expect(proxy.linesWith('app is waking: cron_start')).toHaveLength(1);
  });

  test('are printed as they are meant', async () => {
    const services = {
      a: { cron_start: 'TZ=Europe/Paris  30 8 * * *', cron_stop: '@every 90m' },
      b: { cron_start: '@daily', cron_stop: '' },
    };
    const cwd = await createFolder({ 'lazy-proxy.yaml': JSON.stringify({ services }) });
    const { stdout } = await runProgram(['print-effective-config', '--no-labels'], { cwd });
    const printed = parse(stdout).services;
    expect(printed.a).toMatchObject({
      cron_start: 'CRON_TZ=Europe/Paris 30 8 * * *',
      cron_stop: '@every 1h30m',
    });
    expect(printed.b).toMatchObject({ cron_start: '0 0 * * *' });
    expect(printed.b).not.toHaveProperty('cron_stop');
    expect(parse((await runProgram(['print-effective-config', '--no-labels'], { cwd })).stdout)).toEqual(
      parse(stdout),
    );
  });
});
