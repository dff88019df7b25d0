import type { Clock } from '../../system/clock.ts';

/**
 * Linux refuses some six datagrams to closed ports at once, and one a second after that (`icmp_ratelimit`, of which two
 * are left to others here); what comes beyond is lost without a word.
 */
const MAX_TRIES = 4;
const REFILL_MS = 1_000;

/** How often a workload's closed ports may be tried so that each refusal is told. */
export class RefusalAllowance {
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

  /** Nobody knows how many refusals there were lately. */
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
