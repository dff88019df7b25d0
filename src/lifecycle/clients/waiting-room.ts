import { abortable } from '../../system/waiting/abortable.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { Refusal, withObstacle } from '../refusal.ts';

/** A client that waits for a workload, within its own budget. */
export interface Waiter {
  /** Aborts with a Refusal when the budget is spent, the client leaves, or all clients are refused. */
  readonly signal: AbortSignal;
  /** Ends the wait; idempotent. */
  leave(): void;
}

/** Whose place a client takes. */
export interface PlaceOf {
  /** The name of the service by which it came: each has places of its own. */
  readonly service: string;
  /** Its address; undefined where places are not counted by address. */
  readonly address: string | undefined;
}

/** The clients of one service that wait. */
interface Share {
  size: number;
  /** How many of them each address has. */
  readonly byAddress: Map<string, number>;
}

interface Entry extends Waiter {
  /** Since when it has waited, on the monotonic clock. */
  readonly sinceMs: number;
  /** Whether the workload may be started for it. */
  readonly mayWake: boolean;
  refuse(refusal: Refusal): void;
  startBudget(): void;
}

/** The clients that wait for one workload to be awake, each within its own budget. Their number is bounded for each service. */
export class WaitingRoom {
  readonly #clock: Clock;
  readonly #entries = new Set<Entry>();
  #wakers = 0;
  /** By the service's name. */
  readonly #shares = new Map<string, Share>();
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
   * Which limit keeps one more client out; undefined where there is room. Once half of a service's places are taken, one
   * address gets a quarter of them at most. With fewer than four places a quarter would be none, so only the limit of all
   * counts.
   */
  findBound({ service, address }: PlaceOf, maxPending: number): 'all' | 'address' | undefined {
    const share = this.#shares.get(service);
    const size = share?.size ?? 0;
    if (size >= maxPending) return 'all';
    if (address === undefined || maxPending < 4 || 2 * size < maxPending) return undefined;
    return 4 * (share?.byAddress.get(address) ?? 0) >= maxPending ? 'address' : undefined;
  }

  /**
   * Lets one more client wait. The budget begins now.
   * @param options.spentMs how much of the budget is spent already; default: nothing.
   * @param options.extraMs the budget begins at the next `startBudgets()` instead, and until then the wait is bounded by this
   * time and the budget together.
   * @param options.place whose place it takes.
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
    readonly place: PlaceOf;
    readonly obstacle?: () => string | undefined;
    readonly spentOn?: () => string | undefined;
  }): Waiter {
    const controller = new AbortController();
    const { budgetMs, spentMs = 0, signal, mayWake = true, place } = options;
    let cancelBudget: Cancel | undefined;
    let cancelExtra: Cancel | undefined;
    // A refused client gives its place back at once, although its own code hears of the refusal only later.
    const refuse = (refusal: Refusal) => {
      this.#remove(entry, place);
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
        this.#remove(entry, place);
        cancelBudget?.();
        cancelExtra?.();
        signal.removeEventListener('abort', left);
      },
    };
    this.#entries.add(entry);
    if (mayWake) this.#wakers++;
    this.#count(place, +1);
    if (signal.aborted) left();
    else signal.addEventListener('abort', left, { once: true });
    if (options.extraMs === undefined) entry.startBudget();
    else cancelExtra = refuseAfter(options.extraMs + budgetMs);
    return entry;
  }

  #remove(entry: Entry, place: PlaceOf): void {
    if (!this.#entries.delete(entry)) return;
    if (entry.mayWake) this.#wakers--;
    this.#count(place, -1);
  }

  #count({ service, address }: PlaceOf, by: 1 | -1): void {
    const share = this.#shares.get(service) ?? { size: 0, byAddress: new Map() };
    share.size += by;
    if (share.size > 0) this.#shares.set(service, share);
    else this.#shares.delete(service);
    if (address === undefined) return;
    const count = (share.byAddress.get(address) ?? 0) + by;
    if (count > 0) share.byAddress.set(address, count);
    else share.byAddress.delete(address);
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
