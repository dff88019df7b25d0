/**
 * Programs in Go that tests ask, each in a folder of the user's cache. The folder is named after the program's sources, so that a
 * change of theirs makes a new one. Built once, at a low priority; where there is no Go, the tests are left out that need them.
 */
import { createHash } from 'node:crypto';
import { access, constants, cp, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { ROOT } from './ensure-installed.mjs';
import { runCommand } from './run-command.mjs';
import { hasProgram } from './system-packages.mjs';

const FOLDER = path.join(ROOT, 'test/support/go');
/** The package of each program: `.` is our own `main.go`. */
const PACKAGES = { h2spec: 'github.com/summerwind/h2spec/cmd/h2spec', traefik: '.' };
/** Where Go's own archives are unpacked; not every shell has it in its path. */
const GO_FOLDER = '/usr/local/go/bin';

/**
 * @param {'h2spec' | 'traefik'} name
 * @returns {Promise<string | undefined>} its path; undefined where it was not built yet.
 */
export async function findGoProgram(name) {
  const folder = path.join(FOLDER, name);
  const binary = await binaryPath(name, { folder, sources: await listSources(folder) });
  return (await isThere(binary)) ? binary : undefined;
}

/**
 * Builds it where it is missing.
 * @param {'h2spec' | 'traefik'} name
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<string>} its path.
 * @throws {Error} with what the compiler said, or where there is no compiler.
 */
export async function buildGoProgram(name, { signal } = {}) {
  const folder = path.join(FOLDER, name);
  const compile = async (binary, env) => {
    await mkdir(path.dirname(binary), { recursive: true });
    // Go writes down there what it has found; what it has made is put in place whole.
    const work = await mkdtemp(`${binary}.`);
    try {
      await cp(folder, work, { recursive: true });
      const args = ['-n', '10', 'go', 'build', '-mod=mod', '-trimpath', '-ldflags=-s -w', '-o', 'made'];
      const options = { cwd: work, env: { ...env, CGO_ENABLED: '0' }, quiet: true, signal };
      const result = await runCommand('nice', [...args, PACKAGES[name]], options);
      if (result.status === 0) await rename(path.join(work, 'made'), binary);
      return result;
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  };
  return buildBinary(name, { folder, sources: await listSources(folder), compile });
}

/**
 * The path of a binary in the cache.
 * @param {string} name
 * @param {{ folder: string, sources: readonly string[] }} options
 */
export async function binaryPath(name, { folder, sources }) {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(await readFile(path.join(folder, source)));
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache');
  return path.join(cache, 'lazy-proxy', `${name}-${hash.digest('hex').slice(0, 16)}`, name);
}

/**
 * Compiles a binary where it is missing.
 * @param {string} name
 * @param {{ folder: string, sources: readonly string[], compile: (binary: string, env: NodeJS.ProcessEnv) =>
 *   Promise<{ status: number, output: string }> }} options
 * @returns {Promise<string>} its path.
 * @throws {Error} as `buildGoProgram`.
 */
export async function buildBinary(name, { compile, ...where }) {
  const binary = await binaryPath(name, where);
  if (await isThere(binary)) return binary;
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), GO_FOLDER];
  if (!(await hasProgram('go', folders)))
    throw new Error(`${name} cannot be built: there is no \`go\` in PATH (1.26 or newer)`);
  const { status, output } = await compile(binary, { ...process.env, PATH: folders.join(path.delimiter) });
  if (status !== 0) throw new Error(`${name} cannot be built:\n${lastLines(output)}`);
  return binary;
}

async function listSources(folder) {
  return (await readdir(folder)).toSorted();
}

/** @param {string} file */
export function isThere(file) {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function lastLines(text) {
  return text.trimEnd().split('\n').slice(-20).join('\n');
}
