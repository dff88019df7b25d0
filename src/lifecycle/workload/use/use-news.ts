import type { Cancel, Clock } from '../../../system/clock.ts';

/** Between two pieces of news, ms: clients may come and go a thousand times a second. */
const LEAST_GAP_MS = 1_000;

interface UseNewsOptions {
  readonly clock: Clock;
  /** What whoever listens takes for granted. */
  readonly wasInUse: boolean;
  /** Whether anybody would hear it now. */
  readonly isHeard: () => boolean;
  readonly tell: (inUse: boolean) => void;
}

/** Tells when the first lease on a workload begins and the last one ends, once a second at most. `close()` ends it. */
export class UseNews {
  readonly #options: UseNewsOptions;
  #inUse: boolean;
  /** What was told last, or would have been if anybody had heard it. */
  #told: boolean;
  #nextMs = Number.NEGATIVE_INFINITY;
  #cancel: Cancel | undefined;

  constructor(options: UseNewsOptions) {
    this.#options = options;
    this.#inUse = this.#told = options.wasInUse;
  }

  /** To be called whenever leases begin or end. Cheap where nothing is to be told. */
  follow(inUse: boolean): void {
    this.#inUse = inUse;
    if (this.#cancel !== undefined || inUse === this.#told) return;
    const { clock, isHeard, tell } = this.#options;
    if (!isHeard()) {
      this.#told = inUse;
      return;
    }
    const waitMs = this.#nextMs - clock.monotonicMs();
    if (waitMs > 0) {
      this.#cancel = clock.schedule(waitMs, () => {
        this.#cancel = undefined;
        this.follow(this.#inUse);
      });
      return;
    }
    this.#nextMs = clock.monotonicMs() + LEAST_GAP_MS;
    this.#told = inUse;
    tell(inUse);
  }

  /** Idempotent. */
  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }
}
