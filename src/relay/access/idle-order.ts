/** The place of one value in an `IdleOrder`. */
export interface Place<T> {
  readonly value: T;
  /** Its neighbours: the one that was used before it, and the one that was used after it. */
  before: Place<T> | undefined;
  after: Place<T> | undefined;
}

/** Values in the order in which they were last used. Each call takes the same short time, however many there are. Pure. */
export class IdleOrder<T> {
  #oldest: Place<T> | undefined;
  #youngest: Place<T> | undefined;

  /** The one that was not used for the longest time. */
  get oldest(): Place<T> | undefined {
    return this.#oldest;
  }

  /** Adds a value, as used now. */
  add(place: Place<T>): void {
    this.#append(place);
  }

  /** Its value is used now. */
  touch(place: Place<T>): void {
    if (place === this.#youngest) return;
    this.remove(place);
    this.#append(place);
  }

  /** To be called once for each place. */
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
