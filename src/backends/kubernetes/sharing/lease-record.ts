/** The proxy's Leases: one elects the replica that puts workloads to sleep, and each replica has one of its own. */
import { formatTimestamp } from '../../../system/clock.ts';
import type { Lease } from '../api/api-shapes.ts';

/** The holder of the Lease of this name puts workloads to sleep. */
export const ELECTION_LEASE = 'lazy-proxy';

const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by';
const REPLICA_LABEL = 'lazy-proxy/replica';
const IN_USE_ANNOTATION = 'lazy-proxy/in-use';

/** Selects every Lease that is ours. */
export const LEASE_SELECTOR = `${MANAGED_BY_LABEL}=lazy-proxy`;

/** Stands for every workload in a replica's record that would be too long with all names. */
export const EVERY_WORKLOAD = '*';
/** An object's annotations may have 256 KiB altogether. */
const MAX_IN_USE_BYTES = 200 * 1_024;

const DEFAULT_DURATION_SECONDS = 15;
/** Of an object's name. */
const MAX_NAME_CHARS = 253;

/** What is kept of a Lease. */
export interface LeaseRecord {
  readonly name: string;
  /** Its resourceVersion. */
  readonly version: string;
  /** Undefined where it was given back. */
  readonly holder: string | undefined;
  readonly durationMs: number;
  /** By its holder's clock, which may be wrong: only a change means anything. */
  readonly renewTime: string;
  readonly acquireTime: string;
  /** How often its holder has changed. */
  readonly transitions: number;
  /** Whether it is a replica's own. */
  readonly isReplica: boolean;
  /** Keys of the workloads that its clients use, as JSON. */
  readonly inUseText: string;
}

export function readLease({ metadata, spec }: Lease): LeaseRecord {
  return {
    name: metadata.name,
    version: metadata.resourceVersion ?? '',
    holder: spec?.holderIdentity || undefined,
    durationMs: (spec?.leaseDurationSeconds ?? DEFAULT_DURATION_SECONDS) * 1_000,
    renewTime: spec?.renewTime ?? '',
    acquireTime: spec?.acquireTime ?? '',
    transitions: spec?.leaseTransitions ?? 0,
    isReplica: metadata.labels?.[REPLICA_LABEL] === 'true',
    inUseText: metadata.annotations?.[IN_USE_ANNOTATION] ?? '',
  };
}

/** The keys in a record; none where it can't be read. */
export function parseInUse(text: string): readonly string[] {
  try {
    const keys: unknown = JSON.parse(text);
    return Array.isArray(keys) ? keys.filter((key): key is string => typeof key === 'string') : [];
  } catch {
    return [];
  }
}

/** Whether a record that says `inUseText` keeps a workload awake. */
export function holds(inUseText: string, key: string): boolean {
  const keys = parseInUse(inUseText);
  return keys.includes(key) || keys.includes(EVERY_WORKLOAD);
}

/** Names a replica's record; only what an object's name may have is kept. */
export function replicaLeaseName(identity: string): string {
  const name = `${ELECTION_LEASE}-${identity.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
  return name.slice(0, MAX_NAME_CHARS).replace(/-+$/, '');
}

/** A replica's own Lease, as it is created, and as it is patched. */
export function replicaLease(options: {
  readonly identity: string;
  readonly inUse: Iterable<string>;
  readonly durationMs: number;
  readonly nowMs: number;
}): Lease {
  const { identity, durationMs, nowMs } = options;
  const text = JSON.stringify([...options.inUse].sort());
  const inUse = Buffer.byteLength(text) > MAX_IN_USE_BYTES ? JSON.stringify([EVERY_WORKLOAD]) : text;
  return {
    ...LEASE_TYPE,
    metadata: {
      name: replicaLeaseName(identity),
      labels: { [MANAGED_BY_LABEL]: 'lazy-proxy', [REPLICA_LABEL]: 'true' },
      annotations: { [IN_USE_ANNOTATION]: inUse },
    },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: durationMs / 1_000,
      renewTime: formatMicroTime(nowMs),
    },
  };
}

/** The election's Lease with this replica as its holder. @param before what it was; undefined where there is none yet. */
export function heldElectionLease(
  before: LeaseRecord | undefined,
  options: { readonly identity: string; readonly durationMs: number; readonly nowMs: number },
): Lease {
  const { identity, durationMs } = options;
  const now = formatMicroTime(options.nowMs);
  const isOurs = before?.holder === identity;
  const changes = before === undefined || isOurs ? 0 : 1;
  return electionLease(before, {
    holderIdentity: identity,
    leaseDurationSeconds: durationMs / 1_000,
    acquireTime: isOurs && before.acquireTime !== '' ? before.acquireTime : now,
    renewTime: now,
    leaseTransitions: (before?.transitions ?? 0) + changes,
  });
}

/** The election's Lease without a holder: any replica may take it at once. */
export function freeElectionLease(before: LeaseRecord, options: { readonly nowMs: number }): Lease {
  return electionLease(before, {
    holderIdentity: null,
    leaseDurationSeconds: 1,
    renewTime: formatMicroTime(options.nowMs),
  });
}

/** It names the version it is based on, so that only one of two writes at the same time succeeds. */
function electionLease(before: LeaseRecord | undefined, spec: Lease['spec']): Lease {
  return {
    ...LEASE_TYPE,
    metadata: {
      name: ELECTION_LEASE,
      labels: { [MANAGED_BY_LABEL]: 'lazy-proxy' },
      ...(before !== undefined && { resourceVersion: before.version }),
    },
    ...(spec !== undefined && { spec }),
  };
}

const LEASE_TYPE = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' } as const;

/** RFC 3339 in UTC with six digits of a second. */
function formatMicroTime(ms: number): string {
  const fraction = String(Math.floor(ms % 1_000)).padStart(3, '0');
  return formatTimestamp(ms).replace(/Z$/, `.${fraction}000Z`);
}

/** The times that follow from how long a Lease is good for, in milliseconds. */
export interface LeaseTimes {
  /** How long others trust a Lease after they last saw it renewed. */
  readonly durationMs: number;
  readonly renewEveryMs: number;
  /**
   * How long the owner trusts a renewal, from when it was sent. Others saw it later and trust it for longer, so that the
   * first holder can finish what it has begun before the next one starts.
   */
  readonly trustMs: number;
  /** How long an answer may take: short, so that a renewal can be tried again in time. */
  readonly answerMs: number;
  /** Delays after failed tries. */
  readonly retry: { readonly firstMs: number; readonly maxMs: number };
  /** A record that was not renewed for so long is removed. */
  readonly forgottenMs: number;
}

/** @param durationMs at least 1000; Leases know whole seconds, so more is rounded up. */
export function leaseTimes(durationMs: number): LeaseTimes {
  return {
    durationMs: Math.ceil(durationMs / 1_000) * 1_000,
    renewEveryMs: durationMs / 3,
    trustMs: (durationMs * 2) / 3,
    answerMs: durationMs / 6,
    retry: { firstMs: durationMs / 20, maxMs: durationMs / 3 },
    forgottenMs: durationMs * 10,
  };
}
