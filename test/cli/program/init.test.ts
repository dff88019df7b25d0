import { readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runProgram } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const NO_ENGINE = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };

async function open(files: Readonly<Record<string, string>> = {}) {
  const cwd = await createFolder(files);
  const type = (...args: string[]) => runProgram(args, { cwd, env: NO_ENGINE });
  return { cwd, type, file: path.join(cwd, 'lazy-proxy.yaml') };
}

describe('init, where no engine answers', () => {
  test('writes a file that is good, and says what it did and what comes next', async () => {
    const { type } = await open();
    const { status, stdout, stderr } = await type('init');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toMatch(/^no engine answers at \S+: .*\nlazy-proxy\.yaml is written: 0 services /);
    expect(stdout).toContain('lazy-proxy validate lazy-proxy.yaml\n');
    expect(await type('validate')).toMatchObject({ status: 0 });
  });

  test.each([['--stdout'], ['-']])('prints it with %s, and nothing else on standard output', async (how) => {
    const { cwd, type, file } = await open();
    const { status, stdout, stderr } = await type('init', how);
    expect(status).toBe(0);
    expect(stderr).toContain('Next:\n');
    await writeFile(file, stdout);
    expect(await runProgram(['validate'], { cwd })).toMatchObject({ status: 0 });
  });

  test('takes the name of the file, also one with a space', async () => {
    const { type, cwd } = await open();
    const { stdout } = await type('init', 'my proxy.yaml');
    expect(stdout).toContain("lazy-proxy validate 'my proxy.yaml'\n");
    expect(await readFile(path.join(cwd, 'my proxy.yaml'), 'utf8')).toContain('services:');
  });

  test('leaves a file that is there as it is, and ends with 1', async () => {
    const { type, file } = await open({ 'lazy-proxy.yaml': 'mine\n' });
    expect(await type('init')).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'lazy-proxy: lazy-proxy.yaml is there already, and stays as it is; name another file, or --stdout\n',
    });
    expect(await readFile(file, 'utf8')).toBe('mine\n');
  });

  test('writes through no link, not even one that leads nowhere', async () => {
    const { type, cwd, file } = await open();
    await symlink(path.join(cwd, 'elsewhere'), file);
    expect(await type('init')).toMatchObject({ status: 1 });
    await expect(readFile(path.join(cwd, 'elsewhere'))).rejects.toThrow('ENOENT');
  });

  test('ends with 2 where the file can not be written', async () => {
    const { type } = await open();
    const { status, stderr } = await type('init', 'gone/lazy-proxy.yaml');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^lazy-proxy: gone\/lazy-proxy\.yaml can't be written: .*; --stdout prints it\n$/);
  });
});

test('init shows no password of the engine, nor writes it', async () => {
  const cwd = await createFolder();
  const env = { DOCKER_HOST: 'tcp://anna:hunter2@127.0.0.1:1' };
  const written = await runProgram(['init'], { cwd, env });
  expect(written.stdout).toContain('no engine answers at tcp://***@127.0.0.1:1: ');
  const printed = await runProgram(['init', '-'], { cwd, env });
  expect(printed.stdout).toContain('# docker: { socket: "tcp://***@127.0.0.1:1" }');
  expect(printed.stdout + printed.stderr + written.stdout + written.stderr).not.toContain('hunter2');
});
