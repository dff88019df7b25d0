import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Life } from '../../../src/model/running/workload-report.ts';
import { renderDay } from '../../../src/status/api/day-json.ts';

const MINUTE_MS = 60_000;
/** In the middle of the slot that begins at 12:00. */
const NOW_MS = Date.parse('2026-04-02T12:05:00Z');
const ago = (minutes: number, life: Life) => ({ atMs: NOW_MS - minutes * MINUTE_MS, life });

describe('renderDay', () => {
  test('begins so that the last of 144 slots of ten minutes is the present one', () => {
    const { from, slot_ms: slotMs, runs } = renderDay([], NOW_MS);
    expect({ from, slotMs, runs }).toEqual({
      from: '2026-04-01T12:10:00Z',
      slotMs: 600_000,
      runs: [['unknown', 144]],
    });
  });

  test('tells one state after the other, and exactly how long each lasted', () => {
    const day = renderDay(
      [ago(125, 'asleep'), ago(65, 'waking'), ago(64.5, 'awake'), ago(45, 'asleep')],
      NOW_MS,
    );
    expect(day.runs).toEqual([
      ['unknown', 131],
      ['asleep', 6],
      ['awake', 2],
      ['asleep', 5],
    ]);
    expect(day.time_ms).toEqual({
      asleep: 105 * MINUTE_MS,
      waking: 0.5 * MINUTE_MS,
      awake: 19.5 * MINUTE_MS,
    });
  });

  test('shows a moment awake, and a failure all the more', () => {
    const day = renderDay(
      [ago(60, 'asleep'), ago(31, 'awake'), ago(30.9, 'asleep'), ago(1, 'failed'), ago(0.5, 'awake')],
      NOW_MS,
    );
    expect(day.runs.slice(-3)).toEqual([
      ['awake', 1],
      ['asleep', 2],
      ['failed', 1],
    ]);
    expect(day.failures).toBe(1);
  });

  test('says the same until a slot ends', () => {
    const timeline = [ago(60, 'asleep')];
    const runs = (ms: number) => renderDay(timeline, ms).runs;
    expect(runs(NOW_MS + 4 * MINUTE_MS)).toEqual(runs(NOW_MS));
    expect(runs(NOW_MS + 6 * MINUTE_MS)).not.toEqual(runs(NOW_MS));
  });

  test('fills 144 slots and no more time than there was, whatever the clock did', () => {
    const life = fc.constantFrom<Life>('unknown', 'asleep', 'waking', 'awake', 'failed');
    const change = fc.record({ atMs: fc.integer({ min: NOW_MS - 4e8, max: NOW_MS + 1e7 }), life });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (timeline) => {
        const { runs, time_ms: times } = renderDay(timeline, NOW_MS);
        expect(runs.reduce((sum, [, slots]) => sum + slots, 0)).toBe(144);
        for (const ms of Object.values(times)) expect(ms).toBeGreaterThanOrEqual(0);
        const inOrder = timeline.toSorted((a, b) => a.atMs - b.atMs);
        const sum = Object.values(renderDay(inOrder, NOW_MS).time_ms).reduce((all, ms) => all + ms, 0);
        expect(sum).toBeLessThanOrEqual(86_400_000);
      }),
    );
  });
});
