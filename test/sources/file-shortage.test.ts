import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { FileSource } from '../../src/sources/file-source.ts';
import * as reading from '../../src/sources/read-config-file.ts';
import { systemClock } from '../../src/system/clock.ts';

test('a file that could not be read for want of descriptors is read again, and not refused', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'file-shortage-'));
  const file = path.join(folder, 'lazy-proxy.yaml');
  await writeFile(file, 'old');
  const told: (string | undefined)[] = [];
  const source = new FileSource({
    ...{ path: file, named: true, clock: systemClock },
    onChange: ({ text, error }) => told.push(error ?? text),
  });
  onTestFinished(async () => {
    await source.close();
    await rm(folder, { recursive: true });
  });
  await source.start();
  const read = vi.spyOn(reading, 'readConfigFile');
  onTestFinished(() => read.mockRestore());
  read.mockRejectedValueOnce(Object.assign(new Error('too many open files'), { code: 'EMFILE' }));
  await writeFile(file, 'new');
  await source.reload();
  expect(told).toEqual(['new']);
});
