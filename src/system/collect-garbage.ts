import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Collects all garbage now, which takes some tens of milliseconds. V8 collects while memory is asked for, so a process that falls
 * idle keeps what its last load has left.
 */
export function collectGarbage(): void {
  // A context that is made while the flag is set gets the function; no other one does.
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}
