import type { Socket } from 'node:net';
import type { RelayedConnection, RelaySockets, TcpRelay } from './tcp-relay.ts';

/**
 * Relays through Node's streams, on any platform. One thing Node doesn't tell: a reset that comes while a source is
 * paused, with bytes still unread, is read as an end (libuv's uv__stream_io), and passed on as one.
 */
export const streamRelay: TcpRelay = {
  kind: 'stream',
  join({ client, upstream }, onEnd) {
    relay({ client, upstream }, onEnd);
    return createConnection({ client, upstream });
  },
  prepare: () => () => {},
  openRoute: () => undefined,
  closeServer: (server) => void server.close(),
  close() {},
};

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
