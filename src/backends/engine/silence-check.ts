import type { Cancel, Clock } from '../../system/clock.ts';
import type { EngineEvent } from './event-stream.ts';

/** After so long without an event, the engine is asked whether there were any. */
const SILENCE_MS = 60_000;
/** So long an event may be on its way in the stream. */
const ON_ITS_WAY_MS = 1_000;
/** Times in ns are numbers too big to be exact. */
const BLUR_NS = 1_000;

/**
 * Finds out whether an event stream that stays silent still works: it asks for the past events, and compares. It does so only
 * while a workload is awake: one that sleeps needs no event before it is woken. Owns a timer: `close()`.
 */
export class SilenceCheck {
  readonly #clock: Clock;
  readonly #ask: (sinceNs: number) => Promise<readonly EngineEvent[]>;
  readonly #onFailed: (error: Error) => void;
  #lastNs: number;
  #heardMs: number;
  #isNeeded = false;
  #isClosed = false;
  #cancel: Cancel | undefined;

  /**
   * @param options.beganMs when the stream began, by the engine's own clock.
   * @param options.ask for the events since then, up to now.
   * @param options.onFailed called once, when the stream has missed an event or the engine can't be asked.
   */
  constructor(options: {
    readonly clock: Clock;
    readonly beganMs: number;
    readonly ask: (sinceNs: number) => Promise<readonly EngineEvent[]>;
    readonly onFailed: (error: Error) => void;
  }) {
    this.#clock = options.clock;
    this.#ask = options.ask;
    this.#onFailed = options.onFailed;
    this.#lastNs = options.beganMs * 1e6;
    this.#heardMs = options.clock.monotonicMs();
  }

  /** The stream has brought an event. */
  heard({ timeNs = 0 }: EngineEvent): void {
    this.#heardMs = this.#clock.monotonicMs();
    this.#lastNs = Math.max(this.#lastNs, timeNs);
  }

  /** Whether anything is awake. */
  setNeeded({ isNeeded }: { readonly isNeeded: boolean }): void {
    if (isNeeded === this.#isNeeded) return;
    this.#isNeeded = isNeeded;
    this.#cancel?.();
    this.#cancel = undefined;
    if (isNeeded) this.#arm();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  #arm(): void {
    if (this.#isClosed || !this.#isNeeded) return;
    const dueMs = this.#heardMs + SILENCE_MS;
    const delayMs = Math.max(0, dueMs - this.#clock.monotonicMs());
    this.#cancel = this.#clock.schedule(delayMs, () => {
      if (this.#clock.monotonicMs() < this.#heardMs + SILENCE_MS) this.#arm();
      else void this.#check();
    });
  }

  async #check(): Promise<void> {
    try {
      const events = await this.#ask(this.#lastNs);
      const newestNs = Math.max(0, ...events.map(({ timeNs = 0 }) => timeNs));
      if (newestNs > this.#lastNs + BLUR_NS) {
        await this.#clock.sleep(ON_ITS_WAY_MS);
        if (newestNs > this.#lastNs + BLUR_NS) throw new Error('the stream has missed events');
      }
      this.#heardMs = this.#clock.monotonicMs();
      this.#arm();
    } catch (error) {
      if (!this.#isClosed) this.#onFailed(error as Error);
    }
  }
}
