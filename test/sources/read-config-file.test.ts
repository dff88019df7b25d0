import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { readConfigFile } from '../../src/sources/read-config-file.ts';
import { systemClock } from '../../src/system/clock.ts';

const TEXT = 'services: {}\n';

describe('readConfigFile', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'config-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    file = path.join(folder, 'lazy-proxy.yaml');
    await writeFile(file, TEXT, { mode: 0o644 });
  });
  const read = (named: boolean, which = file) => readConfigFile(which, { named, clock: systemClock });

  test('reads a file, and a link to one, named or found', async () => {
    const link = path.join(folder, 'link.yaml');
    await symlink('lazy-proxy.yaml', link);
    for (const which of [file, link]) {
      await expect(read(true, which)).resolves.toBe(TEXT);
      await expect(read(false, which)).resolves.toBe(TEXT);
    }
  });

  test('refuses a file of more than 8 MiB, and takes one that has as much', async () => {
    await truncate(file, 8 * 1_048_576);
    expect(await read(true)).toHaveLength(8 * 1_048_576);
    await truncate(file, 8 * 1_048_576 + 1_048_576 / 2);
    await expect(read(true)).rejects.toThrow('it has 8.5 MiB, and may have 8 MiB');
  });

  test('reads a file whose size the system does not tell', async () => {
    await symlink('/proc/self/limits', path.join(folder, 'odd'));
    expect(await read(true, path.join(folder, 'odd'))).toContain('Max open files');
  });

  test.each([
    ['UTF-16', Buffer.from(`\ufeff${TEXT}`, 'utf16le'), 'it is UTF-16, not UTF-8; save it as UTF-8'],
    [
      'UTF-16 from the other end',
      Buffer.from(`\ufeff${TEXT}`, 'utf16le').swap16(),
      'it is UTF-16, not UTF-8; save it as UTF-8',
    ],
    ['UTF-16 without a mark', Buffer.from(TEXT, 'utf16le'), 'it is UTF-16, not UTF-8; save it as UTF-8'],
    [
      'Latin-1',
      Buffer.from(`${TEXT}x-a: 1\nx-b: caf\u00e9\n`, 'latin1'),
      'line 3 is not UTF-8; save the file as UTF-8',
    ],
  ])('refuses %s', async (_, bytes, reason) => {
    await writeFile(file, bytes);
    await expect(read(true)).rejects.toThrow(reason);
  });

  test('takes UTF-8 with a mark, and the character that stands for broken ones', async () => {
    await writeFile(file, '\ufeffx-a: "\ufffd"\n');
    await expect(read(true)).resolves.toBe('\ufeffx-a: "\ufffd"\n');
  });

  test('tells by its code that there is no file', async () => {
    await expect(read(true, `${file}.gone`)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test.each([
    ['a FIFO', (target: string) => promisify(execFile)('mkfifo', [target]), 'a FIFO, a socket or a device'],
    ['a folder', (target: string) => mkdir(target), 'it is a folder'],
    ['a device', (target: string) => symlink('/dev/zero', target), 'a FIFO, a socket or a device'],
  ])('refuses %s at once, named as well', async (_, make, reason) => {
    const odd = path.join(folder, 'odd');
    await make(odd);
    await expect(read(true, odd)).rejects.toThrow(reason);
  });

  test.each([
    [0o666, 'everybody may write it'],
    [0o602, 'everybody may write it'],
  ])('refuses a file of the mode %o that was only found', async (mode, reason) => {
    await chmod(file, mode);
    await expect(read(false)).rejects.toThrow(reason);
    await expect(read(true)).resolves.toBe(TEXT);
  });

  test('refuses a file in a folder in which everybody may write', async () => {
    await chmod(folder, 0o1777);
    await expect(read(false)).rejects.toThrow(`everybody may write in its folder ${folder}`);
    await expect(read(true)).resolves.toBe(TEXT);
  });

  test('refuses a link to a file in a folder in which everybody may write', async () => {
    const open = path.join(folder, 'open');
    await mkdir(open);
    await chmod(open, 0o777);
    await writeFile(path.join(open, 'real.yaml'), TEXT);
    await symlink('open/real.yaml', path.join(folder, 'link.yaml'));
    await expect(read(false, path.join(folder, 'link.yaml'))).rejects.toThrow(
      'everybody may write in its folder',
    );
  });

  test("takes a file that its owner's own group may write, as the umask 002 leaves it", async () => {
    await chmod(file, 0o664);
    await expect(read(false)).resolves.toBe(TEXT);
  });

  test.runIf(process.getuid?.() === 0)('refuses a file that another group may write', async () => {
    await chown(file, 0, 4_242);
    await chmod(file, 0o664);
    await expect(read(false)).rejects.toThrow('the group 4242 may write it');
  });
});
