import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Lease } from '../lifecycle/workload/use/lease-book.ts';
import type { WorkloadController } from '../lifecycle/workload/workload-controller.ts';
import type { Waker } from '../model/running/workload-report.ts';

interface Wish {
  /** Who asks, for the log and the record of the wake. */
  readonly reason: string;
  readonly keeper: Waker;
}

/** Leases that wake services and keep them awake, one for each service, whatever its workload is. */
export class ServiceLeases {
  readonly #lifecycle: Pick<Lifecycle, 'find'>;
  readonly #held = new Map<
    string,
    Wish & { readonly controller: WorkloadController; readonly lease: Lease }
  >();

  constructor(lifecycle: Pick<Lifecycle, 'find'>) {
    this.#lifecycle = lifecycle;
  }

  /** Wakes a service and keeps it awake, in place of an earlier wish. Does nothing where there is no such service. */
  hold(service: string, wish: Wish): void {
    const controller = this.#lifecycle.find(service);
    if (controller === undefined) return;
    // The new lease first: between the two it must not look unused.
    const lease = controller.hold(wish.reason, wish);
    this.release(service);
    this.#held.set(service, { ...wish, controller, lease });
  }

  /** The service has changed: where its workload is another one now, that one is kept awake instead. */
  follow(service: string): void {
    const held = this.#held.get(service);
    const controller = this.#lifecycle.find(service);
    if (held !== undefined && controller !== undefined && held.controller !== controller)
      this.hold(service, held);
  }

  /** Keeps a service awake no longer; what is to be woken still is. */
  release(service: string): void {
    this.#held.get(service)?.lease.release();
    this.#held.delete(service);
  }
}
