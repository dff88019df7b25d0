import type { Clock } from './clock.ts';
import { Histogram } from './histogram.ts';

/** In seconds. */
const CALL_SECONDS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];

/** Calls of one kind that have ended. */
export interface CallCount {
  /** How long each took, in seconds. */
  readonly seconds: Histogram;
  errors: number;
}

/** Counts the calls of an API, by kind: there must be few kinds. */
export class CallCounts {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #byKind = new Map<string, CallCount>();

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  get byKind(): ReadonlyMap<string, CallCount> {
    return this.#byKind;
  }

  /**
   * Makes a call, and counts it when it has ended.
   * @param options.isError whether a failure counts as one; default: each does.
   * @throws what the call throws.
   */
  async measure<T>(
    kind: string,
    call: () => Promise<T>,
    { isError = () => true }: { readonly isError?: (error: unknown) => boolean } = {},
  ): Promise<T> {
    const sinceMs = this.#clock.monotonicMs();
    try {
      return await call();
    } catch (error) {
      if (isError(error)) this.#countOf(kind).errors++;
      throw error;
    } finally {
      this.#countOf(kind).seconds.observe((this.#clock.monotonicMs() - sinceMs) / 1_000);
    }
  }

  #countOf(kind: string): CallCount {
    const known = this.#byKind.get(kind);
    if (known !== undefined) return known;
    const count: CallCount = { seconds: new Histogram(CALL_SECONDS), errors: 0 };
    this.#byKind.set(kind, count);
    return count;
  }
}
