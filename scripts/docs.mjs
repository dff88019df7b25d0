/** `npm run docs`: writes the reference tables of the documentation anew, from the code and the schema. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensureInstalled, ROOT } from './ensure-installed.mjs';

const PAGES = path.join(ROOT, 'docs');

async function writePages() {
  const { fillPage, renderReference } = await loadReference();
  const sections = renderReference();
  for (const name of await readdir(PAGES)) {
    if (!name.endsWith('.md')) continue;
    const file = path.join(PAGES, name);
    const text = await readFile(file, 'utf8');
    const filled = fillPage(text, sections);
    if (filled === text) continue;
    await writeFile(file, filled);
    console.log(`docs/${name} is written`);
  }
  console.log('The reference tables are current.');
}

/** Node 20 runs no TypeScript. */
async function loadReference() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [path.join(ROOT, 'scripts/docs/reference.ts')],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    packages: 'bundle',
    // Packages in CommonJS require modules of Node.
    banner: {
      js: `import { createRequire } from 'node:module'; const require = createRequire('${import.meta.url}');`,
    },
  });
  const [{ text }] = outputFiles;
  return await import(`data:text/javascript;base64,${Buffer.from(text).toString('base64')}`);
}

await ensureInstalled();
await writePages();
