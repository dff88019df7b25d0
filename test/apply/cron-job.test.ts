import { describe, expect, test } from 'vitest';
import { findNextFire } from '../../src/apply/cron-job.ts';

/** The next fires after a moment, as UTC. */
function fires(
  expression: string,
  {
    timezone,
    after,
    count,
    start = after,
  }: { timezone: string; after: string; count: number; start?: string },
) {
  const found: string[] = [];
  let ms: number | undefined = Date.parse(after);
  while (found.length < count) {
    ms = findNextFire({ expression, timezone, startMs: Date.parse(start) }, ms);
    if (ms === undefined) break;
    found.push(new Date(ms).toISOString().slice(0, 16));
  }
  return found;
}

describe('findNextFire', () => {
  test('finds the times of the zone', () => {
    expect(
      fires('30 8 * * 1-5', { timezone: 'Europe/Paris', after: '2026-06-05T00:00:00Z', count: 2 }),
    ).toEqual(['2026-06-05T06:30', '2026-06-08T06:30']);
  });

  test('does not find the moment it begins at', () => {
    expect(fires('0 0 * * *', { timezone: 'UTC', after: '2026-06-05T00:00:00Z', count: 1 })).toEqual([
      '2026-06-06T00:00',
    ]);
    expect(fires('0 0 * * *', { timezone: 'UTC', after: '2026-06-04T23:59:59.999Z', count: 1 })).toEqual([
      '2026-06-05T00:00',
    ]);
  });

  test.each([
    // The clocks skip 02:00–03:00 (Paris: 01:00 UTC, New York: 07:00 UTC).
    ['30 2 * * *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:30', '2026-03-30T00:30']],
    ['59 2 * * *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:59', '2026-03-30T00:59']],
    ['0 2 * * *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:00', '2026-03-30T00:00']],
    ['0 3 * * *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:00', '2026-03-30T01:00']],
    ['30 2 * * *', 'America/New_York', '2026-03-07T12:00:00Z', ['2026-03-08T07:30', '2026-03-09T06:30']],
    ['30 2 29 3 *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:30', '2027-03-29T00:30']],
    // Several times of the skipped hour are one.
    ['15,45 2 * * *', 'Europe/Paris', '2026-03-28T12:00:00Z', ['2026-03-29T01:15', '2026-03-30T00:15']],
    // Where midnight is skipped.
    ['30 0 * * *', 'America/Santiago', '2026-09-05T12:00:00Z', ['2026-09-06T04:30', '2026-09-07T03:30']],
  ])(
    'fires %s once, an hour later on the clock, where its hour is skipped in %s',
    (expression, timezone, after, expected) => {
      expect(fires(expression, { timezone, after, count: 2 })).toEqual(expected);
    },
  );

  test.each([
    // The clocks repeat 02:00–03:00 in Paris, 01:00–02:00 in New York.
    ['30 2 * * *', 'Europe/Paris', '2026-10-24T12:00:00Z', ['2026-10-25T00:30', '2026-10-26T01:30']],
    ['30 2 * * *', 'Europe/Paris', '2026-10-25T00:45:00Z', ['2026-10-26T01:30', '2026-10-27T01:30']],
    ['30 1 * * *', 'America/New_York', '2026-10-31T12:00:00Z', ['2026-11-01T05:30', '2026-11-02T06:30']],
    ['0 3 * * *', 'Europe/Paris', '2026-10-24T12:00:00Z', ['2026-10-25T02:00', '2026-10-26T02:00']],
  ])('fires %s once where an hour is repeated in %s', (expression, timezone, after, expected) => {
    expect(fires(expression, { timezone, after, count: 2 })).toEqual(expected);
  });

  test.each(['2026-03-28T12:00:00Z', '2026-10-24T12:00:00Z'])(
    'fires an hourly job every hour when the clocks change, after %s',
    (after) => {
      const found = fires('0 * * * *', { timezone: 'Europe/Paris', after, count: 30 });
      const steps = found
        .slice(1)
        .map((time, index) => Date.parse(`${time}Z`) - Date.parse(`${found[index]}Z`));
      expect(new Set(steps)).toEqual(new Set([3_600_000]));
    },
  );

  test('goes by the zone of the expression before that of the service', () => {
    const options = { timezone: 'Asia/Tokyo', after: '2026-06-05T00:00:00Z', count: 2 };
    expect(fires('CRON_TZ=Europe/Paris 30 8 * * 1-5', options)).toEqual([
      '2026-06-05T06:30',
      '2026-06-08T06:30',
    ]);
  });

  test.each([
    ['2026-06-05T00:10:00Z', ['2026-06-05T01:40', '2026-06-05T03:10', '2026-06-05T04:40']],
    ['2026-06-05T01:39:59Z', ['2026-06-05T01:40', '2026-06-05T03:10', '2026-06-05T04:40']],
    ['2026-06-05T01:40:00Z', ['2026-06-05T03:10', '2026-06-05T04:40', '2026-06-05T06:10']],
    // A clock that was set back to before the start.
    ['2026-06-04T23:00:00Z', ['2026-06-05T00:10', '2026-06-05T01:40', '2026-06-05T03:10']],
  ])('counts an interval from the start, after %s', (after, expected) => {
    const options = { timezone: 'Europe/Paris', after, start: '2026-06-05T00:10:00Z', count: 3 };
    expect(fires('@every 5400s', options)).toEqual(expected);
  });

  test('finds 29 February in the next leap year', () => {
    expect(fires('0 0 29 2 *', { timezone: 'UTC', after: '2026-01-01T00:00:00Z', count: 2 })).toEqual([
      '2028-02-29T00:00',
      '2032-02-29T00:00',
    ]);
  });

  test('finds nothing for 30 February', () => {
    expect(findNextFire({ expression: '0 0 30 2 *', timezone: 'UTC', startMs: 0 }, 0)).toBeUndefined();
  });
});
