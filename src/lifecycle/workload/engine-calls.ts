import type { Backend } from '../../backends/backend.ts';
import type { Workload } from '../../model/workload.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';

export type CallOutcome = 'woken' | 'wake-failed' | 'slept' | 'sleep-failed';

/** The grace of workloads whose backend tells none. */
export const DEFAULT_GRACE_MS = 10_000;

/**
 * Beyond the grace, for a backend that never says how a stop ended: longer than a backend's own deadlines together. A
 * wake needs none, since it is given up with its start.
 */
const SLEEP_DEADLINE_MS = 60_000;

/** The calls to the engine for one workload; tells each call's end once, except that of a call that was given up. */
export class EngineCalls {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #onSettled: (outcome: CallOutcome, reason?: string) => void;
  #wakeCall: AbortController | undefined;
  #cancelSleepDeadline: Cancel | undefined;

  constructor(options: {
    readonly backend: Backend;
    readonly clock: Clock;
    readonly onSettled: (outcome: CallOutcome, reason?: string) => void;
  }) {
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#onSettled = options.onSettled;
  }

  wake(workload: Workload): void {
    const call = new AbortController();
    this.#wakeCall = call;
    const settle = (outcome: CallOutcome, reason?: string) => {
      if (this.#wakeCall !== call) return;
      this.#wakeCall = undefined;
      this.#onSettled(outcome, reason);
    };
    void this.#backend.wake(workload, { signal: call.signal }).then(
      () => settle('woken'),
      (error) => settle('wake-failed', messageOf(error)),
    );
  }

  /** Gives up the wake under way, if there is one. */
  abortWake(reason: string): void {
    this.#wakeCall?.abort(new Error(reason));
    this.#wakeCall = undefined;
  }

  /** @param options.ownGraceMs the workload's own grace, where it is known. */
  sleep(
    workload: Workload,
    {
      ownGraceMs,
      ...options
    }: Parameters<Backend['sleep']>[1] & { readonly ownGraceMs?: number | undefined },
  ): void {
    const deadlineMs = (options.graceMs ?? ownGraceMs ?? DEFAULT_GRACE_MS) + SLEEP_DEADLINE_MS;
    const cancel = this.#clock.schedule(deadlineMs, () =>
      settle('sleep-failed', `nothing was heard of the stop within ${deadlineMs / 1000} s`),
    );
    this.#cancelSleepDeadline = cancel;
    const settle = (outcome: CallOutcome, reason?: string) => {
      if (this.#cancelSleepDeadline !== cancel) return;
      this.#cancelSleepDeadline = undefined;
      cancel();
      this.#onSettled(outcome, reason);
    };
    void this.#backend.sleep(workload, options).then(
      () => settle('slept'),
      (error) => settle('sleep-failed', messageOf(error)),
    );
  }

  /** Gives up everything; nothing is told any more. Idempotent. */
  close(reason: string): void {
    this.abortWake(reason);
    this.#cancelSleepDeadline?.();
    this.#cancelSleepDeadline = undefined;
  }
}
