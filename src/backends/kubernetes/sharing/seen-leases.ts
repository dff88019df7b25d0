import type { LeaseRecord } from './lease-record.ts';
import { compareVersions } from '../api/object-cache.ts';

export interface SeenLease {
  readonly record: LeaseRecord;
  /** When its holder was last seen to renew it, by this machine's monotonic clock: the clocks of machines differ. */
  readonly aliveMs: number;
}

/**
 * What is known of all Leases, and since when. A holder that is not seen to renew for its Lease's duration is dead. Time
 * without a watch doesn't count.
 */
export class SeenLeases {
  readonly #leases = new Map<string, SeenLease>();
  #blindSinceMs: number | undefined;

  get(name: string): SeenLease | undefined {
    return this.#leases.get(name);
  }

  all(): IterableIterator<SeenLease> {
    return this.#leases.values();
  }

  /** False where it is not newer than what is known. */
  see(record: LeaseRecord, nowMs: number): boolean {
    const known = this.#leases.get(record.name);
    if (known !== undefined && (compareVersions(record.version, known.record.version) ?? 1) <= 0)
      return false;
    const isAlive = known === undefined || isRenewed(known.record, record);
    this.#leases.set(record.name, { record, aliveMs: isAlive ? nowMs : known.aliveMs });
    return true;
  }

  forget(name: string): void {
    this.#leases.delete(name);
  }

  /** The watch is lost: until `look()`, nobody counts as dead. */
  blind(nowMs: number): void {
    this.#blindSinceMs ??= nowMs;
  }

  /** The watch is back: each holder that was alive gets its whole duration anew. */
  look(nowMs: number): void {
    if (this.#blindSinceMs === undefined) return;
    for (const [name, seen] of this.#leases)
      if (!this.isExpired(seen, nowMs)) this.#leases.set(name, { ...seen, aliveMs: nowMs });
    this.#blindSinceMs = undefined;
  }

  isExpired(seen: SeenLease, nowMs: number): boolean {
    return Math.min(nowMs, this.#blindSinceMs ?? nowMs) >= seen.aliveMs + seen.record.durationMs;
  }

  /** When it expires unless its holder renews it; undefined while the watch is lost. */
  expiresMs(seen: SeenLease): number | undefined {
    return this.#blindSinceMs === undefined ? seen.aliveMs + seen.record.durationMs : undefined;
  }
}

/** Whether it has another holder, or a new renew time. Other changes of a Lease are no sign of life. */
export function isRenewed(before: LeaseRecord, after: LeaseRecord): boolean {
  return before.renewTime !== after.renewTime || before.holder !== after.holder;
}
