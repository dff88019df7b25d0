/** Programs that tests need and that Debian has packages for. */
import { access, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { runCommand } from './run-command.mjs';

const PROGRAM_FOLDERS = [
  ...['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
  // What only Podman itself starts.
  '/usr/lib/podman',
];

/** Asked by every package that is about to start its service; 101 forbids it. */
const SERVICE_POLICY = '/usr/sbin/policy-rc.d';

/** Whether packages can be installed here. */
export async function canInstallPackages() {
  return process.getuid?.() === 0 && (await isDebian());
}

export async function isDebian() {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^(?:ID|ID_LIKE)=.*\bdebian\b/m.test(text);
}

/** apt-get has one lock: whoever else installs something meanwhile waits for its turn. */
let turn = Promise.resolve();

/**
 * Installs the packages of those programs that are missing.
 * @param {Readonly<Record<string, string>>} packages the package of each program.
 * @param {{ signal?: AbortSignal, announce: (line: string) => void }} options
 */
export function installPrograms(packages, options) {
  const installed = turn.then(() => installMissing(packages, options));
  turn = installed.catch(() => {});
  return installed;
}

/**
 * Installs them where they are missing and that can be done.
 * @param {Readonly<Record<string, string>>} packages as above.
 * @param {{ signal?: AbortSignal, announce: (line: string) => void }} options
 * @returns {Promise<string | undefined>} why they are not there; undefined where they are. Never rejects.
 */
export async function preparePrograms(packages, options) {
  const missing = await listMissing(packages);
  if (missing.length === 0) return undefined;
  if (!(await canInstallPackages()))
    return `there is no ${missing.join(', ')}, and it can't be installed here`;
  return await installPrograms(packages, options).then(
    () => undefined,
    (error) => error.message,
  );
}

async function installMissing(packages, { signal, announce }) {
  const missing = await listMissing(packages);
  if (missing.length === 0) return;
  const names = missing.map((program) => packages[program]);
  announce(`installing ${names.join(', ')} with apt-get`);
  await apt(['update'], signal);
  await withoutServices(() => apt(['install', '--yes', '--no-install-recommends', ...names], signal));
}

/** What is wanted is the program alone: a web server that starts with its package would take port 80 of the machine. */
async function withoutServices(install) {
  const isOurs = await writeFile(SERVICE_POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    // The machine has a policy of its own.
    () => false,
  );
  try {
    await install();
  } finally {
    if (isOurs) await rm(SERVICE_POLICY, { force: true });
  }
}

/** Those of the programs that this machine doesn't have. */
export async function listMissing(packages) {
  const missing = [];
  for (const program of Object.keys(packages)) if (!(await hasProgram(program))) missing.push(program);
  return missing;
}

/** @param {readonly string[]} [folders] where to look; default: where packages put programs. */
export async function hasProgram(name, folders = PROGRAM_FOLDERS) {
  for (const folder of folders) {
    const found = await access(path.join(folder, name)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

async function apt(args, signal) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const { status, output } = await runCommand('apt-get', args, { env, quiet: true, signal });
  if (status !== 0) throw new Error(`apt-get ${args[0]} failed with status ${status}:\n${output}`);
}
