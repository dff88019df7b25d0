/** A thing's place in an `IdleOrder`. */
export interface Place<T> {
  readonly value: T;
  /** Those used last before it, and next after it. */
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

/** Things in the order in which they were used last; each step takes the same short time, however many there are. Pure. */
export class IdleOrder<T> {
  #oldest: Place<T> | undefined;
  #youngest: Place<T> | undefined;

  /** What was not used for the longest time. */
  get oldest(): Place<T> | undefined {
    return this.#oldest;
  }

  /** Takes in what has this place, as used now. */
  add(place: Place<T>): void {
    this.#append(place);
  }

  /** It is used now. */
  touch(place: Place<T>): void {
    if (place === this.#youngest) return;
    this.remove(place);
    this.#append(place);
  }

  /** Once for each place. */
  remove(place: Place<T>): void {
    const { before, after } = place;
    if (before === undefined) this.#oldest = after;
    else before.after = after;
    if (after === undefined) this.#youngest = before;
    else after.before = before;
  }

  #append(place: Place<T>): void {
    place.before = this.#youngest;
    place.after = undefined;
    if (this.#youngest === undefined) this.#oldest = place;
    else this.#youngest.after = place;
    this.#youngest = place;
  }
}
