/** Global setup of the tests that run the built program: builds it where it is older than what it is made of. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { PROGRAM } from './run-program.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const PARTS = ['src', 'schema', 'scripts/bundle', 'package-lock.json'];

export async function setup(): Promise<void> {
  const builtMs = await timeOf(PROGRAM);
  const times = await Promise.all(PARTS.map((part) => newestIn(path.join(ROOT, part))));
  if (builtMs >= Math.max(...times)) return;
  await promisify(execFile)(process.execPath, ['scripts/build.mjs'], { cwd: ROOT }).catch(
    ({ stderr }: { readonly stderr: string }) => {
      throw new Error(`the build failed:\n${stderr}`);
    },
  );
}

/** The time of the newest file in a folder, or of a file. */
async function newestIn(part: string): Promise<number> {
  const names = await readdir(part, { recursive: true }).catch(() => []);
  return Math.max(...(await Promise.all(['', ...names].map((name) => timeOf(path.join(part, name))))));
}

async function timeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}
