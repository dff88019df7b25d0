import { describe, expect, test } from 'vitest';
import { WorkloadObserver } from '../../../src/backends/engine/workload-observer.ts';
import { MISSING, UNKNOWN, type Observation } from '../../../src/model/running/observation.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { RUNNING } from '../../support/fake-backend.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';

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

describe('WorkloadObserver whose engine answers when it is told to', () => {
  const { signal } = new AbortController();
  const setUp = () => {
    const answers: ((seen: Observation) => void)[] = [];
    const told: string[] = [];
    const signals: AbortSignal[] = [];
    const observer = new WorkloadObserver({
      source: {
        noun: 'container',
        watch() {},
        unwatch() {},
        recall: () => MISSING,
        inspect: (_name, ended) => {
          signals.push(ended);
          return new Promise((resolve) => void answers.push(resolve));
        },
      },
      clock: new FakeClock(),
      logger: silentLogger,
      session: () => signal,
      observed: (name, { state }) => void told.push(`${name} ${state}`),
    });
    observer.watch('db');
    return { observer, answers, told, signals };
  };

  test('tells nothing of a workload that is watched no longer', async () => {
    const { observer, answers, told } = setUp();
    const look = observer.refresh('db');
    observer.unwatch('db');
    answers[0]?.(RUNNING);
    await look;
    expect([told, observer.last('db')]).toEqual([[], undefined]);
  });

  test('waits for a look that begins after it was asked', async () => {
    const { observer, answers } = setUp();
    const before = observer.refresh('db');
    let isSeen = false;
    const seen = observer.whenSeen('db', { wanted: ({ state }) => state === 'running', signal });
    void seen.then(() => {
      isSeen = true;
    });
    answers[0]?.({ ...RUNNING });
    await before;
    await settle();
    expect(isSeen).toBe(false);
    const after = observer.refresh('db');
    answers[1]?.({ ...RUNNING });
    await after;
    await seen;
  });

  test('takes an earlier look for no proof that a start has worked, but one that began since', async () => {
    const { observer, answers } = setUp();
    const look = () => {
      const looking = observer.refresh('db');
      answers.at(-1)?.({ ...RUNNING });
      return looking;
    };
    await look();
    const { begun } = observer;
    const awake = observer.refreshAwake('db', begun);
    await settle();
    expect(answers).toHaveLength(2);
    answers[1]?.({ ...RUNNING });
    expect(await awake).toEqual(RUNNING);
    expect(await observer.refreshAwake('db', begun)).toEqual(RUNNING);
    expect(answers).toHaveLength(2);
  });

  test('ends a look that hangs when a wake asks, and gives its outcome to all who wait', async () => {
    const { observer, answers, told, signals } = setUp();
    const hung = observer.refresh('db');
    const next = observer.refresh('db');
    const awake = observer.refreshAwake('db', observer.begun);
    expect([answers.length, signals[0]?.aborted]).toEqual([2, true]);
    const seen = { ...RUNNING };
    answers[1]?.(seen);
    expect(await Promise.all([hung, next, awake])).toEqual([seen, seen, seen]);
    // An answer that comes all the same is older.
    answers[0]?.(MISSING);
    await settle();
    expect([answers.length, told, observer.last('db')]).toEqual([2, ['db running'], seen]);
  });
});
