import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';

/** The certificates from which a client gets one. */
export interface TlsOffer {
  /** For a client that names no server, or one that has no other. Without a certificate in it, such a client is turned away. */
  readonly context: SecureContext;
  /** For the server that a client names (SNI), lower case; absent = `context` for all. */
  readonly find?:
    | ((serverName: string) => SecureContext | undefined | Promise<SecureContext | undefined>)
    | undefined;
}

/** Says which certificates there are, when a client is there; undefined where none can be used. */
export type OfferTls = () => TlsOffer | undefined | Promise<TlsOffer | undefined>;

/**
 * Begins TLS with a client, as its server. The caller sees the end of the handshake: `secure`, else `_tlsError` or `close`; and limits its time.
 * @param options.protocols what may be spoken inside, the best first (ALPN); absent = that is not agreed on.
 * @returns what is inside.
 */
export function beginTls(
  client: Socket,
  {
    offer: { context, find },
    protocols,
  }: { readonly offer: TlsOffer; readonly protocols?: readonly string[] },
): TLSSocket {
  const inside = new TLSSocket(client, {
    ...{ isServer: true, secureContext: context },
    ...(protocols !== undefined && { ALPNProtocols: [...protocols] }),
    ...(find !== undefined && {
      SNICallback: (name, done) => {
        const found = find(name.toLowerCase().replace(/\.$/, ''));
        if (!(found instanceof Promise)) return done(null, found);
        found.then((late) => done(null, late), done);
      },
    }),
  });
  // Node tells of it in no other way, and would leave the connection open. What is inside ends with the one below, but not always the
  // other way round.
  return inside.on('_tlsError', () => void client.destroy());
}
