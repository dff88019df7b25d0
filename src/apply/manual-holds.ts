import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import { ServiceLeases } from './service-leases.ts';

interface Hold {
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
  readonly #leases: ServiceLeases;
  readonly #holds = new Map<string, Hold>();

  constructor(options: { readonly lifecycle: Lifecycle; readonly clock: Clock; readonly logger: Logger }) {
    this.#lifecycle = options.lifecycle;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#leases = new ServiceLeases(options.lifecycle);
  }

  /**
   * Wakes a service and holds it for `forMs`, in place of an earlier hold on its workload, by whichever of its services.
   * @param options.by who asks, for the log.
   */
  hold(service: string, { forMs, by }: { readonly forMs: number; readonly by: string }): void {
    if (this.#lifecycle.find(service) === undefined) return;
    const untilMs = this.#clock.nowMs() + forMs;
    this.#leases.hold(service, { reason: by, keeper: { kind: 'hand', untilMs } });
    this.#holds.get(service)?.cancel();
    const cancel = this.#clock.schedule(forMs, () => {
      this.close(service);
      this.#logger.info({ event: 'hold', service }, `${service} is no longer held by hand: its time is up`);
    });
    this.#holds.set(service, { untilMs, by, cancel });
    for (const name of this.#sharersOf(service)) if (name !== service) this.close(name);
    const message = `${service} is held awake ${by}, for ${Math.round(forMs / 1_000)} s`;
    this.#logger.info({ event: 'hold', service }, message);
  }

  /** Ends the hold of a service's workload, if there is one. @param by who asks, for the log. */
  release(service: string, by: string): void {
    const held = this.#sharersOf(service).filter((name) => this.#holds.has(name));
    for (const name of held) {
      this.close(name);
      this.#logger.info({ event: 'hold', service: name }, `${name} is no longer held: released ${by}`);
    }
  }

  /** The service has changed: where its workload is another one now, that one is held instead. */
  follow(service: string): void {
    this.#leases.follow(service);
  }

  /** Ends the hold of a service that goes. */
  close(service: string): void {
    this.#holds.get(service)?.cancel();
    this.#holds.delete(service);
    this.#leases.release(service);
  }

  /** Ends all. Idempotent. */
  closeAll(): void {
    for (const service of [...this.#holds.keys()]) this.close(service);
  }

  /** All services of a service's workload. */
  #sharersOf(service: string): readonly string[] {
    const { services = [] } = this.#lifecycle.find(service)?.policy ?? {};
    return services.length === 0 ? [service] : services.map(({ name }) => name);
  }
}
