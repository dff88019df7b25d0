import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findWindowState } from '../../src/apply/window-times.ts';
import { parseAwake } from '../../src/config/values/awake-windows.ts';
import type { AwakeWindow } from '../../src/model/awake-window.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 1_440 * MINUTE_MS;

const windowsOf = (texts: readonly string[]): readonly AwakeWindow[] => {
  const reading = parseAwake(texts, {});
  if (!reading.ok) throw new Error(JSON.stringify(reading));
  return reading.value;
};

/** The state in words, with times in UTC: `open until Mon 16:30`. */
function stateAt(texts: readonly string[], { at, timezone = 'UTC' }: { at: string; timezone?: string }) {
  const state = findWindowState(windowsOf(texts), { timezone, nowMs: Date.parse(at) });
  const { isOpen, changesMs } = state;
  const until = changesMs === undefined ? 'ever' : new Date(changesMs).toISOString().slice(0, 16);
  return `${isOpen ? 'open' : 'closed'} until ${until}`;
}

describe('a window', () => {
  // 30 November 2026 is a Monday.
  test.each([
    [['08:30-17:30 Mon-Fri'], '2026-11-30T08:29:59.999Z', 'closed until 2026-11-30T08:30'],
    [['08:30-17:30 Mon-Fri'], '2026-11-30T08:30Z', 'open until 2026-11-30T17:30'],
    [['08:30-17:30 Mon-Fri'], '2026-11-30T17:30Z', 'closed until 2026-12-01T08:30'],
    [['08:30-17:30 Mon-Fri'], '2026-12-04T20:00Z', 'closed until 2026-12-07T08:30'],
    [['08:30-17:30 Tue'], '2026-12-01T17:30Z', 'closed until 2026-12-08T08:30'],
    [['22:00-02:00 Fri,Sat'], '2026-12-05T01:00Z', 'open until 2026-12-05T02:00'],
    [['22:00-02:00 Fri,Sat'], '2026-12-06T01:00Z', 'open until 2026-12-06T02:00'],
    [['22:00-02:00 Fri,Sat'], '2026-12-07T01:00Z', 'closed until 2026-12-11T22:00'],
    [['12:00-11:00 Mon'], '2026-12-01T10:59Z', 'open until 2026-12-01T11:00'],
    // They touch, they overlap, one lies within another.
    [['08:00-10:00', '10:00-12:00'], '2026-12-01T09:00Z', 'open until 2026-12-01T12:00'],
    [['08:00-11:00', '10:00-12:00', '10:15-10:30'], '2026-12-01T09:00Z', 'open until 2026-12-01T12:00'],
    [['18:00-24:00 Mon', '00:00-06:00 Tue'], '2026-11-30T20:00Z', 'open until 2026-12-01T06:00'],
    [['00:00-24:00 Mon-Sun'], '2026-11-30T20:00Z', 'open until ever'],
    [['12:00-12:01', '12:01-12:00'], '2026-11-30T20:00Z', 'open until ever'],
    [['00:00-24:00 Mon-Sat'], '2026-11-30T20:00Z', 'open until 2026-12-06T00:00'],
    [['00:00-24:00 Mon-Sat'], '2026-12-06T20:00Z', 'closed until 2026-12-07T00:00'],
    [[], '2026-12-06T20:00Z', 'closed until ever'],
  ])('%j at %s is %s', (texts, at, expected) => {
    expect(stateAt(texts, { at })).toBe(expected);
  });

  test.each([
    // On 29 March 2026 clocks in Paris go from 02:00 to 03:00.
    [
      'begins when the skipped hour ends',
      ['02:30-05:00'],
      '2026-03-28T23:00Z',
      'closed until 2026-03-29T01:00',
    ],
    [
      'ends when the skipped hour begins',
      ['00:30-02:30'],
      '2026-03-29T00:00Z',
      'open until 2026-03-29T01:00',
    ],
    [
      'in the skipped hour is left out',
      ['02:15-02:45'],
      '2026-03-28T23:00Z',
      'closed until 2026-03-30T00:15',
    ],
    [
      'in the skipped hour of a week is left out',
      ['02:15-02:45 Sun'],
      '2026-03-28T23:00Z',
      'closed until 2026-04-05T00:15',
    ],
    [
      'across the change is an hour shorter',
      ['00:00-24:00 Sun'],
      '2026-03-29T12:00Z',
      'open until 2026-03-29T22:00',
    ],
    // On 25 October 2026 they go from 03:00 back to 02:00.
    [
      'begins at the first of two times',
      ['02:30-05:00'],
      '2026-10-24T23:30Z',
      'closed until 2026-10-25T00:30',
    ],
    ['ends at the first of two times', ['01:00-02:30'], '2026-10-24T23:30Z', 'open until 2026-10-25T00:30'],
    [
      'does not open again at the second time',
      ['01:00-02:30'],
      '2026-10-25T01:10Z',
      'closed until 2026-10-26T00:00',
    ],
    [
      'goes on through the repeated hour',
      ['01:00-04:00'],
      '2026-10-25T01:10Z',
      'open until 2026-10-25T03:00',
    ],
  ])('%s', (_what, texts, at, expected) => {
    expect(stateAt(texts, { at, timezone: 'Europe/Paris' })).toBe(expected);
  });

  test('whose day a zone left out is left out', () => {
    // Samoa went from 29 to 31 December 2011.
    const options = { at: '2011-12-30T09:00Z', timezone: 'Pacific/Apia' };
    expect(stateAt(['08:00-17:00 Fri'], options)).toBe('closed until 2012-01-05T18:00');
    expect(stateAt(['08:00-17:00'], options)).toBe('closed until 2011-12-30T18:00');
  });
});

