import type { Cancel, Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';

/** At most one line a second about who has to wait; it names all that have come since the one before. */
const LOG_INTERVAL_MS = 1_000;
const MAX_NAMED = 50;

/** One workload among those that the proxy starts. */
export interface StartTurn {
  /** Waits for its turn. */
  readonly isWaiting: boolean;
  /** How long it has waited for its turns so far, all together. */
  readonly waitedMs: number;
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
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #underWay = new Set<StartTurn>();
  /** In the order of their arrival, with who is to be told that its turn has come. */
  readonly #waiting = new Map<StartTurn, () => void>();
  #max: number;
  /** Who waits and was not told of yet, while the log is spared. */
  readonly #untold = new Set<string>();
  #cancelTell: Cancel | undefined;

  /** @param options.max at least 1. */
  constructor(options: { readonly max: number; readonly clock: Clock; readonly logger: Logger }) {
    this.#max = options.max;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  /** `8 of 8 starts are under way (max_starting)`. */
  get load(): string {
    return `${this.#underWay.size} of ${this.#max} starts are under way (max_starting)`;
  }

  get max(): number {
    return this.#max;
  }

  /** In force at once; what is under way goes on. */
  setMax(max: number): void {
    this.#max = max;
    this.#callLater();
  }

  /** @param onTurn told that its turn has come: it has a place now, and gives it back where it doesn't need it any more. */
  join(onTurn: () => void): StartTurn {
    const [underWay, waiting, clock] = [this.#underWay, this.#waiting, this.#clock];
    let waitedMs = 0;
    let sinceMs: number | undefined;
    const endWait = () => {
      if (sinceMs !== undefined) waitedMs += clock.monotonicMs() - sinceMs;
      sinceMs = undefined;
    };
    const turn: StartTurn = {
      get waitedMs() {
        return waitedMs + (sinceMs === undefined ? 0 : clock.monotonicMs() - sinceMs);
      },
      get isWaiting() {
        return waiting.has(turn);
      },
      take: ({ atOnce, name }) => {
        if (underWay.has(turn)) return true;
        if (atOnce || (underWay.size < this.#max && waiting.size === 0)) {
          waiting.delete(turn);
          endWait();
          underWay.add(turn);
          return true;
        }
        if (!waiting.has(turn)) this.#tell(name);
        sinceMs ??= clock.monotonicMs();
        // One that waits already keeps its place in the queue.
        waiting.set(turn, () => {
          endWait();
          onTurn();
        });
        return false;
      },
      end: () => {
        waiting.delete(turn);
        endWait();
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
    this.#untold.add(name);
    if (this.#cancelTell === undefined) this.#tellAll();
  }

  #tellAll(): void {
    this.#cancelTell = undefined;
    const names = [...this.#untold];
    const [service] = names;
    if (service === undefined) return;
    this.#untold.clear();
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : '';
    const who = `${names.slice(0, MAX_NAMED).join(', ')}${more}`;
    const waits = names.length === 1 ? 'waits for its turn' : 'wait for their turns';
    const message = `${who} ${waits} to start: ${this.load}`;
    this.#logger.info({ event: 'wake-waits', ...(names.length === 1 && { service }) }, message);
    this.#cancelTell = this.#clock.schedule(LOG_INTERVAL_MS, () => this.#tellAll());
  }

  /** Tells of nobody any more. Idempotent. */
  close(): void {
    this.#untold.clear();
    this.#cancelTell?.();
  }
}
