import type { Workload } from '../model/workload.ts';
import type { LifecyclePolicy } from './subject.ts';

/**
 * A workload that no service has, but a hub names as its dependant: started and stopped with its hubs alone.
 * @param name in Kubernetes `namespace/name` of a Deployment; otherwise the name of a container or Swarm service.
 */
export function createUnmanagedService(
  name: string,
  hub: Workload,
): LifecyclePolicy & { readonly workload: Workload } {
  return {
    name,
    workload: toWorkload(name, hub),
    unmanaged: true,
    listeners: [],
    idleTimeoutMs: 0,
    startTimeoutMs: 30_000,
    stopTimeoutMs: undefined,
    maxPending: 1,
    cronStart: undefined,
    cronStop: undefined,
    httpHealthcheck: undefined,
    webhookUrl: undefined,
    httpHealthcheckStatus: [],
  };
}

/** What has no service is of the same engine as its hub; the dependants of a local process are containers. */
function toWorkload(name: string, hub: Workload): Workload {
  switch (hub.kind) {
    case 'docker':
    case 'process':
      return { kind: 'docker', container: name };
    case 'swarm':
      return { kind: 'swarm', service: name };
    case 'kubernetes': {
      const [namespace = hub.namespace, deployment = name] = name.includes('/') ? name.split('/') : [];
      const own = { resource: 'deployment', namespace, name: deployment } as const;
      return { kind: 'kubernetes', ...own, service: deployment, upstream: 'endpoints' };
    }
  }
}
