import type { Service } from '../model/service.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import { type CronJob, findNextFire } from './cron-job.ts';

/**
 * The wall clock is looked at so often at the least while there is a job, because a timer doesn't notice that the clock
 * was set, or that the machine slept.
 */
const MAX_WAIT_MS = 60_000;

/** A clock set by more than this was wrong before: what lies between doesn't count. The rule of Debian's cron(8). */
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
 * repeat them. `close()` ends it.
 */
export class ScheduleSet {
  readonly #clock: Clock;
  readonly #onFire: (service: string, action: CronAction) => void;
  #jobs: readonly ScheduledJob[] = [];
  #lastLookMs: number;
  #cancel: Cancel | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly onFire: (service: string, action: CronAction) => void;
  }) {
    this.#clock = options.clock;
    this.#onFire = options.onFire;
    this.#lastLookMs = options.clock.nowMs();
  }

  /** Replaces the jobs of a service; those of other services stay as they are. */
  set(service: Service): void {
    const nowMs = this.#clock.nowMs();
    if (this.#jobs.length === 0) this.#lastLookMs = nowMs;
    const { name, timezone, cronStart, cronStop } = service;
    const create = (action: CronAction, expression: string | undefined): readonly ScheduledJob[] => {
      if (expression === undefined) return [];
      return [
        {
          service: name,
          action,
          expression,
          timezone,
          nextMs: findNextFire({ expression, timezone }, nowMs),
        },
      ];
    };
    const others = this.#jobs.filter((job) => job.service !== name);
    this.#jobs = [...others, ...create('start', cronStart), ...create('stop', cronStop)];
    this.#arm();
  }

  /** Forgets the jobs of a service. */
  clear(service: string): void {
    this.#jobs = this.#jobs.filter((job) => job.service !== service);
    this.#arm();
  }

  /** Forgets all jobs. Idempotent. */
  close(): void {
    this.#jobs = [];
    this.#arm();
  }

  #arm(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#jobs.length === 0) return;
    const nowMs = this.#clock.nowMs();
    const dueMs = Math.min(...this.#jobs.map(({ nextMs }) => nextMs ?? Number.POSITIVE_INFINITY));
    this.#cancel = this.#clock.schedule(Math.min(MAX_WAIT_MS, Math.max(0, dueMs - nowMs)), () =>
      this.#look(),
    );
  }

  #look(): void {
    const nowMs = this.#clock.nowMs();
    if (Math.abs(nowMs - this.#lastLookMs) > CORRECTION_MS) {
      for (const job of this.#jobs) job.nextMs = findNextFire(job, nowMs);
    }
    this.#lastLookMs = nowMs;
    for (;;) {
      const due = this.#jobs
        .filter((job) => job.nextMs !== undefined && job.nextMs <= nowMs)
        .toSorted((a, b) => (a.nextMs ?? 0) - (b.nextMs ?? 0))[0];
      if (due?.nextMs === undefined) break;
      due.nextMs = findNextFire(due, due.nextMs);
      this.#onFire(due.service, due.action);
    }
    this.#arm();
  }
}
