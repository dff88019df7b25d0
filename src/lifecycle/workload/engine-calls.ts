import { type Backend, CannotPause } from '../../backends/backend.ts';
import type { Observation } from '../../model/running/observation.ts';
import type { Service } from '../../model/service.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';

/** Time between the polite signal and the kill, where neither the service nor the engine sets one. */
const DEFAULT_GRACE_MS = 10_000;

/**
 * How long a stop may stay without an answer after its grace: longer than all deadlines of a backend together. A wake needs no
 * such deadline, since it is given up when its start runs out of time.
 */
const SLEEP_DEADLINE_MS = 60_000;

/** `cannot-pause`: the engine can't pause this workload at all. */
export type CallOutcome = 'woken' | 'wake-failed' | 'slept' | 'sleep-failed' | 'cannot-pause';

/** How long a stop may take before the workload is killed. Pure. */
export function graceMsOf(
  { stopTimeoutMs }: Pick<Service, 'stopTimeoutMs'>,
  { ownGraceMs }: Pick<Observation, 'ownGraceMs'>,
): number {
  return stopTimeoutMs ?? ownGraceMs ?? DEFAULT_GRACE_MS;
}

/**
 * The calls that start and stop one workload. The outcome of each call is told once, but not that of a call that was given up.
 * A stop that the backend never answers fails after a deadline. `close()` ends it.
 */
export class EngineCalls {
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #onOutcome: (outcome: CallOutcome, error?: string) => void;
  #wakeCall: AbortController | undefined;
  /** Set while a stop is under way. */
  #cancelSleepDeadline: Cancel | undefined;

  constructor(options: {
    readonly backend: Backend;
    readonly clock: Clock;
    readonly onOutcome: (outcome: CallOutcome, error?: string) => void;
  }) {
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#onOutcome = options.onOutcome;
  }

  wake({ workload }: Pick<Service, 'workload'>): void {
    const call = new AbortController();
    this.#wakeCall = call;
    const settle = (outcome: CallOutcome, error?: string) => {
      if (this.#wakeCall !== call) return;
      this.#wakeCall = undefined;
      this.#onOutcome(outcome, error);
    };
    void this.#backend.wake(workload, { signal: call.signal }).then(
      () => settle('woken'),
      (error) => settle('wake-failed', messageOf(error)),
    );
  }

  /** Gives up the start under way, if there is one. */
  abortWake(reason: string): void {
    this.#wakeCall?.abort(new Error(reason));
    this.#wakeCall = undefined;
  }

  /** @param options.evenInUse whether the workload is to sleep although a client of another proxy may use it. */
  sleep(
    service: Pick<Service, 'workload' | 'stopTimeoutMs' | 'rest'>,
    { observation, evenInUse }: { readonly observation: Observation; readonly evenInUse: boolean },
  ): void {
    const { workload, stopTimeoutMs: graceMs, rest } = service;
    const call = this.#backend.sleep(workload, { graceMs, evenInUse, stopSignal: rest.stopSignal });
    const deadlineMs = graceMsOf(service, observation) + SLEEP_DEADLINE_MS;
    this.#followSleep(call, { what: 'stop', deadlineMs });
  }

  /** To be called where the backend can pause at all. */
  pause({ workload }: Pick<Service, 'workload'>): void {
    const call = this.#backend.pause?.(workload) ?? Promise.reject(new CannotPause('it has no pause'));
    this.#followSleep(call, { what: 'pause', deadlineMs: SLEEP_DEADLINE_MS });
  }

  #followSleep(
    call: Promise<void>,
    { what, deadlineMs }: { readonly what: 'stop' | 'pause'; readonly deadlineMs: number },
  ): void {
    const cancel = this.#clock.schedule(deadlineMs, () =>
      settle('sleep-failed', `the engine did not report its ${what} within ${deadlineMs / 1000} s`),
    );
    this.#cancelSleepDeadline = cancel;
    const settle = (outcome: CallOutcome, error?: string) => {
      if (this.#cancelSleepDeadline !== cancel) return;
      this.#cancelSleepDeadline = undefined;
      cancel();
      this.#onOutcome(outcome, error);
    };
    void call.then(
      () => settle('slept'),
      (error) => settle(error instanceof CannotPause ? 'cannot-pause' : 'sleep-failed', messageOf(error)),
    );
  }

  /** Gives up everything; nothing is told any more. Idempotent. */
  close(reason: string): void {
    this.abortWake(reason);
    this.#cancelSleepDeadline?.();
    this.#cancelSleepDeadline = undefined;
  }
}
