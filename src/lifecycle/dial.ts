import { connect, type Socket } from 'node:net';
import type { Endpoint } from '../model/observation.ts';
import type { Clock } from '../system/clock.ts';
import { raceStaggered } from './race-staggered.ts';

/** An address that says nothing for so long is given up: one lost packet is repeated by the kernel after 1 s. */
const TRY_TIMEOUT_MS = 2_000;

interface DialOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** A connected upstream and the endpoint at which it was reached. */
export interface Dialled {
  readonly socket: Socket;
  readonly endpoint: Endpoint;
}

/**
 * Connects to the first of `endpoints` that accepts: they are tried in order, the next one as soon as the one before has
 * failed or been silent for 250 ms.
 * The socket allows half-open, and reads nothing before the caller does; who uses it sets its options.
 * @throws the last connection error; the signal's reason when it aborts.
 */
export async function dial(endpoints: readonly Endpoint[], options: DialOptions): Promise<Dialled> {
  if (endpoints.length === 0) {
    options.signal.throwIfAborted();
    throw new Error('the workload has no address');
  }
  const attempt = async (endpoint: Endpoint, signal: AbortSignal) => ({
    socket: await dialEndpoint(endpoint, { ...options, signal }),
    endpoint,
  });
  return raceStaggered(endpoints, { ...options, attempt, discard: ({ socket }) => void socket.destroy() });
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
