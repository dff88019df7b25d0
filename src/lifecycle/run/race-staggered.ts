import type { Cancel, Clock } from '../../system/clock.ts';

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
  const attempts = new AbortController();
  return new Promise<T>((resolve, reject) => {
    if (options.signal.aborted) return reject(options.signal.reason);
    const waiting = [...candidates];
    const failures: unknown[] = [];
    let underWay = 0;
    let isOver = false;
    let cancelNext: Cancel = () => {};
    const settle = () => {
      isOver = true;
      cancelNext();
      options.signal.removeEventListener('abort', abort);
    };
    const abort = () => {
      settle();
      attempts.abort(options.signal.reason);
      reject(options.signal.reason);
    };
    options.signal.addEventListener('abort', abort, { once: true });
    const succeed = (result: T) => {
      underWay--;
      if (isOver) return discard(result);
      settle();
      if (underWay > 0) attempts.abort(new Error('another address was faster'));
      resolve(result);
    };
    const fail = (error: unknown) => {
      underWay--;
      if (isOver) return;
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
      attempt(candidate, attempts.signal).then(succeed, fail);
    };
    begin();
  });
}
