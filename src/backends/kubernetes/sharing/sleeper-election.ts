import type { LeaseRecord } from './lease-record.ts';
import type { SeenLease, SeenLeases } from './seen-leases.ts';

/** What a replica does about the Lease that says who puts workloads to sleep. */
export type ElectionStep =
  /** There is none. */
  | { readonly kind: 'create' }
  | { readonly kind: 'renew'; readonly record: LeaseRecord }
  /** Nobody has it any more. */
  | { readonly kind: 'take'; readonly record: LeaseRecord }
  /** Somebody else has it; `untilMs` as far as can be told now. */
  | { readonly kind: 'wait'; readonly holder: string; readonly untilMs: number | undefined };

/** @param options.nowMs monotonic. */
export function decideElection(
  seen: SeenLease | undefined,
  options: { readonly identity: string; readonly leases: SeenLeases; readonly nowMs: number },
): ElectionStep {
  if (seen === undefined) return { kind: 'create' };
  const { record } = seen;
  const { leases, nowMs } = options;
  if (record.holder === options.identity) return { kind: 'renew', record };
  if (record.holder === undefined || leases.isExpired(seen, nowMs)) return { kind: 'take', record };
  return { kind: 'wait', holder: record.holder, untilMs: leases.expiresMs(seen) };
}
