import { describe, expect, test } from 'vitest';
import { describeAge } from '../../src/status/status-rows.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe('describeAge', () => {
  test.each([
    [-HOUR, 'just now'],
    [0, 'just now'],
    [999, 'just now'],
    [SECOND, '1 second ago'],
    [2 * SECOND, '2 seconds ago'],
    [59_999, '59 seconds ago'],
    [MINUTE, '1 minute ago'],
    [2 * MINUTE - 1, '1 minute ago'],
    [59 * MINUTE, '59 minutes ago'],
    [HOUR, '1 hour ago'],
    [23 * HOUR, '23 hours ago'],
    [DAY, '1 day ago'],
    [3 * DAY + 5 * HOUR, '3 days ago'],
    [29 * DAY, '29 days ago'],
    [30 * DAY, '1 month ago'],
    [364 * DAY, '12 months ago'],
    [365 * DAY, '1 year ago'],
    [800 * DAY, '2 years ago'],
  ])('says of %i ms %s', (ageMs, text) => {
    expect(describeAge(ageMs)).toBe(text);
  });
});
