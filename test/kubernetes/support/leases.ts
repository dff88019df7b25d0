import type { KubeObject } from './admin-client.ts';
import type { ObjectFollower } from './follow-objects.ts';
import type { KubeBed } from './kube-bed.ts';

/** The Leases of a bed's proxies. */
export function followLeases(bed: KubeBed): ObjectFollower {
  return bed.follow(`/apis/coordination.k8s.io/v1/namespaces/${bed.namespace}/leases`);
}

/** Who puts workloads to sleep, as the Lease says; undefined while nobody does. */
export function electionHolder(leases: ReadonlyMap<string, KubeObject>): string | undefined {
  return leases.get('lazy-proxy')?.spec.holderIdentity || undefined;
}

/** Whether a Lease is what one replica says of itself. */
export function isReplicaRecord({ metadata }: KubeObject): boolean {
  return metadata.name !== 'lazy-proxy';
}
