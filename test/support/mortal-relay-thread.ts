/** A relay thread that throws in the middle of its loop once the first number of its environment data is set. */
import { getEnvironmentData } from 'node:worker_threads';

export const DEATH_KEY = 'lazy-proxy-test.relay-thread-dies';

const death = getEnvironmentData(DEATH_KEY) as unknown as Int32Array;
const { now } = Date;
// The loop asks for the time in each turn in which it moves bytes.
Date.now = () => {
  if (Atomics.load(death, 0) === 1) throw new Error('struck');
  return now();
};

await import('../../src/relay/splice/relay-thread.ts');
