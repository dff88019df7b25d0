import type { Socket } from 'node:net';
import type { Libc } from './native/libc.ts';
import type { RelayedConnection, RelaySockets, TcpRelay } from './tcp-relay.ts';
import { createTuneSocket } from './tune-socket.ts';

/**
 * Relays through Node's streams, on any platform. One thing Node doesn't tell: a reset that comes while a source is
 * paused, with bytes still unread, is read as an end (libuv's uv__stream_io), and passed on as one.
 */
export function createStreamRelay({ libc }: StreamRelayOptions = {}): TcpRelay {
  const tune = createTuneSocket(libc);
  return {
    kind: 'stream',
    tune,
    join(sockets, onEnd) {
      const { client, upstream, keepAliveMs } = sockets;
      for (const socket of [client, upstream]) tune(socket, keepAliveMs);
      relay(sockets, onEnd);
      return createConnection(sockets);
    },
    prepare: () => () => {},
    openRoute: () => undefined,
    closeServer: (server) => void server.close(),
    close() {},
  };
}

export interface StreamRelayOptions {
  /** What Node doesn't offer is done by these calls, where the machine has them. */
  readonly libc?: Libc | undefined;
}

function relay({ client, upstream }: RelaySockets, onEnd: () => void): void {
  if (client.destroyed || upstream.destroyed) {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
    queueMicrotask(onEnd);
    return;
  }
  let open = 2;
  const closed = () => {
    if (--open === 0) onEnd();
  };
  pass(client, { to: upstream, closed });
  pass(upstream, { to: client, closed });
}

function pass(source: Socket, { to, closed }: { readonly to: Socket; readonly closed: () => void }): void {
  source.on('error', () => to.resetAndDestroy());
  source.once('close', () => {
    // Not the orderly end of both directions: the other side must not wait for the rest.
    if (!source.readableEnded || !source.writableFinished) to.resetAndDestroy();
    closed();
  });
  source.pipe(to);
}

function createConnection({ client, upstream }: RelaySockets): RelayedConnection {
  return {
    get traffic() {
      return { bytesUp: upstream.bytesWritten, bytesDown: client.bytesWritten };
    },
    destroy() {
      client.resetAndDestroy();
      upstream.resetAndDestroy();
    },
  };
}
