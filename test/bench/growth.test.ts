import { describe, expect, test } from 'vitest';
import { compareSizes, findFailures, type PhaseResult, type SizeReport } from './scale/growth.mjs';

/** Reports of one phase at these sizes. */
function reportsOf(measure: (size: number) => Partial<PhaseResult>, sizes: readonly number[]): SizeReport[] {
  return sizes.map((size) => ({ size, results: [{ phase: 'build', operations: size, ...measure(size) }] }));
}

const failuresOf = (reports: readonly SizeReport[]) => findFailures(compareSizes(reports));

describe('growth', () => {
  test('passes when a phase takes the same time for each service', () => {
    expect(failuresOf(reportsOf((size) => ({ ms: size / 10 }), [1_000, 10_000, 100_000]))).toEqual([]);
  });

  test('fails when a phase compares each service with all others', () => {
    expect(failuresOf(reportsOf((size) => ({ ms: size ** 2 / 1e5 }), [1_000, 10_000, 100_000]))).toEqual([
      'build: 100.0 times as much from 10000 to 100000 services; the limit is 30',
    ]);
  });

  test('fails when memory grows faster than the services', () => {
    const memory = (size: number) => ({ memory: { heapBytes: size ** 2 } });
    expect(failuresOf(reportsOf(memory, [10_000, 100_000]))).toHaveLength(1);
  });

  test('fails when a phase was given up', () => {
    const reports = reportsOf((size) => ({ ms: size > 1_000 ? undefined : 10 }), [1_000, 10_000]);
    expect(failuresOf(reports)).toEqual([
      'build: given up with 10000 services, after 10000; it took too long',
    ]);
  });

  test('compares the cost of the whole size when fewer operations were measured', () => {
    const measure = (size: number) => ({ ms: 100, operations: size / 10 });
    expect(compareSizes(reportsOf(measure, [10_000, 20_000]))[0]?.growth?.factor).toBe(1);
  });

  test.each([
    ['the smaller size takes too little time', (size: number) => ({ ms: size / 10_000 }), [10_000, 100_000]],
    ['the sizes are too small', (size: number) => ({ ms: size ** 2 }), [100, 1_000]],
    ['there is one size', () => ({ ms: 1_000 }), [10_000]],
  ] as const)('is not judged when %s', (_why, measure, sizes) => {
    expect(compareSizes(reportsOf(measure, sizes))[0]?.growth).toBeUndefined();
  });
});
