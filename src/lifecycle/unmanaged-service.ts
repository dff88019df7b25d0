import type { DockerWorkload } from '../model/workload.ts';
import type { LifecyclePolicy } from './subject.ts';

/** A container that no service has, but a hub names as its dependant: started and stopped with its hubs alone. */
export function createUnmanagedService(
  container: string,
): LifecyclePolicy & { readonly workload: DockerWorkload } {
  return {
    name: container,
    workload: { kind: 'docker', container },
    unmanaged: true,
    idleTimeoutMs: 0,
    startTimeoutMs: 30_000,
    stopTimeoutMs: undefined,
    maxPending: 1,
    cronStart: undefined,
    cronStop: undefined,
    httpHealthcheck: undefined,
  };
}
