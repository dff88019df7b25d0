import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { ListenerSpec } from '../../model/service.ts';
import type { TcpRelay } from './tcp-relay.ts';

/** Clients that the kernel may hold for us until we accept them; the kernel's own limit (somaxconn) applies too. */
const BACKLOG = 4_096;

interface AcceptorOptions {
  readonly spec: ListenerSpec;
  readonly relay: Pick<TcpRelay, 'tune' | 'closeServer'>;
  /** Silence after which the kernel probes a client (TCP keepalive), in ms; 0 = never. */
  readonly keepAliveMs: number;
  /** Called with each client's socket: its options are set, it is paused, and nothing has been read of it. */
  readonly onClient: (client: Socket) => void;
  /** Called with errors after the socket listens. */
  readonly onError: (error: Error) => void;
}

/** The listening socket of one listener. It can be lent to the relay thread, which then accepts its clients. */
export class TcpAcceptor {
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  #keepAliveMs: number;
  /** Whether accepted sockets inherit their options from the listening socket. */
  #areTuned = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#keepAliveMs = options.keepAliveMs;
    const sockets = {
      allowHalfOpen: true,
      // Whoever holds the client decides when to read.
      pauseOnConnect: true,
    };
    this.#server = createServer(sockets, (client) => {
      if (!this.#areTuned) options.relay.tune(client, this.#keepAliveMs);
      options.onClient(client);
    });
    this.#server.on('listening', () => this.#tune());
  }

  /** Binds the socket; may be tried again after it has failed. @throws the bind error, with its `code`. */
  async open(): Promise<void> {
    // A failed try must leave no event listener behind, since it may be repeated many times.
    const done = new AbortController();
    const { signal } = done;
    try {
      this.#server.listen({ ...this.#bindOptions(), backlog: BACKLOG });
      // If it is closed meanwhile, it never emits `listening`.
      await Promise.race([
        once(this.#server, 'listening', { signal }),
        once(this.#server, 'close', { signal }),
      ]);
      this.#server.on('error', this.#options.onError);
    } finally {
      done.abort();
    }
  }

  /** Applies to clients that connect from now on. */
  setKeepAlive(keepAliveMs: number): void {
    if (keepAliveMs === this.#keepAliveMs) return;
    this.#keepAliveMs = keepAliveMs;
    if (this.#server.listening) this.#tune();
  }

  /** Stops accepting if `borrow` takes over the server, that is, if it returns something. */
  lend<Loan>(borrow: (server: Server) => Loan | undefined): Loan | undefined {
    const loan = borrow(this.#server);
    if (loan !== undefined) this.#server.close();
    return loan;
  }

  /** Accepts again on the descriptor of the lent socket, and owns it from now on. */
  takeBack(fd: number): void {
    // With a descriptor Node takes the backlog only as this argument.
    this.#server.listen({ fd }, BACKLOG);
  }

  /** Gives the port back. */
  close(): void {
    this.#options.relay.closeServer(this.#server);
  }

  #tune(): void {
    this.#areTuned = this.#options.relay.tune(this.#server, this.#keepAliveMs);
  }

  #bindOptions(): { readonly port: number; readonly host?: string } {
    const { address, port } = this.#options.spec;
    // Without a host Node listens on IPv6 and IPv4 alike, or on IPv4 alone where the machine has no IPv6.
    return address === '' ? { port } : { port, host: address };
  }
}
