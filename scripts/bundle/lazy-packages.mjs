/** Packages that are loaded when something of theirs is first used. */

const NAMESPACE = 'lazy-package';
/** Where they lie, seen from the folder of the output. */
export const LAZY_FOLDER = 'packages';

/**
 * An import of one of the packages loads nothing: each of the names is a getter that loads the package's own file at its
 * first use. The source has a plain import. Names that exist as types only are erased before.
 * @param {readonly string[]} packages bundled beside the output, each as `packages/<name>.js`
 * @param {string} up how one comes from the output's folder to that of all
 * @returns {import('esbuild').Plugin}
 */
export function loadLazily(packages, up) {
  const own = new Set(packages);
  return {
    name: 'lazy-packages',
    setup(build) {
      build.onResolve({ filter: /^[^./]/ }, ({ path: name, kind }) => {
        if (!own.has(name) || kind === 'entry-point') return undefined;
        return { path: name, namespace: NAMESPACE };
      });
      build.onResolve({ filter: /^\./, namespace: NAMESPACE }, ({ path: file }) => ({
        path: file,
        external: true,
      }));
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, async ({ path: name }) => ({
        contents: await writeGetters(name, `${up}/${LAZY_FOLDER}/${name}.js`),
      }));
    },
  };
}

async function writeGetters(name, file) {
  const names = Object.keys(await import(name)).filter((key) => key !== 'default' && /^\w+$/.test(key));
  const getters = names.map((key) => `get ${key}() { return load().${key}; },`);
  const load = `let loaded;\nconst load = () => (loaded ??= require(${JSON.stringify(file)}));`;
  return `${load}\nmodule.exports = {\n  ${getters.join('\n  ')}\n};\n`;
}
