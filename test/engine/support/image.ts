/** Images made of this machine's own programs: no registry is needed, and they are there within seconds. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import Docker from 'dockerode';
import { engineAddress, engineHost } from './engine-address.ts';
import { type TarEntry, writeTar } from './tar.ts';

const execute = promisify(execFile);
const BUSYBOX = '/bin/busybox';
/** Where no static busybox is at hand. */
const PULLED_BUSYBOX = 'busybox:1.36';
const SEARCH_PATH = 'ENV PATH=/bin';

/** An image with a shell and the usual small programs (`sh`, `httpd`, `nc`, `sleep` …); built once per engine. */
export async function busyboxImage(host: string = engineHost()): Promise<string> {
  if (!(await hasStaticBusybox())) return await pullBusybox(host);
  const hash = createHash('sha256').update(await readFile(BUSYBOX));
  const name = `lazy-proxy-test/busybox:${hash.digest('hex').slice(0, 12)}`;
  return await importOnce(host, { name, listEntries: listBusyboxEntries });
}

/** An image with this machine's `node` beside busybox (where that is at hand); built once per engine. */
export async function nodeImage(host: string = engineHost()): Promise<string> {
  const hash = createHash('sha256').update(`${process.version} ${process.arch} ${process.execPath}`);
  const name = `lazy-proxy-test/node:${hash.digest('hex').slice(0, 12)}`;
  return await importOnce(host, { name, listEntries: listNodeEntries });
}

/** An image of a root file system; the engine may have it already, since its name tells what is in it. */
export async function importOnce(
  host: string,
  options: {
    readonly name: string;
    readonly listEntries: () => Promise<TarEntry[]>;
    /** Dockerfile instructions, on top of a search path. */
    readonly changes?: readonly string[];
  },
): Promise<string> {
  const { name, listEntries, changes = [] } = options;
  if (!(await hasImage(host, name))) await importImage(host, { name, changes, entries: await listEntries() });
  return name;
}

export async function hasImage(host: string, name: string): Promise<boolean> {
  const image = new Docker(engineAddress(host)).getImage(name);
  return await image.inspect().then(
    () => true,
    (error: { statusCode?: number }) => {
      if (error.statusCode === 404) return false;
      throw error;
    },
  );
}

async function importImage(
  host: string,
  options: {
    readonly name: string;
    readonly changes: readonly string[];
    readonly entries: readonly TarEntry[];
  },
): Promise<void> {
  const { name, changes, entries } = options;
  const [repo = '', tag = ''] = name.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo, tag });
  for (const change of [SEARCH_PATH, ...changes]) query.append('changes', change);
  const request = http.request({
    ...engineAddress(host),
    method: 'POST',
    path: `/images/create?${query}`,
    headers: { 'content-type': 'application/x-tar' },
    agent: false,
  });
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  await pipeline(Readable.from(writeTar(entries)), request);
  const response = await answered;
  const body = (await response.toArray()).join('');
  // Errors after the first byte come inside a body whose status says 200.
  if (response.statusCode !== 200 || body.includes('"error"'))
    throw new Error(`cannot import ${name}: ${body}`);
  // Podman leaves the tag out.
  if (!(await hasImage(host, name))) await new Docker(engineAddress(host)).getImage(repo).tag({ repo, tag });
}

async function listBusyboxEntries(): Promise<TarEntry[]> {
  const { stdout } = await execute(BUSYBOX, ['--list']);
  const applets = stdout
    .trim()
    .split('\n')
    .filter((applet) => applet !== 'busybox');
  return [
    ...listFolders(),
    { kind: 'file', path: '/bin/busybox', content: await readFile(BUSYBOX), mode: 0o755 },
    ...applets.map((applet): TarEntry => ({ kind: 'symlink', path: `/bin/${applet}`, target: 'busybox' })),
  ];
}

/** The root file system of `nodeImage`. */
export async function listNodeEntries(): Promise<TarEntry[]> {
  const base = (await hasStaticBusybox()) ? await listBusyboxEntries() : listFolders();
  return [...base, ...(await listProgramEntries('/bin/node', process.execPath))];
}

/** A root file system with one of this machine's programs at `path`, and nothing else. */
export async function listBareEntries(path: string, program: string): Promise<TarEntry[]> {
  return [...listFolders(), ...(await listProgramEntries(path, program))];
}

/** A program at `path`, and the libraries it is linked with. */
async function listProgramEntries(path: string, program: string): Promise<TarEntry[]> {
  const { stdout } = await execute('ldd', [program]);
  // `name => /path (address)`, and the loader itself as `/path (address)`; the kernel's own object has no path.
  const libraries = [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(/gm)].map((match) => match[1] ?? '');
  const files = [[path, program] as const, ...libraries.map((file) => [file, file] as const)];
  const entries = files.map(async ([target, source]): Promise<TarEntry> => {
    return { kind: 'file', path: target, content: await readFile(source), mode: 0o755 };
  });
  return await Promise.all(entries);
}

function listFolders(): TarEntry[] {
  return [
    { kind: 'folder', path: '/bin', mode: 0o755 },
    { kind: 'folder', path: '/tmp', mode: 0o1777 },
    { kind: 'folder', path: '/etc', mode: 0o755 },
    { kind: 'file', path: '/etc/passwd', content: Buffer.from('root:x:0:0:root:/:/bin/sh\n'), mode: 0o644 },
  ];
}

async function hasStaticBusybox(): Promise<boolean> {
  if (!existsSync(BUSYBOX)) return false;
  // ldd fails for a program that needs no libraries.
  return await execute('ldd', [BUSYBOX]).then(
    () => false,
    () => true,
  );
}

async function pullBusybox(host: string): Promise<string> {
  if (await hasImage(host, PULLED_BUSYBOX)) return PULLED_BUSYBOX;
  const docker = new Docker(engineAddress(host));
  const progress = await docker.pull(PULLED_BUSYBOX);
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(progress, (error: Error | null) => (error ? reject(error) : resolve()));
  });
  return PULLED_BUSYBOX;
}
