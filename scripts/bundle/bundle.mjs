/** The shipped form of the program: CommonJS, because there `node:http` costs 6 MB less than as an ES module. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { build } from 'esbuild';
import { loadChunks } from './chunks.mjs';
import { bundleDashboard } from './dashboard.mjs';
import { collectLicences } from './licences.mjs';
import { LAZY_FOLDER, loadLazily } from './lazy-packages.mjs';
import { keepModuleUrls, moduleUrlBanner } from './module-url.mjs';
import { generateSchemaValidator, useSchemaValidator } from './schema-validator.mjs';
import { leaveOutUnusedParts } from './unused-parts.mjs';

const ROOT = path.resolve(import.meta.dirname, '../..');
const SOURCE = path.join(ROOT, 'src');

/** Each becomes a bundle at its own place: the program, and what it runs in processes and threads of their own. Those that don't exist are skipped. */
const ENTRIES = [
  'main.ts',
  'sources/config-process.ts',
  'relay/splice/thread/relay-thread.ts',
  'relay/http/login/bcrypt-thread.ts',
];

/** Commands that the proxy itself never runs. */
const COMMANDS = [
  ...['init', 'validate', 'print-effective-config', 'ca', 'completion'],
  ...['status', 'explain', 'diff', 'steer', 'events'],
].map((name) => `cli/${name}.ts`);

/** Entries too, which the program imports when somebody first needs them. */
const CHUNKS = [
  'config/file.ts',
  'proxy/open-api.ts',
  'proxy/open-metrics.ts',
  'status/webhook-format.ts',
  'backends/kubernetes/cluster.ts',
  'backends/kubernetes/api/kubeconfig-access.ts',
  'relay/http/open-web.ts',
  'relay/tls/certificates.ts',
  'relay/tls/authority/made-certificates.ts',
  ...COMMANDS,
];

/** Loaded when first used, each from a file of its own: a proxy may live without ever needing them. */
const LAZY_PACKAGES = ['cron-parser', 'yaml'];

/** Optional, found in node_modules: it is native. */
const EXTERNAL = ['koffi'];

const OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  external: EXTERNAL,
  // A copy of Node's own streams for other machines.
  alias: { 'readable-stream': 'node:stream' },
  // What is loaded stays in memory as text, too. Names stay, for the sake of stack traces.
  minifyWhitespace: true,
  minifySyntax: true,
  // Node shows the line in which a program failed.
  lineLimit: 160,
  legalComments: 'none',
  // Names and lines are enough for stack traces; the text would be most of the package.
  sourcemap: true,
  sourcesContent: false,
  metafile: true,
  absWorkingDir: ROOT,
  logLevel: 'warning',
};

/**
 * Writes the bundles into `folder`, which is emptied before.
 * @param {string} folder
 */
export async function buildBundles(folder) {
  await rm(folder, { recursive: true, force: true });
  const entries = [...ENTRIES, ...CHUNKS].filter((entry) => existsSync(path.join(SOURCE, entry)));
  const results = await Promise.all([
    ...entries.map((entry) => bundleEntry(entry, folder)),
    ...LAZY_PACKAGES.map((name) => bundleLazy(name, { entryPoints: [name] }, folder)),
    bundleDashboard(SOURCE, folder),
    generateSchemaValidator(ROOT).then((stdin) => bundleLazy('schema-validator', { stdin }, folder)),
  ]);
  // The package's own files are ES modules.
  await writeFile(path.join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  const metafiles = results.map(({ metafile }) => metafile);
  await writeFile(path.join(folder, 'THIRD-PARTY-LICENCES.txt'), await collectLicences(metafiles, ROOT));
}

function bundleEntry(entry, folder) {
  const up = path.posix.relative(path.posix.dirname(entry), '.') || '.';
  return build({
    ...OPTIONS,
    entryPoints: [path.join(SOURCE, entry)],
    outbase: SOURCE,
    outdir: folder,
    banner: { js: moduleUrlBanner(up) },
    plugins: [
      useSchemaValidator(ROOT, `${up}/${LAZY_FOLDER}`),
      keepModuleUrls(SOURCE),
      loadChunks(CHUNKS, SOURCE, up),
      loadLazily(LAZY_PACKAGES, up),
      leaveOutUnusedParts(),
    ],
  });
}

function bundleLazy(name, input, folder) {
  return build({ ...OPTIONS, ...input, outfile: path.join(folder, LAZY_FOLDER, `${name}.js`) });
}
