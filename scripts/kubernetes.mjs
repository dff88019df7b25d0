/** Finds or builds the Kubernetes control plane that the tests run against, and starts it. */
import { startControlPlane, whyNoControlPlane } from './control-plane.mjs';
import { buildKubeBinary, findKubeBinary } from './kube-binary.mjs';

/**
 * Begins to look for the control plane's programs; a build goes on beside whatever else runs.
 * @param {{ mayBuild: boolean, signal?: AbortSignal, announce: (line: string) => void }} options `mayBuild`: build them
 * where they are missing.
 * @returns {{ open(): Promise<{ kind: 'plane', folder: string, close(): Promise<void> } | { kind: 'none', reason: string }>,
 *   abandon(): Promise<void> }} `open` starts the control plane when its programs are there; `abandon` ends a build that
 * goes on.
 */
export function prepareKubernetes({ mayBuild, signal, announce }) {
  const abandoned = new AbortController();
  const either = AbortSignal.any([signal, abandoned.signal].filter(Boolean));
  const prepared = findOrBuild({ mayBuild, signal: either, announce });
  const settled = prepared.then(ignore, ignore);
  const abandon = async () => {
    abandoned.abort('SIGTERM');
    await settled;
  };
  return { open: async () => openControlPlane(await prepared, { signal, announce }), abandon };
}

async function findOrBuild({ mayBuild, signal, announce }) {
  const reason = await whyNoControlPlane();
  if (reason !== undefined) return { kind: 'none', reason };
  const found = await findKubeBinary();
  if (found !== undefined) return { kind: 'binary', binary: found };
  if (!mayBuild) return { kind: 'none', reason: 'the Kubernetes control plane was not built yet' };
  announce('building the Kubernetes control plane, which takes minutes, once');
  return { kind: 'binary', binary: await buildKubeBinary({ signal }) };
}

async function openControlPlane(prepared, { signal, announce }) {
  if (prepared.kind === 'none') return prepared;
  const { folder, stop } = await startControlPlane({ binary: prepared.binary, signal, announce });
  return { kind: 'plane', folder, close: stop };
}

function ignore() {}
