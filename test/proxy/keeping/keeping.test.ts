import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { KeptHold, KeptWorkload } from '../../../src/model/running/kept.ts';
import { Keeping } from '../../../src/proxy/keeping/keeping.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { StateFolder } from '../../../src/system/state/state-folder.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';

const NOW_MS = new FakeClock().nowMs();
const HOLD: KeptHold = { service: 'db', workload: 'docker/db', untilMs: NOW_MS + 60_000, by: 'by hand' };
const DB: KeptWorkload = {
  ...{ services: ['db'], seenMs: NOW_MS, lastActiveMs: NOW_MS, lastUsedMs: NOW_MS, wakes: [], timeline: [] },
};

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'keeping-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A start of the proxy: what it keeps is what the test says. */
async function begin(dir: string, { write }: { readonly write?: StateFolder['write'] } = {}) {
  const clock = new FakeClock();
  const logger = createRecordingLogger();
  const folder = await StateFolder.open(dir, { isNamed: true, clock: systemClock, logger });
  const writes: string[] = [];
  const recorded = {
    lack: folder.lack,
    read: folder.read.bind(folder),
    setAside: folder.setAside.bind(folder),
    write: async (name: string, data: string) => {
      writes.push(data);
      await (write ?? folder.write.bind(folder))(name, data);
    },
  } as unknown as StateFolder;
  const keeping = await Keeping.load({ folder: recorded, clock, logger });
  const now = { workloads: new Map<string, KeptWorkload>(), holds: [] as KeptHold[] };
  keeping.follow({ workloads: () => now.workloads, holds: () => [...now.holds] });
  const end = async () => {
    await keeping.close();
    await folder.close();
  };
  onTestFinished(end);
  const said = () => logger.lines.map(({ level, message }) => `${level} ${message}`);
  return { clock, keeping, now, writes, end, said };
}

test('what happened is there after a restart, once for each', async () => {
  const dir = await makeFolder();
  const first = await begin(dir);
  first.now.workloads.set('docker/db', DB);
  first.now.holds.push(HOLD);
  first.keeping.touch();
  await first.end();
  expect(first.clock.pending).toBe(0);
  const { keeping, said } = await begin(dir);
  expect(keeping.recall('docker/db', 'db')).toEqual(DB);
  expect(keeping.recall('docker/db', 'db')).toBeUndefined();
  expect(keeping.recallHold('db', 'docker/db')).toEqual(HOLD);
  expect(keeping.recallHold('db', 'docker/db')).toBeUndefined();
  expect(said()).toEqual([]);
});

test('another workload of the same name, and another name of the same workload, know nothing of it', async () => {
  const dir = await makeFolder();
  const first = await begin(dir);
  first.now.workloads.set('docker/db', DB);
  first.now.holds.push(HOLD);
  await first.end();
  const { keeping } = await begin(dir);
  expect(keeping.recall('docker/other', 'db')).toBeUndefined();
  expect(keeping.recall('docker/db', 'web')).toBeUndefined();
  expect(keeping.recallHold('db', 'docker/other')).toBeUndefined();
});

test('what no service has asked for yet waits for it, through further restarts', async () => {
  const dir = await makeFolder();
  const first = await begin(dir);
  first.keeping.leave('docker/db', DB);
  first.now.holds.push(HOLD);
  await first.end();
  const second = await begin(dir);
  second.keeping.touch();
  await second.end();
  const { keeping } = await begin(dir);
  expect(keeping.recall('docker/db', 'db')).toEqual(DB);
  expect(keeping.recallHold('db', 'docker/db')).toEqual(HOLD);
});

test('it is written soon after something happened, at most every 10 s, and never at rest', async () => {
  const { clock, keeping, writes } = await begin(await makeFolder(), { write: async () => {} });
  expect(clock.pending).toBe(0);
  keeping.touch();
  keeping.touch();
  await clock.advance(1_000);
  expect(writes).toHaveLength(1);
  expect(clock.pending).toBe(0);
  keeping.touch();
  await clock.advance(9_999);
  expect(writes).toHaveLength(1);
  await clock.advance(1);
  expect(writes).toHaveLength(2);
  await clock.advance(3_600_000);
  expect(writes).toHaveLength(2);
});

