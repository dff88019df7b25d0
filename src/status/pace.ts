import type { Cancel, Clock } from '../system/clock.ts';
import type { Answer } from './answer.ts';

/**
 * After an answer was made, none of its kind is made for so many times as long as that took, so that no number of clients
 * takes more of the proxy than a tenth of its time. What takes less than a millisecond needs no rest.
 */
const REST_FACTOR = 9;
const MAX_REST_MS = 1_000;

interface Asked {
  readonly make: () => Answer;
  readonly takers: ((answer: Answer) => void)[];
}

/**
 * Answers of one kind, made one after the other: each anew for who asks, and once for all who ask for the same before it is
 * made. `close()` ends it.
 */
export class Pace {
  readonly #clock: Clock;
  /** By what is asked for, in the order of the first who asked. */
  readonly #asked = new Map<string, Asked>();
  #restUntilMs = Number.NEGATIVE_INFINITY;
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Hands over what is true when it is asked for, or later.
   * @param key what is asked for: the same for whoever may get the same answer.
   */
  ask(key: string, options: { readonly make: () => Answer; readonly take: (answer: Answer) => void }): void {
    const { make, take } = options;
    const asked = this.#asked.get(key);
    if (asked === undefined) this.#asked.set(key, { make, takers: [take] });
    else asked.takers.push(take);
    if (this.#cancel === undefined) this.#goOn();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#asked.clear();
  }

  #goOn(): void {
    for (const [key, asked] of this.#asked) {
      const restMs = this.#restUntilMs - this.#clock.monotonicMs();
      if (restMs > 0) {
        this.#cancel = this.#clock.schedule(restMs, () => {
          this.#cancel = undefined;
          this.#goOn();
        });
        return;
      }
      this.#asked.delete(key);
      this.#tell(asked);
    }
  }

  #tell({ make, takers }: Asked): void {
    const begunMs = this.#clock.monotonicMs();
    const answer = make();
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - begunMs >= 1)
      this.#restUntilMs = nowMs + Math.min(MAX_REST_MS, REST_FACTOR * (nowMs - begunMs));
    for (const take of takers) take(answer);
  }
}
