import type { Lease } from '../lifecycle/workload/lease-book.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { WorkloadController } from '../lifecycle/workload/workload-controller.ts';
import { hasSchedule } from '../model/availability.ts';
import type { Logger } from '../system/log/logger.ts';
import type { CronAction } from './schedule-set.ts';

const SCHEDULE = { kind: 'schedule' } as const;

/**
 * What cron jobs do: a start wakes its service, and where there is a stop too the window between them is a lease; a stop
 * puts the service to sleep, whoever uses it. A fire that finds the wanted state only logs.
 */
export class CronWindows {
  readonly #lifecycle: Lifecycle;
  readonly #logger: Logger;
  /** The open window of each service, and the workload that it keeps awake. */
  readonly #open = new Map<string, { readonly controller: WorkloadController; readonly lease: Lease }>();

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
      const lease = controller.hold('cron_start', { keeper: SCHEDULE });
      this.close(service);
      if (controller.policy.cronStop === undefined) lease.release();
      else this.#open.set(service, { controller, lease });
      return;
    }
    this.#log(service, state.kind === 'stopped' ? 'cron_stop: asleep already' : 'cron_stop');
    this.close(service);
    controller.sleep({ kind: 'schedule', words: 'cron_stop' });
  }

  /** The service has changed: where its workload is another one now, an open window keeps that one awake instead. */
  follow(service: string): void {
    const open = this.#open.get(service);
    const controller = this.#lifecycle.find(service);
    if (open === undefined || controller === undefined || open.controller === controller) return;
    // The plan is about to clear the schedule, which must not start anything before.
    if (!hasSchedule(controller.policy)) return this.close(service);
    this.#open.set(service, { controller, lease: controller.hold('cron_start', { keeper: SCHEDULE }) });
    open.lease.release();
  }

  /** Ends the window of a service, as when its schedule goes. */
  close(service: string): void {
    this.#open.get(service)?.lease.release();
    this.#open.delete(service);
  }

  #log(service: string, what: string): void {
    this.#logger.info({ event: 'cron', service }, `${service}: ${what}`);
  }
}
