import type { TargetPort } from '../../model/service.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import type { WorkloadRun } from './workload-run.ts';

/** Between rounds: nobody waits, so they may come slower than a client's. */
const RETRY = { firstMs: 5, maxMs: 500 } as const;
/** A range may have a thousand ports. */
const MAX_CONCURRENT = 8;

/**
 * Dials the ports of a run for whose sake nobody dials, until one of them answers: what runs is awake only when somebody
 * could use it.
 * @param options.ports at least one; all are tried in each round.
 * @throws when `signal` aborts or the run is over.
 */
export async function proveAlone(
  run: WorkloadRun,
  options: { readonly ports: readonly TargetPort[]; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  const { ports, clock } = options;
  // The first answer ends the dials beside it.
  const over = new AbortController();
  const { signal, unlink } = linkSignals([options.signal, run.signal, over.signal]);
  try {
    for (let round = 1; ; round++) {
      for (let first = 0; first < ports.length; first += MAX_CONCURRENT) {
        const dials = ports.slice(first, first + MAX_CONCURRENT).map((port) => run.probe(port, signal));
        const answered = await Promise.any(dials).then(
          () => true,
          () => false,
        );
        if (answered) return;
        signal.throwIfAborted();
      }
      await clock.sleep(backoffMs(round, RETRY), signal);
    }
  } finally {
    over.abort(new Error('one port has answered'));
    unlink();
  }
}
