import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Makes the function that collects all garbage at once, which takes some tens of milliseconds. V8 collects while memory is asked
 * for, so a process that falls idle keeps what its last load has left.
 */
export function exposeGarbageCollector(): () => void {
  // A context that is made while the flag is set gets the function; no other one does.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  return typeof collect === 'function' ? () => void collect() : () => {};
}
