import type { Socket } from 'node:net';
import { afterReads, type Cancel, type Clock } from '../../system/clock.ts';
import { descriptorOf, wireDescriptorOf } from '../native/descriptor-of.ts';
import type { HeldClients } from '../native/held-clients.ts';
import type { Libc } from '../native/libc.ts';
import { createTcpInfoReader } from '../native/tcp-info.ts';
import { PeerVigil, ViewedPair } from './peer-vigil.ts';
import type { ConnectionEnding } from '../end-log.ts';
import { resetSocket } from './reset-socket.ts';
import type { OnConnectionEnd, RelayedConnection, RelaySockets, TcpRelay } from './tcp-relay.ts';
import { createTuneSocket } from './tune-socket.ts';
import { readNow } from './unread.ts';

/** When one side has failed, how long the other may take nothing of the rest before it is reset too, in ms. */
const DRAIN_TIMEOUT_MS = 5_000;

/**
 * Relays through Node's streams, on any platform. One thing Node doesn't tell: a reset that comes while a source is
 * paused, with bytes still unread, is read as an end (libuv's uv__stream_io), and passed on as one. And one thing it
 * doesn't do: when a write fails, it closes the socket without a look at what came before the reset, so this looks.
 */
export function createStreamRelay(native?: NativeParts): TcpRelay {
  const tune = createTuneSocket(native?.libc);
  const vigil = native === undefined ? undefined : new StreamVigil(native);
  const readTcpInfo = native === undefined ? undefined : createTcpInfoReader(native.libc);
  return {
    kind: 'stream',
    tune,
    join(sockets, onEnd) {
      const { upstream, keepAliveMs } = sockets;
      tune(upstream, keepAliveMs);
      const fate: Fate = { ending: 'closed' };
      relay(sockets, { fate, onEnd });
      const connection = createConnection(sockets, { fate, readTcpInfo });
      vigil?.follow(sockets, () => connection.destroy());
      return connection;
    },
    hold(client, watcher) {
      const fd = descriptorOf(client);
      return fd === undefined ? undefined : native?.held?.hold(fd, watcher);
    },
    hasEnded(client) {
      const fd = wireDescriptorOf(client);
      return fd !== undefined && readTcpInfo?.(fd)?.hasPeerEnded === true;
    },
    prepare: () => () => {},
    openRoute: () => undefined,
    closeServer: (server) => void server.close(),
    close() {
      native?.held?.close();
      vigil?.close();
    },
  };
}

/** System calls for what Node doesn't offer, if the machine has them. */
export interface NativeParts {
  readonly libc: Libc;
  readonly clock: Clock;
  /** Closed with the relay. */
  readonly held?: HeldClients | undefined;
}

/** Ends connections whose other end is gone: see `PeerVigil`. Its timer runs only while bytes may be under way. */
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
      sockets.map(wireDescriptorOf).filter((fd) => fd !== undefined),
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
    // Bytes that were read before are sent at once.
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

/** How a connection ends; the side that fails first decides. */
interface Fate {
  ending: ConnectionEnding;
}

function relay(
  { client, upstream }: RelaySockets,
  { fate, onEnd }: { readonly fate: Fate; readonly onEnd: OnConnectionEnd },
): void {
  let open = 2;
  const closed = () => {
    if (--open === 0) onEnd(fate.ending);
  };
  if (client.destroyed || upstream.destroyed) {
    fate.ending = client.destroyed ? 'client-reset' : 'upstream-reset';
    endBroken(client, upstream);
    endBroken(upstream, client);
    for (const socket of [client, upstream]) {
      if (socket.destroyed) queueMicrotask(closed);
      else socket.once('close', closed);
    }
    return;
  }
  pass(client, { to: upstream, closed, fate, broken: 'client-reset' });
  pass(upstream, { to: client, closed, fate, broken: 'upstream-reset' });
}

interface Direction {
  readonly to: Socket;
  readonly closed: () => void;
  readonly fate: Fate;
  /** The ending that it is when the source fails. */
  readonly broken: ConnectionEnding;
}

function pass(source: Socket, { to, closed, fate, broken }: Direction): void {
  // `close` follows each error, and the socket's state tells it enough.
  source.on('error', () => {});
  const destroy = source._destroy.bind(source);
  source._destroy = (error, callback) => {
    if (error !== null) passRest(source, to);
    destroy(error, callback);
  };
  source.once('close', () => {
    // The connection broke off: the other side must not wait for more.
    if (!source.readableEnded || !source.writableFinished) {
      if (fate.ending === 'closed') fate.ending = broken;
      resetOnceSent(to);
    }
    closed();
  });
  source.pipe(to);
}

/** Ends one side of a connection of which one side at least was closed before it was joined. */
function endBroken(source: Socket, to: Socket): void {
  source.on('error', () => {});
  if (!source.destroyed) return;
  passRest(source, to);
  resetOnceSent(to);
}

/** Passes on what came of a source before it failed: what Node has read of it, and what the kernel still holds. */
function passRest(source: Socket, to: Socket): void {
  source.unpipe(to);
  if (to.destroyed || to.writableEnded) return;
  for (let chunk = source.read(); chunk !== null; chunk = source.read()) to.write(chunk);
  const fd = descriptorOf(source);
  for (let chunk = readNow(fd); chunk !== undefined; chunk = readNow(fd)) to.write(chunk);
}

/** Resets a socket as soon as it has taken what was written to it; after a while in which it takes nothing, at once. */
function resetOnceSent(socket: Socket): void {
  const reset = () => void resetSocket(socket);
  if (socket.destroyed || socket.writableLength === 0) return reset();
  socket.unpipe();
  // Only a socket that is read notices that it fails.
  socket.resume();
  socket.setTimeout(DRAIN_TIMEOUT_MS, reset);
  if (socket.writableEnded) socket.once('finish', reset);
  else socket.write('', reset);
}

function createConnection(
  { client, upstream }: RelaySockets,
  {
    fate,
    readTcpInfo,
  }: {
    readonly fate: Fate;
    readonly readTcpInfo: ReturnType<typeof createTcpInfoReader> | undefined;
  },
): RelayedConnection {
  return {
    quietMs() {
      const fd = wireDescriptorOf(upstream);
      return fd === undefined ? undefined : readTcpInfo?.(fd)?.quietMs;
    },
    closeIdle(bytes) {
      // What has come already is read by then.
      afterReads(() => {
        if (client.destroyed || upstream.destroyed) return;
        if (upstream.bytesWritten + client.bytesWritten > bytes) return;
        if (fate.ending === 'closed') fate.ending = 'idle';
        client.destroy();
        upstream.destroy();
      });
    },
    get traffic() {
      return { bytesUp: upstream.bytesWritten, bytesDown: client.bytesWritten };
    },
    destroy() {
      if (fate.ending === 'closed') fate.ending = 'cut';
      resetSocket(client);
      resetSocket(upstream);
    },
  };
}
