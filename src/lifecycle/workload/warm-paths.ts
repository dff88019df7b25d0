import type { Endpoint } from '../../model/observation.ts';
import type { WarmPath, WarmUser } from '../../model/warm-path.ts';
import type { Lease, LeaseBook } from './lease-book.ts';

/**
 * Those who let clients use the present run of a workload without asking. A lease is held while any client is in, from
 * when that is told; before the workload is put to sleep they are asked, since they may not have told yet.
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
        // The run may be over; a lease, however short, would be use of what has been given up.
        if (isClosed && count === 0 && lease === undefined) return;
        // Also where somebody has come and gone before it was told.
        lease ??= this.#leases.take();
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

  /** Closes all, unless a client is in; whether they are closed. */
  tryCloseAll(): boolean {
    for (const user of [...this.#users.keys()]) {
      if (!user.tryClose()) return false;
      this.#users.delete(user);
    }
    return true;
  }

  /** Closes those that lead to such an endpoint. */
  closeWhere(matches: (endpoint: Endpoint) => boolean): void {
    for (const [user, endpoints] of [...this.#users]) {
      if (!endpoints.some(matches)) continue;
      this.#users.delete(user);
      user.close();
    }
  }

  /** Closes all: the run is over, or another one. */
  closeAll(): void {
    const users = [...this.#users.keys()];
    this.#users.clear();
    for (const user of users) user.close();
  }
}
