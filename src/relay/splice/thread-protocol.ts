import type { MessagePort } from 'node:worker_threads';
import type { Shortage } from '../../system/descriptors.ts';
import type { AccessRanges } from '../access/access-list.ts';
import type { ClientCounts } from '../access/client-counts.ts';
import type { ConnectionEnding, EndedClient } from '../end-log.ts';
import { SOCKET_ADDRESS_BYTES, type SocketAddress } from '../native/socket-address.ts';
import type { PairSockets } from './thread/relayed-pair.ts';

/** Slots for connections that are handed over; descriptors run out before. As many again are the thread's own. */
export const MAX_HANDOVERS = 32_768;
const MAX_OWN = MAX_HANDOVERS;
export const MAX_CONNECTIONS = MAX_HANDOVERS + MAX_OWN;

/** Pipes of one thread: each is needed only while it holds bytes that a slow side doesn't take. */
const MAX_PIPES = 128;

/** Listening sockets that the thread accepts from. */
export const MAX_ROUTES = 4_096;

/** What the main thread and the relay thread both see. Connections are known by slots, routes by numbers. */
export interface SharedState {
  /** By slot: 1 while the thread's two descriptors are open. Cleared before they are closed. */
  readonly open: Int32Array;
  /** By slot: the two descriptors. */
  readonly sockets: Int32Array;
  /** By slot: bytes to the upstream, bytes to the client. */
  readonly traffic: Float64Array;
  /** By slot: how it has ended, a place in `CONNECTION_ENDINGS`. */
  readonly endings: Int32Array;
  /** By slot: the service for which a client of the thread's own is counted, and 1 more; 0 = none. */
  readonly countedService: Int32Array;
  /** By slot: the hash of its address. */
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
  /** By route: 1 while clients may be connected without asking. Cleared by the main thread alone. */
  readonly routeOpen: Int32Array;
  /** By route: its connections. Counted up before `routeOpen` is looked at, so that none escapes who clears that. */
  readonly routeUse: Int32Array;
  /** By route: 1 while word of its use is on the way to the main thread. */
  readonly routeTold: Int32Array;
  /** By route: when it was last used, ms since the epoch. */
  readonly routeLastMs: Float64Array;
  /** 1 as soon as the thread is to end. */
  readonly quit: Int32Array;
}

/** In `SharedState` an ending is its place in this list. */
export const CONNECTION_ENDINGS = [
  'closed',
  'client-reset',
  'upstream-reset',
  'cut',
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
    quit: words(1),
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
  /** Where so many are taken or promised, a client is given back and its route closed: from here on they share. See `Admission`. */
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
  /** The service's name, where the end of each connection is to be reported; absent = nobody wants to know. */
  readonly reportedAs: string | undefined;
  /** How long a client may wait for a connection, in ms. */
  readonly budgetMs: number;
  /** Of the sockets to the upstreams; what the listening socket brings in has its own options. */
  readonly keepAliveMs: number;
}

/** A client that the thread gives back; its descriptor is the main thread's from now on. */
export interface ReturnedClient {
  readonly route: number;
  readonly client: number;
  /** What of its budget it has waited in vain. */
  readonly waitedMs: number;
}

/** One whom the access list of the route refuses. */
export type BarredClient = Omit<ReturnedClient, 'waitedMs'>;

export type ThreadCommand =
  /** The descriptors belong to the thread from now on. */
  | ({ readonly kind: 'join'; readonly slot: number } & PairSockets)
  /** Resets both sides of a connection; one that has ended meanwhile is passed over. */
  | { readonly kind: 'destroy'; readonly slot: number }
  | ({ readonly kind: 'open-route' } & OpenRoute)
  /** Accepts no more; `destroy`: resets the route's connections, too. May be told twice. */
  | { readonly kind: 'close-route'; readonly route: number; readonly destroy: boolean };

/** What has happened in one turn of the thread's loop. */
export interface ThreadReport {
  /** Slots of handed-over connections that have ended, each once. */
  readonly ended: readonly number[];
  /** Connections of routes that have ended, where their route is to report them. */
  readonly finished: readonly EndedClient[];
  /** Clients of routes that were not connected, and are counted in `routeUse` still. */
  readonly returned: readonly ReturnedClient[];
  /** Clients whom the access list of their route refuses, and who are not counted. */
  readonly barred: readonly BarredClient[];
  /** Routes whose use may have begun or ended. */
  readonly used: readonly number[];
  /** Routes that accept no more, because they were told so or because they can't. */
  readonly closed: readonly number[];
  /** Why the kernel refused to tell of a socket (errno): its route is closed, or its connection reset. */
  readonly unwatched: readonly number[];
  /** What the system had too little of. */
  readonly short: readonly Shortage[];
}
