import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export interface UdpClient {
  /** Its own port. */
  readonly port: number;
  /** Resolves once the datagram is handed to the kernel. */
  send(data: string | Uint8Array): Promise<void>;
  /** The first datagram that was not read yet; after `timeoutMs` (default 30 s) an error. */
  receive(options?: { readonly timeoutMs?: number }): Promise<Buffer>;
  /** Datagrams that arrived and were not read yet. */
  unread(): readonly Buffer[];
  /** Idempotent. */
  close(): void;
}

/** A client of a UDP port of this machine, on a port of its own. */
export async function openUdp(port: number, localAddress = '127.0.0.1'): Promise<UdpClient> {
  const socket = createSocket('udp4');
  const arrived: Buffer[] = [];
  const waiting: ((datagram: Buffer) => void)[] = [];
  let closed = false;
  socket.on('message', (datagram) => {
    const take = waiting.shift();
    if (take === undefined) arrived.push(datagram);
    else take(datagram);
  });
  socket.bind({ address: localAddress, port: 0 });
  await once(socket, 'listening');
  return {
    port: socket.address().port,
    send: (data) =>
      new Promise((resolve, reject) => {
        socket.send(data, port, '127.0.0.1', (error) => (error ? reject(error) : resolve()));
      }),
    receive({ timeoutMs = 30_000 } = {}) {
      const datagram = arrived.shift();
      if (datagram !== undefined) return Promise.resolve(datagram);
      return new Promise((resolve, reject) => {
        const take = (next: Buffer) => {
          clearTimeout(timer);
          resolve(next);
        };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(take), 1);
          reject(new Error(`no datagram within ${timeoutMs} ms`));
        }, timeoutMs);
        waiting.push(take);
      });
    },
    unread: () => [...arrived],
    close() {
      if (!closed) socket.close();
      closed = true;
    },
  };
}
