import type { ClientUse } from '../../../model/running/client-use.ts';
import type { TrafficRate } from '../../../model/running/sleep.ts';

const UNIT_MS: Readonly<Record<TrafficRate['per'], number>> = { s: 1_000, min: 60_000, h: 3_600_000 };

/**
 * A use within the last such part of the window is new enough: the search ends with it. There may be a newer one; then the next look
 * comes too early by that part at most, and finds it.
 */
const YOUNG_PART = 16;

interface Window {
  readonly nowMs: number;
  /** The idle time that counts. */
  readonly windowMs: number;
  /** What a connection has to carry at least; 0 bytes = anything. */
  readonly ignoreBelow: TrafficRate;
}

/**
 * Finds out when the clients of one workload last carried something. It reads their counters when it is asked to look, and at no other
 * time; what it has seen of each is kept until the next look.
 */
export class TrafficLook {
  readonly #seen = new WeakMap<ClientUse, number>();
  #lookedMs: number | undefined;

  /**
   * Looks, and remembers what each has carried.
   * @param uses undefined stands for somebody of whom nothing is known: that is use.
   * @returns the newest use since the look before, on the clock of `nowMs`; undefined where there was none.
   */
  look(uses: Iterable<ClientUse | undefined>, window: Window): number | undefined {
    const newestMs = this.#find(uses, window, (use, bytes) => this.#seen.set(use, bytes));
    this.#lookedMs = window.nowMs;
    return newestMs;
  }

  /** The same, and remembers nothing. */
  peek(uses: Iterable<ClientUse | undefined>, window: Window): number | undefined {
    return this.#find(uses, window, () => {});
  }

  /** Ends those that have carried nothing since the last look. @returns how many that may be. */
  closeIdle(uses: Iterable<ClientUse | undefined>): number {
    let count = 0;
    for (const use of uses) {
      const bytes = use === undefined ? undefined : this.#seen.get(use);
      if (use === undefined || bytes === undefined) continue;
      count++;
      use.closeIdle(bytes);
    }
    return count;
  }

  #find(
    uses: Iterable<ClientUse | undefined>,
    { nowMs, windowMs, ignoreBelow }: Window,
    see: (use: ClientUse, bytes: number) => void,
  ): number | undefined {
    const elapsedMs = Math.max(windowMs, nowMs - (this.#lookedMs ?? nowMs));
    const least = (ignoreBelow.bytes * elapsedMs) / UNIT_MS[ignoreBelow.per];
    let newestMs: number | undefined;
    for (const use of uses) {
      if (use?.bytes === undefined) return nowMs;
      const { bytes } = use;
      const before = this.#seen.get(use);
      see(use, bytes);
      if (least === 0 && before === bytes) continue;
      // A client that was not there at the last look has come since then, which is use.
      if (least > 0 && before !== undefined && bytes - before < least) continue;
      const sinceMs = least > 0 ? nowMs : nowMs - (use.quietMs() ?? 0);
      newestMs = Math.max(newestMs ?? 0, sinceMs);
      if (least === 0 && nowMs - newestMs < windowMs / YOUNG_PART) return newestMs;
    }
    return newestMs;
  }
}
