import { mkdir, mkdtemp, rename, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FileSnapshot, FileSource } from '../../src/sources/file-source.ts';
import { type Clock, systemClock } from '../../src/system/clock.ts';

describe('FileSource', () => {
  let folder: string;
  let source: FileSource | undefined;
  let told: FileSnapshot[];
  let arrived: (() => void) | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lazy-proxy-file-'));
    told = [];
  });
  afterEach(async () => {
    await source?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const start = async (path: string, clock: Clock = systemClock) => {
    source = new FileSource({
      path,
      named: true,
      clock,
      onChange: (snapshot) => {
        told.push(snapshot);
        arrived?.();
      },
    });
    return source.start();
  };
  const next = (count = 1) =>
    new Promise<void>((resolve) => {
      if (told.length >= count) return resolve();
      arrived = () => told.length >= count && resolve();
    });
  const last = () => told.at(-1)?.text;

  test('tells what the file says at the start', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    expect(await start(join(folder, 'a.yaml'))).toMatchObject({ text: 'one', error: undefined });
  });

  test('tells a write in place', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    await start(join(folder, 'a.yaml'));
    await writeFile(join(folder, 'a.yaml'), 'two');
    await next();
    expect(last()).toBe('two');
  });

  test('tells a rename over the file, again and again', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    await start(join(folder, 'a.yaml'));
    for (const [index, text] of ['two', 'three', 'four'].entries()) {
      await writeFile(join(folder, 'a.tmp'), text);
      await rename(join(folder, 'a.tmp'), join(folder, 'a.yaml'));
      await next(index + 1);
      expect(last()).toBe(text);
    }
  });

  test('tells a file that is deleted and made again', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    await start(join(folder, 'a.yaml'));
    await unlink(join(folder, 'a.yaml'));
    await next(1);
    expect(last()).toBeUndefined();
    await writeFile(join(folder, 'a.yaml'), 'two');
    await next(2);
    expect(last()).toBe('two');
  });

  test('tells a swap of the link that a ConfigMap is mounted through', async () => {
    for (const version of ['1', '2', '3']) {
      await mkdir(join(folder, `..v${version}`));
      await writeFile(join(folder, `..v${version}`, 'a.yaml'), `version ${version}`);
    }
    await symlink('..v1', join(folder, '..data'));
    await symlink('..data/a.yaml', join(folder, 'a.yaml'));
    expect(await start(join(folder, 'a.yaml'))).toMatchObject({ text: 'version 1' });
    for (const [index, version] of ['2', '3'].entries()) {
      await symlink(`..v${version}`, join(folder, '..data_tmp'));
      await rename(join(folder, '..data_tmp'), join(folder, '..data'));
      await next(index + 1);
      expect(last()).toBe(`version ${version}`);
    }
  });

  test('tells a burst of writes once, with the last content', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    await start(join(folder, 'a.yaml'));
    for (let index = 0; index <= 20; index++) await writeFile(join(folder, 'a.yaml'), `burst ${index}`);
    await next();
    expect(told.map(({ text }) => text)).toEqual(['burst 20']);
  });

  test.each([
    { what: 'tells nothing of the moment in which a file that is written in place is empty', later: 'two' },
    { what: 'tells a file that stays empty, after a second', later: '' },
  ])('$what', async ({ later }) => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    const waits: number[] = [];
    const sleep: Clock['sleep'] = async (delayMs, signal) => {
      // The deadline of a reading.
      if (delayMs > 1_000) return await systemClock.sleep(delayMs, signal);
      waits.push(delayMs);
      if (waits.length === 2 && later !== '') await writeFile(join(folder, 'a.yaml'), later);
    };
    await start(join(folder, 'a.yaml'), { ...systemClock, sleep });
    await truncate(join(folder, 'a.yaml'));
    await next();
    expect(told.map(({ text }) => text)).toEqual([later]);
    expect(waits.slice(0, 2)).toEqual([100, 1_000]);
  });

  test('tells nothing when the content is equal', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    let notice = () => {};
    const noticed = new Promise<void>((resolve) => {
      notice = resolve;
    });
    const sleep: Clock['sleep'] = (delayMs, signal) => {
      notice();
      return systemClock.sleep(delayMs, signal);
    };
    await start(join(folder, 'a.yaml'), { ...systemClock, sleep });
    await writeFile(join(folder, 'a.tmp'), 'one');
    await rename(join(folder, 'a.tmp'), join(folder, 'a.yaml'));
    await noticed;
    // It resolves when all that was noticed has been read.
    await source?.reload();
    await writeFile(join(folder, 'a.yaml'), 'two');
    await next();
    expect(told.map(({ text }) => text)).toEqual(['two']);
  });

  test('tells nothing any more when it is closed in the middle of a reading', async () => {
    await writeFile(join(folder, 'a.yaml'), 'one');
    let closed: Promise<void> | undefined;
    const sleep: Clock['sleep'] = async (delayMs, signal) => {
      if (delayMs > 1_000) return await systemClock.sleep(delayMs, signal);
      closed ??= source?.close();
    };
    await start(join(folder, 'a.yaml'), { ...systemClock, sleep });
    await writeFile(join(folder, 'a.yaml'), 'two');
    await source?.reload();
    await closed;
    expect(closed).toBeDefined();
    expect(told).toEqual([]);
  });

  test('notices a file in a folder that appears later', async () => {
    await start(join(folder, 'etc', 'a.yaml'));
    await mkdir(join(folder, 'etc'));
    await writeFile(join(folder, 'etc', 'a.yaml'), 'here');
    await next();
    expect(last()).toBe('here');
  });
});
