import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../../src/system/clock.ts';
import { StateFolder } from '../../../src/system/state/state-folder.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

const SMALL = { maxBytes: 1_000 };

async function makePlace(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'state-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return path.join(folder, 'kept');
}

async function openFolder(dir: string, { isNamed = true } = {}) {
  const logger = createRecordingLogger();
  const folder = await StateFolder.open(dir, { isNamed, clock: systemClock, logger });
  onTestFinished(() => folder.close());
  const said = () => logger.lines.map(({ level, message }) => `${level} ${message}`);
  return { folder, said };
}

test('a state folder gives back what was written last, to its user alone', async () => {
  const dir = await makePlace();
  const { folder, said } = await openFolder(dir);
  expect(folder.lack).toBeUndefined();
  expect(await folder.read('a.json', SMALL)).toBeUndefined();
  await folder.write('a.json', 'one');
  await folder.write('a.json', Buffer.from('two'));
  expect(String(await folder.read('a.json', SMALL))).toBe('two');
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  expect((await stat(path.join(dir, 'a.json'))).mode & 0o777).toBe(0o600);
  await folder.close();
  expect(await readdir(dir)).toEqual(['a.json']);
  expect(said()).toEqual([]);
});

test('a state folder that was there keeps its mode', async () => {
  const dir = await makePlace();
  await mkdir(dir);
  await chmod(dir, 0o750);
  await openFolder(dir);
  expect((await stat(dir)).mode & 0o777).toBe(0o750);
});

test('a write that was cut short before leaves no trace', async () => {
  const dir = await makePlace();
  const { folder } = await openFolder(dir);
  await writeFile(path.join(dir, 'a.json.new'), 'half of it');
  await folder.write('a.json', 'whole');
  expect(String(await folder.read('a.json', SMALL))).toBe('whole');
  expect((await readdir(dir)).filter((name) => !name.startsWith('lock-'))).toEqual(['a.json']);
});

test('a write that fails leaves what was there', async () => {
  const dir = await makePlace();
  const { folder } = await openFolder(dir);
  await mkdir(path.join(dir, 'a.json', 'in-the-way'), { recursive: true });
  await expect(folder.write('a.json', 'new')).rejects.toThrow('a.json');
  expect((await readdir(dir)).filter((name) => !name.startsWith('lock-'))).toEqual(['a.json']);
});

test('a state folder reads no file that is too large, and nothing that is no file', async () => {
  const dir = await makePlace();
  const { folder } = await openFolder(dir);
  await writeFile(path.join(dir, 'a.json'), 'x'.repeat(1_001));
  await mkdir(path.join(dir, 'b.json'));
  await expect(folder.read('a.json', SMALL)).rejects.toThrow('has 1001 bytes, more than 1000');
  await expect(folder.read('b.json', SMALL)).rejects.toThrow('is not a file');
});

test('a file that is set aside is there under another name', async () => {
  const dir = await makePlace();
  const { folder } = await openFolder(dir);
  for (const text of ['one', 'two']) {
    await folder.write('a.json', text);
    expect(await folder.setAside('a.json')).toBe(path.join(dir, 'a.json.broken'));
  }
  expect(await folder.read('a.json', SMALL)).toBeUndefined();
  expect(await readFile(path.join(dir, 'a.json.broken'), 'utf8')).toBe('two');
});

test('a second proxy neither reads nor writes the folder, and says so', async () => {
  const dir = await makePlace();
  const { folder: first } = await openFolder(dir);
  await first.write('a.json', 'mine');
  const { folder: second, said } = await openFolder(dir);
  const lack = `state_dir ${dir} is in use by another proxy`;
  expect(second.lack).toBe(lack);
  expect(await second.read('a.json', SMALL)).toBeUndefined();
  await expect(second.write('a.json', 'yours')).rejects.toThrow(lack);
  expect(said()).toEqual([
    `warn ${lack}: this one keeps nothing across restarts; give it a folder of its own, or write state_dir: off`,
  ]);
  await first.close();
  const { folder: third } = await openFolder(dir);
  expect(String(await third.read('a.json', SMALL))).toBe('mine');
});

test.each([
  { isNamed: true, lines: 1 },
  { isNamed: false, lines: 0 },
])('a folder that cannot be made is told where it was asked for: $isNamed', async ({ isNamed, lines }) => {
  const dir = await makePlace();
  await writeFile(dir, 'a file stands there');
  const { folder, said } = await openFolder(path.join(dir, 'kept'), { isNamed });
  expect(folder.lack).toContain(`state_dir ${dir}/kept can't be written (ENOTDIR`);
  expect(said()).toHaveLength(lines);
  await expect(folder.write('a', 'b')).rejects.toThrow(folder.lack);
  await expect(folder.read('a', SMALL)).rejects.toThrow('ENOTDIR');
});

test('a folder whose path is too long for a lock is used without one', async () => {
  const dir = path.join(await makePlace(), 'x'.repeat(120));
  const { folder, said } = await openFolder(dir);
  await folder.write('a.json', 'kept');
  expect(String(await folder.read('a.json', SMALL))).toBe('kept');
  expect(said()).toEqual([expect.stringContaining("can't be locked")]);
});

test('a folder that is off keeps nothing and says nothing', async () => {
  const { folder, said } = await openFolder('off');
  expect(folder.lack).toBe('state_dir is off');
  expect(await folder.read('a', SMALL)).toBeUndefined();
  await expect(folder.write('a', 'b')).rejects.toThrow('state_dir is off');
  expect(said()).toEqual([]);
});
