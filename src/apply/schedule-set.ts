import type { Service } from '../model/service.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import { type CronJob, findNextFire, intervalOf } from './cron-job.ts';

/**
 * The wall clock is looked at so often at the least while there is a job, because a timer doesn't notice that the clock
 * was set, or that the machine slept.
 */
const MAX_WAIT_MS = 60_000;

/** If the clock was set by more than this, it was wrong before, and the times in between are skipped: the rule of Debian's cron(8). */
const CORRECTION_MS = 3 * 3_600_000;

export type CronAction = 'start' | 'stop';

interface ScheduledJob extends CronJob {
  readonly service: string;
  readonly action: CronAction;
  nextMs: number | undefined;
}

/**
 * The cron jobs of all services, on one timer. A job fires once for each of its times, in order; after the machine slept
 * or its clock was set forward by up to three hours the missed times are made up for, and a clock set back doesn't
 * repeat them. Intervals (`@every`) count from when the set was made; of those that were missed one is made up for, and
 * a clock set back doesn't lengthen the one that runs. `close()` ends it.
 */
export class ScheduleSet {
  readonly #clock: Clock;
  readonly #onFire: (service: string, action: CronAction) => void;
  readonly #jobs = new Map<string, readonly ScheduledJob[]>();
  readonly #startMs: number;
  #lastLookMs: number;
  #timer: { readonly wakeMs: number; readonly cancel: Cancel } | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly onFire: (service: string, action: CronAction) => void;
  }) {
    this.#clock = options.clock;
    this.#onFire = options.onFire;
    this.#startMs = options.clock.nowMs();
    this.#lastLookMs = this.#startMs;
  }

  /** Replaces the jobs of a service; those of other services stay as they are. */
  set(service: Service): void {
    const nowMs = this.#clock.nowMs();
    if (this.#jobs.size === 0) this.#lastLookMs = nowMs;
    const { name, timezone, cronStart, cronStop } = service;
    const create = (action: CronAction, expression: string | undefined): readonly ScheduledJob[] => {
      if (expression === undefined) return [];
      const job = { expression, timezone, startMs: this.#startMs };
      return [{ ...job, service: name, action, nextMs: findNextFire(job, nowMs) }];
    };
    const jobs = [...create('start', cronStart), ...create('stop', cronStop)];
    this.#jobs.set(name, jobs);
    // After jobs were replaced the timer may fire too early, which is harmless; it must never fire too late.
    this.#armFor(earliest(jobs), nowMs);
  }

  /** When the jobs of a service fire next, ms since the epoch; absent where there is no such job, or it never fires again. */
  nextFires(service: string): Readonly<Partial<Record<CronAction, number>>> {
    const jobs = this.#jobs.get(service) ?? [];
    return Object.fromEntries(
      jobs.flatMap(({ action, nextMs }) => (nextMs === undefined ? [] : [[action, nextMs]])),
    );
  }

  /** Forgets the jobs of a service. */
  clear(service: string): void {
    this.#jobs.delete(service);
    if (this.#jobs.size === 0) this.close();
  }

  /** Forgets all jobs. Idempotent. */
  close(): void {
    this.#jobs.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #armFor(dueMs: number, nowMs: number): void {
    const wakeMs = Math.min(nowMs + MAX_WAIT_MS, Math.max(nowMs, dueMs));
    if (this.#timer !== undefined && this.#timer.wakeMs <= wakeMs) return;
    this.#timer?.cancel();
    this.#timer = { wakeMs, cancel: this.#clock.schedule(wakeMs - nowMs, () => this.#look()) };
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.nowMs();
    if (Math.abs(nowMs - this.#lastLookMs) > CORRECTION_MS) {
      for (const job of this.#all()) job.nextMs = findNextFire(job, nowMs);
    }
    this.#lastLookMs = nowMs;
    for (const { job } of this.#takeDue(nowMs)) {
      // A job that fired earlier in this loop may have removed this one.
      if (this.#jobs.get(job.service)?.includes(job) === true) this.#onFire(job.service, job.action);
    }
    if (this.#jobs.size > 0) this.#armFor(earliest(this.#all()), nowMs);
  }

  /** Every time of every job that has come, in order; the jobs move on to their next ones. */
  #takeDue(nowMs: number): readonly { readonly job: ScheduledJob; readonly dueMs: number }[] {
    const due: { readonly job: ScheduledJob; readonly dueMs: number }[] = [];
    for (const job of this.#all()) {
      const intervalMs = intervalOf(job);
      while (job.nextMs !== undefined && job.nextMs <= nowMs) {
        due.push({ job, dueMs: job.nextMs });
        job.nextMs = findNextFire(job, intervalMs === undefined ? job.nextMs : nowMs);
      }
      if (intervalMs !== undefined && (job.nextMs ?? 0) > nowMs + intervalMs) {
        job.nextMs = findNextFire(job, nowMs);
      }
    }
    return due.toSorted((a, b) => a.dueMs - b.dueMs);
  }

  *#all(): Generator<ScheduledJob> {
    for (const jobs of this.#jobs.values()) yield* jobs;
  }
}

function earliest(jobs: Iterable<ScheduledJob>): number {
  let dueMs = Number.POSITIVE_INFINITY;
  for (const { nextMs } of jobs) if (nextMs !== undefined && nextMs < dueMs) dueMs = nextMs;
  return dueMs;
}
