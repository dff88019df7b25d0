import { describe, expect, test } from 'vitest';
import { type RateResult, searchRate } from './report/search-rate.mjs';

/** Something that loses datagrams beyond its capacity; the sender may have a limit as well. */
function createLink(capacity: number, senderLimit = Number.POSITIVE_INFINITY) {
  const tried: number[] = [];
  const measureAt = async (rate: number): Promise<RateResult> => {
    tried.push(rate);
    if (Math.min(rate, senderLimit) > capacity) return { kind: 'lossy' };
    return rate > senderLimit
      ? { kind: 'limit', perSecond: senderLimit }
      : { kind: 'passed', perSecond: rate };
  };
  return { tried, measureAt };
}

describe('search for the highest rate', () => {
  test.each([
    [100_000, 20_000],
    [100_000, 400_000],
    [7_000, 20_000],
  ])('comes within a tenth below %d when it begins at %d', async (capacity, first) => {
    const found = await searchRate(createLink(capacity).measureAt, { first, steps: 3 });
    expect(found / capacity).toBeLessThanOrEqual(1);
    expect(found / capacity).toBeGreaterThan(0.9);
  });

  test('ends at what is sent when the sender can do no more', async () => {
    const link = createLink(1_000_000, 150_000);
    expect(await searchRate(link.measureAt, { first: 100_000, steps: 3 })).toBe(150_000);
    expect(link.tried).toHaveLength(3);
  });

  test('gives up when nothing passes', async () => {
    const link = createLink(0);
    expect(await searchRate(link.measureAt, { first: 20_000, steps: 3 })).toBe(0);
    expect(link.tried).toHaveLength(16);
  });
});
