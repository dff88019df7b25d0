import type { Socket } from 'node:net';
import type { Endpoint } from '../../model/observation.ts';
import { formatListenAddress, type ListenerSpec, type TargetPort } from '../../model/service.ts';
import type { WarmPath, WarmUser } from '../../model/warm-path.ts';
import { type Clock, systemClock } from '../../system/clock.ts';
import { shortageOf } from '../../system/descriptors.ts';
import type { LogLimiter } from '../../system/log/log-limiter.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { AccessList } from '../access/access-list.ts';
import type { Admission, ServiceBounds } from '../access/admission.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import type { EndLog } from '../end-log.ts';
import {
  type Listener,
  type ListenerTotals,
  oldestOf,
  type PresentClient,
  type TrackClient,
} from '../listener.ts';
import { descriptorOf } from '../native/descriptor-of.ts';
import { TcpAcceptor } from './tcp-acceptor.ts';
import { TcpConnection } from './tcp-connection.ts';
import type { TcpRelay } from './tcp-relay.ts';
import { discardUnread } from './unread.ts';
import { WarmListener } from './warm-listener.ts';

/** Where a listener's connections go; swapped without touching the socket. */
export interface TcpBinding {
  readonly service: string;
  readonly targetPort: TargetPort;
  readonly access: AccessList;
  /** The service's own limits; absent = none. */
  readonly bounds?: Omit<ServiceBounds, 'service'> | undefined;
  /** Silence after which the kernel probes the other end (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
  /** Is told of each client; absent without a webhook. */
  readonly track?: TrackClient | undefined;
  /** Opens the warm path: the relay thread accepts clients of the ready service by itself. Absent if there is none. */
  readonly openWarmPath?: (user: WarmUser) => WarmPath | undefined;
  /** Why every client is closed at once now, before anything else happens; undefined where they are served, or may wait. */
  refusal?(): Error | undefined;
  /** Connects to the awake service; rejects when the client can't be served. */
  connect(request: {
    readonly port: TargetPort;
    readonly client: string;
    readonly address: string;
    /** For how long it has waited already. */
    readonly waitedMs: number;
    readonly signal: AbortSignal;
  }): Promise<{ readonly socket: Socket; release(): void }>;
}

/** Why a client may get no upstream; whatever else goes wrong counts as `failed`. */
const UNSERVED_CODES = ['timeout', 'left', 'overloaded', 'removed'] as const;

const NO_BOUNDS = { maxConnections: 0, maxConnectionsPerAddress: 0 } as const;

/** A client's address, and the local address to which it has connected. */
interface ComingClient {
  readonly address: string;
  readonly port: number;
  readonly reached: Endpoint;
}

type UnservedHandler = (
  client: string,
  why: { readonly binding: TcpBinding; readonly error: unknown },
) => void;

/**
 * One bound TCP socket. Each client is held until its upstream is connected, then relayed. While a client is held, no
 * more than one stream buffer is read ahead of it, so that its leaving is noticed and its bytes are kept.
 */
export class TcpListener implements Listener<TcpBinding> {
  readonly spec: ListenerSpec;
  readonly #acceptor: TcpAcceptor;
  readonly #warm: WarmListener;
  readonly #logger: Logger;
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #hasComeBack: (client: ComingClient, binding: TcpBinding) => boolean;
  readonly #limiter: LogLimiter | undefined;
  readonly #endLog: EndLog | undefined;
  readonly #onRefused: (client: string, binding: TcpBinding) => void;
  readonly #onUnserved: UnservedHandler;
  readonly #onDrained: () => void;
  readonly #relay: TcpRelay;
  readonly #admission: Admission | undefined;
  readonly #connections = new Set<TcpConnection>();
  readonly #refusals = new Map<string, number>();
  /** By why; made with the first one. */
  #unserved: Record<string, number> | undefined;
  /** Of the connections that are over, as of the next. */
  #pastUp = 0;
  #pastDown = 0;
  #accepted = 0;
  #toldUp = 0;
  #toldDown = 0;
  #binding: TcpBinding;
  #closing = false;
  #isDrained = false;
  #blocked = 0;

