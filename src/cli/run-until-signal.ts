import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import type { FileInput } from './file-input.ts';
import type { LazyProxy } from './lazy-proxy.ts';
import type { ProgramIo } from './program-io.ts';

/** Connections may take so long to finish at shutdown: less than the 10 s that `docker stop` gives. */
const DRAIN_DEADLINE_MS = 8_000;

interface RunParts {
  readonly proxy: LazyProxy;
  readonly file: FileInput;
  readonly logger: Logger;
  readonly io: ProgramIo;
  readonly clock: Clock;
}

/**
 * Serves until SIGTERM or SIGINT, then lets connections finish; the deadline or a second signal ends them.
 * SIGHUP reads the configuration file again.
 */
export async function runUntilSignal({ proxy, file, logger, io, clock }: RunParts): Promise<void> {
  const forgetHangup = io.onSignal(['SIGHUP'], () => {
    logger.info({ event: 'hangup' }, 'SIGHUP: reading the configuration file again');
    file.reload();
  });
  const signals = createSignalQueue(io);
  const signal = await signals.next();
  logger.info(
    { event: 'shutdown' },
    `${signal}: no longer accepting; connections may finish within ${DRAIN_DEADLINE_MS / 1000} s`,
  );
  const deadline = new AbortController();
  const outcome = await Promise.race([
    proxy.drain().then(() => 'drained' as const),
    clock.sleep(DRAIN_DEADLINE_MS, deadline.signal).then(
      () => 'deadline' as const,
      () => 'drained' as const,
    ),
    signals.next().then(() => 'second signal' as const),
  ]);
  deadline.abort();
  if (outcome !== 'drained') {
    logger.warn({ event: 'shutdown' }, `${outcome}: ending the connections that are left`);
    proxy.destroy();
  }
  await proxy.close();
  forgetHangup();
  signals.close();
  logger.info({ event: 'end' }, 'ended');
}

interface SignalQueue {
  next(): Promise<NodeJS.Signals>;
  close(): void;
}

function createSignalQueue(io: ProgramIo): SignalQueue {
  const arrived: NodeJS.Signals[] = [];
  let wake: ((signal: NodeJS.Signals) => void) | undefined;
  const close = io.onSignal(['SIGTERM', 'SIGINT'], (signal) => {
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
    close,
  };
}
