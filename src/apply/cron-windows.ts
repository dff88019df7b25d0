import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Logger } from '../system/logger.ts';
import type { CronAction } from './schedule-set.ts';

/**
 * What cron jobs do: a start wakes its service, and where there is a stop too the window between them is a lease; a stop
 * puts the service to sleep, whoever uses it. A fire that finds the wanted state only logs.
 */
export class CronWindows {
  readonly #lifecycle: Lifecycle;
  readonly #logger: Logger;
  readonly #leases = new Map<string, { release(): void }>();

  constructor(options: { readonly lifecycle: Lifecycle; readonly logger: Logger }) {
    this.#lifecycle = options.lifecycle;
    this.#logger = options.logger;
  }

  fire(service: string, action: CronAction): void {
    const controller = this.#lifecycle.find(service);
    if (controller === undefined) return;
    const { state } = controller;
    if (action === 'start') {
      this.#log(service, state.kind === 'ready' ? 'cron_start: awake already' : 'cron_start');
      const lease = controller.hold('cron_start');
      this.close(service);
      if (controller.policy.cronStop === undefined) lease.release();
      else this.#leases.set(service, lease);
      return;
    }
    this.#log(service, state.kind === 'stopped' ? 'cron_stop: asleep already' : 'cron_stop');
    this.close(service);
    controller.sleep('cron_stop');
  }

  /** Ends the window of a service, as when its schedule goes. */
  close(service: string): void {
    this.#leases.get(service)?.release();
    this.#leases.delete(service);
  }

  #log(service: string, what: string): void {
    this.#logger.info({ event: 'cron', service }, `${service}: ${what}`);
  }
}
