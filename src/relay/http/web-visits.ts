/**
 * The clients that a port for web services has let in. Input: their connections, as bytes of HTTP/1 or as the requests of HTTP/2.
 * Output: their requests, read and checked, each for the route that its host leads to; everything else is answered here. Guarantees:
 * what is no proper request, or is for nobody, wakes nothing; what a connection may take of the proxy is bounded in time, bytes and
 * requests.
 */
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Http2ServerRequest, ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Endpoint } from '../../model/running/observation.ts';
import { afterEvents, type Cancel, type Clock } from '../../system/clock.ts';
import { formatEndpoint, plainAddress } from '../access/client-address.ts';
import type { Client } from '../listener.ts';
import { descriptorOf } from '../native/descriptor-of.ts';
import { sendAnswer } from './answer.ts';
import { closeStream } from './client-answer.ts';
import { cameByHttps, findClient } from './message/forward-headers.ts';
import { readRequest, type RequestHead } from './message/read-request.ts';
import type { WebEngine, WebRoute } from './web-engine.ts';

/** Of a request, with its target. */
const MAX_HEAD_BYTES = 32_768;
/** A request's head has to be whole this long after its first byte, or after the connection was opened. */
const HEAD_MS = 20_000;
/** A connection without a request is closed after this time. Browsers keep theirs for longer. */
const IDLE_MS = 75_000;
const SWEEP_MS = 5_000;
/** HTTP/2: a client that has said nothing for so long, with requests under way, is asked whether it is there, and has `HEAD_MS` to answer. */
const ASK_MS = 30_000;
/** For how long what a client still sends is thrown away. */
const LINGER_MS = 2_000;
/** Requests that a client has sent before it has the answers of those before. */
const MAX_PIPELINED = 64;

export interface WebVisitsOptions {
  readonly engine: WebEngine;
  readonly clock: Clock;
  /** The service that a host leads to. @param host as `parseHost` gives it */
  readonly findRoute: (host: string) => WebRoute | undefined;
  /** Whether an address is that of a proxy whose word counts. */
  readonly isTrusted: (address: string) => boolean;
  /** Where requests for a host have to go instead; undefined where they are served here. */
  readonly redirect?: ((host: string) => string | undefined) | undefined;
}

/** A client, as its connection or the proxy in front names it. */
export interface NamedClient {
  readonly client: Client;
  /** Where it has connected to, as the proxy in front says; undefined = here. */
  readonly destination?: Endpoint | undefined;
}

interface Visit extends NamedClient {
  /** The other end of its connection: the client, or the proxy in front. */
  readonly via: string;
  /** As it was accepted, below TLS. */
  readonly socket: Socket;
  readonly fd: number | undefined;
  readonly scheme: 'http' | 'https';
  /** Told once, when it has ended. */
  readonly onEnd: () => void;
  /** Requests that came while one was being served. */
  readonly queue: (() => void)[];
  /** The answer to the request that is being served. */
  response: ServerResponse | undefined;
  /** HTTP/2, and its requests that are being served. */
  session: ServerHttp2Session | undefined;
  streams: number;
  /** What had been read of an HTTP/2 client when it was looked at, when that had last changed, and whether it was asked since. */
  heard: { readonly bytes: number; readonly atMs: number; isAsked: boolean } | undefined;
  /** Since when no request is being served, on the monotonic clock, and what had been read by then. */
  idleSinceMs: number;
  bytesAtIdle: number;
  /** When the head of a request was first seen to have begun. */
  headSinceMs: number | undefined;
}

/** `close()` ends it as its clients leave, `destroy()` at once. */
export class WebVisits {
  readonly #options: WebVisitsOptions;
  readonly #server: Server;
  readonly #visits = new Map<Socket, Visit>();
  /** By the other end of their connections. */
  readonly #visitsByPeer = new Map<string, Visit>();
  readonly #inside = new WeakMap<Socket | ServerHttp2Session, Visit>();
  #cancelSweep: Cancel | undefined;
  #isClosing = false;

  constructor(options: WebVisitsOptions) {
    this.#options = options;
    this.#server = this.#createServer();
  }

  /** Connections that are open, with or without a request. */
  get count(): number {
    return this.#visits.size;
  }

