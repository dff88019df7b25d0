import { abortable } from '../../system/abortable.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { shortageOf } from '../../system/descriptors.ts';
import { describeFailure } from './describe-failure.ts';

/** Delays between tries while a port is not proven: short enough that a client loses less than 100 ms to them. */
const RETRY = { firstMs: 2, maxMs: 50 } as const;

interface PortGateOptions {
  /** Whether the port needs no proof; default false. */
  readonly proven?: boolean;
  /** The first delay between tries, doubled each time, and the longest. */
  readonly retry?: { readonly firstMs: number; readonly maxMs: number };
}

/** How a client gets through a port: both reject where the port doesn't answer. */
export interface Passage<T> {
  /** The try that proves the port; made again until it succeeds. */
  readonly prove: (signal: AbortSignal) => Promise<T>;
  /** The one try of a client that comes after the proof. */
  readonly follow: (signal: AbortSignal) => Promise<T>;
}

/**
 * Proves that one port of a workload answers. Until it is proven, one of its clients tries again and again and the
 * others wait for that one; then each tries once. What proved the port is used.
 */
export class PortGate {
  readonly #clock: Clock;
  readonly #retry: { readonly firstMs: number; readonly maxMs: number };
  #proven: boolean;
  #probe: Promise<void> | undefined;
  #lastFailure: string | undefined;
  /** The last try failed for want of something that the proxy lacks. */
  #isShort = false;

  constructor(clock: Clock, { proven = false, retry = RETRY }: PortGateOptions = {}) {
    this.#clock = clock;
    this.#proven = proven;
    this.#retry = retry;
  }

  /** Whether the port has answered in this run of the workload, and not refused since. */
  get proven(): boolean {
    return this.#proven;
  }

  /** Why the last try failed, in words; undefined where none has, or a later one got through. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** The port has refused: it has to prove itself again. */
  doubt(): void {
    this.#proven = false;
  }

  /** Passes, or goes on trying until `signal` aborts; then rejects with its reason. */
  async pass<T>(passage: Passage<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted();
      if (this.#proven) {
        const result = await this.#attempt(passage.follow, signal);
        if (result !== undefined) return result.value;
        signal.throwIfAborted();
        if (this.#isShort) {
          // Says nothing about the port; there may be more in a moment.
          await this.#clock.sleep(this.#retry.maxMs, signal);
          continue;
        }
        // Refused although it answered before: it may be restarting.
        this.#proven = false;
      } else if (this.#probe !== undefined) {
        await abortable(this.#probe, signal);
      } else {
        return await this.#prove(passage.prove, signal);
      }
    }
  }

  /** One try, beside those of clients; what gets through proves the port. @throws where it doesn't. */
  async tryOnce<T>(task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = await this.#attempt(task, signal);
    if (result === undefined) throw new Error(this.#lastFailure ?? 'the port did not answer');
    this.#proven = true;
    return result.value;
  }

  async #prove<T>(prove: Passage<T>['prove'], signal: AbortSignal): Promise<T> {
    let finish = () => {};
    this.#probe = new Promise((resolve) => {
      finish = resolve;
    });
    try {
      for (let failures = 1; ; failures++) {
        const result = await this.#attempt(prove, signal);
        if (result !== undefined) {
          this.#proven = true;
          return result.value;
        }
        await this.#clock.sleep(backoffMs(failures, this.#retry), signal);
      }
    } finally {
      this.#probe = undefined;
      finish();
    }
  }

  async #attempt<T>(
    task: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<{ readonly value: T } | undefined> {
    try {
      const value = await task(signal);
      this.#lastFailure = undefined;
      return { value };
    } catch (error) {
      // That somebody gave up says nothing about the port.
      if (!signal.aborted) this.#lastFailure = describeFailure(error);
      this.#isShort = shortageOf(error) !== undefined;
      return undefined;
    }
  }
}
