/** What a module of ours knows about its place, kept true in a bundle. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const NAME = '__moduleUrl';

/**
 * `import.meta.url` of `src/a/b.ts` is the URL of `a/b.js` in the output's folder, as it is when each file is compiled
 * by itself: what is found relative to it (package.json, an entry point beside it) is found in both builds.
 * @param {string} sourceFolder
 * @returns {import('esbuild').Plugin}
 */
export function keepModuleUrls(sourceFolder) {
  return {
    name: 'module-url',
    setup(build) {
      build.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
        const name = path.relative(sourceFolder, file).split(path.sep).join('/');
        if (name.startsWith('..')) return undefined;
        const text = await readFile(file, 'utf8');
        const url = `${NAME}(${JSON.stringify(name.replace(/\.ts$/, '.js'))})`;
        return { contents: text.replaceAll('import.meta.url', url), loader: 'ts' };
      });
    },
  };
}

/**
 * Defines what `keepModuleUrls` calls, at the top of an output.
 * @param {string} up how one comes from the output's folder to that of all: `.` or `../..`
 */
export function moduleUrlBanner(up) {
  const place = `require('node:path').join(__dirname, '${up}', file)`;
  return `"use strict";const ${NAME} = (file) => require('node:url').pathToFileURL(${place}).href;`;
}
