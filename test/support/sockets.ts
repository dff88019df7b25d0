import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface TestServer {
  readonly port: number;
  readonly server: Server;
  /** Every connection it was given, oldest first. */
  readonly sockets: readonly Socket[];
  /** The connection of that number, 0 = the first, as soon as it is there. */
  socket(index: number): Promise<Socket>;
  /** Gives the port back; its connections live on. */
  close(): Promise<void>;
}

/** The sockets of one test; `close()` ends them all and waits until they are gone. */
export class Sockets {
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();

  /** A server on a free port, or on the one that is named; it reads nothing unless `onConnection` does. */
  async listen(
    onConnection: (socket: Socket) => void = () => {},
    { port = 0, host = '127.0.0.1' }: { readonly port?: number; readonly host?: string } = {},
  ): Promise<TestServer> {
    const sockets: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      sockets.push(this.own(socket));
      onConnection(socket);
    });
    this.#servers.add(server);
    server.listen(port, host);
    await once(server, 'listening');
    return {
      port: (server.address() as AddressInfo).port,
      server,
      sockets,
      async socket(index) {
        for (;;) {
          const socket = sockets[index];
          if (socket !== undefined) return socket;
          await once(server, 'connection');
        }
      },
      async close() {
        server.close();
        for (const socket of sockets) socket.destroy();
        await once(server, 'close');
      },
    };
  }

  /** A connected client. */
  async connect(port: number, host = '127.0.0.1'): Promise<Socket> {
    const socket = this.begin(port, host);
    await once(socket, 'connect');
    return socket;
  }

  /** A client of a proxy on `port`, and the other end of its connection at the upstream. */
  async through(
    port: number,
    upstream: TestServer,
  ): Promise<{ readonly client: Socket; readonly far: Socket }> {
    const index = upstream.sockets.length;
    const client = await this.connect(port);
    return { client, far: await upstream.socket(index) };
  }

  /** A client that may not be connected yet. */
  begin(port: number, host = '127.0.0.1'): Socket {
    return this.own(connect({ port, host, allowHalfOpen: true }));
  }

  /** Both ends of one connection. */
  async pair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
    const server = await this.listen();
    const near = await this.connect(server.port);
    return { near, far: await server.socket(0) };
  }

  /** Ends `socket` with the test; its errors are nobody's business but those of who asks `ending`. */
  own(socket: Socket): Socket {
    this.#sockets.add(socket.on('error', () => {}));
    return socket;
  }

  async close(): Promise<void> {
    const open = [...this.#sockets].filter((socket) => !socket.closed);
    for (const socket of open) socket.destroy();
    const listening = [...this.#servers].filter((server) => server.listening);
    for (const server of listening) server.close();
    await Promise.all([...open, ...listening].map(closing));
  }
}

function closing(owned: Socket | Server): Promise<void> {
  return new Promise((resolve) => owned.once('close', () => resolve()));
}

/** Everything that arrives until the other side ends its direction. */
export async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => socket.once('end', resolve).once('error', reject));
  return Buffer.concat(chunks);
}

/** Everything that arrives until the connection is over, however it ends. */
export async function receive(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve) => {
    if (socket.closed) return resolve();
    socket.once('end', () => socket.end()).once('close', () => resolve());
    socket.resume();
  });
  return Buffer.concat(chunks);
}

/**
 * How a connection ends: `closed`, or the code of the error. Reads and drops what still arrives, and ends its own
 * direction when the other side has ended.
 */
export function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    if (socket.closed) return resolve('closed');
    let code = 'closed';
    socket.on('error', (error: NodeJS.ErrnoException) => {
      code = error.code ?? error.message;
    });
    socket.once('end', () => socket.end());
    socket.once('close', () => resolve(code));
    socket.resume();
  });
}

/** Bytes that differ from place to place, so that a lost or doubled piece shows. */
export function pattern(bytes: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(bytes);
  let value = seed;
  for (let index = 0; index < bytes; index++) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    buffer[index] = value >> 16;
  }
  return buffer;
}