  constructor(options: {
    readonly spec: ListenerSpec;
    readonly binding: TcpBinding;
    readonly relay: TcpRelay;
    readonly logger: Logger;
    readonly clock?: Pick<Clock, 'nowMs'>;
    /** Limits the log lines about clients that could not be accepted; absent = one line for each. */
    readonly limiter?: LogLimiter | undefined;
    /** Logs each connection at its end; absent if the log doesn't show debug. */
    readonly endLog?: EndLog | undefined;
    /** Limits the number of clients; absent = no limit. */
    readonly admission?: Admission | undefined;
    /** Whether a client is a connection that the proxy itself has made and that leads back to it; default: never. */
    readonly hasComeBack?: (client: ComingClient, binding: TcpBinding) => boolean;
    /** Told of each client that the access list refused. */
    readonly onRefused: (client: string, binding: TcpBinding) => void;
    /** Called for each client that was closed without an upstream, except those that left by themselves. */
    readonly onUnserved?: UnservedHandler;
    /** Called when the listener is closed and its last connection has ended. */
    readonly onDrained: () => void;
  }) {
    this.spec = options.spec;
    this.#binding = options.binding;
    this.#relay = options.relay;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#admission = options.admission;
    this.#hasComeBack = options.hasComeBack ?? (() => false);
    this.#limiter = options.limiter;
    this.#endLog = options.endLog;
    this.#onRefused = options.onRefused;
    this.#onUnserved = options.onUnserved ?? (() => {});
    this.#onDrained = options.onDrained;
    const onClient = (client: Socket, waitedMs = 0) => this.#accept(client, waitedMs);
    this.#acceptor = new TcpAcceptor({
      ...{ spec: options.spec, relay: options.relay, keepAliveMs: options.binding.keepAliveMs, onClient },
      onError: (error) => this.#logAcceptError(error),
    });
    this.#warm = new WarmListener({
      ...{ acceptor: this.#acceptor, relay: options.relay, onClient },
      onUse: () => this.#checkDrained(),
    });
  }

  /** Connections that are held or relayed now. */
  get activeConnections(): number {
    return this.#connections.size + this.#warm.activeConnections;
  }

  get blocked(): number {
    return this.#blocked;
  }

  readTotals(): ListenerTotals {
    const warm = this.#warm.readTotals();
    let [up, down] = [this.#pastUp + warm.up, this.#pastDown + warm.down];
    for (const { traffic } of this.#connections) {
      up += traffic?.bytesUp ?? 0;
      down += traffic?.bytesDown ?? 0;
    }
    // A connection that the relay thread is just ending may be missing for a moment.
    this.#toldUp = Math.max(this.#toldUp, up);
    this.#toldDown = Math.max(this.#toldDown, down);
    return {
      ...{ accepted: this.#accepted + warm.accepted, up: this.#toldUp, down: this.#toldDown },
      unserved: { ...this.#unserved },
    };
  }

  listClients(max: number): readonly PresentClient[] {
    const own: PresentClient[] = [];
    for (const connection of this.#connections) {
      if (own.length === max) break;
      own.push(connection.present);
    }
    return oldestOf([...own, ...this.#warm.listClients(max)], max);
  }

  /** How many clients were refused because of each limit, or because the service slept, since the listener was made. */
  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals);
  }

  /** Binds the socket; may be tried again after it has failed. @throws the bind error, with its `code`. */
  open(): Promise<void> {
    return this.#acceptor.open();
  }

  /** New connections use this binding from now on; existing ones stay where they are. */
  rebind(binding: TcpBinding): void {
    this.#warm.close();
    this.#binding = binding;
    this.#acceptor.setKeepAlive(binding.keepAliveMs);
  }

  /** Gives the port back at once; connections go on until they end. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#warm.close();
    this.#acceptor.close();
    this.#checkDrained();
  }

  cutClients(): void {
    this.#warm.destroy();
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** Gives up the clients that wait and have sent their end. */
  dropEnded(): void {
    for (const connection of [...this.#connections]) connection.dropIfEnded();
  }

  /** Closes, and resets existing connections. Idempotent. */
  destroy(): void {
    this.close();
    this.cutClients();
  }

  /** @param waitedMs for how long the relay has tried to connect it. */
  #accept(client: Socket, waitedMs: number): void {
    const { spec } = this;
    const binding = this.#binding;
    const { remoteAddress, remotePort } = client;
    // The client left before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void client.destroy();
    const address = plainAddress(remoteAddress);
    const endpoint = formatEndpoint(address, remotePort);
    if (!binding.access.allows(address)) {
      this.#blocked++;
      client.destroy();
      this.#onRefused(endpoint, binding);
      return;
    }
    const coming: ComingClient = {
      ...{ address, port: remotePort },
      // A getter, because it asks the kernel and is rarely needed.
      get reached() {
        return { host: client.localAddress ?? '', port: client.localPort ?? spec.port };
      },
    };
    // The reset also ends the client for which the proxy made this connection.
    if (this.#hasComeBack(coming, binding)) return void client.resetAndDestroy();
    const refusal = binding.refusal?.();
    if (refusal !== undefined) {
      discardUnread(client);
      client.destroy();
      return this.#tellUnserved(refusal, { binding, endpoint });
    }
    const admitted = this.#admission?.admit({
      bounds: { ...(binding.bounds ?? NO_BOUNDS), service: binding.service },
      ...{ address, endpoint, kind: 'connection', fd: descriptorOf(client) },
    });
    if (admitted?.kind === 'refused') {
      client.resetAndDestroy();
      this.#countRefusal(admitted.bound);
      return admitted.tell();
    }
    // Reserves a descriptor for the upstream's socket.
    const hasUpstream = this.#admission?.descriptors.expectOne();
    const ended = binding.track?.({ address, port: remotePort, endpoint }, () => connection.traffic);
    const connection: TcpConnection = new TcpConnection(client, {
      ...{ binding, relay: this.#relay, client: { address, port: remotePort, endpoint }, waitedMs },
      sinceMs: this.#clock.nowMs(),
      endLog: this.#endLog,
      onEnd: () => {
        this.#connections.delete(connection);
        this.#pastUp += connection.traffic?.bytesUp ?? 0;
        this.#pastDown += connection.traffic?.bytesDown ?? 0;
        admitted?.leave();
        hasUpstream?.();
        ended?.();
        this.#checkDrained();
      },
      onRelayed: () => {
        hasUpstream?.();
        this.#openWarmPath();
      },
      onUnserved: (error) => {
        this.#countUnserved(error);
        this.#tellUnserved(error, { binding, endpoint });
      },
    });
    this.#accepted++;
    this.#connections.add(connection);
    void connection.serve();
  }

  /** Lends the listening socket to the relay thread, unless the main thread has to see each client. */
  #openWarmPath(): void {
    const { access, bounds = NO_BOUNDS, service, keepAliveMs, track, openWarmPath } = this.#binding;
    // The stream relay has no warm path, and with a webhook each client has to be reported.
    if (this.#closing || track !== undefined || this.#relay.kind !== 'splice') return;
    // A service with limits of its own has its connections counted here.
    if (bounds.maxConnections > 0 || bounds.maxConnectionsPerAddress > 0) return;
    // While descriptors are scarce, each client is admitted here.
    if (this.#admission?.isRoomy === false) return;
    const number = this.#admission?.numberOf(service) ?? 0;
    const policy = { access: access.ranges, service: number, name: service, keepAliveMs };
    this.#warm.open(policy, (user) => openWarmPath?.(user));
  }

  #countUnserved(error: unknown): void {
    // That is a refusal as of a limit.
    if (hasCode(error, 'asleep')) return;
    const why = UNSERVED_CODES.find((code) => hasCode(error, code)) ?? 'failed';
    this.#unserved ??= {};
    this.#unserved[why] = (this.#unserved[why] ?? 0) + 1;
  }

  #countRefusal(bound: string): void {
    this.#refusals.set(bound, (this.#refusals.get(bound) ?? 0) + 1);
  }

  #checkDrained(): void {
    if (!this.#closing || this.#isDrained || this.activeConnections > 0) return;
    this.#isDrained = true;
    this.#onDrained();
  }

  #tellUnserved(error: unknown, { binding, endpoint }: { binding: TcpBinding; endpoint: string }): void {
    const { service } = binding;
    if (hasCode(error, 'asleep')) this.#countRefusal('asleep');
    if (!hasCode(error, 'left')) return this.#onUnserved(endpoint, { binding, error });
    const fields = { event: 'unserved', service, client: endpoint };
    this.#logger.debug(fields, `${service}: ${endpoint} left while it waited`);
  }

  #logAcceptError(error: Error): void {
    const where = formatListenAddress(this.spec);
    const shortage = shortageOf(error);
    if (shortage !== undefined && this.#admission !== undefined) {
      this.#countRefusal('no-descriptors');
      return this.#admission.descriptors.tell(`a client on ${where} was not accepted`, shortage);
    }
    const suppressed = this.#limiter === undefined ? 0 : this.#limiter.pass(`accept ${where}`);
    if (suppressed === undefined) return;
    const more = suppressed === 0 ? '' : `, and ${suppressed} more before it`;
    const message = `could not accept a client on ${where}: ${error.message}${more}`;
    this.#logger.warn({ event: 'accept-failed' }, message);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
