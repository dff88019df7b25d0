import type { LeaseRecord } from '../../../src/backends/kubernetes/sharing/lease-record.ts';

/** A Lease of 15 s that `a` holds. */
export function leaseRecord(fields: Partial<LeaseRecord> = {}): LeaseRecord {
  return {
    name: 'lazy-proxy',
    version: '100',
    holder: 'a',
    durationMs: 15_000,
    renewTime: '2026-04-01T12:00:00.000000Z',
    acquireTime: '2026-04-01T11:00:00.000000Z',
    transitions: 0,
    isReplica: false,
    inUseText: '',
    ...fields,
  };
}

/** The record of a replica, by the replica's name. */
export function replicaRecord(name: string, fields: Partial<LeaseRecord> = {}): LeaseRecord {
  return leaseRecord({ name: `lazy-proxy-${name}`, holder: name, isReplica: true, ...fields });
}
