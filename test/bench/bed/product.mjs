/** The build under test. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureInstalled, ROOT } from '../../../scripts/ensure-installed.mjs';
import { runCommand } from '../../../scripts/run-command.mjs';

/**
 * Builds the program, unless a build is named.
 * @param {string | undefined} dist a folder with a build.
 * @returns {Promise<{ dist: string, program: string }>}
 */
export async function prepareProduct(dist) {
  const { bin } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  const program = path.join(ROOT, bin['lazy-proxy']);
  if (dist === undefined) {
    await ensureInstalled();
    const { status, output } = await runCommand('npm', ['run', 'build'], { cwd: ROOT, quiet: true });
    if (status !== 0) throw new Error(`the build failed:\n${output}`);
    return { dist: path.dirname(program), program };
  }
  const folder = path.resolve(dist);
  const names = [path.basename(program), 'main.cjs', 'main.mjs', 'main.js'];
  const found = names.map((name) => path.join(folder, name)).find((file) => existsSync(file));
  if (found === undefined) throw new Error(`there is no build in ${folder}: it has no ${names[0]}`);
  return { dist: folder, program: found };
}
