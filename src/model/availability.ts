/**
 * Who starts and stops a workload. Input: a service's `availability`, and the cause of a start or a stop. Output: whether that
 * cause may. Pure, and the one place where this is decided: whoever starts or stops a workload names its cause.
 *
 * | availability | started by clients | by its schedule | by a hub, by hand | stopped when idle, silent | by schedule, hub | by hand |
 * |--------------|--------------------|-----------------|-------------------|---------------------------|------------------|---------|
 * | on_demand    | yes                | yes             | yes               | yes                       | yes              | yes     |
 * | schedule     | no                 | yes             | yes               | no                        | yes              | yes     |
 * | manual       | no                 | no              | yes               | no                        | no               | yes     |
 */
import type { SleepKind } from './sleep.ts';

/** `on_demand`: clients, too; `schedule`: its cron expressions; `manual`: somebody else. */
export type Availability = 'on_demand' | 'schedule' | 'manual';

/** Why a workload is to be awake; `hand`: somebody has told the proxy to wake it. */
export type WakeCause = 'client' | 'schedule' | 'hub' | 'hand';

/** Why a workload is to be stopped; `restart`: nothing reaches it until it was stopped and started again. */
export type StopCause = SleepKind | 'restart';

const WAKEN: Readonly<Record<Availability, readonly WakeCause[]>> = {
  on_demand: ['client', 'schedule', 'hub', 'hand'],
  schedule: ['schedule', 'hub', 'hand'],
  manual: ['hub', 'hand'],
};

const STOPPED: Readonly<Record<Availability, readonly StopCause[]>> = {
  on_demand: ['idle', 'silence', 'schedule', 'hub', 'restart', 'hand'],
  schedule: ['schedule', 'hub', 'restart', 'hand'],
  manual: ['hand'],
};

/** Whether the cause may start a workload. */
export function mayWake(availability: Availability, cause: WakeCause): boolean {
  return WAKEN[availability].includes(cause);
}

/** Whether the cause may stop a workload. */
export function mayPutToSleep(availability: Availability, cause: StopCause): boolean {
  return STOPPED[availability].includes(cause);
}

/** Whether a service has cron jobs: the expressions of a manual one never act. */
export function hasSchedule(service: {
  readonly availability: Availability;
  readonly cronStart: string | undefined;
  readonly cronStop: string | undefined;
}): boolean {
  const { availability, cronStart, cronStop } = service;
  return mayWake(availability, 'schedule') && (cronStart !== undefined || cronStop !== undefined);
}
