import { abortable } from '../../system/waiting/abortable.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
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
 * others wait for that one; then each tries once. The connection that proved the port is the one its client uses.
 */
export class PortGate {
  readonly #clock: Clock;
  readonly #retry: { readonly firstMs: number; readonly maxMs: number };
  #proven: boolean;
  /** The proof under way; resolves when it has ended, whether or not it succeeded. */
  #proof: Promise<void> | undefined;
  #lastFailure: string | undefined;
  /** The last try failed because the proxy itself had run out of something, such as descriptors. */
  #isShort = false;

  constructor(clock: Clock, { proven = false, retry = RETRY }: PortGateOptions = {}) {
    this.#clock = clock;
    this.#proven = proven;
    this.#retry = retry;
  }

  /** Whether the port has answered in this run of the workload, and was not found closed since. */
  get proven(): boolean {
    return this.#proven;
  }

  /** Why the last try failed, in words; undefined where none has, or a later one got through. */
  get lastFailure(): string | undefined {
    return this.#lastFailure;
  }

  /** The port was found closed: it has to prove itself again. */
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
          // The proxy's own shortage says nothing about the port, and may be over in a moment.
          await this.#clock.sleep(this.#retry.maxMs, signal);
          continue;
        }
        // The port answered before and doesn't now: the server behind it may be restarting.
        this.#proven = false;
      } else if (this.#proof !== undefined) {
        await abortable(this.#proof, signal);
      } else {
        return await this.#prove(passage.prove, signal);
      }
    }
  }

  /** Tries once, beside the clients; success proves the port. @throws where the try fails. */
  async tryOnce<T>(task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const result = await this.#attempt(task, signal);
    if (result === undefined) throw new Error(this.#lastFailure ?? 'the port did not answer');
    this.#proven = true;
    return result.value;
  }

  async #prove<T>(prove: Passage<T>['prove'], signal: AbortSignal): Promise<T> {
    let finish = () => {};
    this.#proof = new Promise((resolve) => {
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
      this.#proof = undefined;
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
      // A client that gave up says nothing about the port.
      if (!signal.aborted) this.#lastFailure = describeFailure(error);
      this.#isShort = shortageOf(error) !== undefined;
      return undefined;
    }
  }
}

/**
 * Linux answers some six datagrams to closed ports at once with ICMP "port unreachable", and one a second after that
 * (`icmp_ratelimit`); the datagrams beyond are lost without an answer. Two of the six are left to others here.
 */
const MAX_TRIES = 4;
const REFILL_MS = 1_000;

/** How often the closed UDP ports of one workload may be tried such that each try is answered by ICMP. */
export class IcmpAllowance {
  readonly #clock: Clock;
  #left = MAX_TRIES;
  #countedAtMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedAtMs = clock.monotonicMs();
  }

  /** Takes one try as soon as there is one. @throws the signal's reason when it aborts. */
  async take(signal: AbortSignal): Promise<void> {
    for (this.#refill(); this.#left < 1; this.#refill()) {
      await this.#clock.sleep(Math.ceil((1 - this.#left) * REFILL_MS), signal);
    }
    this.#left--;
  }

  /** Takes all that are left: a port was found closed, and nobody knows how many ICMP answers were sent lately. */
  empty(): void {
    this.#refill();
    this.#left = 0;
  }

  #refill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#left = Math.min(MAX_TRIES, this.#left + (nowMs - this.#countedAtMs) / REFILL_MS);
    this.#countedAtMs = nowMs;
  }
}
