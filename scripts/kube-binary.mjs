/**
 * The programs of the Kubernetes control plane that the tests run against, in one file of the user's cache folder. It is
 * named after its sources, so that a change of theirs makes a new one.
 */
import { createHash } from 'node:crypto';
import { access, constants, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { ROOT } from './ensure-installed.mjs';
import { runCommand } from './run-command.mjs';
import { hasProgram } from './system-packages.mjs';

export const KUBE_FOLDER = path.join(ROOT, 'test/support/kube');
export const KUBE_SCRIPT = path.join(KUBE_FOLDER, 'kube.sh');
const SOURCES = ['main.go', 'go.mod'];
/** Where Go's own archives are unpacked; not every shell has it in its path. */
const GO_FOLDER = '/usr/local/go/bin';

/** @returns {Promise<string | undefined>} its path; undefined where it was not built yet. */
export async function findKubeBinary() {
  const binary = await kubeBinaryPath();
  return (await isThere(binary)) ? binary : undefined;
}

/**
 * Builds it where it is missing, which takes minutes, at a low priority.
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<string>} its path.
 * @throws {Error} with what the compiler said, or where there is no compiler.
 */
export async function buildKubeBinary({ signal } = {}) {
  const binary = await kubeBinaryPath();
  if (await isThere(binary)) return binary;
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), GO_FOLDER];
  if (!(await hasProgram('go', folders)))
    throw new Error('the Kubernetes control plane cannot be built: there is no `go` in PATH (1.26 or newer)');
  const env = { ...process.env, PATH: folders.join(path.delimiter) };
  const { status, output } = await runCommand(KUBE_SCRIPT, ['build', binary], { env, quiet: true, signal });
  if (status !== 0) throw new Error(`the Kubernetes control plane cannot be built:\n${lastLines(output)}`);
  return binary;
}

async function kubeBinaryPath() {
  const hash = createHash('sha256');
  for (const source of SOURCES) hash.update(await readFile(path.join(KUBE_FOLDER, source)));
  const cache = process.env.XDG_CACHE_HOME || path.join(homedir(), '.cache');
  return path.join(cache, 'lazy-proxy', `kube-${hash.digest('hex').slice(0, 16)}`, 'kube');
}

function isThere(file) {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function lastLines(text) {
  return text.trimEnd().split('\n').slice(-20).join('\n');
}
