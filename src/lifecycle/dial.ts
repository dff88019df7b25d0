import { connect, type Socket } from 'node:net';
import type { Endpoint } from '../model/observation.ts';
import type { Clock } from '../system/clock.ts';

/** An address that says nothing for so long is passed over: one lost packet is repeated by the kernel after 1 s. */
const TRY_TIMEOUT_MS = 2_000;

interface DialOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * Connects to the first of `endpoints` that accepts, trying them in order.
 * The socket allows half-open, and reads nothing before the caller does; who uses it sets its options.
 * @throws the last one's connection error; the signal's reason when it aborts.
 */
export async function dial(endpoints: readonly Endpoint[], options: DialOptions): Promise<Socket> {
  let failure: unknown = new Error('the workload has no address');
  for (const endpoint of endpoints) {
    options.signal.throwIfAborted();
    try {
      return await dialEndpoint(endpoint, options);
    } catch (error) {
      failure = error;
    }
  }
  options.signal.throwIfAborted();
  throw failure;
}

function dialEndpoint({ host, port }: Endpoint, { signal, clock }: DialOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true });
    // Before it is connected, or Node begins to read at once.
    socket.pause();
    const abort = () => socket.destroy(asError(signal.reason));
    const cancel = clock.schedule(TRY_TIMEOUT_MS, () => {
      socket.destroy(new Error(`${host} did not answer within ${TRY_TIMEOUT_MS} ms`));
    });
    const settle = () => {
      cancel();
      signal.removeEventListener('abort', abort);
    };
    const fail = (error: Error) => {
      settle();
      reject(error);
    };
    socket.once('error', fail);
    socket.once('connect', () => {
      settle();
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
