import type { Socket } from 'node:net';
import type { Cancel, Clock } from '../system/clock.ts';
import { descriptorOf } from './native/descriptor-of.ts';
import type { Libc } from './native/libc.ts';
import { createTcpInfoReader } from './native/tcp-info.ts';
import { PeerVigil, ViewedPair } from './peer-vigil.ts';
import type { RelayedConnection, RelaySockets, TcpRelay } from './tcp-relay.ts';
import { createTuneSocket } from './tune-socket.ts';

/**
 * Relays through Node's streams, on any platform. One thing Node doesn't tell: a reset that comes while a source is
 * paused, with bytes still unread, is read as an end (libuv's uv__stream_io), and passed on as one.
 */
export function createStreamRelay(native?: NativeParts): TcpRelay {
  const tune = createTuneSocket(native?.libc);
  const vigil = native === undefined ? undefined : new StreamVigil(native);
  return {
    kind: 'stream',
    tune,
    join(sockets, onEnd) {
      const { client, upstream, keepAliveMs } = sockets;
      for (const socket of [client, upstream]) tune(socket, keepAliveMs);
      relay(sockets, onEnd);
      const connection = createConnection(sockets);
      vigil?.follow(sockets, () => connection.destroy());
      return connection;
    },
    prepare: () => () => {},
    openRoute: () => undefined,
    closeServer: (server) => void server.close(),
    close: () => vigil?.close(),
  };
}

/** What does what Node doesn't offer, where the machine has it. */
export interface NativeParts {
  readonly libc: Libc;
  readonly clock: Clock;
}

/** Ends connections whose other end is gone: see `PeerVigil`. Its timer runs only while something may be under way. */
class StreamVigil {
  readonly #clock: Clock;
  readonly #vigil: PeerVigil;
  readonly #onGone = new Map<ViewedPair, () => void>();
  #timer: { readonly dueMs: number; readonly cancel: Cancel } | undefined;

  constructor({ libc, clock }: NativeParts) {
    this.#clock = clock;
    this.#vigil = new PeerVigil({ readTcpInfo: createTcpInfoReader(libc), nowMs: () => clock.monotonicMs() });
  }

  /** Watches a connection until one of its sockets is closed. */
  follow({ client, upstream, keepAliveMs }: RelaySockets, onGone: () => void): void {
    if (client.destroyed || upstream.destroyed) return;
    const sockets = [client, upstream];
    const pair = new ViewedPair(keepAliveMs, () =>
      sockets.map(descriptorOf).filter((fd) => fd !== undefined),
    );
    this.#onGone.set(pair, onGone);
    const note = () => {
      if (pair.isViewed || !this.#onGone.has(pair)) return;
      this.#vigil.note(pair);
      this.#setTimer();
    };
    const forget = () => {
      this.#onGone.delete(pair);
      this.#vigil.forget(pair);
      this.#setTimer();
    };
    for (const socket of sockets) socket.on('data', note).once('end', note).once('close', forget);
    // What was read before goes out at once.
    note();
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #setTimer(): void {
    const timeoutMs = this.#vigil.timeoutMs();
    const dueMs = timeoutMs === undefined ? undefined : this.#clock.monotonicMs() + timeoutMs;
    // What is due later by then sets it again.
    if (dueMs !== undefined && this.#timer !== undefined && this.#timer.dueMs <= dueMs) return;
    this.close();
    if (dueMs === undefined || timeoutMs === undefined) return;
    this.#timer = { dueMs, cancel: this.#clock.schedule(timeoutMs, () => this.#look()) };
  }

  #look(): void {
    this.#timer = undefined;
    for (const pair of this.#vigil.findGone()) this.#onGone.get(pair)?.();
    this.#setTimer();
  }
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
