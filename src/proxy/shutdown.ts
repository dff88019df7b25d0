import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';
import type { LazyProxy } from './lazy-proxy.ts';
import type { ProgramIo } from '../system/program-io.ts';

/** Connections may take so long to finish at shutdown: less than the 10 s that `docker stop` gives. */
const DRAIN_DEADLINE_MS = 8_000;

interface RunParts {
  readonly proxy: LazyProxy;
  /** SIGTERM and SIGINT. */
  readonly signals: SignalQueue;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Serves until a signal, then lets connections finish; the deadline or a second signal ends them. */
export async function runUntilSignal({ proxy, signals, logger, clock }: RunParts): Promise<void> {
  const signal = await signals.next();
  const drained = proxy.drain();
  logger.info(
    { event: 'shutdown' },
    `${signal}: shutting down; no new clients are accepted, and open connections have ${DRAIN_DEADLINE_MS / 1000} s to finish`,
  );
  const hurry = signals.next().then(() => {
    logger.warn({ event: 'shutdown' }, 'second signal: ending everything now');
    proxy.destroy();
  });
  const deadline = new AbortController();
  const late = clock.sleep(DRAIN_DEADLINE_MS, deadline.signal).then(
    () => {
      logger.warn(
        { event: 'shutdown' },
        `connections are still open after ${DRAIN_DEADLINE_MS / 1000} s: ending them`,
      );
      proxy.cutConnections();
    },
    () => {},
  );
  await Promise.race([drained, late, hurry]);
  deadline.abort();
  // Local processes have their own time to end in; a second signal cuts that short too.
  await proxy.close();
  logger.info({ event: 'end' }, 'lazy-proxy has ended');
}

/** Signals in the order of their arrival; those that came before anybody asked are kept. */
export interface SignalQueue {
  next(): Promise<NodeJS.Signals>;
  /** The first one that came, taken or not. */
  first(): NodeJS.Signals | undefined;
  /** Resolves when there is a first one. */
  readonly arrival: Promise<NodeJS.Signals>;
  close(): void;
}

/** Takes SIGTERM and SIGINT from now on; the caller closes it. */
export function createSignalQueue(io: ProgramIo): SignalQueue {
  const arrived: NodeJS.Signals[] = [];
  let wake: ((signal: NodeJS.Signals) => void) | undefined;
  let first: NodeJS.Signals | undefined;
  let arrive: (signal: NodeJS.Signals) => void = () => {};
  const arrival = new Promise<NodeJS.Signals>((resolve) => {
    arrive = resolve;
  });
  const close = io.onSignal(['SIGTERM', 'SIGINT'], (signal) => {
    first ??= signal;
    arrive(signal);
    if (wake === undefined) arrived.push(signal);
    else wake(signal);
  });
  return {
    next: () =>
      new Promise((resolve) => {
        const earlier = arrived.shift();
        if (earlier === undefined) wake = resolve;
        else resolve(earlier);
      }),
    first: () => first,
    arrival,
    close,
  };
}
