import type { Socket } from 'node:net';
import type { LeaseUser } from '../../model/running/client-use.ts';
import type { Endpoint } from '../../model/running/observation.ts';
import { formatListenAddress, type ListenerSpec, type TargetPort } from '../../model/service.ts';
import type { WarmPath, WarmUser } from '../../model/running/warm-path.ts';
import { type Clock, systemClock } from '../../system/clock.ts';
import { shortageOf } from '../../system/descriptors.ts';
import type { LogLimiter } from '../../system/log/log-limiter.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { AccessList, AddressSet, WakeList } from '../access/access-list.ts';
import type { Admission, Admitted, ServiceBounds } from '../access/admission.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import { UNTRUSTED_PROXY } from '../access/proxy-protocol.ts';
import type { EndLog } from '../end-log.ts';
import {
  type Client,
  type Listener,
  type ListenerTotals,
  oldestOf,
  type PresentClient,
  type TrackClient,
} from '../listener.ts';
import { wireDescriptorOf } from '../native/descriptor-of.ts';
import type { OfferTls } from '../tls/tls-offer.ts';
import { Entrance } from './entrance.ts';
import { resetSocket } from './reset-socket.ts';
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
  /** Who may wake the service; absent = everybody. */
  readonly wakes?: WakeList | undefined;
  /** Whether a client has to send something before the service is woken for it; absent = not. */
  readonly wakeOn?: 'connect' | 'data';
  /** Whether upstreams are told of the client, and how; absent = not. */
  readonly proxyProtocol?: 'v1' | 'v2' | undefined;
  /** The proxies in front, each of whose connections has to begin with a PROXY header; absent = clients come by themselves. */
  readonly proxies?: Pick<AddressSet, 'includes'> | undefined;
  /** The certificate with which TLS ends here; absent = clients are relayed as they come. */
  readonly tls?: OfferTls | undefined;
  /** The service's own limits; absent = none. */
  readonly bounds?: Omit<ServiceBounds, 'service'> | undefined;
  /** Silence after which the kernel probes the other end (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
  /** Is told of each client; absent without a webhook. */
  readonly track?: TrackClient | undefined;
  /** Opens the warm path: the relay thread accepts clients of the ready service by itself. Absent if there is none. */
  readonly openWarmPath?: ((user: WarmUser) => WarmPath | undefined) | undefined;
  /** Why a client is closed at once now, before anything else happens; undefined where it is served, or may wait. */
  refusal?(client: { readonly mayWake: boolean }): Error | undefined;
  /** Connects to the awake service; rejects when the client can't be served. */
  connect(request: {
    readonly port: TargetPort;
    readonly client: string;
    readonly address: string;
    /** For how long it has waited already. */
    readonly waitedMs: number;
    /** Whether the service may be started for it. */
    readonly mayWake: boolean;
    /** Knows what it has carried. */
    readonly user: LeaseUser;
    readonly signal: AbortSignal;
  }): Promise<{ readonly socket: Socket; release(): void }>;
}

/** Refusals that are counted as those of a limit are: the client was not let in. */
const REFUSAL_CODES = [
  'asleep',
  'wake-list',
  'silent',
  'untrusted-proxy',
  'no-proxy-header',
  'bad-proxy-header',
  'no-tls',
  'no-certificate',
];

/** Why a client may get no upstream; whatever else goes wrong counts as `failed`. */
const UNSERVED_CODES = ['timeout', 'left', 'overloaded', 'removed'] as const;

/** Clients of a listener that may be agreeing on TLS at a time: each takes some 50 KiB, and a millisecond of the processor. */
const MAX_HANDSHAKES = 512;

const NO_BOUNDS = { maxConnections: 0, maxConnectionsPerAddress: 0 } as const;

