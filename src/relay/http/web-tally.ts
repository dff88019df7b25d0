import { type ListenerTotals, oldestOf, type PresentClient } from '../listener.ts';

/** One request that is being served, as the tally sees it. */
export interface CountedRequest {
  readonly present: PresentClient;
  readonly traffic: { readonly bytesUp: number; readonly bytesDown: number };
  destroy(): void;
}

/** What was done with the requests of one service at one door. */
export class WebTally {
  readonly #requests = new Set<CountedRequest>();
  readonly #refusals = new Map<string, number>();
  readonly #unserved = new Map<string, number>();
  #accepted = 0;
  #pastUp = 0;
  #pastDown = 0;
  blocked = 0;

  /** Requests that are held or forwarded now. */
  get active(): number {
    return this.#requests.size;
  }

  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals);
  }

  /** A request was let in. */
  begin(request: CountedRequest): void {
    this.#accepted++;
    this.#requests.add(request);
  }

  end(request: CountedRequest): void {
    if (!this.#requests.delete(request)) return;
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
      [...this.#requests].map(({ present }) => present),
      max,
    );
  }

  cutClients(): void {
    for (const request of [...this.#requests]) request.destroy();
  }
}
