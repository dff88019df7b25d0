import { expect, test } from 'vitest';
import { CallCounts } from '../../src/system/call-counts.ts';

test('calls are counted by kind, with how long each took, and whether it failed', async () => {
  let nowMs = 0;
  const counts = new CallCounts({ monotonicMs: () => nowMs });
  const take = (ms: number, error?: Error) => async () => {
    nowMs += ms;
    if (error !== undefined) throw error;
    return ms;
  };
  expect(await counts.measure('list', take(20))).toBe(20);
  await expect(counts.measure('list', take(4_000, new Error('away')))).rejects.toThrow('away');
  const missing = new Error('missing');
  const isError = (error: unknown) => error !== missing;
  await expect(counts.measure('inspect', take(1, missing), { isError })).rejects.toBe(missing);
  const read = [...counts.byKind].map(([kind, { seconds, errors }]) => [kind, seconds.sum, errors]);
  expect(read).toEqual([
    ['list', 4.02, 1],
    ['inspect', 0.001, 0],
  ]);
});
