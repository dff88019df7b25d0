import { exposeGarbageCollector } from '../../src/system/memory/collect-garbage.ts';

/** Collects garbage until what is weakly held is gone or held by somebody: a WeakRef lives on in the turn that made it. */
export async function collectGarbage(): Promise<void> {
  const collect = exposeGarbageCollector();
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
}
