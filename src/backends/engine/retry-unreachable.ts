import { abortable } from '../../system/abortable.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { EngineUnreachable } from './errors.ts';

const RETRY = { firstMs: 100, maxMs: 2_000 };

/**
 * Does `work` as soon as the engine answers, and again where it goes away meanwhile.
 * @throws what `work` throws otherwise; the signal's reason when it aborts.
 */
export async function retryUnreachable<T>(
  work: () => Promise<T>,
  options: {
    readonly link: { whenReachable(signal: AbortSignal): Promise<void> };
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<T> {
  const { link, clock, signal } = options;
  for (let failures = 1; ; failures++) {
    await link.whenReachable(signal);
    try {
      return await abortable(work(), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof EngineUnreachable)) throw error;
    }
    await clock.sleep(backoffMs(failures, RETRY), signal);
  }
}
