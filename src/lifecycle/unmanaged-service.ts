import { toWorkloadRef, unmanagedRef, type Workload } from '../model/workload.ts';
import type { LifecyclePolicy } from './workload/subject.ts';

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

function toWorkload(name: string, hub: Workload): Workload {
  const ref = unmanagedRef(name, toWorkloadRef(hub));
  switch (ref.kind) {
    case 'kubernetes':
      return { ...ref, service: ref.name, upstream: 'endpoints' };
    case 'swarm':
      return { kind: 'swarm', service: ref.name };
    default:
      return { kind: 'docker', container: ref.name };
  }
}
