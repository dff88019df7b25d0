import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { FileSnapshot } from '../../src/sources/file-source.ts';
import { FirstFileSource } from '../../src/sources/config-file.ts';
import { systemClock } from '../../src/system/clock.ts';

test('a file that is in use and deleted is named, though another one is preferred', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'first-file-'));
  const paths = [path.join(folder, 'first.yaml'), path.join(folder, 'second.yaml')] as const;
  await writeFile(paths[1], 'x');
  const told: FileSnapshot[] = [];
  const source = new FirstFileSource({
    paths,
    named: true,
    clock: systemClock,
    onChange: (snapshot) => told.push(snapshot),
  });
  onTestFinished(async () => {
    await source.close();
    await rm(folder, { recursive: true });
  });
  expect((await source.start()).path).toBe(paths[1]);
  await rm(paths[1]);
  await expect.poll(() => told.length).toBe(1);
  expect(told[0]).toEqual({ path: paths[1], text: undefined, error: undefined });
  await writeFile(paths[0], 'y');
  await expect.poll(() => told.length).toBe(2);
  await rm(paths[0]);
  await expect.poll(() => told.length).toBe(3);
  expect(told[2]).toEqual({ path: paths[0], text: undefined, error: undefined });
});

test('a reload resolves when it has told what changed', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'first-file-'));
  const file = path.join(folder, 'a.yaml');
  await writeFile(file, 'x');
  const told: FileSnapshot[] = [];
  const source = new FirstFileSource({
    paths: [file],
    named: true,
    clock: systemClock,
    onChange: (snapshot) => told.push(snapshot),
  });
  onTestFinished(async () => {
    await source.close();
    await rm(folder, { recursive: true });
  });
  await source.start();
  await writeFile(file, 'y');
  await source.reload();
  expect(told).toMatchObject([{ text: 'y' }]);
  await source.reload();
  expect(told).toHaveLength(1);
});
