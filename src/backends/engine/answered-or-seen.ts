import type { Observation } from '../../model/observation.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import type { WorkloadObserver } from './workload-observer.ts';

/** An engine that has done what it was asked for answers well before that. */
const PATIENCE_MS = 1_000;

/**
 * Makes a call that changes a container. Where its outcome is seen and the answer still doesn't come, what is seen counts,
 * and the call is given up: a socket proxy may have swallowed the answer.
 * @throws what `call` throws; the signal's reason.
 */
export async function answeredOrSeen(
  { observer, clock }: { readonly observer: WorkloadObserver; readonly clock: Clock },
  options: {
    readonly name: string;
    readonly wanted: (seen: Observation) => boolean;
    readonly call: (signal: AbortSignal) => Promise<void>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { name, wanted, call, signal: parent } = options;
  const over = new AbortController();
  const { signal, unlink } = linkSignals([parent, over.signal]);
  const seen = observer.whenSeen(name, { wanted, signal }).then(() => clock.sleep(PATIENCE_MS, signal));
  try {
    await Promise.race([call(signal), seen]);
  } finally {
    seen.catch(() => {});
    over.abort(new Error('the call is over'));
    unlink();
  }
}
