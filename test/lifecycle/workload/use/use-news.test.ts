import { beforeEach, describe, expect, test } from 'vitest';
import { UseNews } from '../../../../src/lifecycle/workload/use/use-news.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

describe('UseNews', () => {
  let clock: FakeClock;
  let told: boolean[];
  let isHeard: boolean;
  let news: UseNews;

  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    isHeard = true;
    news = new UseNews({
      ...{ clock, wasInUse: false },
      isHeard: () => isHeard,
      tell: (inUse) => void told.push(inUse),
    });
  });

  test('tells at once that the first client has come, and after a second that all have left', async () => {
    news.follow(true);
    news.follow(true);
    expect(told).toEqual([true]);
    news.follow(false);
    await clock.advance(999);
    expect(told).toEqual([true]);
    await clock.advance(1);
    expect(told).toEqual([true, false]);
  });

  test('tells at most once a second, and what is true then, while clients come and go', async () => {
    for (let round = 0; round < 1_000; round++) {
      news.follow(round % 2 === 0);
      if (round % 10 === 0) await clock.advance(10);
    }
    expect(told.length).toBeLessThanOrEqual(2);
    await clock.advance(2_000);
    expect(told.at(-1)).toBe(false);
  });

  test('tells nothing where what was told is true again by then, and leaves no timer', async () => {
    news.follow(true);
    news.follow(false);
    news.follow(true);
    await clock.advance(5_000);
    expect(told).toEqual([true]);
    expect(clock.pending).toBe(0);
  });

  test('makes nothing where nobody hears, and then tells of what changes from there', () => {
    isHeard = false;
    news.follow(true);
    expect([told, clock.pending]).toEqual([[], 0]);
    isHeard = true;
    news.follow(false);
    expect(told).toEqual([false]);
  });

  test('leaves no timer when it is closed', () => {
    news.follow(true);
    news.follow(false);
    news.close();
    expect(clock.pending).toBe(0);
  });
});
