import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { ListenerSpec } from '../../model/service.ts';
import type { TcpRelay } from './tcp-relay.ts';

/** Clients that the kernel may hold for us until we accept them; the kernel's own limit (somaxconn) applies too. */
const BACKLOG = 4_096;

interface AcceptorOptions {
  readonly spec: ListenerSpec;
  readonly relay: Pick<TcpRelay, 'tune' | 'closeServer'>;
  /** Silence after which the kernel asks a client whether it is still there, 0 = never. */
  readonly keepAliveMs: number;
  /** Told of each client, tuned, paused and unread. */
  readonly onClient: (client: Socket) => void;
  /** Told of what goes wrong once it listens. */
  readonly onError: (error: Error) => void;
}

/** The listening socket of one listener, which may be lent to somebody else who accepts its clients. */
export class TcpAcceptor {
  readonly #options: AcceptorOptions;
  readonly #server: Server;
  #keepAliveMs: number;
  /** Whether clients have what the listening socket has. */
  #areTuned = false;

  constructor(options: AcceptorOptions) {
    this.#options = options;
    this.#keepAliveMs = options.keepAliveMs;
    const sockets = {
      allowHalfOpen: true,
      // Read by who holds the client, or not at all.
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
    // A try that fails leaves no event listener behind: it may be repeated for long.
    const done = new AbortController();
    const { signal } = done;
    try {
      this.#server.listen({ ...this.#bindOptions(), backlog: BACKLOG });
      // Closed while it is being opened, it never listens.
      await Promise.race([
        once(this.#server, 'listening', { signal }),
        once(this.#server, 'close', { signal }),
      ]);
      this.#server.on('error', this.#options.onError);
    } finally {
      done.abort();
    }
  }

  /** For clients who connect from now on. */
  setKeepAlive(keepAliveMs: number): void {
    if (keepAliveMs === this.#keepAliveMs) return;
    this.#keepAliveMs = keepAliveMs;
    if (this.#server.listening) this.#tune();
  }

  /** Stops accepting where `borrow` has taken what it needs of the server, which it says by returning something. */
  lend<Loan>(borrow: (server: Server) => Loan | undefined): Loan | undefined {
    const loan = borrow(this.#server);
    if (loan !== undefined) this.#server.close();
    return loan;
  }

  /** Accepts again, on the descriptor of the socket that was lent; owns it from now on. */
  takeBack(fd: number): void {
    // Node takes the backlog of a descriptor from here alone.
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
