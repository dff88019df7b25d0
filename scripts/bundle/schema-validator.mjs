/** The validator of the configuration's schema, generated when the program is built. */
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { Ajv } from 'ajv';
import standaloneCode from 'ajv/dist/standalone/index.js';
import { transform } from 'esbuild';

const NAME = 'schema-validator';
const FOLDER = 'src/config/checks';

/**
 * Puts the generated function, loaded when it is first used, in the place of `src/config/checks/schema-validator.ts`, which
 * compiles it at run time.
 * @param {string} root folder of the repository
 * @param {string} lazyFolder where the output of `generateSchemaValidator` lies, seen from that of this build
 * @returns {import('esbuild').Plugin}
 */
export function useSchemaValidator(root, lazyFolder) {
  const replaced = path.join(root, FOLDER, `${NAME}.ts`);
  const file = `${lazyFolder}/${NAME}.js`;
  return {
    name: NAME,
    async setup(build) {
      // Where it was moved, nothing would be replaced, and every process would load the compiler.
      await access(replaced);
      build.onResolve({ filter: /^\./ }, ({ path: name }) =>
        name === file ? { path: file, external: true } : undefined,
      );
      build.onLoad({ filter: /schema-validator\.ts$/ }, ({ path: loaded }) => {
        if (loaded !== replaced) return undefined;
        return {
          contents: `export const findSchemaValidator = () => require('${file}').validate;`,
          loader: 'js',
        };
      });
    },
  };
}

/**
 * The function as a module that exports `validate`.
 * @param {string} root folder of the repository
 * @returns {Promise<import('esbuild').StdinOptions>}
 */
export async function generateSchemaValidator(root) {
  const schema = JSON.parse(await readFile(path.join(root, 'schema/lazy-proxy.schema.json'), 'utf8'));
  const options = await readOptions(path.join(root, FOLDER, 'schema-options.ts'));
  const ajv = new Ajv({ ...options, code: { source: true, esm: true } });
  // In CommonJS the function of this library is under `default` of what an import calls the default.
  const contents = (standaloneCode.default ?? standaloneCode)(ajv, ajv.compile(schema));
  return { contents, loader: 'js', resolveDir: root, sourcefile: `${NAME}.js` };
}

/** The options that the source compiles with: one place for both. */
async function readOptions(file) {
  const { code } = await transform(await readFile(file, 'utf8'), { loader: 'ts', format: 'esm' });
  return (await import(`data:text/javascript,${encodeURIComponent(code)}`)).SCHEMA_OPTIONS;
}
