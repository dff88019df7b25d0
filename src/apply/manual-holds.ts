import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { KeptHold } from '../model/running/kept.ts';
import type { Service } from '../model/service.ts';
import { workloadKey } from '../model/workload.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import { ServiceLeases } from './service-leases.ts';

const HOUR_MS = 3_600_000;
/** A hold lasts so long at the most. */
export const MAX_HOLD_MS = 30 * 24 * HOUR_MS;

/** Remembers holds across restarts. */
export interface HoldMemory {
  /** The hold that a service had before; undefined where it had none, or on another workload. */
  recallHold(service: string, workload: string): KeptHold | undefined;
  /** A hold has begun or ended. */
  touch(): void;
}

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
  readonly #memory: HoldMemory | undefined;
  readonly #holds = new Map<string, Hold>();

  constructor(options: {
    readonly lifecycle: Lifecycle;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Absent = nobody remembers them. */
    readonly memory?: HoldMemory | undefined;
  }) {
    this.#lifecycle = options.lifecycle;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#leases = new ServiceLeases(options.lifecycle);
    this.#memory = options.memory;
  }

  /**
   * Wakes a service and holds it for `forMs`, in place of an earlier hold on its workload, by whichever of its services.
   * @param options.by who asks, for the log.
   */
  hold(service: string, { forMs, by }: { readonly forMs: number; readonly by: string }): void {
    if (this.#lifecycle.find(service) === undefined) return;
    this.#begin(service, { untilMs: this.#clock.nowMs() + forMs, by });
    for (const name of this.#sharersOf(service)) if (name !== service) this.close(name);
    const message = `${service} is held awake ${by}, for ${Math.round(forMs / 1_000)} s`;
    this.#logger.info({ event: 'hold', service }, message);
  }

  /** A service has come: a hold that it had before a restart of the proxy goes on until its end. */
  resume({ name, workload }: Pick<Service, 'name' | 'workload'>): void {
    const kept = this.#memory?.recallHold(name, workloadKey(workload));
    if (kept === undefined) return;
    const forMs = kept.untilMs - this.#clock.nowMs();
    if (forMs <= 0 || forMs > MAX_HOLD_MS) return;
    this.#begin(name, kept);
    const message = `${name} is held awake as before the restart (${kept.by}), for ${Math.round(forMs / 1_000)} s more`;
    this.#logger.info({ event: 'hold', service: name }, message);
  }

  /** Those that there are now. */
  list(): readonly KeptHold[] {
    return [...this.#holds].flatMap(([service, { untilMs, by }]) => {
      const controller = this.#lifecycle.find(service);
      return controller === undefined
        ? []
        : [{ service, workload: workloadKey(controller.workload), untilMs, by }];
    });
  }

  #begin(service: string, { untilMs, by }: Pick<Hold, 'untilMs' | 'by'>): void {
    this.#leases.hold(service, { reason: by, keeper: { kind: 'hand', untilMs } });
    this.#holds.get(service)?.cancel();
    const cancel = this.#clock.schedule(untilMs - this.#clock.nowMs(), () => {
      this.close(service);
      this.#logger.info({ event: 'hold', service }, `${service} is no longer held by hand: its time is up`);
    });
    this.#holds.set(service, { untilMs, by, cancel });
    this.#memory?.touch();
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
    if (this.#holds.delete(service)) this.#memory?.touch();
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
