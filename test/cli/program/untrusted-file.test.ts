import { execFile } from 'node:child_process';
import { chmod, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const GOOD = { 'lazy-proxy.yaml': 'docker: { labels: false }\nservices: {}\n' };

describe.each(['run', 'validate', 'print-effective-config'])('lazy-proxy %s', (command) => {
  test('refuses a file that it has only found and that everybody may write', async () => {
    const folder = await createFolder(GOOD);
    await chmod(path.join(folder, 'lazy-proxy.yaml'), 0o666);
    const { status, stdout, stderr } = await runProgram([command], { cwd: folder });
    expect(status).toBe(2);
    expect(stdout + stderr).toContain(
      'everybody may write it; take that right away, or name the file with --config',
    );
  });

  test('refuses one in a folder in which everybody may write', async () => {
    const folder = await createFolder(GOOD);
    await chmod(folder, 0o777);
    const { status, stdout, stderr } = await runProgram([command], { cwd: folder });
    expect(status).toBe(2);
    expect(stdout + stderr).toContain('everybody may write in its folder');
  });

  test('does not wait for somebody who writes into a FIFO', async () => {
    const folder = await createFolder({});
    await promisify(execFile)('mkfifo', [path.join(folder, 'lazy-proxy.yaml')]);
    const { status, stdout, stderr } = await runProgram([command], { cwd: folder });
    expect(status).toBe(2);
    expect(stdout + stderr).toContain('a FIFO, a socket or a device; only a regular file is read');
  });
});

const FOLDER =
  "can't be read: it is a folder, not a file; Docker makes one where the file of a bind mount is missing on the host";

test.each([
  ['run', 2, `lazy-proxy.yaml:1:1: ${FOLDER}`],
  ['validate', 2, `lazy-proxy.yaml:1:1 error ${FOLDER}`],
  ['print-effective-config', 2, `lazy-proxy: lazy-proxy.yaml ${FOLDER}`],
  ['healthcheck', 1, `lazy-proxy: lazy-proxy.yaml ${FOLDER}`],
])('lazy-proxy %s says what a folder at the path of the file means', async (command, expected, message) => {
  const folder = await createFolder({});
  await mkdir(path.join(folder, 'lazy-proxy.yaml'));
  const env = { STATUS_PORT: '1' };
  const { status, stdout, stderr } = await runProgram([command], { cwd: folder, env });
  expect(status).toBe(expected);
  expect(stdout + stderr).toContain(message);
});
