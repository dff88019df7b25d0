import { Socket, type SocketConstructorOpts } from 'node:net';
import type { ClientUse } from '../../../model/running/client-use.ts';
import type { RouteOptions, RouteTotals, TcpRoute } from '../../tcp/tcp-relay.ts';
import type { PresentClient } from '../../listener.ts';
import { endpointOf, SOCKET_ADDRESS_BYTES } from '../../native/socket-address.ts';
import type { ReadQuiet } from './quiet-reader.ts';
import { MAX_HANDOVERS, type SharedState, type ThreadCommand } from '../thread-protocol.ts';

interface Parts {
  readonly number: number;
  readonly shared: SharedState;
  readonly post: (command: ThreadCommand) => void;
  /** A descriptor of the listening socket, kept for taking it back. */
  readonly listener: number;
  readonly options: RouteOptions;
  /** What the connections of all routes that are open have carried so far, as in `SharedState.routeTraffic`. */
  readonly liveTraffic: () => Float64Array;
  readonly readQuiet: ReadQuiet;
}

/** One client of a route, as long as it has its slot. */
class RouteUse implements ClientUse {
  readonly sinceMs: number;
  readonly #parts: Parts;
  readonly #slot: number;

  constructor(parts: Parts, { slot, sinceMs }: { readonly slot: number; readonly sinceMs: number }) {
    this.sinceMs = sinceMs;
    this.#parts = parts;
    this.#slot = slot;
  }

