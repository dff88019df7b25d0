import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Collects garbage until what is weakly held is gone or held by somebody: a WeakRef lives on in the turn that made it. */
export async function collectGarbage(): Promise<void> {
  const collect = exposeGarbageCollector();
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
}

/** Collects garbage at once, within the turn of the event loop. */
export function exposeGarbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
