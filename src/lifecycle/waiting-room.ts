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
   * Lets one more wait. The budget begins now, or, `whenStarted`, at the next `startBudgets()`.
   * @param options.obstacle what it waits for, asked when the budget is spent.
   * @param options.signal aborts when the client leaves.
   */
  enter(options: {
    readonly budgetMs: number;
    readonly budgetFrom: 'now' | 'whenStarted';
    readonly signal: AbortSignal;
    readonly obstacle?: () => string | undefined;
  }): Waiter {
    const controller = new AbortController();
    const { budgetMs, signal } = options;
    let cancelBudget: Cancel | undefined;
    // Whoever is refused no longer waits, although its own code hears of it only later.
    const refuse = (refusal: Refusal) => {
      this.#entries.delete(entry);
      controller.abort(refusal);
    };
    const left = () => refuse(new Refusal('left', 'the client left while it waited'));
    const entry: Entry = {
      signal: controller.signal,
      refuse,
      startBudget: () => {
        cancelBudget ??= this.#clock.schedule(budgetMs, () => {
          refuse(
            new Refusal('timeout', withObstacle(`not ready within ${budgetMs} ms`, options.obstacle?.())),
          );
        });
      },
      leave: () => {
        this.#entries.delete(entry);
        cancelBudget?.();
        signal.removeEventListener('abort', left);
      },
    };
    this.#entries.add(entry);
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    if (options.budgetFrom === 'now') entry.startBudget();
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
