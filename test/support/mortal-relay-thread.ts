/** A relay thread that throws in the middle of its loop once it is told to: see `mortal-relay-key.ts`. */
import { getEnvironmentData } from 'node:worker_threads';
import { DEATH_KEY } from './mortal-relay-key.ts';

const death = getEnvironmentData(DEATH_KEY) as unknown as Int32Array;
const { load } = Atomics;
// The loop asks in each turn whether it is to go on.
Atomics.load = ((array: Int32Array, index: number) => {
  if (load(death, 0) === 1) throw new Error('struck');
  return load(array, index);
}) as typeof Atomics.load;

await import('../../src/relay/splice/thread/relay-thread.ts');
