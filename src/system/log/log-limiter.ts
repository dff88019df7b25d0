import type { Clock } from '../clock.ts';

/** How many keys are remembered, and so how many lines may pass in one interval. */
const MAX_KEYS = 4_096;

/**
 * Lets one log line per key through in each interval, and counts the others. It remembers 4,096 keys at most: after so many
 * lines in one interval, lines of further keys are held back too, and counted with the next line that passes.
 */
export class LogLimiter {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  /** In the order of their last line, the oldest first. */
  readonly #keys = new Map<string, { nextMs: number; suppressed: number }>();
  #suppressedOfOthers = 0;

  constructor(clock: Clock, intervalMs: number) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
  }

  /** Returns how many lines of `key` were held back since the last one that passed; undefined if this one must be held back too. */
  pass(key: string): number | undefined {
    const nowMs = this.#clock.monotonicMs();
    const entry = this.#keys.get(key);
    if (entry !== undefined && nowMs < entry.nextMs) {
      entry.suppressed++;
      return undefined;
    }
    if (entry === undefined && !this.#makeRoom(nowMs)) {
      this.#suppressedOfOthers++;
      return undefined;
    }
    const suppressed = (entry?.suppressed ?? 0) + this.#suppressedOfOthers;
    this.#suppressedOfOthers = 0;
    this.#keys.delete(key);
    this.#keys.set(key, { nextMs: nowMs + this.#intervalMs, suppressed: 0 });
    return suppressed;
  }

  /** How many keys are remembered. */
  get size(): number {
    return this.#keys.size;
  }

  /** Forgets the key with the oldest line if its interval is over; false if there is no room. */
  #makeRoom(nowMs: number): boolean {
    if (this.#keys.size < MAX_KEYS) return true;
    const [oldest] = this.#keys;
    if (oldest === undefined) return true;
    const [key, { nextMs, suppressed }] = oldest;
    if (nowMs < nextMs) return false;
    this.#suppressedOfOthers += suppressed;
    return this.#keys.delete(key);
  }
}
