/** A Kubernetes control plane of our own: its state, credentials and logs in one folder, its pods on a network of its own. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { readStartTicks } from './engine-leftovers.mjs';
import { KUBE_SCRIPT } from './kube-binary.mjs';
import { runCommand } from './run-command.mjs';
import { canInstallPackages, installPrograms, listMissing } from './system-packages.mjs';

const PARENT = '/tmp';
const PREFIX = 'lptk-';
/** Debian package of each program. */
const PACKAGES = { openssl: 'openssl', ip: 'iproute2', curl: 'curl' };

/** @returns {Promise<string | undefined>} why none can be started here; undefined where one can. */
export async function whyNoControlPlane() {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a control plane needs Linux and root';
  const missing = (await canInstallPackages()) ? [] : await listMissing(PACKAGES);
  return missing.length === 0 ? undefined : `a control plane needs ${missing.join(' and ')}`;
}

/**
 * Starts a control plane and resolves once it takes pods. Needs what `whyNoControlPlane` says.
 * @param {{ binary: string, signal?: AbortSignal, announce: (line: string) => void }} options
 * @returns {Promise<{ folder: string, stop(): Promise<void> }>} `folder` holds what test/support/kube/kube.sh makes.
 */
export async function startControlPlane({ binary, signal, announce }) {
  await installPrograms(PACKAGES, { signal, announce });
  await sweepAbandoned();
  const folder = await mkdtemp(path.join(PARENT, PREFIX));
  const owner = { pid: process.pid, startTicks: await readStartTicks(process.pid) };
  await writeFile(path.join(folder, 'owner.json'), JSON.stringify(owner));
  const stop = () => destroy(folder);
  const { status, output } = await runCommand(KUBE_SCRIPT, ['start', binary, folder], {
    quiet: true,
    signal,
  });
  if (status === 0) return { folder, stop };
  await stop();
  throw new Error(`the Kubernetes control plane did not start:\n${output}`);
}

/** Ends those whose owner is gone, for example killed. */
async function sweepAbandoned() {
  const names = (await readdir(PARENT)).filter((name) => name.startsWith(PREFIX));
  for (const name of names) {
    const folder = path.join(PARENT, name);
    const owner = await readFile(path.join(folder, 'owner.json'), 'utf8').then(JSON.parse, () => undefined);
    if (owner === undefined || (await readStartTicks(owner.pid)) === owner.startTicks) continue;
    await destroy(folder);
  }
}

async function destroy(folder) {
  if (!existsSync(folder)) return;
  const { status, output } = await runCommand(KUBE_SCRIPT, ['stop', folder], { quiet: true });
  if (status !== 0)
    throw new Error(`the Kubernetes control plane in ${folder} could not be ended:\n${output}`);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
