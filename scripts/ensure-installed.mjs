/** Installs the dependencies when they are missing or not those of package-lock.json. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './run-command.mjs';

export const ROOT = path.resolve(import.meta.dirname, '..');

/**
 * @param {{ signal?: AbortSignal, announce?: (line: string) => void }} [options] `announce` is called where something has to
 * be installed, before that is done.
 * @returns {Promise<string>} what was done, for people.
 */
export async function ensureInstalled({ signal, announce = () => {} } = {}) {
  if (await isInstalled()) return 'up to date';
  announce('installing the packages with npm ci, which may take a minute');
  // `--include=dev` because NODE_ENV=production would leave the compiler out.
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund'];
  const { status, output } = await runCommand('npm', args, { cwd: ROOT, quiet: true, signal });
  if (status !== 0) throw new Error(`npm ci failed with status ${status}:\n${output}`);
  return 'npm ci';
}

/** npm writes what it installed to a hidden copy of the lock, last of all: it is absent after a broken install. */
async function isInstalled() {
  const wanted = await readPackages('package-lock.json');
  const installed = await readPackages('node_modules/.package-lock.json');
  if (wanted === undefined)
    throw new Error('package-lock.json is missing or unreadable; the clone is incomplete');
  if (installed === undefined) return false;
  return Object.entries(wanted).every(([folder, entry]) => {
    if (folder === '') return true;
    const present = installed[folder];
    // Packages for other platforms are in the lock and never on the disk.
    if (present === undefined) return entry.optional === true;
    return present.version === entry.version && present.integrity === entry.integrity;
  });
}

async function readPackages(file) {
  try {
    return JSON.parse(await readFile(path.join(ROOT, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(await ensureInstalled());
