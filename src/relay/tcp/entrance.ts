import type { Socket } from 'node:net';
import type { Clock } from '../../system/clock.ts';
import { type ProxiedEnds, readProxyHeader } from '../access/proxy-protocol.ts';
import { beginTls, type OfferTls } from '../tls/tls-offer.ts';
import { resetBelow } from './reset-socket.ts';
import type { TcpRelay } from './tcp-relay.ts';

/** How long a client has for what it has to send before it is let in, in ms. */
const ENTRANCE_MS = 5_000;
/** How long a client has for the handshake of TLS, in ms: it takes two ways there and back on its network. */
export const HANDSHAKE_MS = 10_000;

/** Why a client was not let in. */
export class EntranceRefusal extends Error {
  /**
   * `silent`: it has sent nothing that would wake the service; `no-proxy-header`: no whole header came in time;
   * `bad-proxy-header`: what came is none; `no-tls`: it and the proxy did not agree on TLS, in time or at all; `no-certificate`: the
   * proxy has none for it; `left`: it went away first; `removed`: its listener was closed.
   */
  readonly code:
    | 'silent'
    | 'no-proxy-header'
    | 'bad-proxy-header'
    | 'no-tls'
    | 'no-certificate'
    | 'left'
    | 'removed';

  constructor(code: EntranceRefusal['code'], message: string) {
    super(message);
    this.code = code;
  }
}

/** A client that has yet to send something. */
interface Entrant {
  /** Looks again whether it still has to. */
  look(): void;
  refuse(refusal: EntranceRefusal): void;
}

/** What one wait listens for. */
interface Wait<T> {
  readonly tooLate: () => EntranceRefusal;
  /** Looks at what has come; calls one of the two when that is enough. */
  readonly look: (ends: { done(value: T): void; refuse(refusal: EntranceRefusal): void }) => void;
  /** Whether the first byte is enough, whatever it is: then the client need not be read where the machine can watch it. */
  readonly byFirstByte?: (done: (value: T) => void) => void;
}

/**
 * The clients of a listener that have to do something before they are let in: send the header of a proxy in front, or anything at
 * all, or agree on TLS. Each has some seconds for it. Whoever calls closes a client that is refused.
 */
export class Entrance {
  readonly #relay: Pick<TcpRelay, 'hold'>;
  readonly #clock: Pick<Clock, 'schedule'>;
  readonly #entrants = new Set<Entrant>();
  #isClosed = false;

  constructor(parts: { readonly relay: Pick<TcpRelay, 'hold'>; readonly clock: Pick<Clock, 'schedule'> }) {
    this.#relay = parts.relay;
    this.#clock = parts.clock;
  }

  /** Clients that have yet to send something. */
  get size(): number {
    return this.#entrants.size;
  }

