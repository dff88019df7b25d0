import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { formatListenAddress, type ListenerSpec, type TargetPort } from '../model/service.ts';
import type { Logger } from '../system/logger.ts';
import { messageOf } from '../system/message-of.ts';
import type { AccessList } from './access-list.ts';
import { formatEndpoint, plainAddress } from './client-address.ts';
import type { Listener, TrackClient } from './listener.ts';
import { TcpConnection } from './tcp-connection.ts';
import type { TcpRelay } from './tcp-relay.ts';

/** Clients that the kernel may hold for us until we accept them; the kernel's own limit (somaxconn) applies too. */
const BACKLOG = 4_096;

/** After this silence the kernel asks a connected client whether it is still there. */
const KEEP_ALIVE_MS = 60_000;

/** Where a listener's connections go; swapped without touching the socket. */
export interface TcpBinding {
  readonly service: string;
  readonly targetPort: TargetPort;
  readonly access: AccessList;
  /** Absent where nobody wants to know. */
  readonly track?: TrackClient | undefined;
  /** Connects to the awake service; rejects when the client can't be served. */
  connect(request: {
    readonly port: TargetPort;
    readonly client: string;
    readonly signal: AbortSignal;
  }): Promise<{ readonly socket: Socket; release(): void }>;
}

/**
 * One bound TCP socket. Each client is held until its upstream is connected, then relayed. While a client is held, no
 * more than one stream buffer is read ahead of it, so that its leaving is noticed and its bytes are kept.
 */
export class TcpListener implements Listener<TcpBinding> {
  readonly spec: ListenerSpec;
  readonly #server: Server;
  readonly #logger: Logger;
  readonly #onRefused: (client: string, binding: TcpBinding) => void;
  readonly #onDrained: () => void;
  readonly #relay: TcpRelay;
  readonly #connections = new Set<TcpConnection>();
  #binding: TcpBinding;
  #closing = false;

  constructor(options: {
    readonly spec: ListenerSpec;
    readonly binding: TcpBinding;
    readonly relay: TcpRelay;
    readonly logger: Logger;
    /** Told of each client that the access list refused. */
    readonly onRefused: (client: string, binding: TcpBinding) => void;
    /** Called when the listener is closed and its last connection has ended. */
    readonly onDrained: () => void;
  }) {
    this.spec = options.spec;
    this.#binding = options.binding;
    this.#relay = options.relay;
    this.#logger = options.logger;
    this.#onRefused = options.onRefused;
    this.#onDrained = options.onDrained;
    const sockets = {
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      // Read by who holds the client, or not at all.
      pauseOnConnect: true,
    };
    this.#server = createServer(sockets, (client) => this.#accept(client));
  }

  /** Connections that are held or relayed now. */
  get activeConnections(): number {
    return this.#connections.size;
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
      this.#server.on('error', (error) => this.#logAcceptError(error));
    } finally {
      done.abort();
    }
  }

  /** New connections go elsewhere from now on; those that live stay where they are. */
  rebind(binding: TcpBinding): void {
    this.#binding = binding;
  }

  /** Gives the port back at once; connections go on until they end. Idempotent. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#server.close();
    if (this.#connections.size === 0) this.#onDrained();
  }

  /** Closes, and resets what still lives. Idempotent. */
  destroy(): void {
    this.close();
    for (const connection of this.#connections) connection.destroy();
  }

  #bindOptions(): { readonly port: number; readonly host?: string } {
    const { address, port } = this.spec;
    // Without a host Node listens on IPv6 and IPv4 alike, or on IPv4 alone where the machine has no IPv6.
    return address === '' ? { port } : { port, host: address };
  }

  #accept(client: Socket): void {
    const binding = this.#binding;
    const { remoteAddress, remotePort } = client;
    // Gone before it was accepted.
    if (remoteAddress === undefined || remotePort === undefined) return void client.destroy();
    const address = plainAddress(remoteAddress);
    const endpoint = formatEndpoint(address, remotePort);
    if (!binding.access.allows(address)) {
      client.destroy();
      this.#onRefused(endpoint, binding);
      return;
    }
    const ended = binding.track?.({ address, port: remotePort, endpoint });
    const connection = new TcpConnection(client, {
      ...{ binding, relay: this.#relay, client: { address, port: remotePort, endpoint } },
      onEnd: () => {
        this.#connections.delete(connection);
        ended?.();
        if (this.#closing && this.#connections.size === 0) this.#onDrained();
      },
      onUnserved: (error) => this.#logUnserved(error, { binding, endpoint }),
    });
    this.#connections.add(connection);
    void connection.serve();
  }

  #logUnserved(error: unknown, { binding, endpoint }: { binding: TcpBinding; endpoint: string }): void {
    const { service } = binding;
    const message = messageOf(error);
    const fields = { event: 'unserved', service, client: endpoint };
    if (isDeparture(error)) this.#logger.debug(fields, `${service}: ${endpoint} left while it waited`);
    else this.#logger.warn(fields, `${service}: ${endpoint} was closed: ${message}`);
  }

  #logAcceptError(error: Error): void {
    const where = formatListenAddress(this.spec);
    this.#logger.warn({ event: 'accept-failed' }, `could not accept a client on ${where}: ${error.message}`);
  }
}

function isDeparture(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'left';
}
