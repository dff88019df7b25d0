import { isIPv4, type Socket } from 'node:net';
import type { Endpoint } from '../../model/running/observation.ts';
import type { Protocol } from '../../model/service.ts';
import type { Clock } from '../clock.ts';
import { hasLocalDatagramSocket, isLocalClient } from './local-sockets.ts';
import { canonicalAddress, isOwnAddress } from './own-addresses.ts';

/** A connection of the proxy that leads back to it arrives at once, unless the program is very busy. */
const COMES_BACK_WITHIN_MS = 5_000;
/** An endpoint that has led back is tried again after this time: the network may have been corrected. */
const LED_BACK_MS = 30_000;

/** A socket of the proxy's own that is bound. */
export interface OwnListener {
  readonly protocol: Protocol;
  /** As it was bound; `''` = every address, IPv4 and IPv6. */
  readonly address: string;
  readonly port: number;
  /** Whose it is; undefined: the proxy's own, its status server's or a front door. */
  readonly service: string | undefined;
  /** A front door, which all services share. */
  readonly isFront?: boolean;
}

/** A connected UDP socket by which a flow reaches its workload. */
export interface OwnUpstream {
  /** Where it is connected to. */
  readonly target: Endpoint;
  /** Its own end; undefined where it is closed. */
  readonly local: Endpoint | undefined;
}

interface OwnListenersOptions {
  readonly clock: Clock;
  /** Whether a client is a process of this machine; default: asks the system. */
  readonly isLocalClient?: (from: Endpoint, to: Endpoint) => boolean | undefined;
  /** Whether some process has a UDP socket there; default: asks the system. */
  readonly hasLocalDatagramSocket?: (at: Endpoint) => boolean | undefined;
  /** Called when an endpoint has come to count as the proxy's own. */
  readonly onNews?: () => void;
}

/**
 * Knows which endpoints are the proxy's own listeners: the bound sockets on the addresses of this machine, and endpoints that
 * were seen to lead back to one of them, because something in between translates addresses.
 */
export class OwnListeners {
  readonly #clock: Clock;
  readonly #isLocalClient: (from: Endpoint, to: Endpoint) => boolean | undefined;
  readonly #hasLocalDatagramSocket: (at: Endpoint) => boolean | undefined;
  readonly #onNews: () => void;
  /** By protocol and port, then by address. */
  readonly #bound = new Map<string, Map<string, OwnListener>>();
  /** Connections to endpoints that have not answered yet, by the address and port that they come from. */
  readonly #dials = new Map<string, { readonly endpoint: Endpoint; readonly atMs: number }>();
  /** By local port; the kernel gives a port to only one such socket at a time. */
  readonly #upstreams = new Map<number, OwnUpstream>();
  readonly #ledBack = new Map<string, { readonly listener: OwnListener; readonly untilMs: number }>();

  constructor(options: OwnListenersOptions) {
    this.#clock = options.clock;
    this.#isLocalClient = options.isLocalClient ?? isLocalClient;
    this.#hasLocalDatagramSocket = options.hasLocalDatagramSocket ?? hasLocalDatagramSocket;
    this.#onNews = options.onNews ?? (() => {});
  }

  /** A socket is bound. Called again where it gets another owner. */
  add(listener: OwnListener): void {
    const key = portKey(listener.protocol, listener.port);
    const byAddress = this.#bound.get(key) ?? new Map<string, OwnListener>();
    const isNew = !byAddress.has(listener.address);
    this.#bound.set(key, byAddress.set(listener.address, listener));
    if (isNew) this.#onNews();
  }

  /** A socket is closed. Idempotent. */
  remove({ protocol, address, port }: Omit<OwnListener, 'service'>): void {
    const key = portKey(protocol, port);
    const byAddress = this.#bound.get(key);
    byAddress?.delete(address);
    if (byAddress?.size === 0) this.#bound.delete(key);
  }

  /** The listener that an endpoint is, or leads back to; undefined for any other endpoint, and for a name. */
  find(protocol: Protocol, endpoint: Endpoint): OwnListener | undefined {
    return this.#findBound(protocol, endpoint) ?? this.#findLedBack(protocol, endpoint);
  }

  /** Why nothing may be sent to an endpoint, in words that name it; undefined where something may, and for a name. */
  explain(protocol: Protocol, endpoint: Endpoint): string | undefined {
    const direct = this.#findBound(protocol, endpoint);
    const listener = direct ?? this.#findLedBack(protocol, endpoint);
    if (listener === undefined) return undefined;
    return `${formatEndpoint(endpoint)} ${direct === undefined ? 'leads back to' : 'is'} ${describeOwnListener(listener)}`;
  }