  /** A client was let in. What its connection says is taken by one of the calls that follow. */
  begin(socket: Socket, client: NamedClient & Pick<Visit, 'via' | 'scheme' | 'onEnd'>): void {
    const { clock } = this.#options;
    const visit: Visit = {
      ...client,
      ...{ socket, fd: descriptorOf(socket), queue: [] },
      ...{ response: undefined, session: undefined, streams: 0, heard: undefined },
      ...{ bytesAtIdle: -1, headSinceMs: undefined },
      idleSinceMs: clock.monotonicMs(),
    };
    this.#visits.set(socket, visit);
    this.#visitsByPeer.set(visit.via, visit);
    socket.once('close', () => this.end(socket));
    this.#cancelSweep ??= clock.schedule(SWEEP_MS, () => this.#sweep());
  }

  /** A client has left, or somebody else serves it from now on. Idempotent. */
  end(socket: Socket): void {
    const visit = this.#visits.get(socket);
    if (visit === undefined) return;
    this.#visits.delete(socket);
    this.#visitsByPeer.delete(visit.via);
    if (this.#isClosing && this.#visits.size === 0) this.#cancelSweep?.();
    visit.onEnd();
  }

  /**
   * Takes a connection that speaks HTTP/1.
   * @param inside the connection of a client that was let in, or what TLS has made of it.
   * @returns the client's connection; undefined where that has ended.
   */
  serveHttp1(inside: Socket): Socket | undefined {
    const visit = this.#enter(inside, inside);
    if (visit !== undefined) this.#server.emit('connection', inside);
    return visit?.socket;
  }

  /**
   * Takes a connection that speaks HTTP/2; its requests follow.
   * @param inside what TLS has made of the client's connection.
   * @returns the client's connection; undefined where that has ended.
   */
  beginSession(session: ServerHttp2Session, inside: Socket): Socket | undefined {
    const visit = this.#enter(session, inside);
    if (visit === undefined) return undefined;
    visit.session = session;
    if (this.#isClosing) session.close();
    return visit.socket;
  }

  /** A request of HTTP/2; others may be served beside it. */
  serveStream(
    session: ServerHttp2Session,
    { message, response }: { readonly message: IncomingMessage; readonly response: ServerResponse },
  ): void {
    const { clock } = this.#options;
    const visit = this.#inside.get(session);
    if (visit === undefined) return;
    visit.streams++;
    let hasLeft = false;
    response.once('close', () => {
      hasLeft = true;
      visit.streams--;
      visit.idleSinceMs = clock.monotonicMs();
    });
    // The client may stop sending what nobody wants any more.
    response.once('finish', () => {
      if (!message.complete) closeStream(response);
    });
    // A request that the client resets at once wakes nothing, and costs the upstream no connection.
    afterEvents(() => {
      if (!hasLeft) this.#route(visit, { message, response, head: readStreamHead(message) });
    });
  }

  /** Requests go on until they end; connections without one are closed. Idempotent. */
  close(): void {
    this.#isClosing = true;
    if (this.#visits.size === 0) this.#cancelSweep?.();
    for (const [socket, { response, session }] of [...this.#visits]) {
      if (session !== undefined) session.close();
      else if (response === undefined) socket.destroy();
      else response.shouldKeepAlive = false;
    }
  }

  /** Ends all connections. Idempotent. */
  destroy(): void {
    for (const socket of [...this.#visits.keys()]) socket.destroy();
  }

  #createServer(): Server {
    const server = createServer({
      // A lenient parser would let requests through that the upstream reads in another way.
      insecureHTTPParser: false,
      // This is answered in `readRequest`, with the rest.
      requireHostHeader: false,
      maxHeaderSize: MAX_HEAD_BYTES,
      // The door looks after time itself: one timer, and none for each request.
      ...{ keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 },
    });
    // With a limit the parser would leave headers out without a word.
    server.maxHeadersCount = 0;
    const serve = (message: IncomingMessage, response: ServerResponse) => this.#take(message, response);
    return server
      .on('request', serve)
      .on('checkContinue', serve)
      .on('checkExpectation', serve)
      .on('upgrade', (message: IncomingMessage, socket: Socket, head: Buffer) =>
        this.#takeUpgrade(message, { socket, head }),
      )
      .on('connect', (_message: IncomingMessage, socket: Socket) =>
        refuseRaw(socket, '405 Method Not Allowed'),
      )
      .on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuseBroken(error, socket));
  }

  /** What is inside of TLS belongs to the visit of the connection below, which has the same other end. */
  #enter(inside: Socket | ServerHttp2Session, socket: Socket): Visit | undefined {
    const { remoteAddress = '', remotePort = 0 } = socket;
    const peer = formatEndpoint(plainAddress(remoteAddress), remotePort);
    const visit = this.#visits.get(socket) ?? this.#visitsByPeer.get(peer);
    if (visit !== undefined) this.#inside.set(inside, visit);
    return visit;
  }

  /** One request of a connection after the other, in the order in which they came. */
  #take(message: IncomingMessage, response: ServerResponse): void {
    const { socket } = message;
    const visit = this.#inside.get(socket);
    if (visit === undefined) return void socket.destroy();
    if (visit.response !== undefined) {
      if (visit.queue.length >= MAX_PIPELINED) return void socket.destroy();
      visit.queue.push(() => this.#serve(visit, { message, response }));
    } else this.#serve(visit, { message, response });
  }

  #serve(
    visit: Visit,
    { message, response }: { readonly message: IncomingMessage; readonly response: ServerResponse },
  ): void {
    const { clock } = this.#options;
    const { socket } = message;
    visit.response = response;
    visit.headSinceMs = undefined;
    response.on('close', () => {
      visit.response = undefined;
      visit.idleSinceMs = clock.monotonicMs();
      visit.bytesAtIdle = visit.socket.bytesRead;
      // After an answer that ends the connection, nothing more is served.
      if (!response.shouldKeepAlive) visit.queue.length = 0;
      const next = visit.queue.shift();
      if (next !== undefined && !socket.destroyed) next();
      else if (this.#isClosing && this.#visits.has(visit.socket)) socket.destroySoon();
    });
    if (this.#isClosing) response.shouldKeepAlive = false;
    if (mayHaveBody(message)) lingerWhereUnread(response, clock);
    const { method = '', url: target = '', httpVersion: version, rawHeaders: headers } = message;
    this.#route(visit, { message, response, head: { method, target, version, headers } });
  }

  #route(
    visit: Visit,
    {
      message,
      response,
      head,
    }: {
      readonly message: IncomingMessage;
      readonly response: ServerResponse;
      readonly head: RequestHead;
    },
  ): void {
    const read = readRequest(head);
    if ('refused' in read)
      return sendAnswer(response, {
        ...{ status: read.status, text: `The request is refused: ${read.refused}.`, closes: true },
      });
    const { client: peer, scheme, fd } = visit;
    const { isTrusted, findRoute, redirect, engine } = this.#options;
    const route = findRoute(read.host);
    if (route === undefined) {
      const text = `No service has the host ${read.host}.`;
      return sendAnswer(response, { status: scheme === 'https' ? 421 : 404, text });
    }
    const isKnownProxy = isTrusted(peer.address);
    const address = isKnownProxy ? findClient(read.headers, { peer: peer.address, isTrusted }) : peer.address;
    // A client that the service refuses is not told where it is. One that came by HTTPS to a proxy in front would go in a circle.
    const mayRedirect = route.binding.access.allows(address) && !(isKnownProxy && cameByHttps(read.headers));
    const elsewhere = mayRedirect ? redirect?.(read.host) : undefined;
    if (elsewhere !== undefined)
      return sendAnswer(response, {
        ...{ status: 308, text: 'This is served over HTTPS.' },
        headers: { Location: `${elsewhere}${read.target === '*' ? '/' : read.target}` },
      });
    engine.serve(
      { read, message, response, scheme, fd, peer, isTrusted: isKnownProxy, address, visit },
      route,
    );
  }

  /** A request for another protocol: its connection is out of the server's hands from now on. */
  #takeUpgrade(
    message: IncomingMessage,
    { socket, head }: { readonly socket: Socket; readonly head: Buffer },
  ): void {
    const visit = this.#inside.get(socket);
    socket.on('error', () => socket.destroy());
    // Requests that came before have their answers to get first, and these come through the server.
    if (visit === undefined || visit.response !== undefined) return void socket.destroy();
    const response = new ServerResponse(message);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    response.once('finish', () => socket.destroySoon());
    if (head.length > 0) socket.unshift(head);
    // A client that leaves while it waits is noticed by reading; what it sends is kept.
    const leave = () => socket.destroy();
    socket.once('end', leave).read(0);
    response.once('detached', () => socket.off('end', leave));
    // The body is out of the parser's hands, too.
    const framed = message.headers['transfer-encoding'] ?? message.headers['content-length'] ?? '0';
    if (framed !== '0') return refuseRaw(socket, '400 Bad Request');
    this.#serve(visit, { message, response });
  }

  #refuseBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    const visit = this.#inside.get(socket);
    if (!socket.writable || visit === undefined || error.code === 'ECONNRESET') return void socket.destroy();
    const { response } = visit;
    if (response !== undefined) {
      // What is broken may be behind a request that is whole: that one gets its answer.
      if (!response.req.complete) return void socket.destroy();
      response.shouldKeepAlive = false;
      return;
    }
    const status =
      error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
    refuseRaw(socket, status);
  }

  /** Closes connections that are idle for too long, or take too long for the head of a request. */
  #sweep(): void {
    this.#cancelSweep = undefined;
    const { clock } = this.#options;
    const nowMs = clock.monotonicMs();
    for (const [socket, visit] of this.#visits) {
      if (visit.streams > 0) this.#checkAlive(visit);
      if (visit.response !== undefined || visit.streams > 0) continue;
      const { idleSinceMs, bytesAtIdle, session } = visit;
      if (session !== undefined) {
        if (nowMs - idleSinceMs >= IDLE_MS) session.close();
        // The client has not closed the session in time: the connection is closed without it.
        if (nowMs - idleSinceMs >= IDLE_MS + HEAD_MS) socket.destroy();
        continue;
      }
      const hasBegun = bytesAtIdle < 0 || socket.bytesRead > bytesAtIdle;
      if (!hasBegun && nowMs - idleSinceMs < IDLE_MS) continue;
      if (hasBegun) {
        visit.headSinceMs ??= bytesAtIdle < 0 ? idleSinceMs : nowMs;
        if (nowMs - visit.headSinceMs < HEAD_MS) continue;
      }
      socket.destroy();
    }
    if (this.#visits.size > 0) this.#cancelSweep = clock.schedule(SWEEP_MS, () => this.#sweep());
  }

  /**
   * Ends an HTTP/2 connection whose client doesn't answer any more. Node reads nothing more of a client that broke the rules of the
   * connection, so it would never see that one leave, and its requests would keep their services awake for ever.
   */
  #checkAlive(visit: Visit): void {
    const { socket, session, heard } = visit;
    const nowMs = this.#options.clock.monotonicMs();
    const { bytesRead: bytes } = socket;
    if (heard?.bytes !== bytes) {
      visit.heard = { bytes, atMs: nowMs, isAsked: false };
      return;
    }
    const silentMs = nowMs - heard.atMs;
    if (silentMs >= ASK_MS + HEAD_MS) return void socket.destroy();
    if (silentMs < ASK_MS || heard.isAsked) return;
    heard.isAsked = true;
    session?.ping(() => {});
  }
}

