import type { Server, Socket } from 'node:net';
import type { AccessRanges } from '../access/access-list.ts';
import type { ConnectionEnding } from '../end-log.ts';
import type { TuneSocket } from './tune-socket.ts';

/** How bytes are moved: through Node's streams, or by the kernel on a thread of its own. */
export type RelayKind = 'stream' | 'splice';

/** Moves the bytes of connections between clients and upstreams. */
export interface TcpRelay {
  /** How new connections are relayed now. */
  readonly kind: RelayKind;
  /**
   * For a listening socket, and where that can't be for each client as soon as it is accepted. `join` tunes the upstream's
   * socket by itself, and `openRoute` the listening one.
   */
  readonly tune: TuneSocket;
  /**
   * Tells when a client that waits unread has left. What is returned ends that, and is to be called before anybody reads
   * from it; undefined where this machine can tell by reading alone.
   */
  hold(client: Socket, onLeft: () => void): (() => void) | undefined;
  /** Makes ready what takes time, for a connection to come; to be called back, once, when that has come or won't. */
  prepare(): () => void;
  /**
   * Relays bytes both ways until both directions have ended, with back-pressure. The end of one direction is passed on
   * alone (half-close); a reset or any other break on one side resets the other. Takes over both sockets, whatever their
   * state: nobody else may use them any more. Both must allow half-open.
   * @param onEnd called once, when both sides are closed; never before `join` has returned.
   */
  join(sockets: RelaySockets, onEnd: OnConnectionEnd): RelayedConnection;
  /**
   * Accepts the clients of a listening socket and connects them, without asking anybody, from now on until the route is
   * closed; the server itself must be closed right after, and can listen on `takeListener()` of the route later.
   * Undefined where this relay, or the address of the upstream, doesn't allow it.
   */
  openRoute(server: Server, options: RouteOptions): TcpRoute | undefined;
  /** Closes a server whose socket may have been lent: from now on nobody gets in, and the port is free. */
  closeServer(server: Server): void;
  /** Frees what is kept for further connections; those that live are reset. Idempotent. */
  close(): void;
}

/** Told how a connection has ended; its traffic is complete then. */
export type OnConnectionEnd = (ending: ConnectionEnding) => void;

export interface RelaySockets {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Silence after which the kernel asks each whether it is still there, 0 = never. */
  readonly keepAliveMs: number;
}

/** One connection that is relayed. */
export interface RelayedConnection {
  /** What it has carried so far. */
  readonly traffic: Traffic;
  /** Resets both sides. Idempotent. */
  destroy(): void;
}

export interface Traffic {
  /** Bytes that the upstream has taken. */
  readonly bytesUp: number;
  /** Bytes that the client has taken. */
  readonly bytesDown: number;
}

export interface RouteOptions {
  /** IP addresses, tried in order. */
  readonly upstreams: readonly { readonly host: string; readonly port: number }[];
  /** Clients whom it refuses are given back. */
  readonly access: AccessRanges;
  /** By which they are counted: see `ClientCounts`. */
  readonly service: number;
  /** The service's name, for the line about the end of each connection. */
  readonly name: string;
  /** As in `RelaySockets`. */
  readonly keepAliveMs: number;
  /** How long a client may wait for a connection, in ms; then, or before, it is given back. */
  readonly budgetMs: number;
  /** Told when the number of connections may have become or ceased to be 0. */
  readonly onUse: (activeConnections: number) => void;
  /**
   * Told of a client that was accepted and not connected, paused and unread: it is the caller's.
   * @param waitedMs what of its budget is spent.
   */
  readonly onReturned: (client: Socket, waitedMs: number) => void;
  /** The relay accepts no more, by itself: take the listening socket back. */
  readonly onLost: () => void;
}

/** A listening socket whose clients are relayed without asking anybody. */
export interface TcpRoute {
  readonly activeConnections: number;
  /** When it was last used, ms since the epoch; 0 = never. */
  readonly lastUsedMs: number;
  /** Accepts no more, unless there are connections: whether it is closed now. */
  tryClose(): boolean;
  /** Accepts no more; its connections go on until they end. Idempotent. */
  close(): void;
  /** Closes, and resets its connections. Idempotent. */
  destroy(): void;
  /** The descriptor of the listening socket, which is the caller's from now on; to be called once. */
  takeListener(): number;
}
