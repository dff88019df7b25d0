/** `npm run build`: the shipped form in `dist/`. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from './ensure-installed.mjs';
import { runCommand } from './run-command.mjs';

export const DIST = path.join(ROOT, 'dist');

/**
 * Builds in a process of its own, because what that needs may just have been installed.
 * @param {{ signal?: AbortSignal }} [options]
 */
export async function runBuild({ signal } = {}) {
  const args = [fileURLToPath(import.meta.url)];
  const { status, output } = await runCommand(process.execPath, args, { cwd: ROOT, quiet: true, signal });
  if (status !== 0) throw new Error(`the build failed:\n${output.trimEnd()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { buildBundles } = await import('./bundle/bundle.mjs');
  await buildBundles(DIST);
}