  /**
   * Remembers for a few seconds from where a connection of the proxy comes, so that it is recognised if it leads back here. To
   * be called as soon as the socket begins to connect.
   */
  noteDial(socket: Socket, endpoint: Endpoint): void {
    socket.once('connectionAttempt', () => {
      // The kernel chooses the port in the call that follows.
      process.nextTick(() => {
        const { localAddress, localPort } = socket;
        if (localAddress === undefined || localPort === undefined) return;
        const nowMs = this.#clock.monotonicMs();
        for (const [key, { atMs }] of this.#dials) {
          if (nowMs - atMs <= COMES_BACK_WITHIN_MS) break;
          this.#dials.delete(key);
        }
        const key = sourceKey(localAddress, localPort);
        this.#dials.set(key, { endpoint, atMs: nowMs });
        // A refused connection can't lead back, and its port may soon be that of an ordinary client.
        socket.once('error', (error) => {
          if ('code' in error && error.code === 'ECONNREFUSED') this.#dials.delete(key);
        });
      });
    });
  }

  /**
   * Whether a client is a connection that the proxy itself has made. If so, the endpoint that it dialled counts as the proxy's
   * own for a while. The client's address and port alone prove nothing: sockets to different places may have the same, so
   * it may be another process of this machine.
   * @param client.reached the local address that the client has connected to.
   */
  hasComeBack(
    client: { readonly address: string; readonly port: number; readonly reached: Endpoint },
    listener: OwnListener,
  ): boolean {
    if (this.#dials.size === 0) return false;
    const key = sourceKey(client.address, client.port);
    const dial = this.#dials.get(key);
    const nowMs = this.#clock.monotonicMs();
    if (dial === undefined || nowMs - dial.atMs > COMES_BACK_WITHIN_MS) return false;
    const isDirect = endpointKey('tcp', dial.endpoint) === endpointKey('tcp', client.reached);
    if (
      !isDirect &&
      this.#isLocalClient({ host: client.address, port: client.port }, client.reached) !== false
    )
      return false;
    this.#dials.delete(key);
    this.#noteLedBack(dial.endpoint, listener);
    return true;
  }

  /** A flow's socket is connected from that local port. The caller calls the returned function when it is closed. */
  noteUpstream(port: number, upstream: OwnUpstream): () => void {
    this.#upstreams.set(port, upstream);
    return () => {
      if (this.#upstreams.get(port) === upstream) this.#upstreams.delete(port);
    };
  }

  /**
   * Whether a datagram was sent by a flow of the proxy, and has come back because something translates addresses. If so, the
   * endpoint of that flow counts as the proxy's own for a while. It is not recognised where the port was translated too, or
   * the address to one of another machine.
   */
  hasDatagramComeBack({ host, port }: Endpoint, listener: OwnListener): boolean {
    const upstream = this.#upstreams.get(port);
    const local = upstream?.local;
    const address = canonicalAddress(host);
    if (upstream === undefined || local === undefined || address === undefined) return false;
    if (
      canonicalAddress(local.host) !== address &&
      (!isOwnAddress(address) || this.#hasLocalDatagramSocket({ host: address, port }) !== false)
    )
      return false;
    this.#noteLedBack(upstream.target, listener);
    return true;
  }

  #noteLedBack(endpoint: Endpoint, listener: OwnListener): void {
    const untilMs = this.#clock.monotonicMs() + LED_BACK_MS;
    this.#ledBack.set(endpointKey(listener.protocol, endpoint), { listener, untilMs });
    this.#onNews();
  }

  #findBound(protocol: Protocol, { host, port }: Endpoint): OwnListener | undefined {
    const byAddress = this.#bound.get(portKey(protocol, port));
    if (byAddress === undefined) return undefined;
    const address = canonicalAddress(host);
    if (address === undefined) return undefined;
    const exact = byAddress.get(address);
    if (exact !== undefined) return exact;
    const wildcard =
      byAddress.get('') ?? byAddress.get('::') ?? (isIPv4(address) ? byAddress.get('0.0.0.0') : undefined);
    return wildcard !== undefined && isOwnAddress(address) ? wildcard : undefined;
  }

  #findLedBack(protocol: Protocol, endpoint: Endpoint): OwnListener | undefined {
    if (this.#ledBack.size === 0) return undefined;
    const key = endpointKey(protocol, endpoint);
    const found = this.#ledBack.get(key);
    if (found === undefined || found.untilMs > this.#clock.monotonicMs()) return found?.listener;
    this.#ledBack.delete(key);
    return undefined;
  }
}

/** `the proxy's own listener of service web`. */
function describeOwnListener({ service, isFront }: OwnListener): string {
  if (isFront) return 'a front door of the proxy itself';
  return service === undefined
    ? "the proxy's own status server"
    : `the proxy's own listener of service ${service}`;
}

function portKey(protocol: Protocol, port: number): string {
  return `${protocol}/${port}`;
}

function endpointKey(protocol: Protocol, { host, port }: Endpoint): string {
  return `${protocol}/${port} ${canonicalAddress(host) ?? host}`;
}

function sourceKey(address: string, port: number): string {
  return `${canonicalAddress(address) ?? address} ${port}`;
}

function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
