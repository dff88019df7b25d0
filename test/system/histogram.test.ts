import { expect, test } from 'vitest';
import { Histogram } from '../../src/system/histogram.ts';

test('a histogram counts a value in the first bucket that it fits into', () => {
  const histogram = new Histogram([1, 2.5, 10]);
  for (const value of [0, 1, 1.1, 2.5, 9, 10.5, 1_000]) histogram.observe(value);
  expect([...histogram.counts]).toEqual([2, 2, 1, 2]);
  expect(histogram.sum).toBeCloseTo(1_024.1);
});
