import type { Cancel, Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';

/** At most one line a second about workloads that have to wait; it names all that have come since the line before. */
const LOG_INTERVAL_MS = 1_000;
const MAX_NAMED = 50;

/** One workload among those that the proxy starts. */
export interface StartTurn {
  /** Whether it waits for a place. */
  readonly isWaiting: boolean;
  /** Whether it had to wait for the place that it has now. */
  readonly hadToWait: boolean;
  /** How long it has waited since its last place, or its last wait without getting one, ended. */
  readonly queuedMs: number;
  /**
   * Measures its waiting from now on.
   * @returns what of the time since then went on waiting: `, of which it waited 2900 ms for its turn (max_starting is 2)`;
   * undefined where nothing did, or it waits still.
   */
  watchWait(): () => string | undefined;
  /**
   * Takes a place, which it keeps until `end()`. Where no place is free, or others wait, it waits behind them. Asked again,
   * it keeps its place, or its place in the queue.
   * @param options.atOnce it gets a place without waiting, even where none is free.
   * @returns whether it has a place.
   */
  take(options: { readonly atOnce: boolean; readonly name: string }): boolean;
  /** Gives back its place, or waits no longer. Idempotent. */
  end(): void;
}

/**
 * Bounds how many starts that the proxy has asked for are under way at once. The others wait their turn, first come, first
 * served. A workload that somebody else starts neither waits nor counts: otherwise a proxy that comes up beside many
 * starting workloads could start none itself for a while.
 */
export class StartQueue {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #underWay = new Set<StartTurn>();
  /** In the order of their arrival, each with what to call when its turn has come. */
  readonly #waiting = new Map<StartTurn, () => void>();
  #max: number;
  /** The names of those that wait and were not logged yet. */
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

  /** In force at once; what is under way goes on. */
  setMax(max: number): void {
    this.#max = max;
    this.#callLater();
  }

  /** @param onTurn called when its turn has come: it has a place then, and must `end()` it where it isn't needed any more. */
  join(onTurn: () => void): StartTurn {
    const [underWay, waiting, clock] = [this.#underWay, this.#waiting, this.#clock];
    let hadToWait = false;
    /** All its waiting so far, and how much of it was over when its last place ended. */
    let waitedMs = 0;
    let endedMs = 0;
    let sinceMs: number | undefined;
    const countWait = () => waitedMs + (sinceMs === undefined ? 0 : clock.monotonicMs() - sinceMs);
    const endWait = () => {
      waitedMs = countWait();
      sinceMs = undefined;
    };
    const turn: StartTurn = {
      get isWaiting() {
        return waiting.has(turn);
      },
      get hadToWait() {
        return hadToWait;
      },
      get queuedMs() {
        return countWait() - endedMs;
      },
      watchWait: () => {
        const beforeMs = countWait();
        return () => {
          const ms = Math.round(countWait() - beforeMs);
          if (ms <= 0 || waiting.has(turn)) return undefined;
          return `, of which it waited ${ms} ms for its turn (max_starting is ${this.#max})`;
        };
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
          hadToWait = true;
          onTurn();
        });
        return false;
      },
      end: () => {
        waiting.delete(turn);
        endWait();
        hadToWait = false;
        endedMs = waitedMs;
        if (underWay.delete(turn)) this.#callLater();
      },
    };
    return turn;
  }

  /** Not at once: the controller that gives a place back is in the middle of a transition, and a start may call it again. */
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

  /** Logs nothing any more. Idempotent. */
  close(): void {
    this.#untold.clear();
    this.#cancelTell?.();
  }
}