/** Most requests have none, and are whole with their heads. */
function mayHaveBody({ rawHeaders }: IncomingMessage): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const { length } = rawHeaders[index] ?? '';
    // `Content-Length`, `Transfer-Encoding`, `Upgrade`: a longer look costs more than what it is for.
    if (length === 14 || length === 17 || length === 7) return true;
  }
  return false;
}

/**
 * A client may still be sending when its answer ends the connection. Closed at once, the connection would be reset by the kernel, and
 * the answer lost on its way: so what comes is thrown away until the client has seen the end, or for a while.
 */
function lingerWhereUnread(response: ServerResponse, clock: Clock): void {
  const { req: message, socket } = response;
  response.once('finish', () => {
    if (response.shouldKeepAlive || message.complete || socket === null || socket.destroyed) return;
    socket.destroySoon = () => {
      socket.end();
      message.resume();
      const cancel = clock.schedule(LINGER_MS, () => socket.destroy());
      socket.once('close', cancel);
    };
  });
}

/** What HTTP/2 says in other ways than HTTP/1. */
function readStreamHead(message: IncomingMessage): RequestHead {
  const { stream, authority } = message as unknown as Http2ServerRequest;
  const headers: string[] = [];
  const cookies: string[] = [];
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = [message.rawHeaders[index], message.rawHeaders[index + 1]];
    // A client may send each of them apart, which HTTP/1 has no way for (RFC 9113, 8.2.3).
    if (name === 'cookie') cookies.push(value);
    else if (!name.startsWith(':')) headers.push(name, value);
  }
  if (cookies.length > 0) headers.push('cookie', cookies.join('; '));
  const { method = '', url: target = '' } = message;
  // An empty one is as good as none.
  const named = authority === '' ? undefined : authority;
  return { method, target, version: 'h2', headers, authority: named, isWhole: stream.endAfterHeaders };
}

/** Answers what never became a request, and closes its connection. */
function refuseRaw(socket: Socket, status: string): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  socket.destroySoon();
}
