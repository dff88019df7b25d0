import type { Clock } from '../clock.ts';

/** Lets one log line per key through in each interval, and counts the others. */
export class LogLimiter {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #keys = new Map<string, { nextMs: number; suppressed: number }>();

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** How many lines of `key` were held back since the last one, or undefined where this one is to be held back too. */
  pass(key: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#keys.get(key);
    if (entry !== undefined && nowMs < entry.nextMs) {
      entry.suppressed++;
      return undefined;
    }
    this.#keys.set(key, { nextMs: nowMs + this.#intervalMs, suppressed: 0 });
    return entry?.suppressed ?? 0;
  }
}
