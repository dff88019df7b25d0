/** Global setup of the tests that run the built program: builds it where it is older than its source. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { PROGRAM } from './run-program.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const COMPILER = path.join(ROOT, 'node_modules/.bin/tsc');

export async function setup(): Promise<void> {
  const builtMs = await timeOf(PROGRAM);
  const names = await readdir(path.join(ROOT, 'src'), { recursive: true });
  const times = await Promise.all(names.map((name) => timeOf(path.join(ROOT, 'src', name))));
  if (builtMs >= Math.max(...times)) return;
  await promisify(execFile)(COMPILER, ['-p', 'tsconfig.build.json'], { cwd: ROOT }).catch(
    ({ stdout }: { readonly stdout: string }) => {
      throw new Error(`the build failed:\n${stdout}`);
    },
  );
}

async function timeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
