import type { LookupAddress } from 'node:dns';
import { connect, isIP, type Socket } from 'node:net';
import type { Endpoint, ExplainOwn } from '../../model/running/observation.ts';
import type { Clock } from '../../system/clock.ts';
import { createLookup } from '../../system/net/name-lookups.ts';
import { raceStaggered } from './race-staggered.ts';

/** An address that says nothing for so long is given up: one lost packet is repeated by the kernel after 1 s. */
const TRY_TIMEOUT_MS = 2_000;

interface DialOptions {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** After how many ms an address that says nothing is given up; default, and at most: 2 s. */
  readonly withinMs?: number | undefined;
  /** Tells the proxy's own listeners, so that no name leads there; absent = there are none. */
  readonly explainOwn?: ExplainOwn | undefined;
  /** Told of each socket that begins to connect. */
  readonly onDial?: ((socket: Socket, endpoint: Endpoint) => void) | undefined;
}

/** A connected upstream and the endpoint at which it was reached. */
export interface Dialled {
  readonly socket: Socket;
  readonly endpoint: Endpoint;
}

/**
 * Connects to the first of `endpoints` that accepts: they are tried in order, the next one as soon as the one before has
 * failed or been silent for 250 ms.
 * The socket allows half-open, and reads nothing before the caller does; the caller sets its options.
 * @throws the connection error, or an AggregateError where there are several endpoints; the signal's reason when it aborts.
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

function dialEndpoint(endpoint: Endpoint, options: DialOptions): Promise<Socket> {
  const { host, port } = endpoint;
  const { signal, clock, explainOwn } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port, allowHalfOpen: true },
      ...(isIP(host) === 0 && {
        lookup: createLookup({ signal, choose: (found) => leaveOutOwn(found, { port, explainOwn }) }),
      }),
    });
    options.onDial?.(socket, endpoint);
    // Before it is connected, or Node begins to read at once.
    socket.pause();
    const abort = () => socket.destroy(asError(signal.reason));
    const tryMs = Math.min(options.withinMs ?? TRY_TIMEOUT_MS, TRY_TIMEOUT_MS);
    const cancel = clock.schedule(tryMs, () => {
      socket.destroy(new Error(`${host} did not answer within ${tryMs} ms`));
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
      // The caller listens for errors itself; an error that comes before it does shows in `destroyed`.
      socket.on('error', () => {}).off('error', fail);
      resolve(socket);
    });
    signal.addEventListener('abort', abort, { once: true });
  });
}

/** The addresses of a name that are not the proxy's own listeners. @throws {Error} where all of them are. */
function leaveOutOwn(
  found: readonly LookupAddress[],
  { port, explainOwn }: { readonly port: number; readonly explainOwn: ExplainOwn | undefined },
): readonly LookupAddress[] {
  if (explainOwn === undefined) return found;
  const reasons = found.map(({ address }) => explainOwn('tcp', { host: address, port }));
  const others = found.filter((_, index) => reasons[index] === undefined);
  if (others.length === 0 && found.length > 0) throw new Error(reasons.join(', '));
  return others;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
