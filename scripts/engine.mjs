/** Finds the Docker engine that the tests run against: one that is there already, or a private one. */
import { pingEngine, removeContainersAndNetworks } from './engine-api.mjs';
import { startPrivateEngine, sweepAbandonedEngines } from './private-engine.mjs';
import { sweepAbandonedPodmans } from './private-podman.mjs';
import { installPrograms, isDebian } from './system-packages.mjs';

const DEFAULT_HOST = 'unix:///var/run/docker.sock';
/**
 * Debian package of each program. The second line is for a Podman. The third is what examples serve; of PostgreSQL's server only
 * what comes with it is in a folder for programs.
 */
const PACKAGES = {
  ...{ dockerd: 'docker.io', busybox: 'busybox-static' },
  ...{ podman: 'podman', netavark: 'netavark', runc: 'runc' },
  ...{
    dnsmasq: 'dnsmasq-base',
    nginx: 'nginx',
    'redis-check-rdb': 'redis-tools',
    pg_createcluster: 'postgresql',
  },
};

/** The label `name=value` that everything made by one test run carries. */
export function runLabel(runId) {
  return `lazy-proxy-test.run=${runId}`;
}

/**
 * @param {{ runId: string, signal?: AbortSignal, announce: (line: string) => void }} options
 * @returns {Promise<{ kind: 'engine', host: string, name: string, close(): Promise<void> }
 *   | { kind: 'none', reason: string }>} `close` removes what the run left, and the engine if it is a private one.
 */
export async function openEngine({ runId, signal, announce }) {
  const existing = await findExisting();
  if (existing !== undefined) {
    const close = () => removeContainersAndNetworks(existing, { label: runLabel(runId) });
    return { kind: 'engine', host: existing, name: existing, close };
  }
  const reason = await whyNoPrivateEngine();
  if (reason !== undefined) return { kind: 'none', reason };
  await installPrograms(PACKAGES, { signal, announce });
  await sweepAbandonedEngines();
  signal?.throwIfAborted();
  const engine = await startPrivateEngine({ liveRestore: true });
  const close = async () => {
    await engine.stop();
    // Also those that a test started and could not stop.
    await sweepAbandonedEngines();
    await sweepAbandonedPodmans();
  };
  return { kind: 'engine', host: engine.host, name: 'private dockerd', close };
}

/** @returns {Promise<string | undefined>} the engine that answers at `DOCKER_HOST`, or at Docker's own socket. */
export async function findExisting() {
  const named = process.env.DOCKER_HOST;
  for (const host of named ? [named] : [DEFAULT_HOST]) {
    if (await pingEngine(host)) return host;
  }
  return undefined;
}

async function whyNoPrivateEngine() {
  const asked = process.env.DOCKER_HOST || DEFAULT_HOST;
  const none = `no Docker engine answers at ${asked}`;
  if (!(await isDebian())) return `${none}, and a private one is only set up on Debian`;
  if (process.getuid?.() !== 0) return `${none}, and a private one needs root`;
  return undefined;
}
