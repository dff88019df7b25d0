import { abortable } from '../../system/abortable.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { Refusal, withObstacle } from '../refusal.ts';

/** A client that waits for a workload, within its own budget. */
export interface Waiter {
  /** Aborts with a Refusal when the budget is spent, the client leaves, or all clients are refused. */
  readonly signal: AbortSignal;
  /** Ends the wait; idempotent. */
  leave(): void;
}

interface Entry extends Waiter {
  /** Since when it has waited, on the monotonic clock. */
  readonly sinceMs: number;
  /** Whether the workload may be started for it. */
  readonly mayWake: boolean;
  refuse(refusal: Refusal): void;
  startBudget(): void;
}

/** The clients that wait for one workload to be awake, each within its own budget. Their number is bounded. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #entries = new Set<Entry>();
  #wakers = 0;
  /** How many of them each address has. */
  readonly #byAddress = new Map<string, number>();
  /** Resolved and replaced whenever clients that wait are to look again. */
  #call = createCall();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Those for whom the workload may be started. */
  get wakers(): number {
    return this.#wakers;
  }

  /** For how long the first of them has waited, in ms; undefined where nobody waits. */
  get longestWaitMs(): number | undefined {
    const [first] = this.#entries;
    return first === undefined ? undefined : this.#clock.monotonicMs() - first.sinceMs;
  }

  /**
   * Which limit keeps one more client out; undefined where there is room. Once half of the places are taken, one address gets
   * a quarter of all places at most. With fewer than four places a quarter would be none, so only the limit of all counts.
   */
  findBound(address: string | undefined, maxPending: number): 'all' | 'address' | undefined {
    if (this.size >= maxPending) return 'all';
    if (address === undefined || maxPending < 4 || 2 * this.size < maxPending) return undefined;
    return 4 * (this.#byAddress.get(address) ?? 0) >= maxPending ? 'address' : undefined;
  }

  /**
   * Lets one more client wait. The budget begins now.
   * @param options.spentMs how much of the budget is spent already; default: nothing.
   * @param options.extraMs the budget begins at the next `startBudgets()` instead, and until then the wait is bounded by this
   * time and the budget together.
   * @param options.address the address whose place it takes; left out where places are not counted by address.
   * @param options.obstacle what the client waits for, in words; asked when the budget is spent.
   * @param options.spentOn what the time was spent on, in words that follow those about the budget; asked then, too.
   * @param options.mayWake whether the workload may be started for it; default: true.
   * @param options.signal aborts when the client leaves.
   */
  enter(options: {
    readonly budgetMs: number;
    readonly spentMs?: number;
    readonly extraMs?: number;
    readonly signal: AbortSignal;
    readonly mayWake?: boolean;
    readonly address?: string | undefined;
    readonly obstacle?: () => string | undefined;
    readonly spentOn?: () => string | undefined;
  }): Waiter {
    const controller = new AbortController();
    const { budgetMs, spentMs = 0, signal, mayWake = true } = options;
    let cancelBudget: Cancel | undefined;
    let cancelExtra: Cancel | undefined;
    // A refused client gives its place back at once, although its own code hears of the refusal only later.
    const refuse = (refusal: Refusal) => {
      this.#remove(entry, options.address);
      controller.abort(refusal);
    };
    const left = () => refuse(new Refusal('left', 'the client left while it waited'));
    const refuseAfter = (ms: number) =>
      this.#clock.schedule(ms - spentMs, () => {
        const what = `not ready within ${ms} ms${options.spentOn?.() ?? ''}`;
        refuse(new Refusal('timeout', withObstacle(what, options.obstacle?.())));
      });
    const entry: Entry = {
      signal: controller.signal,
      sinceMs: this.#clock.monotonicMs() - spentMs,
      mayWake,
      refuse,
      startBudget: () => {
        cancelExtra?.();
        cancelBudget ??= refuseAfter(budgetMs);
      },
      leave: () => {
        this.#remove(entry, options.address);
        cancelBudget?.();
        cancelExtra?.();
        signal.removeEventListener('abort', left);
      },
    };
    this.#entries.add(entry);
    if (mayWake) this.#wakers++;
    if (options.address !== undefined) this.#count(options.address, +1);
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    if (options.extraMs === undefined) entry.startBudget();
    else cancelExtra = refuseAfter(options.extraMs + budgetMs);
    return entry;
  }

  #remove(entry: Entry, address: string | undefined): void {
    if (!this.#entries.delete(entry)) return;
    if (entry.mayWake) this.#wakers--;
    if (address !== undefined) this.#count(address, -1);
  }

  #count(address: string, by: 1 | -1): void {
    const count = (this.#byAddress.get(address) ?? 0) + by;
    if (count > 0) this.#byAddress.set(address, count);
    else this.#byAddress.delete(address);
  }

  startBudgets(): void {
    for (const entry of this.#entries) entry.startBudget();
  }

  refuseAll(refusal: Refusal): void {
    for (const entry of [...this.#entries]) entry.refuse(refusal);
  }

  /** Refuses those for whom the workload may not be started. */
  refuseGuests(refusal: Refusal): void {
    if (this.size === this.#wakers) return;
    for (const entry of [...this.#entries]) if (!entry.mayWake) entry.refuse(refusal);
  }

  /** Resolves `nextCall` for every client that waits. */
  callAll(): void {
    const call = this.#call;
    this.#call = createCall();
    call.resolve();
  }

  /** Resolves at the next `callAll`; rejects with the waiter's refusal. */
  nextCall(waiter: Waiter): Promise<void> {
    return abortable(this.#call.promise, waiter.signal);
  }
}

interface Call {
  readonly promise: Promise<void>;
  resolve(): void;
}

function createCall(): Call {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
