import { abortable } from '../system/abortable.ts';
import type { Cancel, Clock } from '../system/clock.ts';
import { Refusal, withObstacle } from './refusal.ts';

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
  /** Resolved and replaced whenever the state may have changed what those who wait can do. */
  #turn = createTurn();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /**
   * Lets one more wait. The budget begins now.
   * @param options.extraMs the budget begins at the next `startBudgets()` instead, and until then the wait is bounded by this
   * time and the budget together.
   * @param options.obstacle what it waits for, asked when the budget is spent.
   * @param options.signal aborts when the client leaves.
   */
  enter(options: {
    readonly budgetMs: number;
    readonly extraMs?: number;
    readonly signal: AbortSignal;
    readonly obstacle?: () => string | undefined;
  }): Waiter {
    const controller = new AbortController();
    const { budgetMs, signal } = options;
    let cancelBudget: Cancel | undefined;
    let cancelExtra: Cancel | undefined;
    // Whoever is refused no longer waits, although its own code hears of it only later.
    const refuse = (refusal: Refusal) => {
      this.#entries.delete(entry);
      controller.abort(refusal);
    };
    const left = () => refuse(new Refusal('left', 'the client left while it waited'));
    const refuseAfter = (ms: number) =>
      this.#clock.schedule(ms, () => {
        refuse(new Refusal('timeout', withObstacle(`not ready within ${ms} ms`, options.obstacle?.())));
      });
    const entry: Entry = {
      signal: controller.signal,
      refuse,
      startBudget: () => {
        cancelExtra?.();
        cancelBudget ??= refuseAfter(budgetMs);
      },
      leave: () => {
        this.#entries.delete(entry);
        cancelBudget?.();
        cancelExtra?.();
        signal.removeEventListener('abort', left);
      },
    };
    this.#entries.add(entry);
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    if (options.extraMs === undefined) entry.startBudget();
    else cancelExtra = refuseAfter(options.extraMs + budgetMs);
    return entry;
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