  /**
   * Reads the PROXY header with which a connection begins. What follows it stays in the socket's buffer, so the client has to be
   * read through Node from now on.
   * @returns the ends that it names; undefined where it names none.
   * @throws {EntranceRefusal}
   */
  readHeader(client: Socket): Promise<ProxiedEnds | undefined> {
    let bytes: Buffer = Buffer.alloc(0);
    return this.#wait<ProxiedEnds | undefined>(client, {
      tooLate: () =>
        new EntranceRefusal('no-proxy-header', `it sent no PROXY header within ${ENTRANCE_MS} ms`),
      look({ done, refuse }) {
        for (
          let chunk = client.read() as Buffer | null;
          chunk !== null;
          chunk = client.read() as Buffer | null
        )
          bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
        const reading = readProxyHeader(bytes);
        if (reading.kind === 'incomplete') return;
        if (reading.kind === 'malformed')
          return refuse(
            new EntranceRefusal('bad-proxy-header', `its PROXY header can't be read: ${reading.reason}`),
          );
        // At once: later the stream may have emitted its end.
        if (bytes.length > reading.bytes) client.unshift(bytes.subarray(reading.bytes));
        done(reading.ends);
      },
    });
  }

  /**
   * Waits until a client has sent something, which stays unread; or until it need not any more.
   * @param options.isRead whether the client is read through Node already.
   * @param options.isNeeded asked at each `lookAgain()`.
   * @throws {EntranceRefusal}
   */
  awaitBytes(
    client: Socket,
    { isRead, isNeeded }: { readonly isRead: boolean; readonly isNeeded: () => boolean },
  ): Promise<void> {
    return this.#wait<void>(client, {
      tooLate: () =>
        new EntranceRefusal(
          'silent',
          `it sent nothing within ${ENTRANCE_MS} ms, and only data wakes the service (wake_on)`,
        ),
      look({ done }) {
        if (client.readableLength > 0 || !isNeeded()) done();
      },
      ...(!isRead && { byFirstByte: (done) => done() }),
    });
  }

  /**
   * Agrees with a client on TLS, which ends here.
   * @returns what is inside: nothing has been read of it. Reset or destroyed, it takes the client's own socket with it.
   * @throws {EntranceRefusal}
   */
  async endTls(client: Socket, offer: OfferTls): Promise<Socket> {
    const offered = await offer();
    if (offered === undefined)
      throw new EntranceRefusal('no-certificate', 'the service has no certificate that can be used (tls)');
    if (this.#isClosed) throw this.#removed();
    if (client.destroyed) throw left();
    return new Promise((resolve, reject) => {
      const inside = beginTls(client, { offer: offered });
      const settle = () => {
        this.#entrants.delete(entrant);
        cancel();
        inside.off('secure', done).off('_tlsError', fail).off('end', leave).off('close', leave);
      };
      const refuse = (refusal: EntranceRefusal) => {
        settle();
        inside.destroy();
        reject(refusal);
      };
      const done = () => {
        settle();
        resetBelow(inside, client);
        resolve(inside);
      };
      const leave = () => refuse(left());
      const fail = (error: Error) => {
        const hasLeft = 'code' in error && error.code === 'ECONNRESET';
        refuse(
          hasLeft ? left() : new EntranceRefusal('no-tls', `no TLS with it: ${describeTlsError(error)}`),
        );
      };
      const entrant: Entrant = { look() {}, refuse };
      const tooLate = () => new EntranceRefusal('no-tls', `no TLS with it within ${HANDSHAKE_MS} ms`);
      const cancel = this.#clock.schedule(HANDSHAKE_MS, () => refuse(tooLate()));
      this.#entrants.add(entrant);
      // `close` follows each error.
      client.on('error', () => {});
      inside
        .on('error', () => {})
        .once('secure', done)
        .on('_tlsError', fail)
        .on('end', leave)
        .on('close', leave);
    });
  }

  /** The service may be awake now: clients that had to send something only to wake it are let in. */
  lookAgain(): void {
    for (const entrant of [...this.#entrants]) entrant.look();
  }

  /** Refuses those that wait, and everybody from now on. Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const entrant of [...this.#entrants]) entrant.refuse(this.#removed());
  }

  #removed(): EntranceRefusal {
    return new EntranceRefusal('removed', 'the listener was closed');
  }

  #wait<T>(client: Socket, wait: Wait<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let end = () => {};
      const done = (value: T) => {
        end();
        resolve(value);
      };
      const refuse = (refusal: EntranceRefusal) => {
        end();
        reject(refusal);
      };
      const leave = () => refuse(left());
      if (this.#isClosed) return reject(this.#removed());
      if (client.destroyed || client.readableEnded) return leave();
      const look = () => wait.look({ done, refuse });
      const entrant: Entrant = { look, refuse };
      const cancel = this.#clock.schedule(ENTRANCE_MS, () => refuse(wait.tooLate()));
      const { byFirstByte } = wait;
      const unwatch =
        byFirstByte && this.#relay.hold(client, { onLeft: leave, onBytes: () => byFirstByte(done) });
      this.#entrants.add(entrant);
      client.on('error', leave).on('end', leave).on('close', leave);
      if (unwatch === undefined) client.on('readable', look);
      end = () => {
        end = () => {};
        this.#entrants.delete(entrant);
        cancel();
        unwatch?.();
        client.off('error', leave).off('end', leave).off('close', leave).off('readable', look);
      };
      look();
    });
  }
}

function left(): EntranceRefusal {
  return new EntranceRefusal('left', 'the client left before it was let in');
}

/** OpenSSL's own word for it, without the numbers and places in its source around it. */
function describeTlsError(error: Error & { readonly code?: string; readonly reason?: string }): string {
  if (error.code === 'ERR_SSL_HTTP_REQUEST') return 'it speaks plain HTTP';
  return error.reason ?? error.message;
}
