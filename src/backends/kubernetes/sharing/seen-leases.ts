import type { LeaseRecord } from './lease-record.ts';
import { compareVersions } from '../api/object-cache.ts';

export interface SeenLease {
  readonly record: LeaseRecord;
  /** When its holder was last seen to do something, by our own monotonic clock: those of machines differ. */
  readonly aliveMs: number;
}

/**
 * What is known of all Leases, and since when: a holder that isn't seen to renew for its Lease's duration is dead. Time
 * in which we couldn't look doesn't count.
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

  /** From now on nobody can be seen to renew; until `look()`, nobody dies. */
  blind(nowMs: number): void {
    this.#blindSinceMs ??= nowMs;
  }

  /** We see again: whoever was alive before gets its whole time to show it. */
  look(nowMs: number): void {
    if (this.#blindSinceMs === undefined) return;
    for (const [name, seen] of this.#leases)
      if (!this.isExpired(seen, nowMs)) this.#leases.set(name, { ...seen, aliveMs: nowMs });
    this.#blindSinceMs = undefined;
  }

  isExpired(seen: SeenLease, nowMs: number): boolean {
    return Math.min(nowMs, this.#blindSinceMs ?? nowMs) >= seen.aliveMs + seen.record.durationMs;
  }

  /** When that will be if nothing is seen meanwhile; undefined where it won't. */
  expiresMs(seen: SeenLease): number | undefined {
    return this.#blindSinceMs === undefined ? seen.aliveMs + seen.record.durationMs : undefined;
  }
}

/** Its holder is another, or has written a new time; what others do to the Lease is no sign of life. */
export function isRenewed(before: LeaseRecord, after: LeaseRecord): boolean {
  return before.renewTime !== after.renewTime || before.holder !== after.holder;
}
