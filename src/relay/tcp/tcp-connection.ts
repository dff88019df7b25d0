import type { Socket } from 'node:net';
import type { ClientUse, LeaseUser } from '../../model/running/client-use.ts';
import type { Endpoint } from '../../model/running/observation.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import { writeProxyHeader } from '../access/proxy-protocol.ts';
import type { EndLog } from '../end-log.ts';
import type { Client, PresentClient, Traffic } from '../listener.ts';
import type { Entrance } from './entrance.ts';
import { resetSocket } from './reset-socket.ts';
import type { TcpBinding } from './tcp-listener.ts';
import type { OnConnectionEnd, RelayedConnection, TcpRelay } from './tcp-relay.ts';
import { discardUnread } from './unread.ts';

interface ConnectionOptions {
  readonly client: Client;
  /** Where the client has connected to, as the proxy in front says; undefined = to the listener. */
  readonly destination?: Endpoint | undefined;
  /** Whether the client was read through Node already. */
  readonly isRead: boolean;
  /** Whether the service may be started for the client. */
  readonly mayWake: boolean;
  /** Where a client waits that has to send something before it wakes the service. */
  readonly entrance: Entrance;
  readonly binding: TcpBinding;
  readonly relay: TcpRelay;
  /** Logs the connection at its end; absent if the log doesn't show debug. */
  readonly endLog?: EndLog | undefined;
  /** Since when it is there, ms since the epoch. */
  readonly sinceMs: number;
  /** For how long the client has waited for a connection already. */
  readonly waitedMs: number;
  /** Called once, when the client is to be served: it need not send anything before. */
  readonly onLetIn: () => void;
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
export class TcpConnection implements ClientUse, LeaseUser {
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** Aborts when the client leaves while it waits. */
  readonly #waiting = new AbortController();
  readonly #leave = () => this.#waiting.abort(new Error('the client left'));
  #relayed: RelayedConnection | undefined;
  /** Ends the watch of a client that waits unread. */
  #release: (() => void) | undefined;
  #isLetIn = false;
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

  get bytes(): number | undefined {
    const traffic = this.#relayed?.traffic;
    return traffic && traffic.bytesUp + traffic.bytesDown;
  }

  quietMs(): number | undefined {
    return this.#relayed?.quietMs();
  }

  closeIdle(bytes: number): void {
    this.#relayed?.closeIdle(bytes);
  }

  listUses(): readonly ClientUse[] {
    return [this];
  }

  /** Serves the client. */
  async serve(): Promise<void> {
    const socket = this.#socket;
    const { binding, relay } = this.#options;
    const leave = this.#leave;
    const end = () => this.#end();
    // Nothing is read, or at least not piped yet, so `end` comes only from a client that has sent nothing and won't: nobody to hold.
    socket.on('error', leave).on('end', leave).on('close', leave).once('close', end);
    this.#watch();
    // While the header of a proxy in front was read.
    if (socket.destroyed || socket.readableEnded) leave();
    // While the client waits for a start, so that it doesn't wait for this as well.
    const unprepare = relay.prepare();
    try {
      const upstream = await this.#connect(this.#waiting.signal);
      this.#release?.();
      socket.off('error', leave).off('end', leave).off('close', leave).off('close', end);
      const { keepAliveMs } = binding;
      const logEnd = this.#prepareEndLine(upstream.socket);
      // As if the client had sent it: so it goes to the upstream first, by whichever relay.
      if (binding.proxyProtocol !== undefined) socket.unshift(this.#writeHeader(binding.proxyProtocol));
      this.#relayed = relay.join({ client: socket, upstream: upstream.socket, keepAliveMs }, (ending) => {
        upstream.release();
        logEnd?.(ending);
        end();
      });
      this.#options.onRelayed();
    } catch (error) {
      this.#release?.();
      discardUnread(socket);
      socket.destroy();
      this.#options.onUnserved(error);
    } finally {
      unprepare();
    }
  }

  /** Connects; where the service is to be woken by data alone, nothing is started before the client has sent something. */
  async #connect(signal: AbortSignal): ReturnType<TcpBinding['connect']> {
    const { binding, client, waitedMs, mayWake } = this.#options;
    const { targetPort: port, wakeOn } = binding;
    const who = { port, client: client.endpoint, address: client.address, waitedMs, signal, user: this };
    const connect = (mayWake: boolean) => {
      this.#letIn();
      return binding.connect({ ...who, mayWake });
    };
    if (wakeOn !== 'data' || !mayWake) return connect(mayWake);
    const isAsleep = () => binding.refusal?.({ mayWake: false }) !== undefined;
    if (!isAsleep()) {
      try {
        return await connect(false);
      } catch (error) {
        // It went to sleep just now.
        if (signal.aborted || !isAsleep()) throw error;
      }
    }
    await this.#awaitBytes(isAsleep);
    return connect(true);
  }

  async #awaitBytes(isNeeded: () => boolean): Promise<void> {
    const isRead = this.#release === undefined;
    // The kernel watches a client for one of us only.
    this.#release?.();
    this.#release = undefined;
    await this.#options.entrance.awaitBytes(this.#socket, { isRead, isNeeded });
    if (!isRead) this.#watch();
  }

  /** Notices from now on when the client leaves: unread where the machine can do that. */
  #watch(): void {
    const { relay, isRead } = this.#options;
    this.#release = isRead ? undefined : relay.hold(this.#socket, { onLeft: this.#leave });
    if (this.#release === undefined) this.#socket.read(0);
  }

  #letIn(): void {
    if (this.#isLetIn) return;
    this.#isLetIn = true;
    this.#options.onLetIn();
  }

  #writeHeader(version: 'v1' | 'v2'): Buffer {
    const { client, destination } = this.#options;
    const { localAddress = '', localPort = 0 } = this.#socket;
    return writeProxyHeader(version, {
      source: { host: client.address, port: client.port },
      destination: destination ?? { host: localAddress, port: localPort },
      protocol: 'tcp',
    });
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

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.onEnd();
  }

  /** Resets it. Idempotent. */
  destroy(): void {
    if (this.#relayed === undefined) resetSocket(this.#socket);
    else this.#relayed.destroy();
  }
}
