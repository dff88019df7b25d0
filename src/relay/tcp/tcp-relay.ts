import type { Server, Socket } from 'node:net';
import type { ClientUse } from '../../model/running/client-use.ts';
import type { AccessRanges } from '../access/access-list.ts';
import type { ConnectionEnding } from '../end-log.ts';
import type { HeldClientWatcher } from '../native/held-clients.ts';
import type { ListenerTotals, PresentClient, Traffic } from '../listener.ts';
import type { TuneSocket } from './tune-socket.ts';

/** How bytes are moved: through Node's streams, or by the kernel on a thread of its own. */
export type RelayKind = 'stream' | 'splice';

/** Moves the bytes of connections between clients and upstreams. */
export interface TcpRelay {
  /** How new connections are relayed now. */
  readonly kind: RelayKind;
  /**
   * Sets the socket options of a listening socket or, if accepted sockets can't inherit them, of each client. `join` does it
   * for the upstream's socket, `openRoute` for the listening one.
   */
  readonly tune: TuneSocket;
  /**
   * Watches a client that waits unread. The returned function ends that; call it before reading from the client. Undefined if
   * this machine notices only by reading.
   */
  hold(client: Socket, watcher: HeldClientWatcher): (() => void) | undefined;
  /** Whether a client that waits unread has sent its end, behind what it wants to say; false where this machine can't tell. */
  hasEnded(client: Socket): boolean;
  /** Starts the relay thread for a connection that is expected. Call the returned function once, when it has come or won't come. */
  prepare(): () => void;
  /**
   * Relays bytes both ways until both directions have ended, with back-pressure. The end of one direction is passed on
   * alone (half-close); a reset or any other break on one side resets the other. Takes over both sockets, whatever their
   * state: nobody else may use them any more. Both must allow half-open.
   * @param onEnd called once, when both sides are closed; never before `join` has returned.
   */
  join(sockets: RelaySockets, onEnd: OnConnectionEnd): RelayedConnection;
  /**
   * Has the relay thread accept the clients of a listening socket and connect them by itself until the route is closed. The
   * server must be closed right after; later it can listen on the route's `takeListener()` again.
   * Undefined if this relay or the address of the upstream doesn't allow it.
   */
  openRoute(server: Server, options: RouteOptions): TcpRoute | undefined;
  /** Closes a server whose socket may be lent: nobody gets in from now on, and the port is free. */
  closeServer(server: Server): void;
  /** Resets all connections and frees everything. Idempotent. */
  close(): void;
}

/** Told how a connection has ended; its traffic is complete then. */
export type OnConnectionEnd = (ending: ConnectionEnding) => void;

export interface RelaySockets {
  readonly client: Socket;
  readonly upstream: Socket;
  /** Silence after which the kernel probes each side (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
}

/** One connection that is relayed. */
export interface RelayedConnection {
  /** What it has carried so far. */
  readonly traffic: Traffic;
  /** How long ago a byte came from the upstream or went to it, ms; undefined where the kernel doesn't tell. */
  quietMs(): number | undefined;
  /** Closes both sides in order, unless it has carried more than so many bytes by now. */
  closeIdle(bytes: number): void;
  /** Resets both sides. Idempotent. */
  destroy(): void;
}

export interface RouteOptions {
  /** IP addresses, tried in order. */
  readonly upstreams: readonly { readonly host: string; readonly port: number }[];
  /** Clients that it refuses are given back. */
  readonly access: AccessRanges;
  /** The number by which the service's clients are counted: see `ClientCounts`. */
  readonly service: number;
  /** The service's name, for the line about the end of each connection. */
  readonly name: string;
  /** As in `RelaySockets`. */
  readonly keepAliveMs: number;
  /** How long a client may wait for a connection, in ms; then, or before, it is given back. */
  readonly budgetMs: number;
  /** Called when the number of connections may have become 0 or ceased to be 0. */
  readonly onUse: (activeConnections: number) => void;
  /**
   * Called with a client that was accepted but not connected. Its socket, paused and unread, belongs to the caller now.
   * @param waitedMs how much of its budget is spent.
   */
  readonly onReturned: (client: Socket, waitedMs: number) => void;
  /** Called when the relay stops accepting by itself: take the listening socket back. */
  readonly onLost: () => void;
}

/** Clients that were connected, and the bytes of all of them. */
export type RouteTotals = Omit<ListenerTotals, 'unserved'>;

/** A listening socket whose clients the relay thread accepts and connects by itself. */
export interface TcpRoute {
  readonly activeConnections: number;
  /** When it was last used, ms since the epoch; 0 = never. */
  readonly lastUsedMs: number;
  /** Since it was opened. */
  readTotals(): RouteTotals;
  /** What its clients have carried. */
  listUses(): readonly ClientUse[];
  /** Its clients, oldest first, `max` at most. */
  listClients(max: number): readonly PresentClient[];
  /** Stops accepting, but only if there are no connections; returns whether the route is closed now. */
  tryClose(): boolean;
  /** Stops accepting; connections go on until they end. Idempotent. */
  close(): void;
  /** Stops accepting and resets the connections. Idempotent. */
  destroy(): void;
  /** Returns the descriptor of the listening socket, which belongs to the caller from now on; call it once. */
  takeListener(): number;
}
