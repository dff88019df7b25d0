import type { Sleep } from './sleep.ts';
import type { Wake } from './wake.ts';
import type { Timeline } from './workload-report.ts';

/** What is kept of one workload across restarts of the proxy. Times are ms since the epoch. */
export interface KeptWorkload {
  /** The names of its services, at least one. */
  readonly services: readonly string[];
  /** When this was known. */
  readonly seenMs: number;
  /** As of its report. */
  readonly lastActiveMs: number;
  readonly lastUsedMs?: number;
  /** Oldest first, without what workloads have printed. */
  readonly wakes: readonly Wake[];
  /** Until then. */
  readonly timeline: Timeline;
  readonly lastSleep?: Sleep;
  /** The run that a hub or a user has woken, by `nameRun()`: it sleeps when they do. Absent where none has. */
  readonly wokenRun?: string;
}

/** A hold by hand that goes on after a restart. */
export interface KeptHold {
  readonly service: string;
  /** The key of its workload. */
  readonly workload: string;
  /** Ms since the epoch. */
  readonly untilMs: number;
  /** Who has asked for it, for the log. */
  readonly by: string;
}
