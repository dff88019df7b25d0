import { onTestFinished } from 'vitest';
import { createKubernetesBackend } from '../../src/backends/kubernetes/kubernetes-backend.ts';
import type { KubernetesResource } from '../../src/model/workload.ts';
import { systemClock } from '../../src/system/clock.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { type KubeBed, openKubeBed } from '../kubernetes/support/kube-bed.ts';
import { toWorkload, type WorkloadSpec, workloadsPath } from '../kubernetes/support/manifests.ts';
import { freePort } from '../support/free-ports.ts';
import type { ContractBed, ContractWorkload } from './contract-bed.ts';
import { openSwitchedRelay } from './switched-relay.ts';

/** Workloads of one kind on the control plane under test; the backends have the rights that the example gives. */
export async function openKubernetesBed(resource: KubernetesResource): Promise<ContractBed> {
  const bed = await openKubeBed();
  const port = await freePort();
  const relay = await openSwitchedRelay({ port }, { port: Number(new URL(bed.plane.server).port) });
  onTestFinished(() => relay.close());
  const { kubeconfig } = await bed.createIdentity({ server: `https://127.0.0.1:${port}` });
  const count = { backends: 0, workloads: 0 };
  return {
    createBackend() {
      count.backends += 1;
      return createKubernetesBackend({
        ...{ env: { KUBECONFIG: kubeconfig }, clock: systemClock, logger: silentLogger },
        ...{ namespaces: [bed.namespace], labels: true, labelPrefixes: ['lazy-tcp-proxy'], discover: 'all' },
        ...{ clusterDomain: 'cluster.local', leaseNamespace: bed.namespace },
        ...{ leaseDurationMs: 15_000, identity: `proxy-${count.backends}` },
      });
    },
    createWorkload() {
      count.workloads += 1;
      return createWorkload(bed, { name: `app-${count.workloads}`, resource });
    },
    nameMissing: () => toKubernetesWorkload(bed, { name: 'missing', resource }),
    maySleep: (sink) => sink.view?.isSleeper === true,
    outage: { begin: relay.cut, end: relay.restore },
  };
}

async function createWorkload(
  bed: KubeBed,
  options: { readonly name: string; readonly resource: KubernetesResource },
): Promise<ContractWorkload> {
  const { name, resource } = options;
  const podAddress = bed.newPodAddress();
  const pod = await bed.playPod({ kind: 'http', address: podAddress, port: 0 });
  const spec: WorkloadSpec = {
    ...{ name, resource, podAddress, annotations: bed.annotations({}) },
    ...{ readyAfter: '0.1s', deleteAfter: '0.3s', ports: [{ port: 80, targetPort: pod.port }] },
  };
  const app = await bed.createWorkload(spec);
  return {
    workload: toKubernetesWorkload(bed, options),
    targetPort: 80,
    starts: () => app.countStarts(),
    outside: {
      start: () => app.scale(1),
      stop: () => app.scale(0),
      remove: () => app.remove(),
      recreate: async () => {
        await bed.admin.create(workloadsPath(bed.namespace, resource), toWorkload(spec));
      },
    },
  };
}

function toKubernetesWorkload(
  { namespace }: KubeBed,
  { name, resource }: { readonly name: string; readonly resource: KubernetesResource },
) {
  return { kind: 'kubernetes', resource, namespace, name, service: name, upstream: 'endpoints' } as const;
}
