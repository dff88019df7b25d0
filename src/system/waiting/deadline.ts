import { abortable } from './abortable.ts';
import type { Cancel, Clock } from '../clock.ts';
import { linkSignals } from './link-signals.ts';

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborts the work as well; undefined where nothing else may. */
  readonly parent?: AbortSignal | undefined;
  /** What the work is aborted with when the time is up. */
  readonly expired: (timeoutMs: number) => Error;
}

/** A signal that aborts with `parent`, or when the time is up. Owns a timer: whoever creates it calls `end()`. */
export class Deadline {
  readonly #options: DeadlineOptions;
  readonly #timer = new AbortController();
  readonly #linked: ReturnType<typeof linkSignals>;
  #cancel: Cancel = () => {};

  constructor(options: DeadlineOptions) {
    const { parent } = options;
    this.#options = options;
    this.#linked = linkSignals(parent === undefined ? [this.#timer.signal] : [parent, this.#timer.signal]);
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#linked.signal;
  }

  /** Starts the whole time again from now. */
  restart(): void {
    const { clock, timeoutMs, expired } = this.#options;
    this.#cancel();
    this.#cancel = clock.schedule(timeoutMs, () => this.#timer.abort(expired(timeoutMs)));
  }

  /** Stops the time: from now on only the parent aborts the signal. */
  stop(): void {
    this.#cancel();
  }

  /** From now on nothing aborts the signal. Idempotent. */
  end(): void {
    this.#cancel();
    this.#linked.unlink();
  }
}

/**
 * Does `work` with the signal of a deadline. The result settles when the signal aborts, even if `work` never does.
 * @throws what `work` throws; `expired(timeoutMs)` when the time is up; the parent's reason when it aborts.
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  options: DeadlineOptions,
): Promise<T> {
  const deadline = new Deadline(options);
  try {
    deadline.signal.throwIfAborted();
    return await abortable(work(deadline.signal), deadline.signal);
  } finally {
    deadline.end();
  }
}
