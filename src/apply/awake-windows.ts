import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { hasWindows } from '../model/availability.ts';
import type { Logger } from '../system/log/logger.ts';
import { ServiceLeases } from './service-leases.ts';
import type { WindowState } from './window-times.ts';

/** What windows do: while one is open, it is a lease that wakes its service. */
export class AwakeWindows {
  readonly #lifecycle: Lifecycle;
  readonly #logger: Logger;
  readonly #leases: ServiceLeases;
  readonly #open = new Set<string>();

  constructor(options: { readonly lifecycle: Lifecycle; readonly logger: Logger }) {
    this.#lifecycle = options.lifecycle;
    this.#logger = options.logger;
    this.#leases = new ServiceLeases(options.lifecycle);
  }

  /** Whether a window of the service is open now, and until when; none is open where it has none. */
  set(service: string, { isOpen, changesMs: untilMs }: WindowState): void {
    if (!isOpen) return this.close(service);
    const controller = this.#lifecycle.find(service);
    if (controller === undefined) return;
    const isAwake = controller.state.kind === 'ready';
    if (!this.#open.has(service))
      this.#log(service, `awake: window opens${isAwake ? ', awake already' : ''}`);
    this.#open.add(service);
    const keeper = { kind: 'window', ...(untilMs !== undefined && { untilMs }) } as const;
    this.#leases.hold(service, { reason: 'for its window', keeper });
  }

  /** Ends the window of a service, if one is open: its idle timeout applies again. */
  close(service: string): void {
    if (this.#open.delete(service)) this.#log(service, 'awake: window closes');
    this.#leases.release(service);
  }

  /** The service has changed. */
  follow(service: string): void {
    const controller = this.#lifecycle.find(service);
    const timetable = controller?.policy.services.find(({ name }) => name === service);
    // The plan is about to clear the schedule, which must not start anything before.
    if (timetable !== undefined && !hasWindows(timetable)) this.close(service);
    else this.#leases.follow(service);
  }

  #log(service: string, what: string): void {
    this.#logger.info({ event: 'window', service }, `${service}: ${what}`);
  }
}
