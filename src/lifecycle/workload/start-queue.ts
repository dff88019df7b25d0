import type { Clock } from '../../system/clock.ts';
import { LogLimiter } from '../../system/log/log-limiter.ts';
import type { Logger } from '../../system/log/logger.ts';

/** At most one line a second about who has to wait. */
const LOG_INTERVAL_MS = 1_000;

/** One workload among those that the proxy starts. */
export interface StartTurn {
  /** Waits for its turn. */
  readonly isWaiting: boolean;
  /**
   * Takes a place, which it keeps until `end()`; where none is free, or others wait, it waits behind them. Asked again, it keeps
   * what it has.
   * @param options.atOnce it doesn't wait, but counts.
   * @returns whether it has a place.
   */
  take(options: { readonly atOnce: boolean; readonly name: string }): boolean;
  /** Gives back its place, or waits no longer. Idempotent. */
  end(): void;
}

/**
 * Bounds how many starts of the proxy's own are under way at once. The others wait their turn, first come, first served. What
 * somebody else starts neither waits nor counts: a proxy that comes up beside many workloads could start none for a while.
 */
export class StartQueue {
  readonly #logger: Logger;
  readonly #limiter: LogLimiter;
  readonly #underWay = new Set<StartTurn>();
  /** In the order of their arrival, with who is to be told that its turn has come. */
  readonly #waiting = new Map<StartTurn, () => void>();
  #max: number;

  /** @param options.max at least 1. */
  constructor(options: { readonly max: number; readonly clock: Clock; readonly logger: Logger }) {
    this.#max = options.max;
    this.#logger = options.logger;
    this.#limiter = new LogLimiter(options.clock, LOG_INTERVAL_MS);
  }

  /** `8 of 8 starts are under way`. */
  get load(): string {
    return `${this.#underWay.size} of ${this.#max} starts are under way`;
  }

  /** In force at once; what is under way goes on. */
  setMax(max: number): void {
    this.#max = max;
    this.#callLater();
  }

  /** @param onTurn told that its turn has come: it has a place now, and gives it back where it doesn't need it any more. */
  join(onTurn: () => void): StartTurn {
    const [underWay, waiting] = [this.#underWay, this.#waiting];
    const turn: StartTurn = {
      get isWaiting() {
        return waiting.has(turn);
      },
      take: ({ atOnce, name }) => {
        if (underWay.has(turn)) return true;
        if (atOnce || (underWay.size < this.#max && waiting.size === 0)) {
          waiting.delete(turn);
          underWay.add(turn);
          return true;
        }
        if (!waiting.has(turn)) this.#tell(name);
        // One that waits already keeps its place in the queue.
        waiting.set(turn, onTurn);
        return false;
      },
      end: () => {
        waiting.delete(turn);
        if (underWay.delete(turn)) this.#callLater();
      },
    };
    return turn;
  }

  /** Not at once: who gives a place back is in the middle of a transition, and a start may lead back to it. */
  #callLater(): void {
    queueMicrotask(() => this.#call());
  }

  #call(): void {
    for (const [turn, onTurn] of this.#waiting) {
      if (this.#underWay.size >= this.#max) return;
      this.#waiting.delete(turn);
      this.#underWay.add(turn);
      onTurn();
    }
  }

  #tell(name: string): void {
    const suppressed = this.#limiter.pass('waits');
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
    const message = `${name} waits for its turn to start: ${this.load}${more}`;
    this.#logger.info({ event: 'wake-waits', service: name }, message);
  }
}
