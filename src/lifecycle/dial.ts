import { connect, type Socket } from 'node:net';

/** After this silence the kernel asks a connected peer whether it is still there. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Connects to the first of `hosts` that accepts, trying them in order.
 * The socket allows half-open, has no Nagle delay, and reads nothing before the caller does.
 * @throws the last host's connection error; the signal's reason when it aborts.
 */
export async function dial(
  hosts: readonly string[],
  options: { readonly port: number; readonly signal: AbortSignal },
): Promise<Socket> {
  let failure: unknown = new Error('the workload has no address');
  for (const host of hosts) {
    options.signal.throwIfAborted();
    try {
      return await dialHost(host, options);
    } catch (error) {
      failure = error;
    }
  }
  options.signal.throwIfAborted();
  throw failure;
}

function dialHost(
  host: string,
  { port, signal }: { readonly port: number; readonly signal: AbortSignal },
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    const abort = () => socket.destroy(asError(signal.reason));
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort);
      // Whoever takes the socket listens for errors itself; one that comes before then shows in `destroyed`.
      socket.on('error', () => {}).off('error', fail);
      resolve(socket);
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
