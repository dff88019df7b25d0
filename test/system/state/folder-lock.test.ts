import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { lockFolder } from '../../../src/system/state/folder-lock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Listens on a lock's socket, as another process has it, and tells when it does. */
const LISTENER = `
const server = require('node:net').createServer((socket) => socket.end('locked')).listen(process.argv[1]);
server.on('listening', () => console.log('listening'));
`;

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'lock-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Another process that has locked the folder. */
async function lockApart(folder: string) {
  const socket = path.join(folder, 'lock-0123456789abcdef');
  const child = spawn(process.execPath, ['-e', LISTENER, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await once(child.stdout, 'data');
  return { child, exited };
}

const kindsOf = async (folder: string, count: number) => {
  const attempts = await Promise.all(Array.from({ length: count }, () => lockFolder(folder, systemClock)));
  const locks = attempts.filter((attempt) => attempt.kind === 'locked');
  return { kinds: attempts.map(({ kind }) => kind).toSorted(), locks };
};

test('a folder is locked by one of those that try at once', async () => {
  const folder = await makeFolder();
  for (let round = 0; round < 20; round++) {
    const { kinds, locks } = await kindsOf(folder, 6);
    expect(kinds).toEqual(['locked', 'taken', 'taken', 'taken', 'taken', 'taken']);
    expect((await kindsOf(folder, 1)).kinds).toEqual(['taken']);
    await Promise.all(locks.map(({ release }) => release()));
  }
  expect(await readdir(folder)).toEqual([]);
});

test('a lock ends with its process, also when that is killed', async () => {
  const folder = await makeFolder();
  const { child, exited } = await lockApart(folder);
  expect((await kindsOf(folder, 1)).kinds).toEqual(['taken']);
  child.kill('SIGKILL');
  await exited;
  expect(await readdir(folder)).toHaveLength(1);
  const { kinds, locks } = await kindsOf(folder, 3);
  expect(kinds).toEqual(['locked', 'taken', 'taken']);
  await Promise.all(locks.map(({ release }) => release()));
  expect(await readdir(folder)).toEqual([]);
});

test('a process that is stopped and answers nothing has its lock still', async () => {
  const folder = await makeFolder();
  const { child } = await lockApart(folder);
  child.kill('SIGSTOP');
  const clock = new FakeClock();
  // Names of locks begin with a digit or a letter up to f, so ours may be lower than that one: it is waited for then.
  const attempt = lockFolder(folder, clock);
  let ended = false;
  void attempt.finally(() => {
    ended = true;
  });
  await expect.poll(() => clock.advance(500).then(() => ended), { interval: 10 }).toBe(true);
  expect(await attempt).toEqual({ kind: 'taken' });
});

test('other files in the folder, also such as look like a lock, are left alone', async () => {
  const folder = await makeFolder();
  await writeFile(path.join(folder, 'lock-me'), 'x');
  await writeFile(path.join(folder, 'state.json'), '{}');
  const { kinds, locks } = await kindsOf(folder, 1);
  expect(kinds).toEqual(['locked']);
  await Promise.all(locks.map(({ release }) => release()));
  expect(await readdir(folder)).toEqual(['lock-me', 'state.json']);
});

test('a folder whose path is too long for a socket can be locked by nobody', async () => {
  const folder = path.join(await makeFolder(), 'x'.repeat(120));
  expect(await lockFolder(folder, systemClock)).toMatchObject({ kind: 'impossible' });
});
