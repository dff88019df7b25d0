/** The npm package, installed where nothing else is. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const execute = promisify(execFile);
const SERVER = `require('node:net').createServer((socket) => socket.end('hello')).listen(+process.argv[1], '127.0.0.1')`;

/** Holds the package alone. */
let folder: string;
let program: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-packed-'));
  program = path.join(folder, 'node_modules/.bin/lazy-proxy');
  await writeFile(path.join(folder, 'package.json'), '{ "private": true }');
  // Without scripts: they would build, and the other tests use what is built.
  await execute('npm', ['pack', '--ignore-scripts', '--pack-destination', folder]);
  const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  const flags = ['--offline', '--omit=dev', '--omit=optional', '--no-audit', '--no-fund'];
  await execute('npm', ['install', ...flags, `./${tarball}`], { cwd: folder });
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

test('the npm package needs no other', async () => {
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
  expect((await execute(program, ['--version'], { cwd: '/' })).stdout).toBe(`${version}\n`);
  const others = await readdir(path.join(folder, 'node_modules'));
  expect(others.filter((name) => !name.startsWith('.'))).toEqual(['lazy-proxy']);
  const example = path.join(folder, 'node_modules/lazy-proxy/lazy-proxy.yaml.example');
  expect((await execute(program, ['validate', example], { cwd: '/' })).stdout).toContain('ok, ');
  const printed = await execute(program, ['print-effective-config', '--no-labels', '--config', example]);
  expect(printed.stdout).toContain('services:');
  const schema = await execute(program, ['schema'], { cwd: '/' });
  expect(schema.stdout).toBe(await readFile('schema/lazy-proxy.schema.json', 'utf8'));
  const help = await execute(program, ['healthcheck'], {
    env: { PATH: process.env['PATH'], STATUS_PORT: '0' },
  });
  expect(help.stdout).toContain('the status server is off');
});

test('the npm package serves', async () => {
  const [port, target, status] = await freePorts(3);
  const service = {
    command: [process.execPath, '-e', SERVER, `${target}`],
    ports: [`127.0.0.1:${port}:${target}`],
  };
  const config = JSON.stringify({
    docker: { labels: false },
    // What is loaded when first used is used here.
    services: { app: { ...service, cron_stop: '0 3 * * *' } },
  });
  const files = await createFolder({ 'lazy-proxy.yaml': config });
  const env = { PATH: process.env['PATH'], STATUS_PORT: `${status}` };
  const { child } = await startProgram({ cwd: files, program: [program], args: [], env, until: 'ready: ' });
  const socket = connect(Number(port), '127.0.0.1');
  const chunks = await socket.toArray();
  expect(Buffer.concat(chunks).toString()).toBe('hello');
  const type = async (...args: string[]) => (await execute(program, args, { cwd: files, env })).stdout;
  expect(await type('status')).toMatch(/^app +awake /m);
  expect(await type('explain', 'app')).toContain('ready after');
  expect(await type('diff')).toBe('lazy-proxy.yaml: nothing would change\n');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('the npm package reads a kubeconfig', async () => {
  const kubeconfig = 'apiVersion: v1\nkind: Config\ncurrent-context: home\n';
  const cwd = await createFolder({ kubeconfig });
  const env = { PATH: process.env['PATH'], STATUS_PORT: '0', KUBECONFIG: path.join(cwd, 'kubeconfig') };
  const args = ['run', '--backend', 'kubernetes'];
  const { logged } = await startProgram({ cwd, program: [program], args, env });
  await logged(`the kubeconfig ${env.KUBECONFIG} has no context "home", its current-context`);
});
