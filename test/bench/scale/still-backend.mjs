/** A cluster whose workloads stand still: each stays what `tell` said last, and no call of the port does anything. */
export class StillBackend {
  kind = 'kubernetes';
  ownsWorkloads = false;
  #keyOf;
  #known = new Map();
  #sink;

  constructor({ keys, keyOf, createObservation }) {
    this.#keyOf = keyOf;
    for (const [index, key] of keys.entries()) this.#known.set(key, createObservation(index));
  }

  async open(sink) {
    this.#sink = sink;
  }

  /** The engine says this now. */
  tell(key, observation) {
    this.#known.set(key, observation);
    this.#sink.observed(key, observation);
  }

  watch(workload) {
    const observation = this.#known.get(this.#keyOf(workload));
    if (observation === undefined)
      throw new Error(`the simulation has no workload ${JSON.stringify(workload)}`);
    return observation;
  }

  unwatch() {}

  async wake() {}

  async sleep() {}

  setInUse() {}

  async close() {}

  destroy() {}
}