/**
 * What the clock on a wall shows: minutes since 1970 of the same date and time in UTC. To ask takes its time, so it is asked
 * at each quarter of an hour, once; all clocks are changed at one.
 */
function createWall(timeZone: string) {
  const format = new Intl.DateTimeFormat('sv', { timeZone, dateStyle: 'short', timeStyle: 'short' });
  const quarters = new Map<number, number>();
  return (ms: number) => {
    const minute = Math.floor(ms / MINUTE_MS);
    const quarter = minute - (minute % 15);
    let shown = quarters.get(quarter);
    if (shown === undefined) {
      shown = Date.parse(`${format.format(quarter * MINUTE_MS).replace(' ', 'T')}Z`) / MINUTE_MS;
      quarters.set(quarter, shown);
    }
    return shown + minute - quarter;
  };
}

const walls = new Map<string, ReturnType<typeof createWall>>();

/** By looking at a clock on the wall minute by minute: each window opens and closes when it first shows its times. */
function findByLooking(
  windows: readonly AwakeWindow[],
  { timezone, nowMs }: { timezone: string; nowMs: number },
) {
  const wallAt = walls.get(timezone) ?? createWall(timezone);
  walls.set(timezone, wallAt);
  const isOpen = new Set<number>();
  const firstMs = nowMs - 4 * DAY_MS;
  const shownAt = Array.from({ length: 7 * 1_440 }, (_, minute) => wallAt(firstMs + minute * MINUTE_MS));
  const indexOf = (wall: number) => shownAt.findIndex((shown) => shown >= wall);
  const today = Math.floor(wallAt(nowMs) / 1_440);
  for (let day = today - 2; day <= today + 1; day++) {
    for (const { days, fromMinute, toMinute } of windows) {
      if (!days.includes((day + 3) % 7)) continue;
      const end = indexOf(day * 1_440 + toMinute);
      for (let at = indexOf(day * 1_440 + fromMinute); at < end; at++) isOpen.add(at);
    }
  }
  const now = 4 * 1_440;
  let change = now;
  while (change < now + 1_440 && isOpen.has(change) === isOpen.has(now)) change++;
  return {
    isOpen: isOpen.has(now),
    changesMs: change === now + 1_440 ? undefined : firstMs + change * MINUTE_MS,
  };
}

test('windows are open when a look at the clock on the wall says so, in every zone and around each clock change', () => {
  const window = fc
    .record({
      days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { minLength: 1 }),
      fromMinute: fc.oneof(fc.integer({ min: 0, max: 239 }), fc.integer({ min: 0, max: 1_439 })),
      length: fc.oneof(fc.integer({ min: 1, max: 180 }), fc.integer({ min: 1, max: 1_440 })),
    })
    .map(({ days, fromMinute, length }): AwakeWindow => {
      return { days, fromMinute, toMinute: fromMinute + length };
    });
  const zone = fc.constantFrom(
    ...['UTC', 'Europe/Paris', 'America/New_York', 'Australia/Lord_Howe', 'Asia/Kathmandu'],
    ...['America/St_Johns', 'Africa/Casablanca', 'Pacific/Chatham', 'America/Havana', 'Africa/Cairo'],
  );
  // Around the changes of 2026, and anywhere.
  const moment = fc.oneof(
    fc
      .tuple(
        fc.constantFrom(
          '2026-03-29',
          '2026-10-25',
          '2026-03-08',
          '2026-11-01',
          '2026-04-05',
          '2026-10-04',
          '2026-04-24',
        ),
        fc.integer({ min: -1_440, max: 2_880 }),
      )
      .map(([date, minute]) => Date.parse(`${date}T00:00Z`) + minute * MINUTE_MS),
    fc
      .integer({ min: 0, max: 525_600 })
      .map((minute) => Date.parse('2026-01-01T00:00Z') + minute * MINUTE_MS),
  );
  fc.assert(
    fc.property(
      fc.array(window, { minLength: 1, maxLength: 4 }),
      zone,
      moment,
      (windows, timezone, nowMs) => {
        const state = findWindowState(windows, { timezone, nowMs });
        const looked = findByLooking(windows, { timezone, nowMs });
        expect(state.isOpen).toBe(looked.isOpen);
        // Nobody looked further.
        if (looked.changesMs !== undefined) expect(state.changesMs).toBe(looked.changesMs);
        else if (state.changesMs !== undefined)
          expect(state.changesMs - nowMs).toBeGreaterThanOrEqual(DAY_MS - MINUTE_MS);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
