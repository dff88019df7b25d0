import type { MessagePort } from 'node:worker_threads';
import type { Shortage } from '../../system/descriptors.ts';
import type { AccessRanges } from '../access/access-list.ts';
import type { ClientCounts } from '../access/client-counts.ts';
import type { ConnectionEnding, EndedClient } from '../end-log.ts';
import { SOCKET_ADDRESS_BYTES, type SocketAddress } from '../native/socket-address.ts';
import type { PairSockets } from './thread/relayed-pair.ts';

/** Slots for connections that are handed over; descriptors run out before. The thread has as many for clients of its own. */
export const MAX_HANDOVERS = 32_768;
const MAX_OWN = MAX_HANDOVERS;
export const MAX_CONNECTIONS = MAX_HANDOVERS + MAX_OWN;

/** Pipes of one thread. A connection needs one only while a slow side doesn't take its bytes. */
const MAX_PIPES = 128;

/** Listening sockets that the thread accepts from. */
export const MAX_ROUTES = 4_096;

/** Memory that the main thread and the relay thread share. Connections are known by slots, routes by numbers. */
export interface SharedState {
  /** By slot: 1 while the thread's two descriptors are open. Cleared before they are closed. */
  readonly open: Int32Array;
  /** By slot: the two descriptors. */
  readonly sockets: Int32Array;
  /** By slot: bytes to the upstream, bytes to the client. */
  readonly traffic: Float64Array;
  /** By slot: how it has ended, an index of `CONNECTION_ENDINGS`. */
  readonly endings: Int32Array;
  /** By slot: the number of the service for which a client of the thread is counted, plus 1; 0 = none. */
  readonly countedService: Int32Array;
  /** By slot: the hash of that client's address. */
  readonly countedHash: Int32Array;
  /** Of each client of the thread's own: its route and 1 more, 0 = none; since when it is there, ms since the epoch; its socket address. */
  readonly own: {
    readonly routes: Int32Array;
    readonly sinceMs: Float64Array;
    readonly peers: Uint8Array;
    /** How many of their slots were ever taken: one number. */
    readonly taken: Int32Array;
  };
  /** Descriptors of the pipes that exist, in pairs; 0 = none. */
  readonly pipes: Int32Array;
  /** By route: 1 while the thread may let clients in. Only the main thread clears it. */
  readonly routeOpen: Int32Array;
  /** By route: its connections. The thread counts up before it reads `routeOpen`, so whoever clears that sees every client. */
  readonly routeUse: Int32Array;
  /** By route: 1 while a report of its use is on the way to the main thread. */
  readonly routeTold: Int32Array;
  /** By route: when it was last used, ms since the epoch. */
  readonly routeLastMs: Float64Array;
  /** By route: how many clients were connected. Only the thread writes it while the route is open, as of the next. */
  readonly routeAccepted: Float64Array;
  /** By route: what the connections that have ended have carried, bytes to the upstream and to the client. */
  readonly routeTraffic: Float64Array;
  /** 1 as soon as the thread is to end. */
  readonly quit: Int32Array;
  /** 1 as soon as the thread makes no more calls outside of JavaScript. */
  readonly ended: Int32Array;
}

/** `SharedState` holds an ending as its index in this list. */
export const CONNECTION_ENDINGS = [
  'closed',
  'client-reset',
  'upstream-reset',
  'cut',
  'idle',
] as const satisfies readonly ConnectionEnding[];

/** Pages that nobody touches take no memory. */
export function createSharedState(): SharedState {
  const words = (count: number) => new Int32Array(new SharedArrayBuffer(count * 4));
  const doubles = (count: number) => new Float64Array(new SharedArrayBuffer(count * 8));
  return {
    open: words(MAX_CONNECTIONS),
    sockets: words(MAX_CONNECTIONS * 2),
    traffic: doubles(MAX_CONNECTIONS * 2),
    endings: words(MAX_CONNECTIONS),
    countedService: words(MAX_CONNECTIONS),
    countedHash: words(MAX_CONNECTIONS),
    own: {
      routes: words(MAX_OWN),
      sinceMs: doubles(MAX_OWN),
      peers: new Uint8Array(new SharedArrayBuffer(MAX_OWN * SOCKET_ADDRESS_BYTES)),
      taken: words(1),
    },
    pipes: words(MAX_PIPES * 2),
    routeOpen: words(MAX_ROUTES),
    routeUse: words(MAX_ROUTES),
    routeTold: words(MAX_ROUTES),
    routeLastMs: doubles(MAX_ROUTES),
    routeAccepted: doubles(MAX_ROUTES),
    routeTraffic: doubles(MAX_ROUTES * 2),
    quit: words(1),
    ended: words(1),
  };
}

