import type { Clock } from '../../../system/clock.ts';
import { type AccessList, compileAccessList } from '../../access/access-list.ts';
import {
  type ClientCounts,
  countDescriptors,
  countIn,
  countOut,
  hashSocketAddress,
} from '../../access/client-counts.ts';
import { planKeepAlive } from '../../tcp/keep-alive.ts';
import { EPOLLIN } from '../../native/epoll-events.ts';
import { EAGAIN, ECONNABORTED, EINPROGRESS, EINTR, EISCONN } from '../../native/errno.ts';
import type { EndedClient } from '../../end-log.ts';
import type { Libc } from '../../native/libc.ts';
import { endpointOf, hostOf, SOCKET_ADDRESS_BYTES } from '../../native/socket-address.ts';
import type { PairTable } from './pair-table.ts';
import type { Poller } from './poller.ts';
import {
  type BarredClient,
  CONNECTION_ENDINGS,
  MAX_CONNECTIONS,
  MAX_HANDOVERS,
  type OpenRoute,
  type ReturnedClient,
  type SharedState,
} from '../thread-protocol.ts';

/** Clients that are accepted from one listener in a turn, before existing connections get theirs. */
const ACCEPTS_PER_TURN = 64;
/**
 * An upstream that says nothing for this long is passed over, as in the main thread: `soon` where there is another one, or
 * where the client's budget allows no more.
 */
const CONNECT_TIMEOUTS_MS = { soon: 250, late: 2_000 } as const;

/** Its own socket and the upstream's. */
export const DESCRIPTORS_PER_CLIENT = 2;

/** Tokens from here on are those of listening sockets, by route. */
export const ROUTE_TOKENS = 0x4000_0000;

/** A route that accepts clients, or that still has connections. */
type Route = Omit<OpenRoute, 'access' | 'upstreams'> & {
  readonly access: AccessList;
  /** Tried in order; the one that answered last comes first. */
  upstreams: OpenRoute['upstreams'];
};

/** A client that a route has accepted. */
interface Accepted {
  readonly route: Route;
  readonly client: number;
  readonly sinceMs: number;
  /** The client's address, where the end of the connection is to be reported. */
  readonly peer: Uint8Array | undefined;
  /** Those of the route when the client was accepted: the route may order them anew. */
  readonly upstreams: Route['upstreams'];
  /** Which of them is being tried, or was reached. */
  attempt: number;
  /** The socket that leads there, as soon as there is one. */
  upstream: number;
}

interface TableOptions {
  readonly libc: Pick<Libc, 'accept' | 'tcpSocket' | 'tuneTcp' | 'connect'>;
  readonly poller: Poller;
  readonly pairs: PairTable;
  readonly shared: SharedState;
  readonly counts: ClientCounts;
  readonly maxDescriptor: number;
  readonly expected: Int32Array;
  readonly onFinished: (finished: EndedClient) => void;
  readonly onUsed: (route: number) => void;
  readonly onReturned: (returned: ReturnedClient) => void;
  readonly onBarred: (barred: BarredClient) => void;
  readonly onRouteClosed: (route: number) => void;
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
}

/**
 * The listening sockets from which the relay thread accepts clients. It connects each client to an upstream of the route. A
 * client goes back to the main thread, unread, where no upstream accepts it, where the access list refuses it, and where
 * the route was closed or descriptors run short.
 */
export class RouteTable {
  readonly #options: TableOptions;
  readonly #routes = new Map<number, Route>();
  readonly #accepted = new Map<number, Accepted>();
  /** When to pass over the upstream, by slot, in the order of time; on the monotonic clock. */
  readonly #connecting = { soon: new Map<number, number>(), late: new Map<number, number>() };
  readonly #freeSlots: number[] = [];
  /** Slots that are free from the next turn on: this turn may still bring events of the connections that had them. */
  readonly #leftSlots: number[] = [];
  /** The address of the client that was accepted last. */
  readonly #peer = new Uint8Array(SOCKET_ADDRESS_BYTES);
  #nextSlot = MAX_HANDOVERS;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  open(route: OpenRoute): void {
    this.#routes.set(route.route, { ...route, access: compileAccessList(route.access) });
    const event = { events: EPOLLIN, token: ROUTE_TOKENS + route.route };
    if (!this.#options.poller.watch(route.listener, event)) this.close(route.route);
  }