test('the holds of the end are those from when the proxy began to end', async () => {
  const dir = await makeFolder();
  const first = await begin(dir);
  first.now.holds.push(HOLD);
  first.keeping.drain();
  first.now.holds.splice(0);
  await first.end();
  const { keeping } = await begin(dir);
  expect(keeping.recallHold('db', 'docker/db')).toEqual(HOLD);
});

test('a broken file is set aside with a warning, whatever is wrong with it', async () => {
  const dir = await makeFolder();
  const file = path.join(dir, 'state.json');
  await writeFile(file, '{"version":1,"work');
  const { keeping, said } = await begin(dir);
  expect(keeping.recall('docker/db', 'db')).toBeUndefined();
  expect(said()).toEqual([
    expect.stringMatching(`^warn what the proxy remembered can't be used: .*; it is ${file}.broken now$`),
  ]);
  expect(await readFile(`${file}.broken`, 'utf8')).toBe('{"version":1,"work');
});

test('a file that is far too large is told, and does not stop the start', async () => {
  const dir = await makeFolder();
  await writeFile(path.join(dir, 'state.json'), Buffer.alloc(16_777_217, ' '));
  const { said } = await begin(dir);
  expect(said()).toEqual([expect.stringContaining('has 16777217 bytes, more than 16777216')]);
});

test('a disk that is full is told once, and tried again', async () => {
  let isFull = true;
  const write = async () => {
    if (isFull) throw new Error('ENOSPC: no space left on device, write');
  };
  const { clock, keeping, said, writes } = await begin(await makeFolder(), { write });
  for (let round = 0; round < 3; round++) {
    keeping.touch();
    await clock.advance(10_000);
  }
  isFull = false;
  keeping.touch();
  await clock.advance(10_000);
  expect(writes).toHaveLength(4);
  expect(said()).toEqual([
    "warn what the proxy remembers can't be kept: ENOSPC: no space left on device, write; it is tried again when something happens",
    'info what the proxy remembers is kept again',
  ]);
});

test('a disk that hangs is waited for while the proxy runs, and not for long at its end', async () => {
  const write = () => new Promise<never>(() => {});
  const { clock, keeping, writes } = await begin(await makeFolder(), { write });
  keeping.touch();
  await clock.advance(1_000);
  keeping.touch();
  await clock.advance(60_000);
  expect(writes).toHaveLength(1);
  let isOver = false;
  const closing = keeping.close().then(() => {
    isOver = true;
  });
  await clock.advance(1_999);
  expect(isOver).toBe(false);
  await clock.advance(1);
  await closing;
  expect(clock.pending).toBe(0);
});

test('what happens while it is written is written afterwards', async () => {
  let finish = () => {};
  let isSlow = true;
  const write = () =>
    new Promise<void>((resolve) => {
      finish = resolve;
      if (!isSlow) resolve();
    });
  const { clock, keeping, writes } = await begin(await makeFolder(), { write });
  keeping.touch();
  await clock.advance(1_000);
  keeping.touch();
  finish();
  await clock.advance(10_000);
  expect(writes).toHaveLength(2);
  isSlow = false;
  finish();
});

test('a folder that is off costs nothing', async () => {
  const { clock, keeping, writes } = await begin('off');
  keeping.touch();
  keeping.leave('docker/db', DB);
  expect(clock.pending).toBe(0);
  await keeping.close();
  expect(writes).toEqual([]);
  expect(keeping.recall('docker/db', 'db')).toBeUndefined();
});

test('a lock and one file are all that is in the folder', async () => {
  const dir = await makeFolder();
  const { keeping, clock, writes } = await begin(dir);
  keeping.touch();
  await clock.advance(1_000);
  expect(writes).toHaveLength(1);
  await expect
    .poll(async () => (await readdir(dir)).filter((name) => !name.startsWith('lock-')))
    .toEqual(['state.json']);
});
