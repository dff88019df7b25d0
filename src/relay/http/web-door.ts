/**
 * A port on which web services are served: who is let in. Input: connections. Output: clients, named by their connections or by the
 * proxy in front, each with a place within the limits, and TLS ended; what they say is for `WebVisits`. A client whose server name
 * somebody else serves is passed on as it came.
 */
import type { Socket } from 'node:net';
import type { ListenerSpec } from '../../model/service.ts';
import type { Admission } from '../access/admission.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import { UNTRUSTED_PROXY } from '../access/proxy-protocol.ts';
import { descriptorOf } from '../native/descriptor-of.ts';
import type { Client } from '../listener.ts';
import { Entrance } from '../tcp/entrance.ts';
import { resetSocket } from '../tcp/reset-socket.ts';
import { TcpAcceptor } from '../tcp/tcp-acceptor.ts';
import type { TcpRelay } from '../tcp/tcp-relay.ts';
import { discardUnread } from '../tcp/unread.ts';
import { readClientHello } from '../tls/client-hello.ts';
import type { OfferTls } from '../tls/tls-offer.ts';
import { Handshakes } from './tls/handshakes.ts';
import type { TlsEntrance } from './tls/tls-entrance.ts';
import { type NamedClient, WebVisits, type WebVisitsOptions } from './web-visits.ts';

export interface WebDoorOptions extends WebVisitsOptions {
  readonly spec: ListenerSpec;
  readonly relay: Pick<TcpRelay, 'tune' | 'closeServer' | 'hold'>;
  /** Under this name the connections are counted. */
  readonly name: string;
  readonly keepAliveMs: number;
  readonly admission?: Admission | undefined;
  /** Whether connections begin with the PROXY header of a trusted proxy, and come from such a one alone; default: not. */
  readonly takesProxyHeaders?: (() => boolean) | undefined;
  /** Whether a client is a connection that the proxy itself has made. */
  readonly hasComeBack: (client: Client & { readonly socket: Socket }) => boolean;
  readonly onAcceptError: (error: Error) => void;
  /** The certificates; absent where clients don't speak TLS. */
  readonly offerTls?: OfferTls | undefined;
  /** Who takes TLS connections for a server name as they are, undecrypted; undefined = they are served here. */
  readonly findPass?: ((serverName: string) => PassOn | undefined) | undefined;
  /** Told of a connection that was closed because of a limit, or for what it began with. */
  readonly onRefused: (bound: string) => void;
  /** Told of a connection that was closed for what it began with: by whom it was made, and why it was closed. */
  readonly onTurnedAway?: ((client: string, error: Error) => void) | undefined;
  /** Called when the door is closed and its last connection has ended. */
  readonly onDrained: () => void;
}

/** Takes a connection, and who is at its other end. */
type PassOn = (socket: Socket, named: NamedClient) => void;

export class WebDoor {
  readonly spec: ListenerSpec;
  readonly #options: WebDoorOptions;
  readonly #acceptor: TcpAcceptor;
  readonly #visits: WebVisits;
  readonly #handshakes = new Handshakes();
  readonly #entrance: Entrance;
  /** Connections whose PROXY header has not come yet. */
  readonly #arriving = new Set<Socket>();
  #tls: TlsEntrance | undefined;
  #isClosing = false;
  #isDrained = false;

