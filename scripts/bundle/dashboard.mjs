/** The page of the status port: a few static files, compressed here once. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { build } from 'esbuild';

const FILES = ['index.html', 'dashboard.svg'];
/** What browsers of the last years know. */
const TARGET = ['es2022', 'chrome111', 'firefox115', 'safari16.4'];

/**
 * Writes each file as `<name>.gz`: nobody needs it otherwise.
 * @param {string} source folder of the sources
 * @param {string} folder where the bundles go
 * @returns {Promise<import('esbuild').BuildResult>} with its metafile.
 */
export async function bundleDashboard(source, folder) {
  const from = path.join(source, 'dashboard');
  const to = path.join(folder, 'dashboard');
  const result = await build({
    entryPoints: {
      dashboard: path.join(from, 'main.tsx'),
      'dashboard.css': path.join(from, 'dashboard.css'),
    },
    outdir: to,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: TARGET,
    tsconfig: path.join(from, 'tsconfig.json'),
    minify: true,
    legalComments: 'none',
    metafile: true,
    write: false,
    absWorkingDir: path.dirname(source),
    logLevel: 'warning',
  });
  await mkdir(to, { recursive: true });
  const written = result.outputFiles.map(({ path: file, contents }) => [
    path.basename(file).replace('.css.css', '.css'),
    contents,
  ]);
  const copied = await Promise.all(FILES.map(async (name) => [name, await readFile(path.join(from, name))]));
  for (const [name, contents] of [...written, ...copied])
    await writeFile(path.join(to, `${name}.gz`), await compress(contents));
  return result;
}

async function compress(contents) {
  return await promisify(gzip)(contents, { level: constants.Z_BEST_COMPRESSION });
}
