import { backoffMs } from '../../../system/waiting/backoff.ts';

const RETRY = { firstMs: 100, maxMs: 5_000 };

/** How one watch ended. */
export interface WatchEnd {
  /** Whether the watch was in force. */
  readonly opened: boolean;
  /** Whether it was in order until then, so that its end is no reason to wait. */
  readonly steady: boolean;
  /** Whether the API server has forgotten the version it began from, so that a new list is needed. */
  readonly gone: boolean;
  /** Whether the API server was away, and is only starting. */
  readonly starting: boolean;
}

/**
 * Decides how soon the informer watches again. It does so at once after the first end of a watch that was in force, and
 * after the first answer that the version is too old. From then on the delays grow, until a watch was in order again. They
 * begin anew when the server has come back.
 */
export class WatchPace {
  #failures = 0;
  #wasExcused = false;
  #wasGone = false;
  #wasStarting = false;

  /** Delay in ms; 0 where the end is no failure yet. */
  next({ opened, steady, gone, starting }: WatchEnd): number {
    if (steady) {
      this.#failures = 0;
      this.#wasExcused = false;
    }
    if (starting && !this.#wasStarting) this.#failures = 0;
    this.#wasStarting = starting;
    const isFirst = gone ? !this.#wasGone : opened && !this.#wasExcused && this.#failures === 0;
    this.#wasGone = gone;
    if (isFirst && !gone) this.#wasExcused = true;
    return isFirst ? 0 : backoffMs(++this.#failures, RETRY);
  }
}
