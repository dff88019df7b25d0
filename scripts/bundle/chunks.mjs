/** Parts of the program that are loaded when they are first needed, each from a file of its own. */
import path from 'node:path';

const NAMESPACE = 'chunk';

/**
 * A dynamic import of one of the files loads its bundle. It is required, since Node's loader of ES modules would take memory of its
 * own.
 * @param {readonly string[]} chunks seen from the folder of the source
 * @param {string} sourceFolder
 * @param {string} up how one comes from the output's folder to that of all
 * @returns {import('esbuild').Plugin}
 */
export function loadChunks(chunks, sourceFolder, up) {
  const own = new Set(chunks);
  return {
    name: 'chunks',
    setup(build) {
      build.onResolve({ filter: /^\./ }, ({ path: name, kind, resolveDir, namespace }) => {
        if (namespace === NAMESPACE) return { path: name, external: true };
        if (kind !== 'dynamic-import') return undefined;
        const file = path.relative(sourceFolder, path.resolve(resolveDir, name)).split(path.sep).join('/');
        return own.has(file) ? { path: file, namespace: NAMESPACE } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path: file }) => ({
        contents: `module.exports = require(${JSON.stringify(`${up}/${file.replace(/\.ts$/, '.js')}`)});`,
      }));
    },
  };
}
