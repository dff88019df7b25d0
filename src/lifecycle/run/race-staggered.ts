import type { Cancel, Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';

/** How long one candidate may be silent before the next one is tried as well (RFC 8305, section 5). */
const STAGGER_MS = 250;

/**
 * Tries candidates in order until one succeeds. The next one begins when the one before has failed or been silent for
 * 250 ms, so that one that never answers costs little; the first success ends the others.
 * @param candidates at least one.
 * @param options.attempt must heed its signal, which aborts when the attempt is no longer wanted.
 * @param options.discard frees a success that came beside another one.
 * @throws when all have failed what the only one threw, or an AggregateError of them all; the signal's reason when it
 * aborts.
 */
export function raceStaggered<C, T>(
  candidates: readonly C[],
  options: {
    readonly clock: Clock;
    readonly signal: AbortSignal;
    readonly attempt: (candidate: C, signal: AbortSignal) => Promise<T>;
    readonly discard: (late: T) => void;
  },
): Promise<T> {
  const { clock, attempt, discard } = options;
  const over = new AbortController();
  const link = linkSignals([options.signal, over.signal]);
  return new Promise<T>((resolve, reject) => {
    if (options.signal.aborted) return reject(options.signal.reason);
    const waiting = [...candidates];
    const failures: unknown[] = [];
    let underWay = 0;
    let cancelNext: Cancel = () => {};
    const settle = () => {
      cancelNext();
      options.signal.removeEventListener('abort', abort);
      over.abort(new Error('another address was faster'));
      link.unlink();
    };
    const abort = () => {
      settle();
      reject(options.signal.reason);
    };
    options.signal.addEventListener('abort', abort, { once: true });
    const succeed = (result: T) => {
      if (over.signal.aborted) return discard(result);
      settle();
      resolve(result);
    };
    const fail = (error: unknown) => {
      underWay--;
      if (over.signal.aborted) return;
      failures.push(error);
      if (waiting.length > 0) return begin();
      if (underWay > 0) return;
      settle();
      reject(failures.length === 1 ? error : new AggregateError(failures, 'no address answers'));
    };
    const begin = () => {
      cancelNext();
      const [candidate] = waiting.splice(0, 1) as [C];
      underWay++;
      if (waiting.length > 0) cancelNext = clock.schedule(STAGGER_MS, begin);
      attempt(candidate, link.signal).then(succeed, fail);
    };
    begin();
  });
}
