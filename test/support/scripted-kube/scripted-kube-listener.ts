import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/** An HTTP server that goes away with all its connections, and comes back at the same address. */
export class ScriptedListener {
  readonly #tls: ServerOptions | undefined;
  readonly #receive: RequestListener;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;
  #connections = 0;

  constructor(options: { readonly tls: ServerOptions | undefined; readonly receive: RequestListener }) {
    this.#tls = options.tls;
    this.#receive = options.receive;
  }

  get url(): string {
    return `${this.#tls === undefined ? 'http' : 'https'}://127.0.0.1:${this.#port}`;
  }

  /** How many there have been. */
  get connections(): number {
    return this.#connections;
  }

  /** How many stand. */
  get openConnections(): number {
    return this.#sockets.size;
  }

  async goAway(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = once(server, 'close');
    server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  async comeBack(): Promise<void> {
    const server =
      this.#tls === undefined ? createServer(this.#receive) : createTlsServer(this.#tls, this.#receive);
    server.on('connection', (socket: Socket) => {
      this.#connections++;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    this.#server = server;
    server.listen(this.#port, '127.0.0.1');
    await once(server, 'listening');
    this.#port = (server.address() as AddressInfo).port;
  }
}

/** Undefined where the connection breaks before its end. */
export async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Uint8Array);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks).toString();
}

/** The common name in the caller's certificate, where it has shown one. */
export function certifiedName({ socket }: IncomingMessage): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === 'string' ? name : undefined;
}
