import type { Backend } from '../backends/backend.ts';
import type { Workload } from '../model/workload.ts';
import { messageOf } from '../system/message-of.ts';

export type CallOutcome = 'woken' | 'wake-failed' | 'slept' | 'sleep-failed';

/** The calls to the engine for one workload; tells each call's end, except that of a wake that was given up. */
export class EngineCalls {
  readonly #backend: Backend;
  readonly #onSettled: (outcome: CallOutcome, reason?: string) => void;
  #wakeCall: AbortController | undefined;

  constructor(backend: Backend, onSettled: (outcome: CallOutcome, reason?: string) => void) {
    this.#backend = backend;
    this.#onSettled = onSettled;
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

  sleep(workload: Workload, options: Parameters<Backend['sleep']>[1]): void {
    void this.#backend.sleep(workload, options).then(
      () => this.#onSettled('slept'),
      (error) => this.#onSettled('sleep-failed', messageOf(error)),
    );
  }
}
