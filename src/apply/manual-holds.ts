import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Lease } from '../lifecycle/workload/lease-book.ts';
import type { WorkloadController } from '../lifecycle/workload/workload-controller.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';

interface Hold {
  readonly controller: WorkloadController;
  readonly lease: Lease;
  /** Ms since the epoch. */
  readonly untilMs: number;
  readonly by: string;
  readonly cancel: Cancel;
}

/**
 * Services that somebody has told the proxy to keep awake for a while. A hold ends by itself, lives on through reloads, and goes
 * along where the service's workload becomes another one. `closeAll()` ends them.
 */
export class ManualHolds {
  readonly #lifecycle: Lifecycle;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #holds = new Map<string, Hold>();

  constructor(options: { readonly lifecycle: Lifecycle; readonly clock: Clock; readonly logger: Logger }) {
    this.#lifecycle = options.lifecycle;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** Wakes a service and holds it for `forMs`, in place of an earlier hold. @param options.by who asks, for the log. */
  hold(service: string, { forMs, by }: { readonly forMs: number; readonly by: string }): void {
    const controller = this.#lifecycle.find(service);
    if (controller === undefined) return;
    const untilMs = this.#clock.nowMs() + forMs;
    const lease = this.#take(controller, { untilMs, by });
    const cancel = this.#clock.schedule(forMs, () => {
      this.close(service);
      this.#logger.info({ event: 'hold', service }, `${service} is no longer held by hand: its time is up`);
    });
    // The new lease first: between the two it must not look unused.
    this.close(service);
    this.#holds.set(service, { controller, lease, untilMs, by, cancel });
    const message = `${service} is held awake ${by}, for ${Math.round(forMs / 1_000)} s`;
    this.#logger.info({ event: 'hold', service }, message);
  }

  /** Ends the hold of a service, if there is one. @param by who asks, for the log. */
  release(service: string, by: string): void {
    if (!this.#holds.has(service)) return;
    this.close(service);
    this.#logger.info({ event: 'hold', service }, `${service} is no longer held: released ${by}`);
  }

  /** The service has changed: where its workload is another one now, that one is held instead. */
  follow(service: string): void {
    const hold = this.#holds.get(service);
    const controller = this.#lifecycle.find(service);
    if (hold === undefined || controller === undefined || hold.controller === controller) return;
    this.#holds.set(service, { ...hold, controller, lease: this.#take(controller, hold) });
    hold.lease.release();
  }

  /** Ends the hold of a service that goes. */
  close(service: string): void {
    const hold = this.#holds.get(service);
    this.#holds.delete(service);
    hold?.cancel();
    hold?.lease.release();
  }

  /** Ends all. Idempotent. */
  closeAll(): void {
    for (const service of [...this.#holds.keys()]) this.close(service);
  }

  #take(controller: WorkloadController, { untilMs, by }: Pick<Hold, 'untilMs' | 'by'>): Lease {
    return controller.hold(by, { keeper: { kind: 'hand', untilMs } });
  }
}