  get bytes(): number {
    const { traffic } = this.#parts.shared;
    return (traffic[this.#slot * 2] ?? 0) + (traffic[this.#slot * 2 + 1] ?? 0);
  }

  quietMs(): number | undefined {
    return this.#parts.readQuiet(this.#slot);
  }

  closeIdle(bytes: number): void {
    this.#parts.post({ kind: 'close-idle', slot: this.#slot, bytes, sinceMs: this.sinceMs });
  }
}

/** The main thread's half of a route. What the relay thread does with it at the same time is in `route-table.ts`. */
export class SpliceRoute implements TcpRoute {
  readonly #parts: Parts;
  #isOpen = true;
  /** Those that were listed last: a client is known again by its object. */
  #uses: ReadonlyMap<number, RouteUse> = new Map();

  constructor(parts: Parts) {
    const { shared, number } = parts;
    this.#parts = parts;
    shared.routeLastMs[number] = 0;
    shared.routeAccepted[number] = 0;
    shared.routeTraffic.fill(0, number * 2, number * 2 + 2);
    Atomics.store(shared.routeUse, number, 0);
    Atomics.store(shared.routeTold, number, 0);
    Atomics.store(shared.routeOpen, number, 1);
  }

  get activeConnections(): number {
    return Atomics.load(this.#parts.shared.routeUse, this.#parts.number);
  }

  get lastUsedMs(): number {
    return this.#parts.shared.routeLastMs[this.#parts.number] ?? 0;
  }

  readTotals(): RouteTotals {
    const { shared, number, liveTraffic } = this.#parts;
    // The ended ones first: one that ends in between is missing, which is better than counted twice.
    const [endedUp = 0, endedDown = 0] = shared.routeTraffic.slice(number * 2, number * 2 + 2);
    const accepted = shared.routeAccepted[number] ?? 0;
    const live = liveTraffic();
    return {
      accepted,
      up: endedUp + (live[number * 2] ?? 0),
      down: endedDown + (live[number * 2 + 1] ?? 0),
    };
  }

  listUses(): readonly ClientUse[] {
    const uses = new Map<number, RouteUse>();
    for (const index of this.#listIndexes()) {
      const sinceMs = this.#parts.shared.own.sinceMs[index] ?? 0;
      const known = this.#uses.get(index);
      const slot = MAX_HANDOVERS + index;
      uses.set(index, known?.sinceMs === sinceMs ? known : new RouteUse(this.#parts, { slot, sinceMs }));
    }
    this.#uses = uses;
    return [...uses.values()];
  }

  listClients(max: number): readonly PresentClient[] {
    if (this.activeConnections === 0) return [];
    const { shared } = this.#parts;
    const { sinceMs, peers } = shared.own;
    const oldest = this.#listIndexes()
      .sort((a, b) => (sinceMs[a] ?? 0) - (sinceMs[b] ?? 0))
      .slice(0, max);
    return oldest.map((index) => ({
      // A copy: what is shared can't be looked at as one piece.
      endpoint: endpointOf(peers.slice(index * SOCKET_ADDRESS_BYTES, (index + 1) * SOCKET_ADDRESS_BYTES)),
      sinceMs: sinceMs[index] ?? 0,
      isWaiting: false,
      bytesUp: shared.traffic[(MAX_HANDOVERS + index) * 2] ?? 0,
      bytesDown: shared.traffic[(MAX_HANDOVERS + index) * 2 + 1] ?? 0,
    }));
  }

  tryClose(): boolean {
    if (!this.#isOpen) return true;
    const { shared, number } = this.#parts;
    // Close first, then count: the thread counts a client before it reads `routeOpen`, so none can slip in between.
    Atomics.store(shared.routeOpen, number, 0);
    if (this.activeConnections > 0) {
      Atomics.store(shared.routeOpen, number, 1);
      return false;
    }
    this.close();
    return true;
  }

  close(): void {
    this.#close({ destroy: false });
  }

  destroy(): void {
    this.#close({ destroy: true });
  }

  takeListener(): number {
    return this.#parts.listener;
  }

  /** Closes the route if it has no connection, and tells its owner. */
  lapse(): void {
    if (this.#isOpen && this.tryClose()) this.#parts.options.onLost();
  }

  /** To be called when the thread reports that the route's use may have begun or ended. */
  used(): void {
    const { shared, number, options } = this.#parts;
    // Cleared before the count is read, so that any later change is reported again.
    Atomics.store(shared.routeTold, number, 0);
    options.onUse(this.activeConnections);
  }

  /** To be called with a client that the thread gives back. */
  returned(fd: number, waitedMs: number): void {
    const { shared, number, options } = this.#parts;
    options.onReturned(adopt(fd), waitedMs);
    if (Atomics.sub(shared.routeUse, number, 1) === 1) options.onUse(0);
  }

  /** To be called with a client that the thread gives back because the access list refuses it. */
  barred(fd: number): void {
    this.#parts.options.onReturned(adopt(fd), 0);
  }

  /** To be called when the thread has stopped accepting. */
  ended(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#parts.options.onLost();
  }

  /** To be called when the thread has died, and all connections with it. */
  died(): void {
    Atomics.store(this.#parts.shared.routeUse, this.#parts.number, 0);
    // An owner that hears of the last use first takes the route for the one that still accepts, and keeps it.
    this.ended();
    this.#parts.options.onUse(0);
  }

  /** Of its clients, in `SharedState.own`. */
  #listIndexes(): number[] {
    const { shared, number } = this.#parts;
    const { routes, taken } = shared.own;
    const indexes: number[] = [];
    for (let index = 0, end = Atomics.load(taken, 0); index < end; index++)
      if (Atomics.load(routes, index) === number + 1) indexes.push(index);
    return indexes;
  }

  #close({ destroy }: { readonly destroy: boolean }): void {
    const { shared, number, post } = this.#parts;
    if (!this.#isOpen && !destroy) return;
    this.#isOpen = false;
    Atomics.store(shared.routeOpen, number, 0);
    post({ kind: 'close-route', route: number, destroy });
  }
}

/** Makes a socket as a Node server does for an accepted client; the types lack `pauseOnCreate`. */
function adopt(fd: number): Socket {
  const options: SocketConstructorOpts & { readonly pauseOnCreate: true } = {
    ...{ fd, allowHalfOpen: true, readable: true, writable: true },
    pauseOnCreate: true,
  };
  return new Socket(options);
}
