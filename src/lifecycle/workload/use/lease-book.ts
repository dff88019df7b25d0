import type { ClientUse, LeaseUser } from '../../../model/running/client-use.ts';
import type { Keeper, Waker, WorkloadReport } from '../../../model/running/workload-report.ts';
import type { Clock } from '../../../system/clock.ts';

/** One reason for a workload to be awake. */
export interface Lease {
  /** Whose it is, where that is a client of whom it is known what it has carried. */
  user?: LeaseUser | undefined;
  /**
   * Gives it back; idempotent.
   * @param idleSinceMs when it was last used, on the monotonic clock; now where left out.
   */
  release(idleSinceMs?: number): void;
}

interface Wish {
  readonly cause: Waker['kind'];
  readonly urgent: boolean;
  readonly toItsEnd: boolean;
}

/** The leases on one workload, and which of them still wait for it to be awake once. */
export class LeaseBook {
  readonly #clock: Clock;
  readonly #onChange: () => void;
  /** The holds that wait for the workload to be awake once. */
  readonly #unmet = new Map<Lease, Wish>();
  /** Who holds the guards, and since when, on the monotonic clock; made with the first one. */
  #keepers: Map<Lease, { readonly keeper: Keeper; readonly sinceMs: number }> | undefined;
  #count = 0;
  #uses = 0;
  #clients = 0;
  #lastActiveMs: number;
  #idleSinceMs: number | undefined;
  /** Those of clients; made with the first one. */
  #held: Set<Lease> | undefined;
  /** Whether the beginning of a lease counts as use by itself: where an open connection doesn't. */
  countsBegins = false;
  #isEndingIdle = false;

  /** @param options.lastActiveMs when a lease last began or ended before; default: now. */
  constructor(
    clock: Clock,
    { onChange, lastActiveMs }: { readonly onChange: () => void; readonly lastActiveMs?: number | undefined },
  ) {
    this.#clock = clock;
    this.#onChange = onChange;
    const nowMs = clock.nowMs();
    this.#lastActiveMs = Math.min(nowMs, lastActiveMs ?? nowMs);
  }

  get count(): number {
    return this.#count;
  }

  /** How many of these only this proxy knows of: those of its clients, and holds by hand. */
  get uses(): number {
    return this.#uses;
  }

  /** How many of these are those of clients. */
  get clients(): number {
    return this.#clients;
  }

  /** The causes of the holds that still wait for the workload to be awake once. */
  get unmetCauses(): readonly Waker['kind'][] {
    return [...this.#unmet.values()].map(({ cause }) => cause);
  }

  /** Whether one of these is urgent: its start must not wait for its turn. */
  get hasUrgent(): boolean {
    return [...this.#unmet.values()].some(({ urgent }) => urgent);
  }

  /** Whether one of these wants it to be run to its end. */
  get runsToItsEnd(): boolean {
    return [...this.#unmet.values()].some(({ toItsEnd }) => toItsEnd);
  }

  /** When a lease last began or ended, ms since the epoch; at first the moment the book was made. */
  get lastActiveMs(): number {
    return this.#lastActiveMs;
  }

  /** Since when nothing has used the workload, on the monotonic clock; undefined before the first lease. */
  get idleSinceMs(): number | undefined {
    return this.#idleSinceMs;
  }

  /** The guards, oldest first. */
  get keepers(): WorkloadReport['keepers'] {
    const epochMs = this.#clock.nowMs() - this.#clock.monotonicMs();
    const held = [...(this.#keepers?.values() ?? [])];
    return held.map(({ keeper, sinceMs }) => ({ ...keeper, sinceMs: epochMs + sinceMs }));
  }

  /** What the clients have carried; undefined for each of whom nothing is known. */
  *listUses(): Generator<ClientUse | undefined> {
    for (const { user } of this.#held ?? []) {
      if (user === undefined) yield undefined;
      else yield* user.listUses();
    }
  }

  /** The workload was in use then, on the monotonic clock. */
  noteUse(atMs: number): void {
    this.#isEndingIdle = false;
    this.#idleSinceMs = Math.max(atMs, this.#idleSinceMs ?? 0);
  }

  /** The connections that are there are closed for being idle, so the end of their leases is no use. Holds until something is used. */
  endIdle(): void {
    this.#isEndingIdle = true;
  }

  get isEndingIdle(): boolean {
    return this.#isEndingIdle;
  }

  /** A lease of a client that uses the workload. */
  take(user?: LeaseUser): Lease {
    this.#uses++;
    this.#clients++;
    const lease = new LeaseBook.#Held(this, 1, user);
    this.#held ??= new Set();
    this.#held.add(lease);
    if (this.countsBegins) this.noteUse(this.#clock.monotonicMs());
    this.#change(+1);
    return lease;
  }

  /** A lease that no client holds, but a hub, a schedule or another proxy: the workload is not idle meanwhile. */
  guard(keeper: Keeper): Lease {
    // Other proxies have to hear of a hold by hand, as of a client. What hubs and schedules do, they know by themselves.
    const weight = keeper.kind === 'hand' ? 1 : 0;
    this.#uses += weight;
    const lease = new LeaseBook.#Held(this, weight);
    this.#keepers ??= new Map();
    // Before the count changes: whoever hears of that sees who holds it.
    this.#keepers.set(lease, { keeper, sinceMs: this.#clock.monotonicMs() });
    this.#change(+1);
    return lease;
  }

  /**
   * A guard that wants the workload awake once, even if no client waits for that; `urgent`: without waiting for its turn;
   * `toItsEnd`: until it has ended.
   */
  hold(
    keeper: Waker,
    { urgent = false, toItsEnd = false }: { readonly urgent?: boolean; readonly toItsEnd?: boolean } = {},
  ): Lease {
    const lease = this.guard(keeper);
    this.#unmet.set(lease, { cause: keeper.kind, urgent, toItsEnd });
    return lease;
  }

  /** The workload is awake. */
  meetAll(): void {
    this.#unmet.clear();
  }

  /** A class, and no object with a closure of its own: each flow and connection has one. */
  static readonly #Held = class implements Lease {
    #book: LeaseBook | undefined;
    readonly #weight: 0 | 1;
    user: LeaseUser | undefined;

    constructor(book: LeaseBook, weight: 0 | 1, user?: LeaseUser) {
      this.#book = book;
      this.#weight = weight;
      this.user = user;
    }

    release(idleSinceMs?: number): void {
      const book = this.#book;
      this.#book = undefined;
      // A Set that was enlarged leaves its old table behind, and that one the next: where one of them is old to V8, it keeps what all
      // of them held until all garbage is collected.
      this.user = undefined;
      if (book === undefined) return;
      book.#unmet.delete(this);
      if (book.#keepers?.delete(this) !== true) {
        book.#clients--;
        book.#held?.delete(this);
      }
      if (!book.#isEndingIdle) {
        const sinceMs = idleSinceMs ?? book.#clock.monotonicMs();
        book.#idleSinceMs = Math.max(sinceMs, book.#idleSinceMs ?? 0);
      }
      book.#uses -= this.#weight;
      book.#change(-1);
    }
  };

  #change(by: 1 | -1): void {
    this.#count += by;
    if (!this.#isEndingIdle) this.#lastActiveMs = this.#clock.nowMs();
    this.#onChange();
  }
}
