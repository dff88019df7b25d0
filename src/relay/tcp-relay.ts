import type { Socket } from 'node:net';

/** How bytes are moved: through Node's streams, or by the kernel on a thread of its own. */
export type RelayKind = 'stream' | 'splice';

/** Moves the bytes of connections between clients and upstreams. */
export interface TcpRelay {
  /** How new connections are relayed now. */
  readonly kind: RelayKind;
  /**
   * Relays bytes both ways until both directions have ended, with back-pressure. The end of one direction is passed on
   * alone (half-close); a reset or any other break on one side resets the other. Takes over both sockets, whatever their
   * state: nobody else may use them any more. Both must allow half-open.
   * @param onEnd called once, when both sides are closed; never before `join` has returned.
   */
  join(sockets: RelaySockets, onEnd: () => void): RelayedConnection;
  /** Frees what is kept for further connections; those that live are reset. Idempotent. */
  close(): void;
}

export interface RelaySockets {
  readonly client: Socket;
  readonly upstream: Socket;
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
