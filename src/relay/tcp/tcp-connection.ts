import type { Socket } from 'node:net';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import type { EndLog } from '../end-log.ts';
import type { Client, PresentClient, Traffic } from '../listener.ts';
import type { TcpBinding } from './tcp-listener.ts';
import type { OnConnectionEnd, RelayedConnection, TcpRelay } from './tcp-relay.ts';
import { discardUnread } from './unread.ts';

interface ConnectionOptions {
  readonly client: Client;
  readonly binding: TcpBinding;
  readonly relay: TcpRelay;
  /** Logs the connection at its end; absent if the log doesn't show debug. */
  readonly endLog?: EndLog | undefined;
  /** Since when it is there, ms since the epoch. */
  readonly sinceMs: number;
  /** For how long the client has waited for a connection already. */
  readonly waitedMs: number;
  /** Called once, when both sides are closed. */
  readonly onEnd: () => void;
  /** Called when its upstream is connected. */
  readonly onRelayed: () => void;
  /** Told why the client was closed without an upstream. */
  readonly onUnserved: (error: unknown) => void;
}

/**
 * One client of a listener: held until its upstream is connected, then relayed. Until it is known whether it has to wait
 * nothing is read of it; while it waits, no more than one stream buffer, so that its leaving is noticed.
 */
export class TcpConnection {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** Ends the wait for an upstream. */
  readonly #waiting = new AbortController();
  #relayed: RelayedConnection | undefined;
  #hasEnded = false;

  /** Takes over the socket, which has read nothing yet. */
  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** The client as it is now. */
  get present(): PresentClient {
    const { client, sinceMs } = this.#options;
    const relayed = this.#relayed;
    return { endpoint: client.endpoint, sinceMs, isWaiting: relayed === undefined, ...relayed?.traffic };
  }

  /** What it has carried so far; undefined before its upstream is connected. */
  get traffic(): Traffic | undefined {
    return this.#relayed?.traffic;
  }

  /** Serves the client. */
  async serve(): Promise<void> {
    const socket = this.#socket;
    const { binding, client, relay, waitedMs } = this.#options;
    const leave = () => this.#leave();
    const end = () => this.#end();
    // Nothing is read, or at least not piped yet, so `end` comes only from a client that has sent nothing and won't: nobody to hold.
    socket.on('error', leave).on('end', leave).on('close', leave).once('close', end);
    const release = relay.hold(socket, leave);
    if (release === undefined) socket.read(0);
    // While the client waits for a start, so that it doesn't wait for this as well.
    const unprepare = relay.prepare();
    try {
      const upstream = await binding.connect({
        port: binding.targetPort,
        client: client.endpoint,
        address: client.address,
        waitedMs,
        signal: this.#waiting.signal,
      });
      release?.();
      socket.off('error', leave).off('end', leave).off('close', leave).off('close', end);
      const { keepAliveMs } = binding;
      const logEnd = this.#prepareEndLine(upstream.socket);
      this.#relayed = relay.join({ client: socket, upstream: upstream.socket, keepAliveMs }, (ending) => {
        upstream.release();
        logEnd?.(ending);
        end();
      });
      this.#options.onRelayed();
    } catch (error) {
      release?.();
      discardUnread(socket);
      socket.destroy();
      this.#options.onUnserved(error);
    } finally {
      unprepare();
    }
  }

  /** Before the sockets are the relay's, which may close them. */
  #prepareEndLine({ remoteAddress, remotePort }: Socket): OnConnectionEnd | undefined {
    const { endLog, client, binding } = this.#options;
    if (endLog === undefined) return undefined;
    const sinceMs = endLog.monotonicMs();
    const upstream =
      remoteAddress === undefined || remotePort === undefined
        ? undefined
        : formatEndpoint(plainAddress(remoteAddress), remotePort);
    return (ending) => {
      const durationMs = endLog.monotonicMs() - sinceMs;
      const { bytesUp, bytesDown } = this.#relayed?.traffic ?? { bytesUp: 0, bytesDown: 0 };
      const { service } = binding;
      const who = { service, client: client.endpoint, upstream };
      endLog.tell('tcp', { ...who, durationMs, bytesUp, bytesDown, ending });
    };
  }

  /** Gives up a client that waits and has sent its end: it has left, as a rule, though it may want the answer yet. */
  dropIfEnded(): void {
    if (this.#relayed === undefined && this.#options.relay.hasEnded(this.#socket)) this.#leave();
  }

  #leave(): void {
    this.#waiting.abort(new Error('the client left'));
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.onEnd();
  }

  /** Resets it. Idempotent. */
  destroy(): void {
    if (this.#relayed === undefined) this.#socket.resetAndDestroy();
    else this.#relayed.destroy();
  }
}
