import type { Backend, SharedView } from '../../../backends/backend.ts';
import { type Workload, workloadKey } from '../../../model/workload.ts';
import type { Keeper } from '../../../model/running/workload-report.ts';
import type { Lease, LeaseBook } from './lease-book.ts';

/**
 * One workload that several proxies serve. This proxy holds a guard while the workload is in use elsewhere, and one while
 * another proxy is to put it to sleep; so idle time begins when the last client of any proxy has left. Whether its own
 * clients use the workload is told to the backend.
 */
export class SharedUse {
  readonly #backend: Backend;
  readonly #leases: LeaseBook;
  readonly #workload: () => Workload;
  /** Held while another proxy is the one that puts workloads to sleep. */
  #standby: Lease | undefined;
  /** Held while somebody beside this proxy keeps the workload awake. */
  #elsewhere: Lease | undefined;
  #toldInUse = false;

  constructor(options: {
    readonly backend: Backend;
    readonly leases: LeaseBook;
    readonly workload: () => Workload;
  }) {
    this.#backend = options.backend;
    this.#leases = options.leases;
    this.#workload = options.workload;
  }

  /** Whether it is left to another proxy to put the workload to sleep. */
  get isStandby(): boolean {
    return this.#standby !== undefined;
  }

  /** Takes what is known of the other proxies. */
  take({ isSleeper, heldElsewhere }: SharedView): void {
    const isHeld = heldElsewhere.has(workloadKey(this.#workload()));
    this.#standby = this.#follow(this.#standby, { wanted: !isSleeper, kind: 'standby' });
    this.#elsewhere = this.#follow(this.#elsewhere, { wanted: isHeld, kind: 'replica' });
  }

  /** The leases have changed: tells the backend when the first client has come and when the last one has left. */
  tell(): void {
    const inUse = this.#leases.uses > 0;
    if (inUse === this.#toldInUse) return;
    this.#toldInUse = inUse;
    this.#backend.setInUse?.(this.#workload(), { inUse });
  }

  /** Gives the guards back; taken again with the next view. Idempotent. */
  close(): void {
    this.#standby?.release();
    this.#elsewhere?.release();
    this.#standby = this.#elsewhere = undefined;
  }

  #follow(
    guard: Lease | undefined,
    {
      wanted,
      kind,
    }: { readonly wanted: boolean; readonly kind: Extract<Keeper['kind'], 'standby' | 'replica'> },
  ): Lease | undefined {
    if (wanted) return guard ?? this.#leases.guard({ kind });
    guard?.release();
    return undefined;
  }
}
