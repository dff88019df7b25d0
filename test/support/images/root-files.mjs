/** Root file systems made of this machine's own programs, with the libraries they are linked with. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const execute = promisify(execFile);
export const BUSYBOX = '/bin/busybox';

let isStatic;

/** False also where busybox needs libraries. Looked at once: each container that a test makes asks. */
export function hasStaticBusybox() {
  isStatic ??= isStaticProgram(BUSYBOX);
  return isStatic;
}

async function isStaticProgram(program) {
  if (!existsSync(program)) return false;
  // ldd fails for a program that needs no libraries.
  return await execute('ldd', [program]).then(
    () => false,
    () => true,
  );
}

/** A shell and the usual small programs (`sh`, `httpd`, `nc`, `sleep` …). */
export async function listBusyboxEntries() {
  const { stdout } = await execute(BUSYBOX, ['--list']);
  const applets = stdout
    .trim()
    .split('\n')
    .filter((applet) => applet !== 'busybox');
  return [
    ...listFolders(),
    { kind: 'file', path: '/bin/busybox', content: await readFile(BUSYBOX), mode: 0o755 },
    ...applets.map((applet) => ({ kind: 'symlink', path: `/bin/${applet}`, target: 'busybox' })),
  ];
}

/** This machine's `node`, beside busybox where that is at hand. */
export async function listNodeEntries() {
  const base = (await hasStaticBusybox()) ? await listBusyboxEntries() : listFolders();
  return [...base, ...(await listProgramEntries('/bin/node', process.execPath))];
}

/** A root file system with one of this machine's programs at `path`, and nothing else. */
export async function listBareEntries(path, program) {
  return [...listFolders(), ...(await listProgramEntries(path, program))];
}

/** A program at `path`, and the libraries it is linked with. */
export async function listProgramEntries(path, program) {
  const { stdout } = await execute('ldd', [program]);
  // `name => /path (address)`, and the loader itself as `/path (address)`; the kernel's own object has no path.
  const libraries = [...stdout.matchAll(/(?:=>\s+|^\s+)(\/\S+)\s+\(/gm)].map((match) => match[1] ?? '');
  const files = [[path, program], ...libraries.map((file) => [file, file])];
  const entries = files.map(async ([target, source]) => {
    return { kind: 'file', path: target, content: await readFile(source), mode: 0o755 };
  });
  return await Promise.all(entries);
}

function listFolders() {
  return [
    { kind: 'folder', path: '/bin', mode: 0o755 },
    { kind: 'folder', path: '/tmp', mode: 0o1777 },
    { kind: 'folder', path: '/etc', mode: 0o755 },
    { kind: 'file', path: '/etc/passwd', content: Buffer.from('root:x:0:0:root:/:/bin/sh\n'), mode: 0o644 },
  ];
}
