import { describe, expect, test } from 'vitest';
import { type Budget, compareMeasurements, type Metric, medianOf } from './report/compare.mjs';

const METRIC: Metric = { id: 'speed', part: 'bulk', label: 'speed', unit: 'Gbit/s', better: 'higher' };

/** The row of one metric, from one sample of each peer. */
function rowOf(figures: Readonly<Record<string, number>>, metric: Partial<Metric> = {}) {
  const measurements = Object.entries(figures).map(([peer, value]) => ({
    ...{ metric: 'speed', peer },
    samples: [value],
  }));
  return compareMeasurements(measurements, [{ ...METRIC, ...metric }])[0];
}

const verdictOf = (figures: Readonly<Record<string, number>>, budget: Budget) =>
  rowOf(figures, { budget })?.verdict;

describe('median', () => {
  test.each([
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10],
  ])('of %j is %d', (values, median) => {
    expect(medianOf(values)).toBe(median);
  });

  test('is refused when there are no values', () => {
    expect(() => medianOf([])).toThrow(RangeError);
  });
});

describe('comparison', () => {
  test('tells the ratio of each peer to each reference', () => {
    expect(rowOf({ lazy: 6, nginx: 4, go: 12 })?.cells.map(({ peer, ratios }) => [peer, ratios])).toEqual([
      ['lazy', { nginx: 1.5, go: 0.5 }],
      ['nginx', { nginx: 1, go: 1 / 3 }],
      ['go', { nginx: 3, go: 1 }],
    ]);
  });

  test('leaves out a ratio when its reference was not measured or is zero', () => {
    expect(rowOf({ lazy: 6, nginx: 0 })?.cells[0]?.ratios).toEqual({});
  });

  test('leaves out a metric when nobody measured it', () => {
    expect(compareMeasurements([], [METRIC])).toEqual([]);
  });
});

describe('verdict', () => {
  test.each<[string, Record<string, number>, Budget, boolean]>([
    ['the ratio reaches the least', { lazy: 5, go: 5 }, { than: 'go', min: 1 }, true],
    ['the ratio misses the least', { lazy: 4, go: 5 }, { than: 'go', min: 1 }, false],
    ['the ratio misses it by less than is shown', { lazy: 0.996, go: 1 }, { than: 'go', min: 1 }, true],
    ['the ratio exceeds the most', { lazy: 6, nginx: 4 }, { than: 'nginx', max: 1.2 }, false],
    ['the figure exceeds the most', { lazy: 25 }, { max: 24 }, false],
    ['the figure keeps below the most', { lazy: 20 }, { max: 24 }, true],
  ])('is right when %s', (_when, figures, budget, isMet) => {
    expect(verdictOf(figures, budget)?.isMet).toBe(isMet);
  });

  test('names the reference in its budget', () => {
    expect(verdictOf({ lazy: 5, nginx: 5 }, { than: 'nginx', min: 0.5 })?.budget).toBe(
      '≥ 0.5 × nginx stream',
    );
  });

  test('is left open when the reference was not measured', () => {
    expect(verdictOf({ lazy: 5 }, { than: 'go', min: 1 })).toBeUndefined();
  });
});
