import type { Cancel, Clock } from '../clock.ts';

/** Something that is due at a time. An object can be in one queue only. */
export interface Due {
  /** When, on the monotonic clock; written by the queue. */
  dueMs: number;
  /** Where it stands in the queue, -1 = nowhere; written by the queue. */
  duePlace: number;
  onDue(): void;
}

/**
 * Thousands of deadlines with one timer, instead of a timer and a closure for each. They stand in a heap: the next one is
 * found at once, and each change takes time that grows with the logarithm of their number.
 */
export class DueQueue {
  readonly #clock: Clock;
  readonly #heap: Due[] = [];
  #cancelTimer: Cancel | undefined;
  /** When the timer fires. */
  #timerMs = Number.POSITIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `due` back once after `delayMs`; replaces its earlier deadline. */
  set(due: Due, delayMs: number): void {
    const heap = this.#heap;
    due.dueMs = this.#clock.monotonicMs() + delayMs;
    if (due.duePlace < 0) {
      due.duePlace = heap.length;
      heap.push(due);
    }
    this.#rise(due);
    this.#sink(due);
    this.#arm();
  }

  /** Removes the deadline of `due`. Idempotent. */
  delete(due: Due): void {
    const { duePlace } = due;
    if (duePlace < 0) return;
    due.duePlace = -1;
    const last = this.#heap.pop();
    if (last !== undefined && last !== due) {
      this.#put(last, duePlace);
      this.#rise(last);
      this.#sink(last);
    }
    // With others left the timer goes on: where it fires too early, it is set for the next one.
    if (this.#heap.length === 0) this.#disarm();
  }

  #fire(): void {
    this.#disarm();
    const nowMs = this.#clock.monotonicMs();
    for (let next = this.#heap[0]; next !== undefined && next.dueMs <= nowMs; next = this.#heap[0]) {
      this.delete(next);
      next.onDue();
    }
    this.#arm();
  }

  #arm(): void {
    const [next] = this.#heap;
    if (next === undefined || next.dueMs >= this.#timerMs) return;
    this.#disarm();
    this.#timerMs = next.dueMs;
    const delayMs = Math.max(0, next.dueMs - this.#clock.monotonicMs());
    this.#cancelTimer = this.#clock.schedule(delayMs, () => this.#fire());
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerMs = Number.POSITIVE_INFINITY;
  }

  #rise(due: Due): void {
    for (let at = due.duePlace; at > 0; at = due.duePlace) {
      const parent = this.#heap[(at - 1) >> 1];
      if (parent === undefined || parent.dueMs <= due.dueMs) return;
      this.#put(due, parent.duePlace);
      this.#put(parent, at);
    }
  }

  #sink(due: Due): void {
    for (;;) {
      const at = due.duePlace;
      const [left, right] = [this.#heap[2 * at + 1], this.#heap[2 * at + 2]];
      const child = left !== undefined && right !== undefined && right.dueMs < left.dueMs ? right : left;
      if (child === undefined || child.dueMs >= due.dueMs) return;
      this.#put(due, child.duePlace);
      this.#put(child, at);
    }
  }

  #put(due: Due, at: number): void {
    this.#heap[at] = due;
    due.duePlace = at;
  }
}