  constructor(options: WebDoorOptions) {
    this.spec = options.spec;
    this.#options = options;
    this.#entrance = new Entrance(options);
    this.#visits = new WebVisits(options);
    this.#acceptor = new TcpAcceptor({
      ...{ spec: options.spec, relay: options.relay, keepAliveMs: options.keepAliveMs },
      onClient: (socket) => this.#accept(socket),
      onError: options.onAcceptError,
    });
  }

  /** Connections that are open, with or without a request. */
  get connections(): number {
    return this.#visits.count;
  }

  /** Binds the socket; may be tried again after it has failed. @throws the bind error, with its `code`. */
  async open(): Promise<void> {
    const { offerTls: offer } = this.#options;
    // HTTP/2 takes memory, which only a door with TLS needs.
    if (offer !== undefined) {
      const { TlsEntrance: Entrance } = await import('./tls/tls-entrance.ts');
      this.#tls ??= this.#createTls(Entrance, offer);
    }
    return this.#acceptor.open();
  }

  setKeepAlive(keepAliveMs: number): void {
    this.#acceptor.setKeepAlive(keepAliveMs);
  }

  /** Gives the port back at once. Requests go on until they end; connections without one are closed. Idempotent. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#acceptor.close();
    this.#entrance.close();
    this.#visits.close();
    this.#checkDrained();
  }

  /** Closes, and ends all connections. Idempotent. */
  destroy(): void {
    this.close();
    for (const socket of [...this.#arriving]) socket.destroy();
    this.#visits.destroy();
  }

  #accept(socket: Socket): void {
    const { remoteAddress, remotePort } = socket;
    // The client left before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void socket.destroy();
    const peer = describeClient(remoteAddress, remotePort);
    if (this.#options.hasComeBack({ ...peer, socket })) return void resetSocket(socket);
    if (this.#options.takesProxyHeaders?.() === true) void this.#receive(socket, peer);
    else this.#welcome(socket, { client: peer, via: peer.endpoint });
  }

  /** Lets a client in as soon as the proxy in front has named it. */
  async #receive(socket: Socket, proxy: Client): Promise<void> {
    if (!this.#options.isTrusted(proxy.address)) return this.#turnAway(socket, proxy, UNTRUSTED_PROXY);
    // Until the client is known, its descriptor counts for the proxy in front.
    const leave = this.#seat(socket, proxy);
    if (leave === undefined) return;
    this.#arriving.add(socket);
    try {
      const ends = await this.#entrance.readHeader(socket);
      this.#arriving.delete(socket);
      leave();
      if (!socket.destroyed) {
        const client = ends === undefined ? proxy : describeClient(ends.source.host, ends.source.port);
        this.#welcome(socket, { client, destination: ends?.destination, via: proxy.endpoint });
      }
    } catch (error) {
      this.#arriving.delete(socket);
      leave();
      this.#turnAway(socket, proxy, error as Error & { readonly code: string });
    }
    this.#checkDrained();
  }

  #turnAway(socket: Socket, { endpoint }: Client, error: Error & { readonly code: string }): void {
    discardUnread(socket);
    socket.destroy();
    if (error.code === 'left' || error.code === 'removed') return;
    this.#options.onRefused(error.code);
    this.#options.onTurnedAway?.(endpoint, error);
  }

  /** A place for a connection within the limits; undefined where there is none: then it is closed. */
  #seat(socket: Socket, { address, endpoint }: Client): (() => void) | undefined {
    const { admission, name } = this.#options;
    const admitted = admission?.admit({
      bounds: { service: name, maxConnections: 0, maxConnectionsPerAddress: 0 },
      ...{ address, endpoint, kind: 'visit', fd: descriptorOf(socket) },
    });
    if (admitted?.kind !== 'refused') return () => admitted?.leave();
    resetSocket(socket);
    this.#options.onRefused(admitted.bound);
    admitted.tell();
    return undefined;
  }

  #welcome(socket: Socket, named: NamedClient & { readonly via: string }): void {
    const unseat = this.#seat(socket, named.client);
    if (unseat === undefined) return;
    const hasTls = this.#tls !== undefined;
    if (hasTls && !this.#beginHandshake(socket, named.client.address)) return unseat();
    this.#visits.begin(socket, {
      ...named,
      scheme: hasTls ? 'https' : 'http',
      onEnd: () => {
        this.#handshakes.end(socket);
        unseat();
        this.#checkDrained();
      },
    });
    if (hasTls) return this.#greet(socket, named);
    this.#visits.serveHttp1(socket);
    socket.resume();
  }

  /** Whether a client may take its time to agree on TLS. */
  #beginHandshake(socket: Socket, address: string): boolean {
    const isTrusted = this.#options.isTrusted(address);
    const { mayBegin, evicted } = this.#handshakes.begin(socket, { address, isTrusted });
    const refused = mayBegin ? evicted : socket;
    if (refused !== undefined) {
      resetSocket(refused);
      this.#options.onRefused('handshakes');
    }
    return mayBegin;
  }

  /** Looks which server a client asks for, where somebody else may take it; what was read is put back. */
  #greet(socket: Socket, named: NamedClient): void {
    const { findPass } = this.#options;
    if (findPass === undefined) return this.#tls?.accept(socket);
    let bytes = Buffer.alloc(0);
    const give = () => void socket.destroy();
    const look = () => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
        bytes = Buffer.concat([bytes, chunk]);
      const reading = readClientHello(bytes);
      if (reading.kind === 'incomplete') return;
      socket.off('readable', look).off('error', give).off('end', give);
      socket.unshift(bytes);
      const name = reading.kind === 'hello' ? reading.serverName : undefined;
      const pass = name === undefined ? undefined : findPass(name);
      if (pass === undefined) return this.#tls?.accept(socket);
      // Before it is let in elsewhere: its descriptor counts once.
      this.#visits.end(socket);
      pass(socket, named);
    };
    socket.on('error', give).on('end', give).on('readable', look);
  }

  #createTls(Entrance: typeof TlsEntrance, offer: OfferTls): TlsEntrance {
    return new Entrance({
      offer,
      onHttp1: (socket) => this.#hasAgreed(this.#visits.serveHttp1(socket)),
      onSession: (session, socket) => this.#hasAgreed(this.#visits.beginSession(session, socket)),
      onRequest: (request, session) => this.#visits.serveStream(session, request),
    });
  }

  /** A client and the proxy have agreed on TLS, or the client has gone. */
  #hasAgreed(socket: Socket | undefined): void {
    if (socket !== undefined) this.#handshakes.end(socket);
  }

  #checkDrained(): void {
    if (!this.#isClosing || this.#isDrained || this.#visits.count + this.#arriving.size > 0) return;
    this.#isDrained = true;
    this.#options.onDrained();
  }
}

function describeClient(remoteAddress: string, port: number): Client {
  const address = plainAddress(remoteAddress);
  return { address, port, endpoint: formatEndpoint(address, port) };
}
