/**
 * The programs of the Kubernetes control plane that the tests run against, in one file of the user's cache folder.
 */
import path from 'node:path';
import { ROOT } from './ensure-installed.mjs';
import { binaryPath, buildBinary, isThere } from './go-programs.mjs';
import { runCommand } from './run-command.mjs';

export const KUBE_FOLDER = path.join(ROOT, 'test/support/kube');
export const KUBE_SCRIPT = path.join(KUBE_FOLDER, 'kube.sh');
const WHERE = { folder: KUBE_FOLDER, sources: ['main.go', 'go.mod'] };

/** @returns {Promise<string | undefined>} its path; undefined where it was not built yet. */
export async function findKubeBinary() {
  const binary = await binaryPath('kube', WHERE);
  return (await isThere(binary)) ? binary : undefined;
}

/**
 * Builds it where it is missing, which takes minutes, at a low priority.
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {Promise<string>} its path.
 * @throws {Error} with what the compiler said, or where there is no compiler.
 */
export function buildKubeBinary({ signal } = {}) {
  const compile = (binary, env) => runCommand(KUBE_SCRIPT, ['build', binary], { env, quiet: true, signal });
  return buildBinary('kube', { ...WHERE, compile });
}
