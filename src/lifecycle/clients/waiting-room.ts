import { abortable } from '../../system/abortable.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { Refusal, withObstacle } from '../refusal.ts';

/** One who waits for a workload, inside its own budget. */
export interface Waiter {
  /** Aborts with a Refusal when the budget is spent, the client leaves, or everybody is refused. */
  readonly signal: AbortSignal;
  /** Ends the wait; idempotent. */
  leave(): void;
}

interface Entry extends Waiter {
  refuse(refusal: Refusal): void;
  startBudget(): void;
}

/** Those who wait for one workload to be awake, each inside its own budget; bounded. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #entries = new Set<Entry>();
  /** How many of them each address has. */
  readonly #byAddress = new Map<string, number>();
  /** Resolved and replaced whenever the state may have changed what those who wait can do. */
  #turn = createTurn();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Which bound keeps one more out; undefined where there is room. Once half of the places are taken, one address gets a
   * quarter of them at most; of fewer than four a quarter is none at all, and the first ones get them.
   */
  findBound(address: string | undefined, maxPending: number): 'all' | 'address' | undefined {
    if (this.size >= maxPending) return 'all';
    if (address === undefined || maxPending < 4 || 2 * this.size < maxPending) return undefined;
    return 4 * (this.#byAddress.get(address) ?? 0) >= maxPending ? 'address' : undefined;
  }

  /**
   * Lets one more wait. The budget begins now.
   * @param options.spentMs what of the budget is spent already; default: nothing.
   * @param options.extraMs the budget begins at the next `startBudgets()` instead, and until then the wait is bounded by this
   * time and the budget together.
   * @param options.address whose place it is; left out where that is nobody's.
   * @param options.obstacle what it waits for, asked when the budget is spent.
   * @param options.spentOn what else its time went on, in words that follow the budget's.
   * @param options.signal aborts when the client leaves.
   */
  enter(options: {
    readonly budgetMs: number;
    readonly spentMs?: number;
    readonly extraMs?: number;
    readonly signal: AbortSignal;
    readonly address?: string | undefined;
    readonly obstacle?: () => string | undefined;
    readonly spentOn?: () => string | undefined;
  }): Waiter {
    const controller = new AbortController();
    const { budgetMs, spentMs = 0, signal } = options;
    let cancelBudget: Cancel | undefined;
    let cancelExtra: Cancel | undefined;
    // Whoever is refused no longer waits, although its own code hears of it only later.
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
    if (options.address !== undefined) this.#count(options.address, +1);
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    if (options.extraMs === undefined) entry.startBudget();
    else cancelExtra = refuseAfter(options.extraMs + budgetMs);
    return entry;
  }

  #remove(entry: Entry, address: string | undefined): void {
    if (this.#entries.delete(entry) && address !== undefined) this.#count(address, -1);
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

  /** Makes everybody in `nextTurn` look again. */
  callAll(): void {
    const turn = this.#turn;
    this.#turn = createTurn();
    turn.resolve();
  }

  /** Resolves at the next `callAll`; rejects with the waiter's refusal. */
  nextTurn(waiter: Waiter): Promise<void> {
    return abortable(this.#turn.promise, waiter.signal);
  }
}

interface Turn {
  readonly promise: Promise<void>;
  resolve(): void;
}

function createTurn(): Turn {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