/** A client that is to be let in, or not. */
interface Arrival {
  readonly client: Client;
  /** Where it has connected to, as the proxy in front says; undefined = here. */
  readonly destination?: Endpoint | undefined;
  /** Whether it was read already. */
  readonly isRead: boolean;
  /** For how long it has waited already. */
  readonly waitedMs: number;
}

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
  readonly #entrance: Entrance;
  /** Clients whose PROXY header has not come yet, or that have not agreed on TLS. */
  readonly #arriving = new Set<Socket>();
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
  #isDestroyed = false;
  #isDrained = false;
  #blocked = 0;

  constructor(options: {
    readonly spec: ListenerSpec;
    readonly binding: TcpBinding;
    readonly relay: TcpRelay;
    readonly logger: Logger;
    readonly clock?: Pick<Clock, 'nowMs' | 'schedule'>;
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
    const { relay, clock = systemClock } = options;
    this.#clock = clock;
    this.#entrance = new Entrance({ relay, clock });
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
    return this.#connections.size + this.#arriving.size + this.#warm.activeConnections;
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

  /**
   * How many clients were refused because of each limit, because the service slept, or for what they sent at first, since the
   * listener was made.
   */
  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals);
  }

  /** Binds the socket; may be tried again after it has failed. @throws the bind error, with its `code`. */
  open(): Promise<void> {
    return this.#acceptor.open();
  }

  /** Lets a client in that came by another socket, and that was read already: what was read is back in it. */
  take(socket: Socket, { client, destination }: Pick<Arrival, 'client' | 'destination'>): void {
    if (!this.#closing && this.#allows(client))
      this.#admit(socket, { client, destination, isRead: true, waitedMs: 0 });
    else socket.destroy();
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
    this.#entrance.close();
    this.#checkDrained();
  }

  cutClients(): void {
    this.#warm.destroy();
    for (const client of this.#arriving) resetSocket(client);
    for (const connection of [...this.#connections]) connection.destroy();
  }

  /** Gives up the clients that wait and have sent their end. */
  dropEnded(): void {
    for (const connection of [...this.#connections]) connection.dropIfEnded();
  }

  /** Closes, and resets existing connections. Idempotent. */
  destroy(): void {
    this.#isDestroyed = true;
    // First: the relay thread gives back those that are being connected where it hears of the closing alone.
    this.cutClients();
    this.close();
  }

  /** @param waitedMs for how long the relay has tried to connect it. */
  #accept(client: Socket, waitedMs: number): void {
    // Given back by the relay thread, which had not heard of the end yet.
    if (this.#isDestroyed) return void resetSocket(client);
    const { remoteAddress, remotePort } = client;
    // The client left before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void client.destroy();
    const peer = describeClient(plainAddress(remoteAddress), remotePort);
    const { proxies, tls } = this.#binding;
    if (proxies === undefined && !this.#allows(peer)) return void client.destroy();
    if (this.#endsLoop(client, peer)) return;
    if (proxies !== undefined || tls !== undefined) return void this.#receive(client, peer);
    this.#admit(client, { client: peer, isRead: false, waitedMs });
  }

  /** Lets a client in as soon as the proxy in front has named it, and TLS is agreed on, where there is such a thing. */
  async #receive(client: Socket, peer: Client): Promise<void> {
    const { proxies, tls, service } = this.#binding;
    if (proxies?.includes(peer.address) === false)
      return this.#refuse(client, { who: peer, error: UNTRUSTED_PROXY });
    if (tls !== undefined && this.#arriving.size >= MAX_HANDSHAKES) return this.#refuseCrowd(client);
    // Until the client is known, its descriptor counts for the proxy in front.
    const applicant = {
      bounds: { ...NO_BOUNDS, service },
      ...peer,
      kind: 'connection',
      fd: wireDescriptorOf(client),
    } as const;
    const admitted = this.#admission?.admit(applicant);
    if (admitted?.kind === 'refused') return this.#refuseBounded(client, admitted);
    this.#arriving.add(client);
    const leave = () => {
      this.#arriving.delete(client);
      if (admitted?.kind === 'seat') admitted.leave();
    };
    try {
      const ends = proxies && (await this.#entrance.readHeader(client));
      const named = ends === undefined ? peer : describeClient(ends.source.host, ends.source.port);
      if (proxies !== undefined && !this.#allows(named)) {
        leave();
        client.destroy();
      } else {
        const socket = tls === undefined ? client : await this.#entrance.endTls(client, tls);
        leave();
        this.#admit(socket, {
          client: named,
          destination: ends?.destination,
          isRead: true,
          waitedMs: 0,
        });
      }
    } catch (error) {
      leave();
      this.#refuse(client, { who: peer, error });
    }
    this.#checkDrained();
  }

  #refuseCrowd(client: Socket): void {
    resetSocket(client);
    this.#countRefusal('handshakes');
    const where = formatListenAddress(this.spec);
    const message = `${MAX_HANDSHAKES} clients on ${where} are agreeing on TLS already: one more was closed`;
    this.#admission?.tell(this.#binding.service, { bound: `handshakes ${where}`, message });
  }

  #allows({ address, endpoint }: Client): boolean {
    const binding = this.#binding;
    if (binding.access.allows(address)) return true;
    this.#blocked++;
    this.#onRefused(endpoint, binding);
    return false;
  }

  /** Closes a connection of the proxy to itself; whether it is one. */
  #endsLoop(client: Socket, { address, port }: Client): boolean {
    const { spec } = this;
    const coming: ComingClient = {
      ...{ address, port },
      // A getter, because it asks the kernel and is rarely needed.
      get reached() {
        return { host: client.localAddress ?? '', port: client.localPort ?? spec.port };
      },
    };
    if (!this.#hasComeBack(coming, this.#binding)) return false;
    // The reset also ends the client for which the proxy made this connection.
    resetSocket(client);
    return true;
  }

  #refuse(client: Socket, { who, error }: { readonly who: Client; readonly error: unknown }): void {
    discardUnread(client);
    client.destroy();
    this.#tellUnserved(error, { binding: this.#binding, endpoint: who.endpoint });
  }

  #refuseBounded(client: Socket, { bound, tell }: Extract<Admitted, { kind: 'refused' }>): void {
    resetSocket(client);
    this.#countRefusal(bound);
    tell();
  }

  #admit(client: Socket, arrival: Arrival): void {
    const binding = this.#binding;
    const { address, endpoint } = arrival.client;
    const mayWake = binding.wakes?.mayWake(address) ?? true;
    const refusal = binding.refusal?.({ mayWake });
    if (refusal !== undefined) return this.#refuse(client, { who: arrival.client, error: refusal });
    const admitted = this.#admission?.admit({
      bounds: { ...(binding.bounds ?? NO_BOUNDS), service: binding.service },
      ...{ address, endpoint, kind: 'connection', fd: wireDescriptorOf(client) },
    });
    if (admitted?.kind === 'refused') return this.#refuseBounded(client, admitted);
    // Reserves a descriptor for the upstream's socket.
    const hasUpstream = this.#admission?.descriptors.expectOne();
    let ended: (() => void) | undefined;
    const connection: TcpConnection = new TcpConnection(client, {
      ...{ ...arrival, mayWake, binding, relay: this.#relay, entrance: this.#entrance },
      sinceMs: this.#clock.nowMs(),
      endLog: this.#endLog,
      onLetIn: () => {
        this.#accepted++;
        ended = binding.track?.(arrival.client, () => connection.traffic);
      },
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
        this.#entrance.lookAgain();
        this.#openWarmPath();
      },
      onUnserved: (error) => {
        this.#countUnserved(error);
        this.#tellUnserved(error, { binding, endpoint });
      },
    });
    this.#connections.add(connection);
    void connection.serve();
  }

  /** Lends the listening socket to the relay thread, unless the main thread has to see each client. */
  #openWarmPath(): void {
    const { access, bounds = NO_BOUNDS, service, keepAliveMs, track, openWarmPath } = this.#binding;
    // The relay thread neither reads nor writes PROXY headers.
    if (this.#binding.proxyProtocol !== undefined || this.#binding.proxies !== undefined) return;
    // Nor does it speak TLS.
    if (this.#binding.tls !== undefined) return;
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
    if (findRefusalCode(error) !== undefined) return;
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
    const refusal = findRefusalCode(error);
    if (refusal !== undefined) this.#countRefusal(refusal);
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

function describeClient(address: string, port: number): Client {
  return { address, port, endpoint: formatEndpoint(address, port) };
}

function findRefusalCode(error: unknown): string | undefined {
  return REFUSAL_CODES.find((code) => hasCode(error, code));
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
