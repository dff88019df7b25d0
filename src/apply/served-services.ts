/** Ways on which clients get to a service: ports of its own, and hosts at the front doors. */
type Way = 'listeners' | 'fronts';

/** Which services clients can reach now, on one way at least. */
export class ServedServices {
  readonly #ways = new Map<string, ReadonlySet<Way>>();
  readonly #onServed: (service: string, state: { readonly isServed: boolean }) => void;

  /** @param onServed told of a service each time one of its ways was reported. */
  constructor(onServed: (service: string, state: { readonly isServed: boolean }) => void) {
    this.#onServed = onServed;
  }

  report(way: Way, service: string, { isServed }: { readonly isServed: boolean }): void {
    const ways = new Set(this.#ways.get(service));
    if (isServed) ways.add(way);
    else ways.delete(way);
    if (ways.size > 0) this.#ways.set(service, ways);
    else this.#ways.delete(service);
    this.#onServed(service, { isServed: ways.size > 0 });
  }
}
