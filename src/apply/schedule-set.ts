import { hasCronJobs, hasWindows, type NextFires } from '../model/availability.ts';
import type { AwakeWindow } from '../model/awake-window.ts';
import type { Service } from '../model/service.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import { type CronJob, findNextFire, intervalOf } from './cron-job.ts';
import { findWindowState, type WindowState } from './window-times.ts';

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

/** The windows of a service, and how they are. */
interface WatchedWindows {
  readonly windows: readonly AwakeWindow[];
  readonly timezone: string;
  state: WindowState;
}

/**
 * The cron jobs and windows of all services, on one timer. A job fires once for each of its times, in order; after the machine slept
 * or its clock was set forward by up to three hours the missed times are made up for, and a clock set back doesn't
 * repeat them. Intervals (`@every`) count from when the set was made; of those that were missed one is made up for, and
 * a clock set back doesn't lengthen the one that runs. A window is open or not by the clock as it is now, however that came about.
 * `close()` ends it.
 */
export class ScheduleSet {
  readonly #clock: Clock;
  readonly #onFire: (service: string, action: CronAction) => void;
  readonly #onWindow: (service: string, state: WindowState) => void;
  readonly #jobs = new Map<string, readonly ScheduledJob[]>();
  readonly #windows = new Map<string, WatchedWindows>();
  readonly #startMs: number;
  #lastLookMs: number;
  #timer: { readonly wakeMs: number; readonly cancel: Cancel } | undefined;

  /** @param options.onWindow is told whether a window of a service is open, at first and whenever that may have changed. */
  constructor(options: {
    readonly clock: Clock;
    readonly onFire: (service: string, action: CronAction) => void;
    readonly onWindow: (service: string, state: WindowState) => void;
  }) {
    this.#clock = options.clock;
    this.#onFire = options.onFire;
    this.#onWindow = options.onWindow;
    this.#startMs = options.clock.nowMs();
    this.#lastLookMs = this.#startMs;
  }

  /** Replaces the jobs and windows of a service; those of other services stay as they are. */
  set(service: Service): void {
    const nowMs = this.#clock.nowMs();
    if (this.#isEmpty) this.#lastLookMs = nowMs;
    // After jobs were replaced the timer may fire too early, which is harmless; it must never fire too late.
    if (hasCronJobs(service)) this.#armFor(this.#setJobs(service, nowMs), nowMs);
    else this.#jobs.delete(service.name);
    this.#setWindows(service, nowMs);
  }

  /** What the schedule of a service does next. */
  nextFires(service: string): NextFires {
    const jobs = this.#jobs.get(service) ?? [];
    const state = this.#windows.get(service)?.state;
    return {
      ...Object.fromEntries(
        jobs.flatMap(({ action, nextMs }) => (nextMs === undefined ? [] : [[action, nextMs]])),
      ),
      ...(state?.isOpen === false && state.changesMs !== undefined && { opens: state.changesMs }),
    };
  }

  /** Forgets the jobs and windows of a service. */
  clear(service: string): void {
    this.#jobs.delete(service);
    this.#windows.delete(service);
    if (this.#isEmpty) this.close();
  }

  /** Forgets all jobs and windows. Idempotent. */
  close(): void {
    this.#jobs.clear();
    this.#windows.clear();
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  get #isEmpty(): boolean {
    return this.#jobs.size === 0 && this.#windows.size === 0;
  }

  /** Returns when the first of them fires. */
  #setJobs({ name, timezone, cronStart, cronStop }: Service, nowMs: number): number {
    const create = (action: CronAction, expression: string | undefined): readonly ScheduledJob[] => {
      if (expression === undefined) return [];
      const job = { expression, timezone, startMs: this.#startMs };
      return [{ ...job, service: name, action, nextMs: findNextFire(job, nowMs) }];
    };
    const jobs = [...create('start', cronStart), ...create('stop', cronStop)];
    this.#jobs.set(name, jobs);
    return earliest(jobs);
  }

  #setWindows(service: Service, nowMs: number): void {
    const { name, timezone, awake: windows } = service;
    if (hasWindows(service)) {
      const state = findWindowState(windows, { timezone, nowMs });
      this.#windows.set(name, { windows, timezone, state });
      this.#armFor(state.changesMs ?? Number.POSITIVE_INFINITY, nowMs);
      this.#onWindow(name, state);
    } else if (this.#windows.delete(name)) this.#onWindow(name, { isOpen: false, changesMs: undefined });
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
    const wasSetBack = nowMs < this.#lastLookMs;
    if (Math.abs(nowMs - this.#lastLookMs) > CORRECTION_MS) {
      for (const job of this.#all()) job.nextMs = findNextFire(job, nowMs);
    }
    this.#lastLookMs = nowMs;
    for (const { job } of this.#takeDue(nowMs)) {
      // A job that fired earlier in this loop may have removed this one.
      if (this.#jobs.get(job.service)?.includes(job) === true) this.#onFire(job.service, job.action);
    }
    this.#lookAtWindows(nowMs, { wasSetBack });
    if (!this.#isEmpty) this.#armFor(earliest([...this.#all(), ...this.#windowChanges()]), nowMs);
  }

  #lookAtWindows(nowMs: number, { wasSetBack }: { readonly wasSetBack: boolean }): void {
    for (const [service, watched] of this.#windows) {
      const { windows, timezone, state } = watched;
      if (!wasSetBack && (state.changesMs === undefined || state.changesMs > nowMs)) continue;
      watched.state = findWindowState(windows, { timezone, nowMs });
      this.#onWindow(service, watched.state);
    }
  }

  *#windowChanges(): Generator<{ readonly nextMs: number | undefined }> {
    for (const { state } of this.#windows.values()) yield { nextMs: state.changesMs };
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

function earliest(jobs: Iterable<{ readonly nextMs: number | undefined }>): number {
  let dueMs = Number.POSITIVE_INFINITY;
  for (const { nextMs } of jobs) if (nextMs !== undefined && nextMs < dueMs) dueMs = nextMs;
  return dueMs;
}
