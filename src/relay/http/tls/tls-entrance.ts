/**
 * Where TLS ends at a door. Input: connections that nothing was read of. Output: what is inside: a connection of HTTP/1, or the
 * requests of HTTP/2, as the client has chosen. A client whose server name has no certificate gets no further than its greeting.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttp2, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls';

/** How long a client may take to agree on TLS. */
const HANDSHAKE_MS = 20_000;
/** Requests that a client may have under way on one connection. */
const MAX_STREAMS = 128;

/** Finds the certificate for a host, lower case; undefined where there is none. */
export type FindCertificate = (host: string) => SecureContext | undefined;

interface TlsEntranceOptions {
  readonly find: FindCertificate;
  /** Takes a connection of HTTP/1. */
  readonly onHttp1: (socket: TLSSocket) => void;
  readonly onSession: (session: ServerHttp2Session, socket: TLSSocket) => void;
  /** Takes a request of HTTP/2, in the shape of one of HTTP/1. */
  readonly onRequest: (
    request: { readonly message: IncomingMessage; readonly response: ServerResponse },
    session: ServerHttp2Session,
  ) => void;
}

export class TlsEntrance {
  readonly #tls: Server;
  readonly #http2: Http2Server;
  /** The connection that is being handed to HTTP/2. */
  #entering: TLSSocket | undefined;

  constructor({ find, onHttp1, onSession, onRequest }: TlsEntranceOptions) {
    this.#http2 = createHttp2({ settings: { maxConcurrentStreams: MAX_STREAMS } });
    this.#http2
      .on('session', (session: ServerHttp2Session) => {
        session.on('error', () => session.destroy());
        if (this.#entering !== undefined) onSession(session, this.#entering);
      })
      .on('sessionError', () => {});
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      this.#http2.on(event, (message, response) => {
        const { stream } = message;
        stream.on('error', () => {});
        if (stream.session !== undefined) onRequest({ message, response }, stream.session);
      });
    }
    this.#tls = createServer({
      SNICallback: (name, done) => done(null, find(name.toLowerCase())),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
      minVersion: 'TLSv1.2',
    });
    this.#tls
      .on('secureConnection', (socket) => {
        socket.on('error', () => socket.destroy());
        if (socket.alpnProtocol !== 'h2') return onHttp1(socket);
        this.#entering = socket;
        this.#http2.emit('connection', socket);
        this.#entering = undefined;
      })
      .on('tlsClientError', (_error, socket) => socket.destroy());
  }

  /** Takes a connection over. */
  accept(socket: Socket): void {
    this.#tls.emit('connection', socket);
  }
}
