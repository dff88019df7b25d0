/**
 * Where TLS ends at a door. Input: connections that nothing was read of. Output: what is inside: a connection of HTTP/1, or the
 * requests of HTTP/2, as the client has chosen. A client whose server name has no certificate gets no further than its greeting.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createHttp2, type Http2Server, type ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { beginTls, type OfferTls, type TlsOffer } from '../../tls/tls-offer.ts';

const PROTOCOLS = ['h2', 'http/1.1'];
/** Requests that a client may have under way on one connection. */
const MAX_STREAMS = 128;

interface TlsEntranceOptions {
  readonly offer: OfferTls;
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
  readonly #options: TlsEntranceOptions;
  readonly #http2: Http2Server;
  /** The connection that is being handed to HTTP/2. */
  #entering: TLSSocket | undefined;

  constructor(options: TlsEntranceOptions) {
    this.#options = options;
    const { onSession, onRequest } = options;
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
  }

  /** Takes a connection over. Whoever calls closes it where no request comes in time. */
  accept(client: Socket): void {
    const drop = () => void client.destroy();
    client.on('error', drop);
    const offered = this.#options.offer();
    if (offered instanceof Promise) void offered.then((offer) => this.#begin(client, offer), drop);
    else this.#begin(client, offered);
  }

  #begin(client: Socket, offer: TlsOffer | undefined): void {
    if (offer === undefined) return void client.destroy();
    if (client.destroyed) return;
    const inside = beginTls(client, { offer, protocols: PROTOCOLS });
    // What is inside ends with it.
    const drop = () => void client.destroy();
    inside
      .on('error', drop)
      .once('end', drop)
      .once('secure', () => {
        inside.off('end', drop);
        if (inside.alpnProtocol !== 'h2') return this.#options.onHttp1(inside);
        // A client that says no more wants no more: in HTTP/2 nobody waits for answers behind the end of a connection.
        inside.allowHalfOpen = false;
        this.#entering = inside;
        this.#http2.emit('connection', inside);
        this.#entering = undefined;
        // A session on a socket that no server of Node's has made waits to be told that TLS is agreed on.
        inside.emit('secureConnect');
      });
  }
}
