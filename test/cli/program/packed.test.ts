/** The npm package, installed where nothing else is. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { createFolder } from './folder.ts';

const execute = promisify(execFile);
const SERVER = `require('node:net').createServer((socket) => socket.end('hello')).listen(+process.argv[1], '127.0.0.1')`;

/** The package in a folder of its own; returns that and its program. */
async function installPackage() {
  const folder = await createFolder({ 'package.json': '{ "private": true }' });
  // Without scripts: they would build, and the other tests use what is built.
  await execute('npm', ['pack', '--ignore-scripts', '--pack-destination', folder]);
  const [tarball = ''] = (await readdir(folder)).filter((name) => name.endsWith('.tgz'));
  const flags = ['--offline', '--omit=dev', '--omit=optional', '--no-audit', '--no-fund'];
  await execute('npm', ['install', ...flags, `./${tarball}`], { cwd: folder });
  return { folder, program: path.join(folder, 'node_modules/.bin/lazy-proxy') };
}

test('the npm package needs no other', async () => {
  const { folder, program } = await installPackage();
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
}, 60_000);

test('the npm package serves', async () => {
  const { program } = await installPackage();
  const [port, target] = await freePorts(2);
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
  const env = { PATH: process.env['PATH'], STATUS_PORT: '0' };
  const child = spawn(program, [], { cwd: files, env, stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let log = '';
  for await (const chunk of child.stdout) {
    log += chunk;
    if (log.includes('ready: ')) break;
  }
  expect(log).toContain('ready: ');
  const socket = connect(Number(port), '127.0.0.1');
  const chunks = await socket.toArray();
  expect(Buffer.concat(chunks).toString()).toBe('hello');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
}, 60_000);
