import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { hasCronJobs } from '../model/availability.ts';
import type { Logger } from '../system/log/logger.ts';
import type { CronAction } from './schedule-set.ts';
import { ServiceLeases } from './service-leases.ts';

const WISH = { reason: 'cron_start', keeper: { kind: 'schedule' } } as const;

/**
 * What cron jobs do: a start wakes its service, and where there is a stop too the window between them is a lease; a stop
 * puts the service to sleep, whoever uses it. A fire that finds the wanted state only logs.
 */
export class CronWindows {
  readonly #lifecycle: Lifecycle;
  readonly #logger: Logger;
  /** Of the services whose window is open. */
  readonly #leases: ServiceLeases;

  constructor(options: { readonly lifecycle: Lifecycle; readonly logger: Logger }) {
    this.#lifecycle = options.lifecycle;
    this.#logger = options.logger;
    this.#leases = new ServiceLeases(options.lifecycle);
  }

  fire(service: string, action: CronAction): void {
    const controller = this.#lifecycle.find(service);
    if (controller === undefined) return;
    const { state } = controller;
    if (action === 'start') {
      this.#log(service, state.kind === 'ready' ? 'cron_start: awake already' : 'cron_start');
      this.#leases.hold(service, WISH);
      if (controller.policy.cronStop === undefined) this.close(service);
      return;
    }
    this.#log(service, state.kind === 'stopped' ? 'cron_stop: asleep already' : 'cron_stop');
    this.close(service);
    controller.sleep({ kind: 'schedule', words: 'cron_stop' });
  }

  /** The service has changed. */
  follow(service: string): void {
    const controller = this.#lifecycle.find(service);
    const policy = controller?.policy;
    // Where no stop comes any more, there is no window: it would never end, and must not start what the service may have now.
    if (policy !== undefined && !(hasCronJobs(policy) && policy.cronStop !== undefined)) this.close(service);
    else this.#leases.follow(service);
  }

  /** Ends the window of a service, as when its schedule goes. */
  close(service: string): void {
    this.#leases.release(service);
  }

  #log(service: string, what: string): void {
    this.#logger.info({ event: 'cron', service }, `${service}: ${what}`);
  }
}
