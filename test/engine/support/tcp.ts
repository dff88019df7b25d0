import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';

export interface TcpClient {
  readonly socket: Socket;
  /** Resolves once the bytes are handed to the kernel. */
  send(data: string | Uint8Array): Promise<void>;
  /** Ends our direction; the other one stays open. */
  endSending(): void;
  /** Everything until the other side ends its direction. */
  readAll(): Promise<Buffer>;
  /** The next bytes until at least `count` were read since the last call. */
  readAtLeast(count: number): Promise<Buffer>;
  /** `end` when the other side closed in order, `reset` when it reset the connection. */
  closed: Promise<'end' | 'reset'>;
  destroy(): void;
  reset(): void;
}

/** Connects to this machine, with both directions independent. */
export async function connectTcp(port: number, host = '127.0.0.1'): Promise<TcpClient> {
  const socket = createConnection({ port, host, allowHalfOpen: true });
  await once(socket, 'connect');
  return wrapSocket(socket);
}

function wrapSocket(socket: Socket): TcpClient {
  let buffered = Buffer.alloc(0);
  let wake = () => {};
  let outcome: 'open' | 'end' | 'reset' = 'open';
  const closed = new Promise<'end' | 'reset'>((resolve) => {
    const settle = (result: 'end' | 'reset') => {
      if (outcome === 'open') outcome = result;
      wake();
      resolve(result);
    };
    socket.once('end', () => settle('end'));
    socket.once('error', () => settle('reset'));
    socket.once('close', () => settle('end'));
  });
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    wake();
  });
  const take = async (enough: () => boolean) => {
    while (outcome === 'open' && !enough()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (outcome === 'reset')
      throw new Error(`the connection was reset after ${buffered.length} unread bytes`);
    const taken = buffered;
    buffered = Buffer.alloc(0);
    return taken;
  };
  return {
    socket,
    closed,
    send: (data) =>
      new Promise((resolve, reject) => socket.write(data, (error) => (error ? reject(error) : resolve()))),
    endSending: () => socket.end(),
    readAll: () => take(() => false),
    readAtLeast: (count) => take(() => buffered.length >= count),
    destroy: () => socket.destroy(),
    reset: () => socket.resetAndDestroy(),
  };
}
