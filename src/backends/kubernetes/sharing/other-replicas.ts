import { ELECTION_LEASE, EVERY_WORKLOAD, holds, type LeaseRecord, parseInUse } from './lease-record.ts';
import { isRenewed, type SeenLeases } from './seen-leases.ts';

/** What a replica judges the others by. */
export interface Viewpoint {
  readonly leases: SeenLeases;
  /** The name of our own record. */
  readonly ownName: string;
  /** Monotonic. */
  readonly nowMs: number;
}

/** Keys of the workloads that clients of other replicas use. */
export function heldByOthers({ leases, ownName, nowMs }: Viewpoint): ReadonlySet<string> {
  const held = new Set<string>();
  for (const seen of leases.all()) {
    const { record } = seen;
    if (!isOther(record, ownName) || leases.isExpired(seen, nowMs)) continue;
    for (const key of parseInUse(record.inUseText)) held.add(key);
  }
  held.delete(EVERY_WORKLOAD);
  return held;
}

/** When the first other replica counts as dead, unless it renews its Lease. */
export function nextExpiryMs({ leases, ownName, nowMs }: Viewpoint): number | undefined {
  let next: number | undefined;
  for (const seen of leases.all()) {
    if (!isOther(seen.record, ownName) || leases.isExpired(seen, nowMs)) continue;
    const expiresMs = leases.expiresMs(seen);
    if (expiresMs !== undefined && (next === undefined || expiresMs < next)) next = expiresMs;
  }
  return next;
}

/** Records of replicas that have been dead for so long that they won't come back. */
export function forgottenRecords(
  { leases, ownName, nowMs }: Viewpoint,
  options: { readonly forgottenMs: number },
): readonly LeaseRecord[] {
  return [...leases.all()]
    .filter((seen) => isOther(seen.record, ownName) && leases.isExpired(seen, nowMs))
    .filter(({ aliveMs }) => nowMs - aliveMs >= options.forgottenMs)
    .map(({ record }) => record);
}

/** Why a workload must stay awake, by what the Leases say now; undefined where it may sleep. */
export function whyAwake(
  key: string,
  options: Viewpoint & { readonly fresh: readonly LeaseRecord[]; readonly identity: string },
): string | undefined {
  const { fresh, identity, ownName, leases, nowMs } = options;
  const sleeper = fresh.find(({ name }) => name === ELECTION_LEASE)?.holder;
  if (sleeper !== identity) return notTheSleeper(sleeper);
  const user = fresh.find((record) => {
    if (!isOther(record, ownName) || !holds(record.inUseText, key)) return false;
    const seen = leases.get(record.name);
    return seen === undefined || isRenewed(seen.record, record) || !leases.isExpired(seen, nowMs);
  });
  return user && `it is used by clients of ${user.holder ?? user.name}, another replica of the proxy`;
}

export function notTheSleeper(sleeper: string | undefined): string {
  return sleeper === undefined
    ? 'no replica of the proxy is the one that puts workloads to sleep at the moment'
    : `${sleeper}, another replica of the proxy, is the one that puts workloads to sleep`;
}

function isOther({ isReplica, name }: LeaseRecord, ownName: string): boolean {
  return isReplica && name !== ownName;
}
