import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Makes the function that collects garbage at once. V8 collects while memory is asked for, so a process that falls idle keeps what its
 * last load has left: all of it takes some tens of milliseconds. What is young takes less than one: see `WebEngine.notePassed`.
 */
export function exposeGarbageCollector(): (what?: 'all' | 'young') => void {
  // A context that is made while the flag is set gets the function; no other one does.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect !== 'function') return () => {};
  return (what) => void (what === 'young' ? collect({ type: 'minor' }) : collect());
}
