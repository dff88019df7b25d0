import type { Endpoint } from '../../../model/running/observation.ts';
import type { WarmPath, WarmUser } from '../../../model/running/warm-path.ts';
import type { Lease, LeaseBook } from './lease-book.ts';

/**
 * Listeners that connect clients to the present run of a workload without asking for each. They report how many clients are
 * connected, a little late, and a lease is held while there are any. Before the workload is put to sleep each listener is
 * asked, since it may have clients that it has not reported yet.
 */
export class WarmPaths {
  readonly #leases: LeaseBook;
  readonly #users = new Map<WarmUser, readonly Endpoint[]>();

  constructor(leases: LeaseBook) {
    this.#leases = leases;
  }

  /** When a client last came or went, ms since the epoch; 0 = never. */
  get lastUsedMs(): number {
    return Math.max(0, ...[...this.#users.keys()].map(({ lastUsedMs }) => lastUsedMs));
  }

  /** @param options.budgetMs how long a client may wait for a connection. */
  open(
    endpoints: readonly Endpoint[],
    { user, budgetMs }: { readonly user: WarmUser; readonly budgetMs: number },
  ): WarmPath {
    this.#users.set(user, endpoints);
    let lease: Lease | undefined;
    let isClosed = false;
    return {
      endpoints,
      budgetMs,
      used: (count) => {
        // The path is closed and holds no lease: taking one now would count as use of a run that may be over.
        if (count === 0 && lease === undefined && (isClosed || this.#leases.isEndingIdle)) return;
        // Also where clients have come and gone before the first report: that was use, too.
        lease ??= this.#leases.take(user);
        if (count > 0) return;
        lease.release();
        lease = undefined;
      },
      close: () => {
        isClosed = true;
        this.#users.delete(user);
      },
    };
  }

  /** Closes all paths, unless a client is connected on one; whether all are closed. */
  tryCloseAll(): boolean {
    for (const user of [...this.#users.keys()]) {
      if (!user.tryClose()) return false;
      this.#users.delete(user);
    }
    return true;
  }

  /** Closes the paths that lead to such an endpoint. */
  closeWhere(matches: (endpoint: Endpoint) => boolean): void {
    for (const [user, endpoints] of [...this.#users]) {
      if (!endpoints.some(matches)) continue;
      this.#users.delete(user);
      user.close();
    }
  }

  /** Closes all paths: the run is over, or another one has begun. */
  closeAll(): void {
    const users = [...this.#users.keys()];
    this.#users.clear();
    for (const user of users) user.close();
  }
}
