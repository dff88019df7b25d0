import { type ListenerTotals, oldestOf, type PresentClient } from '../listener.ts';

/** One request that is being served, as the tally sees it. */
export interface CountedRequest {
  readonly present: PresentClient;
  readonly traffic: { readonly bytesUp: number; readonly bytesDown: number };
  /** Where the tally has it; undefined where it doesn't. */
  place: number | undefined;
  destroy(): void;
}

/** What was done with the requests of one service at one door. */
export class WebTally {
  /**
   * In no order. A set would keep them for longer: it makes a new table again and again, and one that has grown old keeps all that
   * come after it, with the requests in them, until all of the memory is looked through.
   */
  readonly #requests: CountedRequest[] = [];
  readonly #refusals = new Map<string, number>();
  readonly #unserved = new Map<string, number>();
  #accepted = 0;
  #pastUp = 0;
  #pastDown = 0;
  blocked = 0;

  /** Requests that are held or forwarded now. */
  get active(): number {
    return this.#requests.length;
  }

  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals);
  }

  /** A request was let in. */
  begin(request: CountedRequest): void {
    this.#accepted++;
    request.place = this.#requests.push(request) - 1;
  }

  end(request: CountedRequest): void {
    const { place } = request;
    const last = this.#requests.at(-1);
    if (place === undefined || last === undefined) return;
    request.place = undefined;
    if (last !== request) {
      this.#requests[place] = last;
      last.place = place;
    }
    this.#requests.pop();
    const { bytesUp, bytesDown } = request.traffic;
    this.#pastUp += bytesUp;
    this.#pastDown += bytesDown;
  }

  /** @param bound which limit, or `asleep` */
  refuse(bound: string): void {
    this.#refusals.set(bound, (this.#refusals.get(bound) ?? 0) + 1);
  }

  /** A request that was let in was not answered by the service. */
  leaveUnserved(why: string): void {
    this.#unserved.set(why, (this.#unserved.get(why) ?? 0) + 1);
  }

  readTotals(): ListenerTotals {
    let [up, down] = [this.#pastUp, this.#pastDown];
    for (const { traffic } of this.#requests) {
      up += traffic.bytesUp;
      down += traffic.bytesDown;
    }
    return { accepted: this.#accepted, up, down, unserved: Object.fromEntries(this.#unserved) };
  }

  listClients(max: number): readonly PresentClient[] {
    return oldestOf(
      this.#requests.map(({ present }) => present),
      max,
    );
  }

  cutClients(): void {
    for (const request of [...this.#requests]) request.destroy();
  }
}
