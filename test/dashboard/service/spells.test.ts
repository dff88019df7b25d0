import { expect, test } from 'vitest';
import { listSpells } from '../../../src/dashboard/service/spells.ts';

const at = (ms: number) => new Date(ms).toISOString();

test('listSpells says of a whole span what a service did, as far as that is known', () => {
  const timeline = [
    { at: at(500), life: 'asleep' as const },
    { at: at(2_000), life: 'waking' as const },
    { at: at(3_000), life: 'awake' as const },
  ];
  expect(listSpells(timeline, { fromMs: 1_000, untilMs: 5_000 })).toEqual([
    { life: 'asleep', startMs: 1_000, endMs: 2_000 },
    { life: 'waking', startMs: 2_000, endMs: 3_000 },
    { life: 'awake', startMs: 3_000, endMs: 5_000 },
  ]);
  expect(listSpells(timeline, { fromMs: 0, untilMs: 1_000 })).toEqual([
    { life: 'unknown', startMs: 0, endMs: 500 },
    { life: 'asleep', startMs: 500, endMs: 1_000 },
  ]);
  expect(listSpells([], { fromMs: 0, untilMs: 1_000 })).toEqual([
    { life: 'unknown', startMs: 0, endMs: 1_000 },
  ]);
});
