import { beforeEach, describe, expect, test } from 'vitest';
import type { Clock } from '../../src/system/clock.ts';
import { textAnswer } from '../../src/status/answer.ts';
import { Pace } from '../../src/status/pace.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('Pace', () => {
  let clock: FakeClock;
  let pace: Pace;
  let told: string[];
  /** What has gone on making answers. */
  let spentMs: number;
  beforeEach(() => {
    clock = new FakeClock();
    spentMs = 0;
    const spending: Clock = {
      ...{ nowMs: () => clock.nowMs(), monotonicMs: () => clock.monotonicMs() + spentMs },
      schedule: (ms, callback) => clock.schedule(ms, callback),
      sleep: (ms, signal) => clock.sleep(ms, signal),
    };
    pace = new Pace(spending);
    told = [];
  });
  /** An answer whose making takes so long. */
  const ask = (key: string, ms = 10) =>
    pace.ask(key, {
      make: () => {
        spentMs += ms;
        told.push(`make ${key}`);
        return textAnswer(200, key);
      },
      take: ({ body }) => void told.push(`take ${body}`),
    });

  test('makes an answer anew for each who asks after it was made', () => {
    ask('a', 0);
    ask('a', 0);
    expect(told).toEqual(['make a', 'take a', 'make a', 'take a']);
  });

  test('makes what took long once for all who ask for the same meanwhile, and apart for others', async () => {
    ask('a');
    for (const key of ['a', 'b', 'a', 'b']) ask(key);
    expect(told).toEqual(['make a', 'take a']);
    await clock.advance(90);
    expect(told.slice(2)).toEqual(['make a', 'take a', 'take a']);
    await clock.advance(90);
    expect(told.slice(5)).toEqual(['make b', 'take b', 'take b']);
    pace.close();
    expect(clock.pending).toBe(0);
  });

  test('answers nobody any more once it is closed', async () => {
    ask('a');
    ask('b');
    pace.close();
    await clock.advance(1_000);
    expect(told).toEqual(['make a', 'take a']);
  });
});
