import type { Server } from 'node:net';
import { afterEvents } from '../../../system/clock.ts';
import { descriptorOf } from '../../native/descriptor-of.ts';
import type { Libc } from '../../native/libc.ts';
import { type SocketAddress, toSocketAddress } from '../../native/socket-address.ts';
import type { RouteOptions, TcpRoute } from '../../tcp/tcp-relay.ts';
import type { RelayThreadHandle } from './relay-thread-handle.ts';
import { createQuietReader, type ReadQuiet } from './quiet-reader.ts';
import { SpliceRoute } from './splice-route.ts';
import { MAX_HANDOVERS, MAX_ROUTES, type ThreadReport } from '../thread-protocol.ts';

/** What routes need of the relay thread. */
export type RouteThread = Pick<RelayThreadHandle, 'shared' | 'post'>;

/** The listening sockets that a relay thread was given. A number is free again when its last connection has ended. */
export class Routes {
  readonly #thread: RouteThread;
  readonly #libc: Pick<Libc, 'dup' | 'close'>;
  readonly #readQuiet: ReadQuiet;
  /** Whether the thread is to report the end of each connection. */
  readonly #reportsEnds: boolean;
  readonly #byNumber = new Map<number, SpliceRoute>();
  /** Routes that the thread has closed. */
  readonly #ended = new Set<number>();
  readonly #freeNumbers: number[] = [];
  #nextNumber = 0;
  /** Added up once for all routes that are asked in the same turn of the event loop. */
  #liveTraffic: Float64Array | undefined;

  constructor(
    thread: RouteThread,
    {
      libc,
      reportsEnds,
    }: { readonly libc: Pick<Libc, 'dup' | 'close' | 'readTcpInfo'>; readonly reportsEnds: boolean },
  ) {
    this.#thread = thread;
    this.#libc = libc;
    this.#readQuiet = createQuietReader(thread, libc);
    this.#reportsEnds = reportsEnds;
  }

  get count(): number {
    return this.#byNumber.size;
  }

  get isUsed(): boolean {
    for (const route of this.#byNumber.values()) if (route.activeConnections > 0) return true;
    return false;
  }

  open(server: Server, options: RouteOptions): TcpRoute | undefined {
    const addresses = options.upstreams.map(toSocketAddress);
    const upstreams = addresses.filter((address): address is SocketAddress => address !== undefined);
    const fd = descriptorOf(server);
    if (upstreams.length < addresses.length || fd === undefined || this.count >= MAX_ROUTES) return undefined;
    const [listener, kept] = [this.#libc.dup(fd), this.#libc.dup(fd)];
    if (listener < 0 || kept < 0) {
      for (const copy of [listener, kept]) if (copy >= 0) this.#libc.close(copy);
      return undefined;
    }
    const number = this.#freeNumbers.pop() ?? this.#nextNumber++;
    const thread = this.#thread;
    const post = thread.post.bind(thread);
    const liveTraffic = () => this.#addUpLive();
    const route = new SpliceRoute({
      ...{ number, shared: thread.shared, post, listener: kept, options, liveTraffic },
      readQuiet: this.#readQuiet,
    });
    this.#byNumber.set(number, route);
    const { access, service, name, keepAliveMs, budgetMs } = options;
    const reportedAs = this.#reportsEnds ? name : undefined;
    const policy = { access, service, reportedAs, keepAliveMs, budgetMs };
    thread.post({ kind: 'open-route', route: number, listener, upstreams, ...policy });
    return route;
  }

  take({ returned, barred, used, closed }: ThreadReport): void {
    for (const { route, client, waitedMs } of returned) this.#byNumber.get(route)?.returned(client, waitedMs);
    for (const { route, client } of barred) this.#byNumber.get(route)?.barred(client);
    for (const number of used) this.#byNumber.get(number)?.used();
    for (const number of closed) {
      this.#ended.add(number);
      this.#byNumber.get(number)?.ended();
    }
    for (const number of this.#ended) this.#forgetUnused(number);
  }

  /** Closes unused routes, and tells their owners. */
  lapse(): void {
    for (const route of [...this.#byNumber.values()]) route.lapse();
  }

  /** Closes all of them, and resets their connections. */
  destroy(): void {
    for (const route of this.#byNumber.values()) route.destroy();
  }

  /** The thread is gone. */
  died(): void {
    for (const route of [...this.#byNumber.values()]) route.died();
  }

  #addUpLive(): Float64Array {
    const known = this.#liveTraffic;
    if (known !== undefined) return known;
    const { own, traffic } = this.#thread.shared;
    const sums = new Float64Array(MAX_ROUTES * 2);
    for (let index = 0, end = Atomics.load(own.taken, 0); index < end; index++) {
      const route = Atomics.load(own.routes, index) - 1;
      if (route < 0) continue;
      const slot = MAX_HANDOVERS + index;
      sums[route * 2] = (sums[route * 2] ?? 0) + (traffic[slot * 2] ?? 0);
      sums[route * 2 + 1] = (sums[route * 2 + 1] ?? 0) + (traffic[slot * 2 + 1] ?? 0);
    }
    this.#liveTraffic = sums;
    afterEvents(() => {
      this.#liveTraffic = undefined;
    });
    return sums;
  }

  #forgetUnused(number: number): void {
    const route = this.#byNumber.get(number);
    if (route !== undefined && route.activeConnections > 0) return;
    // The report of its last connection's end may still be under way, and would find no route.
    route?.used();
    this.#ended.delete(number);
    this.#byNumber.delete(number);
    this.#freeNumbers.push(number);
  }
}