  /**
   * Accepts no more, and gives back the clients whose upstream has not answered yet: where they would be connected another workload
   * may answer by now.
   */
  close(number: number): void {
    const route = this.#routes.get(number);
    if (route === undefined) return;
    this.#routes.delete(number);
    this.#options.poller.close(route.listener, 'orderly');
    for (const slot of [...this.#connecting.soon.keys(), ...this.#connecting.late.keys()]) {
      const accepted = this.#accepted.get(slot);
      if (accepted?.route !== route || this.#hasAnswered(accepted)) continue;
      this.#options.pairs.remove(slot);
      this.#giveBack(slot, accepted);
    }
    this.#options.onRouteClosed(number);
  }

  /** Resets the connections of a route. */
  destroy(number: number): void {
    for (const [slot, { route }] of [...this.#accepted]) {
      if (route.route === number) this.#options.pairs.close(slot, 'reset');
    }
  }

  /** Accepts the clients that wait at one listening socket. */
  accept(number: number): void {
    const { libc } = this.#options;
    const route = this.#routes.get(number);
    for (let count = 0; count < ACCEPTS_PER_TURN; count++) {
      if (route === undefined || this.#routes.get(number) !== route) return;
      const client = libc.accept(route.listener, this.#peer);
      if (client >= 0) this.#enter(route, client);
      else if (client === -EAGAIN) return;
      // Such as EMFILE: the main thread accepts from now on, and tells of it.
      else if (client !== -EINTR && client !== -ECONNABORTED) return this.close(number);
    }
  }

  /** How long the loop may wait before `endTurn` has something to do, in ms; undefined = for ever. */
  timeoutMs(): number | undefined {
    const [soon] = this.#connecting.soon.values();
    const [late] = this.#connecting.late.values();
    if (soon === undefined && late === undefined) return undefined;
    return Math.max(
      0,
      Math.min(soon ?? Number.POSITIVE_INFINITY, late ?? Number.POSITIVE_INFINITY) -
        this.#options.clock.monotonicMs(),
    );
  }

  /** Ends a turn: passes over upstreams that don't answer. */
  endTurn(): void {
    this.#freeSlots.push(...this.#leftSlots.splice(0));
    for (const connecting of [this.#connecting.soon, this.#connecting.late]) {
      const nowMs = connecting.size > 0 ? this.#options.clock.monotonicMs() : 0;
      for (const [slot, dueMs] of connecting) {
        if (dueMs > nowMs) break;
        this.refused(slot);
      }
    }
  }

  /** An upstream has accepted: later clients try it first. */
  connected(slot: number): void {
    this.#stopConnecting(slot);
    const accepted = this.#accepted.get(slot);
    if (accepted === undefined) return;
    const { route, upstreams, attempt } = accepted;
    const { routeAccepted } = this.#options.shared;
    routeAccepted[route.route] = (routeAccepted[route.route] ?? 0) + 1;
    if (attempt === 0) return;
    const reached = upstreams[attempt];
    if (reached === undefined) return;
    route.upstreams = [reached, ...route.upstreams.filter((upstream) => upstream !== reached)];
  }

  /** An upstream has refused, or said nothing for too long: tries the next one. */
  refused(slot: number): void {
    const accepted = this.#accepted.get(slot);
    this.#options.pairs.remove(slot);
    if (accepted === undefined) return;
    accepted.attempt++;
    this.#connect(slot, accepted);
  }

  /** A connection has ended. Returns whether it was one of a route. */
  ended(slot: number): boolean {
    const accepted = this.#accepted.get(slot);
    if (accepted === undefined) return false;
    this.#reportEnd(slot, accepted);
    this.#leave(slot, accepted.route);
    return true;
  }

  #enter(route: Route, client: number): void {
    const { shared, onBarred } = this.#options;
    const { route: number, access } = route;
    // Not counted: a client that is refused must not keep the service awake.
    if (!access.allowsAll && !access.allows(hostOf(this.#peer))) return onBarred({ route: number, client });
    // Count first, then look: so either the main thread sees this client, or this client sees that the route is closed.
    if (Atomics.add(shared.routeUse, number, 1) === 0) this.#options.onUsed(number);
    // When descriptors run short, the main thread decides who may come in.
    const isCrowded = this.#isCrowded(client);
    const mayEnter = !isCrowded && Atomics.load(shared.routeOpen, number) === 1;
    const slot = mayEnter ? this.#takeSlot() : undefined;
    if (slot === undefined) {
      // It stays counted until the main thread has it: the route must not be forgotten before.
      this.#options.onReturned({ route: number, client, waitedMs: 0 });
      // Otherwise each client that comes next would hold a descriptor until the main thread gets to it.
      if (isCrowded) this.close(number);
      return;
    }
    const sinceMs = this.#options.clock.monotonicMs();
    const peer = route.reportedAs === undefined ? undefined : this.#peer.slice();
    const accepted = { route, client, sinceMs, peer, upstreams: route.upstreams, attempt: 0, upstream: -1 };
    this.#accepted.set(slot, accepted);
    this.#countIn(slot, route.service);
    this.#show(slot, number);
    this.#connect(slot, accepted);
  }

  /**
   * Whether clients have to share the descriptors that are left, with this one: the same rule, by the same counts, as in the
   * main thread. The number of its descriptor alone leaves out those that waiting clients were promised.
   */
  #isCrowded(client: number): boolean {
    const { counts, maxDescriptor, expected } = this.#options;
    const counted = countDescriptors(counts) + DESCRIPTORS_PER_CLIENT;
    // The upstream needs one, too.
    const needed = client + 1 + Atomics.load(expected, 0);
    return Math.max(needed, counted) >= maxDescriptor;
  }

  #connect(slot: number, accepted: Accepted): void {
    const { libc, poller, pairs, clock } = this.#options;
    const { route, client, upstreams } = accepted;
    this.#stopConnecting(slot);
    const leftMs = () => route.budgetMs - (clock.monotonicMs() - accepted.sinceMs);
    for (; accepted.attempt < upstreams.length && leftMs() > 0; accepted.attempt++) {
      const address = upstreams[accepted.attempt];
      const upstream = address === undefined ? -1 : libc.tcpSocket(address.family);
      if (address === undefined || upstream < 0) break;
      libc.tuneTcp(upstream, planKeepAlive(route.keepAliveMs));
      const status = libc.connect(upstream, address.bytes);
      if (status === 0 || status === -EINPROGRESS) {
        const isLast = accepted.attempt === upstreams.length - 1;
        const wait = isLast && leftMs() >= CONNECT_TIMEOUTS_MS.late ? 'late' : 'soon';
        this.#connecting[wait].set(slot, clock.monotonicMs() + CONNECT_TIMEOUTS_MS[wait]);
        accepted.upstream = upstream;
        const { keepAliveMs } = route;
        return pairs.add(slot, { client, upstream, keepAliveMs }, 'connecting');
      }
      poller.close(upstream, 'orderly');
    }
    this.#giveBack(slot, accepted);
  }

  /** Whether an upstream has taken the connection, though the loop has not heard of it yet: asked anew, the kernel says so. */
  #hasAnswered({ upstream, upstreams, attempt }: Accepted): boolean {
    const address = upstreams[attempt];
    const status = address === undefined ? -1 : this.#options.libc.connect(upstream, address.bytes);
    return status === 0 || status === -EISCONN;
  }

  #giveBack(slot: number, { route, client, sinceMs }: Accepted): void {
    const waitedMs = this.#options.clock.monotonicMs() - sinceMs;
    this.#options.onReturned({ route: route.route, client, waitedMs });
    this.#forget(slot);
  }

  /** Counts the client that was accepted last. If the thread dies, the main thread finds in `shared` what was counted. */
  #countIn(slot: number, service: number): void {
    const { counts, shared } = this.#options;
    const hash = hashSocketAddress(this.#peer, counts.seed);
    countIn(counts, { service, hash, cost: DESCRIPTORS_PER_CLIENT });
    shared.countedHash[slot] = hash;
    Atomics.store(shared.countedService, slot, service + 1);
  }

  /** Lets the main thread see the client that was accepted last. */
  #show(slot: number, route: number): void {
    const { clock, shared } = this.#options;
    const { own } = shared;
    const index = slot - MAX_HANDOVERS;
    // Those of the connection that had the slot before are no part of this route's.
    shared.traffic.fill(0, slot * 2, slot * 2 + 2);
    own.sinceMs[index] = clock.nowMs();
    own.peers.set(this.#peer, index * SOCKET_ADDRESS_BYTES);
    Atomics.store(own.routes, index, route + 1);
  }

  #countOut(slot: number): void {
    const { counts, shared } = this.#options;
    const service = Atomics.exchange(shared.countedService, slot, 0) - 1;
    const hash = shared.countedHash[slot] ?? 0;
    countOut(counts, { service, hash, cost: DESCRIPTORS_PER_CLIENT });
  }

  #forget(slot: number): void {
    this.#accepted.delete(slot);
    Atomics.store(this.#options.shared.own.routes, slot - MAX_HANDOVERS, 0);
    this.#countOut(slot);
    this.#stopConnecting(slot);
    this.#leftSlots.push(slot);
  }

  #stopConnecting(slot: number): void {
    this.#connecting.soon.delete(slot);
    this.#connecting.late.delete(slot);
  }

  #reportEnd(slot: number, { route, peer, upstreams, attempt, sinceMs }: Accepted): void {
    const { reportedAs: service } = route;
    if (service === undefined || peer === undefined) return;
    const { shared, clock, onFinished } = this.#options;
    const upstream = upstreams[attempt];
    onFinished({
      service,
      client: endpointOf(peer),
      upstream: upstream === undefined ? undefined : endpointOf(upstream.bytes),
      durationMs: clock.monotonicMs() - sinceMs,
      bytesUp: shared.traffic[slot * 2] ?? 0,
      bytesDown: shared.traffic[slot * 2 + 1] ?? 0,
      ending: CONNECTION_ENDINGS[shared.endings[slot] ?? 0] ?? 'closed',
    });
  }

  #leave(slot: number, { route }: Route): void {
    const { shared, clock, onUsed } = this.#options;
    this.#forget(slot);
    // After it is forgotten: who adds up meanwhile may find too little, but nothing twice.
    for (const way of [0, 1]) {
      const [total, of] = [route * 2 + way, slot * 2 + way];
      shared.routeTraffic[total] = (shared.routeTraffic[total] ?? 0) + (shared.traffic[of] ?? 0);
    }
    // Who was idle has not used it just now.
    if (CONNECTION_ENDINGS[shared.endings[slot] ?? 0] !== 'idle') shared.routeLastMs[route] = clock.nowMs();
    if (Atomics.sub(shared.routeUse, route, 1) === 1) onUsed(route);
  }

  #takeSlot(): number | undefined {
    const free = this.#freeSlots.pop();
    if (free !== undefined) return free;
    if (this.#nextSlot >= MAX_CONNECTIONS) return undefined;
    Atomics.add(this.#options.shared.own.taken, 0, 1);
    return this.#nextSlot++;
  }
}
