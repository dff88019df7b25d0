import { expect, test } from 'vitest';
import { WorkloadObserver } from '../../../src/backends/engine/workload-observer.ts';
import { MISSING, UNKNOWN, type Observation } from '../../../src/model/observation.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Longer than any look may take. */
const LONG_MS = 600_000;

test('a look that never ends holds up the next one for a while, and not for ever', async () => {
  const clock = new FakeClock();
  const answers: Promise<Observation>[] = [new Promise(() => {}), Promise.resolve(MISSING)];
  const told: Observation[] = [];
  const { signal } = new AbortController();
  const observer = new WorkloadObserver({
    source: {
      noun: 'container',
      watch: () => {},
      unwatch: () => {},
      recall: () => MISSING,
      inspect: () => answers.shift() ?? Promise.resolve(UNKNOWN),
    },
    clock,
    logger: silentLogger,
    session: () => signal,
    observed: (_name, observation) => void told.push(observation),
  });
  observer.watch('db');
  const hung = expect(observer.refresh('db')).rejects.toThrow('no answer within');
  const next = observer.refresh('db');
  await clock.advance(LONG_MS);
  await hung;
  expect(await next).toBe(MISSING);
  expect(told).toEqual([MISSING]);
  expect(clock.pending).toBe(0);
});
