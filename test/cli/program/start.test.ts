/** `npm start` in a fresh clone. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { createFolder } from './folder.ts';

const PARTS = ['package.json', 'package-lock.json', 'tsconfig.json', 'schema', 'scripts', 'src', 'examples'];
const START_MS = 60_000;

/** In the place of npm: `npm ci` takes until the test says so, and then links the packages that are there. */
function fakeNpm(folder: string): string {
  const wait = `until [ -e ${folder}/may-install ]; do sleep 0.05; done`;
  return `#!/bin/sh\n[ "$1" = ci ] || exit 1\n${wait}\nln -s ${path.resolve('node_modules')} ${folder}/node_modules\n`;
}

/** A clone without packages, whose quickstart is at ports of its own. */
async function clone() {
  const folder = await createFolder({});
  for (const part of PARTS) await cp(part, path.join(folder, part), { recursive: true });
  const old = [9000, 9001, 3000, 9002, 3002, 9003, 3003];
  const ports = await freePorts(old.length);
  const moves = old.map((from, index) => [from, ports[index]] as const);
  const [port = 0, statusPort = 0] = ports;
  for (const name of ['lazy-proxy.yaml', 'server.mjs', 'clock.mjs']) {
    const file = path.join(folder, 'examples/quickstart', name);
    const moved = moves.reduce(
      (text, [from, to]) => text.replaceAll(new RegExp(`\\b${from}\\b`, 'g'), String(to)),
      await readFile(file, 'utf8'),
    );
    await writeFile(file, moved);
  }
  await writeFile(path.join(folder, 'npm'), fakeNpm(folder));
  await chmod(path.join(folder, 'npm'), 0o755);
  return { folder, port, statusPort, broken: ports[5] };
}

function collect(child: ChildProcess, name: 'stdout' | 'stderr') {
  let text = '';
  child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

test('npm start says at once what it does, and in the end what to type', async () => {
  const { folder, port, statusPort, broken } = await clone();
  const env = { PATH: `${folder}:${process.env['PATH']}`, LOG_FORMAT: 'json' };
  const child = spawn(process.execPath, ['scripts/start.mjs'], { cwd: folder, env, stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGTERM'));
  const [stdout, stderr] = [collect(child, 'stdout'), collect(child, 'stderr')];

  // npm has not even begun to work.
  await expect.poll(stderr).toBe('installing the packages with npm ci, which may take a minute …\n');
  await writeFile(path.join(folder, 'may-install'), '');
  await expect.poll(stderr, { timeout: START_MS }).toContain('Ctrl-C ends the proxy.');
  const [installing, building, ...rest] = stderr().split('\n');
  expect([installing, building]).toEqual([
    'installing the packages with npm ci, which may take a minute …',
    'building the program …',
  ]);
  const commands = rest
    .map((line) => /^ {2}curl (\S+) +# \w/.exec(line)?.[1])
    .filter((url) => url !== undefined);
  expect(commands).toEqual([`127.0.0.1:${port}`, `127.0.0.1:${statusPort}/status`, `127.0.0.1:${broken}`]);
  const page = /open (http:\/\/localhost:\d+) in a browser/.exec(stderr())?.[1] ?? '';
  expect(await (await fetch(page)).text()).toContain('<title>lazy-proxy</title>');

  // What it says works as it is typed.
  const [hello, status] = await Promise.all(
    commands.slice(0, 2).map(async (url) => (await fetch(`http://${url}`)).text()),
  );
  expect(hello).toMatch(/^hello from a process/);
  const listening = (JSON.parse(status ?? '') as { listen_port: number }[]).map((row) => row.listen_port);
  expect(listening).toHaveLength(3);
  expect(listening).toContain(port);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
  // The log is nothing but the log.
  const lines = stdout().trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line).event)).toContain('ready');
}, 120_000);
