/** The image of the proxy, built from the repository's Dockerfile. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, readdir, readFile, readlink, realpath } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { importOnce } from '../../support/images/import-image.mjs';
import { listNodeEntries } from '../../support/images/root-files.mjs';
import type { TarEntry } from '../../support/images/tar.mjs';
import { engineHost } from './engine-address.ts';

const execute = promisify(execFile);
const ROOT = path.resolve(import.meta.dirname, '../../..');
const NPM_FOLDER = '/lib/node_modules/npm';
/** Where programs are found in the official images of Node, as far as this one has such folders. */
const IMAGE_PATH = '/usr/local/bin:/usr/bin:/bin';
/** Variables by which the machine reaches the package registry. */
const NETWORK_VARIABLES = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

let built: Promise<string> | undefined;

/** Builds the image once and returns its name; the engine's own cache makes it quick where nothing changed. */
export function proxyImage(): Promise<string> {
  built ??= buildProxyImage(engineHost());
  return built;
}

async function buildProxyImage(host: string): Promise<string> {
  const base = await npmImage(host);
  const name = 'lazy-proxy-test/proxy:latest';
  const proxies = NETWORK_VARIABLES.filter((variable) => process.env[variable]);
  const args = [
    ...['--host', host, 'build', '--network', 'host', '--tag', name, '--build-arg', `NODE_IMAGE=${base}`],
    ...proxies.flatMap((variable) => ['--build-arg', variable]),
    ROOT,
  ];
  // The classic builder is there on every engine; BuildKit needs a plugin, and would look for the base in a registry.
  const env = { ...process.env, DOCKER_BUILDKIT: '0' };
  await execute('docker', args, { env, maxBuffer: MAX_OUTPUT_BYTES });
  return name;
}

/** An image like the official ones of Node, as far as a build needs it: node, npm, a shell; and what it would install. */
async function npmImage(host: string): Promise<string> {
  const npm = await findNpm();
  const settings = await readNpmSettings();
  const tini = await readTini();
  const { version } = JSON.parse(await readFile(path.join(npm, 'package.json'), 'utf8'));
  const hash = createHash('sha256').update(
    JSON.stringify([process.version, process.arch, version, settings, '/bin/tini', IMAGE_PATH]),
  );
  const name = `lazy-proxy-test/npm:${hash.digest('hex').slice(0, 12)}`;
  const extraCa = process.env['NODE_EXTRA_CA_CERTS'];
  return await importOnce(host, {
    name,
    changes: [
      `ENV PATH=${IMAGE_PATH}`,
      ...(extraCa === undefined ? [] : [`ENV NODE_EXTRA_CA_CERTS=${extraCa}`]),
    ],
    listEntries: async () => [
      ...(await listNodeEntries()),
      ...(await listTree(npm, NPM_FOLDER)),
      { kind: 'symlink', path: '/bin/npm', target: `..${NPM_FOLDER}/bin/npm-cli.js` },
      { kind: 'file', path: '/bin/tini', content: tini, mode: 0o755 },
      { kind: 'folder', path: '/usr/local/bin', mode: 0o755 },
      // Where scripts look for their interpreter.
      { kind: 'symlink', path: '/usr/bin/env', target: '/bin/busybox' },
      { kind: 'file', path: '/etc/npmrc', content: Buffer.from(settings), mode: 0o644 },
      ...(await listCertificates(extraCa)),
    ],
  });
}

/** The init that comes with every engine: no package can be installed in an image that is made without a registry. */
async function readTini(): Promise<Buffer> {
  for (const file of ['/usr/bin/tini-static', '/usr/bin/docker-init', '/usr/local/bin/docker-init'])
    if (
      await access(file).then(
        () => true,
        () => false,
      )
    )
      return await readFile(file);
  throw new Error(
    'cannot build the proxy image: there is neither tini-static nor docker-init on this machine',
  );
}

/** The folder of the npm that is found first. */
async function findNpm(): Promise<string> {
  for (const folder of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const program = await realpath(path.join(folder, 'npm')).catch(() => '');
    if (program.endsWith('/npm/bin/npm-cli.js')) return path.resolve(program, '../..');
  }
  throw new Error('cannot build the proxy image: there is no npm in PATH');
}

/** What npm is told on this machine about registries, proxies and certificates. */
async function readNpmSettings(): Promise<string> {
  const { stdout } = await execute('npm', ['config', 'get', 'globalconfig', 'userconfig'], { cwd: '/' });
  const files = stdout.matchAll(/^(?:globalconfig|userconfig)=(.*)$/gm);
  const texts = [...files].map(([, file = '']) => readFile(file, 'utf8').catch(() => ''));
  return (await Promise.all(texts)).join('\n');
}

async function listCertificates(extraCa: string | undefined): Promise<TarEntry[]> {
  const { stdout } = await execute('npm', ['config', 'get', 'cafile'], { cwd: '/' });
  const files = new Set(['/etc/ssl/certs/ca-certificates.crt', stdout.trim(), extraCa ?? '']);
  const entries: TarEntry[] = [];
  for (const file of files) {
    const isThere =
      file.startsWith('/') &&
      (await access(file).then(
        () => true,
        () => false,
      ));
    if (isThere) entries.push({ kind: 'file', path: file, content: await readFile(file), mode: 0o644 });
  }
  return entries;
}

/** Everything below `folder`, as it is to lie below `target`. */
async function listTree(folder: string, target: string): Promise<TarEntry[]> {
  const children = await readdir(folder, { withFileTypes: true });
  const entries = children.map(async (child): Promise<TarEntry[]> => {
    const [source, place] = [path.join(folder, child.name), `${target}/${child.name}`];
    if (child.isDirectory()) return await listTree(source, place);
    if (child.isSymbolicLink()) return [{ kind: 'symlink', path: place, target: await readlink(source) }];
    return [{ kind: 'file', path: place, content: await readFile(source), mode: 0o755 }];
  });
  return (await Promise.all(entries)).flat();
}
