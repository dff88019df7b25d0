/** Counts values by size, as a Prometheus histogram does. Cheap: an array of fixed length, and nothing is made for a value. */
export class Histogram {
  /** Upper ends of the buckets, ascending; each holds what is at most so big, and above the ones before. */
  readonly bounds: readonly number[];
  /** By bucket; the last one is for all that is bigger. */
  readonly #counts: Float64Array;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.bounds.length && value > (this.bounds[bucket] ?? 0)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sum += value;
  }

  /** How many values each bucket holds; one more than there are bounds. */
  get counts(): ReadonlyFloats {
    return this.#counts;
  }

  /** Of all values. */
  get sum(): number {
    return this.#sum;
  }
}

type ReadonlyFloats = Iterable<number>;

/** In seconds, for what takes from milliseconds to minutes: starts of workloads, and clients that wait for them. */
export const WAIT_SECONDS: readonly number[] = [
  ...[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300],
];
