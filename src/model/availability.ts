/**
 * Who starts and stops a workload. Input: a service's `availability`, and the cause of a start or a stop. Output: whether that
 * cause may. Pure, and the one place where this is decided: whoever starts or stops a workload names its cause.
 *
 * | availability | started by clients | by its schedule | by hub, user, hand | stopped when idle, silent, for room | by schedule, hub, user | by hand |
 * |--------------|--------------------|-----------------|--------------------|-------------------------------------|------------------------|---------|
 * | on_demand    | yes                | yes             | yes                | yes                                 | yes                    | yes     |
 * | schedule     | no                 | yes             | yes                | no                                  | yes                    | yes     |
 * | manual       | no                 | no              | yes                | no                                  | no                     | yes     |
 */
import type { AwakeWindow } from './awake-window.ts';
import type { SleepKind } from './running/sleep.ts';

/** `on_demand`: clients, too; `schedule`: its cron expressions and windows; `manual`: somebody else. */
export type Availability = 'on_demand' | 'schedule' | 'manual';

/**
 * Why a workload is to be awake; `window`: one of its windows is open; `user`: another one needs it; `hand`: somebody has told the
 * proxy to wake it.
 */
export type WakeCause = 'client' | 'schedule' | 'window' | 'hub' | 'user' | 'hand';

/** Why a workload is to be stopped; `restart`: nothing reaches it until it was stopped and started again. */
export type StopCause = SleepKind | 'restart';

const WAKEN: Readonly<Record<Availability, readonly WakeCause[]>> = {
  on_demand: ['client', 'schedule', 'window', 'hub', 'user', 'hand'],
  schedule: ['schedule', 'window', 'hub', 'user', 'hand'],
  manual: ['hub', 'user', 'hand'],
};

const STOPPED: Readonly<Record<Availability, readonly StopCause[]>> = {
  on_demand: ['idle', 'silence', 'room', 'schedule', 'hub', 'user', 'restart', 'hand'],
  schedule: ['schedule', 'hub', 'user', 'restart', 'hand'],
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

/** What of a service says when it is awake by the clock. */
export interface Timetable {
  readonly availability: Availability;
  readonly cronStart: string | undefined;
  readonly cronStop: string | undefined;
  readonly awake: readonly AwakeWindow[];
}

/** Whether a service has cron jobs: the expressions of a manual one never act. */
export function hasCronJobs({ availability, cronStart, cronStop }: Timetable): boolean {
  return mayWake(availability, 'schedule') && (cronStart !== undefined || cronStop !== undefined);
}

/** Whether a service has windows that act. */
export function hasWindows({ availability, awake }: Timetable): boolean {
  return mayWake(availability, 'window') && awake.length > 0;
}

/** Whether the clock wakes a service, or puts it to sleep. */
export function hasSchedule(timetable: Timetable): boolean {
  return hasCronJobs(timetable) || hasWindows(timetable);
}

/** Whether a service may be put to sleep for being idle: not one that its cron jobs, or somebody else, stops. */
export function mayIdle(timetable: Timetable): boolean {
  if (hasCronJobs(timetable)) return false;
  // Nothing else ends a window of a service that its schedule alone starts.
  return mayPutToSleep(timetable.availability, 'idle') || hasWindows(timetable);
}

/** When the clock next wakes a service by a cron job, opens a window, and puts it to sleep, ms since the epoch; absent = never. */
export interface NextFires {
  readonly start?: number;
  readonly opens?: number;
  readonly stop?: number;
}

/** When the clock wakes a service next. */
export function nextStartOf({ start, opens }: NextFires): number | undefined {
  return start === undefined || opens === undefined ? (start ?? opens) : Math.min(start, opens);
}
