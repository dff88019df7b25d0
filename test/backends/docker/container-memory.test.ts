import { expect, test } from 'vitest';
import { readMemory } from '../../../src/backends/docker/container-memory.ts';

test.each([
  ['control groups of version 2', { usage: 100, stats: { inactive_file: 30 } }, 70],
  ['control groups of version 1', { usage: 100, stats: { total_inactive_file: 30 } }, 70],
  ['an engine that tells no more', { usage: 100 }, 100],
  ['figures that were read one after the other', { usage: 100, stats: { inactive_file: 130 } }, 100],
  ['a container that does not run', {}, undefined],
])('reads what a container takes from %s', (_, memory_stats, expected) => {
  expect(readMemory({ memory_stats })).toBe(expected);
});