/** What the thread is started with; it owns none of the descriptors. */
export interface ThreadStart {
  readonly epoll: number;
  /** An eventfd that is written to when there are commands. */
  readonly bell: number;
  readonly shared: SharedState;
  /** Counts the clients that the thread accepts, beside those of the main thread. */
  readonly counts: ClientCounts;
  /** Once so many are taken or promised, clients have to share: the thread gives a client back and closes its route. See `Admission`. */
  readonly maxDescriptor: number;
  /** How many descriptors are promised to clients of the main thread: one number. See `Descriptors`. */
  readonly expected: Int32Array;
  /** Commands come here, and reports go back. */
  readonly port: MessagePort;
}

export interface OpenRoute {
  readonly route: number;
  /** A listening socket; belongs to the thread from now on. */
  readonly listener: number;
  /** Tried in order. */
  readonly upstreams: readonly SocketAddress[];
  readonly access: AccessRanges;
  /** By which its clients are counted. */
  readonly service: number;
  /** The service's name, where the end of each connection is to be reported; absent = it is not. */
  readonly reportedAs: string | undefined;
  /** How long a client may wait for a connection, in ms. */
  readonly budgetMs: number;
  /** For the sockets to the upstreams; accepted clients inherit the options of the listening socket. */
  readonly keepAliveMs: number;
}

/** A client that the thread gives back; its descriptor is the main thread's from now on. */
export interface ReturnedClient {
  readonly route: number;
  readonly client: number;
  /** How much of its budget it has spent waiting, in ms. */
  readonly waitedMs: number;
}

/** A client that the access list of the route refuses. */
export type BarredClient = Omit<ReturnedClient, 'waitedMs'>;

export type ThreadCommand =
  /** The descriptors belong to the thread from now on. */
  | ({ readonly kind: 'join'; readonly slot: number } & PairSockets)
  /** Resets both sides of a connection; does nothing where it has ended meanwhile. */
  | { readonly kind: 'destroy'; readonly slot: number }
  /**
   * Closes both sides of a connection in order, unless it has carried more than so many bytes by now. `sinceMs`, of the client of a
   * route: since when that is there, as `SharedState.own` has it; its slot may be another one's by now.
   */
  | {
      readonly kind: 'close-idle';
      readonly slot: number;
      readonly bytes: number;
      readonly sinceMs?: number;
    }
  | ({ readonly kind: 'open-route' } & OpenRoute)
  /** Accepts no more; with `destroy`, resets the route's connections too. May be sent twice. */
  | { readonly kind: 'close-route'; readonly route: number; readonly destroy: boolean };

/** What has happened in one turn of the thread's loop. */
export interface ThreadReport {
  /** Slots of handed-over connections that have ended, each once. */
  readonly ended: readonly number[];
  /** Connections of routes that have ended, where the route reports them. */
  readonly finished: readonly EndedClient[];
  /** Clients of routes that were not connected; they are still counted in `routeUse`. */
  readonly returned: readonly ReturnedClient[];
  /** Clients that the access list of their route refuses; they are not counted. */
  readonly barred: readonly BarredClient[];
  /** Routes whose use may have begun or ended. */
  readonly used: readonly number[];
  /** Routes that accept no more: on command, or because they can't. */
  readonly closed: readonly number[];
  /** For each socket that the kernel refused to watch, why (errno): its route is closed, or its connection reset. */
  readonly unwatched: readonly number[];
  /** What the system ran out of. */
  readonly short: readonly Shortage[];
}
