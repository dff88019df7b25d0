import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ScheduleSet } from '../../src/apply/schedule-set.ts';
import type { Service } from '../../src/model/service.ts';
import { formatTimestamp } from '../../src/system/clock.ts';
import { aService } from '../support/builders.ts';
import { FakeClock } from '../support/fake-clock.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The clock of a test begins on 1 April 2026 at noon, UTC. */
describe('ScheduleSet', () => {
  let clock: FakeClock;
  let schedules: ScheduleSet;
  let fired: string[];
  beforeEach(() => {
    clock = new FakeClock();
    fired = [];
    schedules = create();
  });
  afterEach(() => {
    schedules.close();
    expect(clock.pending).toBe(0);
  });
  const create = () =>
    new ScheduleSet({
      clock,
      onFire: (service, action) =>
        fired.push(`${formatTimestamp(clock.nowMs()).slice(5, 16)} ${service} ${action}`),
      onWindow: (service, { isOpen, changesMs }) => {
        const until = changesMs === undefined ? 'ever' : formatTimestamp(changesMs).slice(5, 16);
        fired.push(
          `${formatTimestamp(clock.nowMs()).slice(5, 16)} ${service} ${isOpen ? 'open' : 'closed'} until ${until}`,
        );
      },
    });
  const set = (overrides: Partial<Service>) => schedules.set(aService(overrides));

  test.each([
    [{ cronStart: '30 12 * * *' }, ['04-01T12:30 db start', '04-02T12:30 db start']],
    [{ cronStop: '0 13 * * *' }, ['04-01T13:00 db stop', '04-02T13:00 db stop']],
    [
      { cronStart: '30 12 * * *', cronStop: '0 13 * * *' },
      ['04-01T12:30 db start', '04-01T13:00 db stop', '04-02T12:30 db start', '04-02T13:00 db stop'],
    ],
  ])('fires %o at its times', async (expressions, expected) => {
    set(expressions);
    await clock.advance(26 * HOUR_MS);
    expect(fired).toEqual(expected);
  });

  test('fires at intervals from the start of the proxy, whenever a service came', async () => {
    await clock.advance(10 * MINUTE_MS);
    set({ cronStart: '@every 3600s', cronStop: '@every 5400s' });
    await clock.advance(3 * HOUR_MS);
    expect(fired).toEqual([
      '04-01T13:00 db start',
      '04-01T13:30 db stop',
      '04-01T14:00 db start',
      '04-01T15:00 db start',
      '04-01T15:00 db stop',
    ]);
  });

  test('fires to the millisecond', async () => {
    await clock.advance(123);
    set({ cronStart: '1 12 * * *' });
    await clock.advance(MINUTE_MS - 124);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['04-01T12:01 db start']);
  });

  test('keeps no timer when there is no job', () => {
    expect(clock.pending).toBe(0);
    set({ cronStart: '30 12 * * *' });
    expect(clock.pending).toBe(1);
    set({ name: 'web', cronStart: '30 12 * * *' });
    expect(clock.pending).toBe(1);
    schedules.clear('db');
    schedules.clear('web');
    expect(clock.pending).toBe(0);
  });

  test('tells when each job fires next', async () => {
    const at = (time: string) => Date.parse(`2026-04-${time}:00Z`);
    set({ cronStart: '30 12 * * *', cronStop: '40 12 * * *' });
    set({ name: 'web', cronStart: '0 0 30 2 *' });
    expect(schedules.nextFires('db')).toEqual({ start: at('01T12:30'), stop: at('01T12:40') });
    await clock.advance(35 * MINUTE_MS);
    expect(schedules.nextFires('db')).toEqual({ start: at('02T12:30'), stop: at('01T12:40') });
    expect([schedules.nextFires('web'), schedules.nextFires('gone')]).toEqual([{}, {}]);
  });

  test('fires no more for a service that was cleared', async () => {
    set({ cronStart: '30 12 * * *', cronStop: '40 12 * * *' });
    set({ name: 'web', cronStart: '30 12 * * *' });
    schedules.clear('db');
    await clock.advance(HOUR_MS);
    expect(fired).toEqual(['04-01T12:30 web start']);
  });

  test('goes by a changed expression of one service, and leaves the others as they are', async () => {
    set({ cronStart: '30 12 * * *' });
    set({ name: 'web', cronStart: '40 12 * * *' });
    await clock.advance(10 * MINUTE_MS);
    set({ cronStart: '50 12 * * *' });
    await clock.advance(50 * MINUTE_MS);
    expect(fired).toEqual(['04-01T12:40 web start', '04-01T12:50 db start']);
  });

  test('goes by a changed zone', async () => {
    set({ cronStart: '30 12 * * *', timezone: 'UTC' });
    set({ cronStart: '30 14 * * *', timezone: 'Asia/Kolkata' });
    await clock.advance(24 * HOUR_MS);
    expect(fired).toEqual(['04-02T09:00 db start']);
  });

  test.each([
    // From two days before each clock change: spring skips 02:00–03:00, autumn repeats an hour.
    ['Europe/Paris', '30 2 * * *', '2026-03-28', ['03-28T01:30', '03-29T01:30', '03-30T00:30']],
    ['Europe/Paris', '30 2 * * *', '2026-10-24', ['10-24T00:30', '10-25T00:30', '10-26T01:30']],
    ['America/New_York', '30 2 * * *', '2026-03-07', ['03-07T07:30', '03-08T07:30', '03-09T06:30']],
    ['America/New_York', '30 1 * * *', '2026-10-31', ['10-31T05:30', '11-01T05:30', '11-02T06:30']],
  ])(
    'fires once a day in %s when the clocks change: %s from %s',
    async (timezone, cronStop, from, expected) => {
      clock.jump(Date.parse(`${from}T00:00:00Z`) - clock.nowMs());
      schedules = create();
      set({ cronStop, timezone });
      await clock.advance(72 * HOUR_MS);
      expect(fired).toEqual(expected.map((time) => `${time} db stop`));
    },
  );

  test('never fires on 30 February, and the other jobs all the same', async () => {
    set({ cronStart: '0 0 30 2 *', cronStop: '30 12 * * *' });
    await clock.advance(HOUR_MS);
    expect(fired).toEqual(['04-01T12:30 db stop']);
  });

  describe('when the clock is set', () => {
    test('notices within a minute', async () => {
      set({ cronStart: '0 14 * * *' });
      clock.jump(2 * HOUR_MS - 30_000);
      await clock.advance(MINUTE_MS);
      expect(fired).toEqual(['04-01T14:00 db start']);
    });

    test('does not fire again what has fired when it is set back', async () => {
      set({ cronStart: '30 12 * * *' });
      await clock.advance(31 * MINUTE_MS);
      clock.jump(-10 * MINUTE_MS);
      await clock.advance(HOUR_MS);
      expect(fired).toEqual(['04-01T12:30 db start']);
      await clock.advance(24 * HOUR_MS);
      expect(fired).toHaveLength(2);
    });

    test('makes up for what was missed, in order, when it is set forward by up to three hours', async () => {
      set({ cronStart: '0 13 * * *', cronStop: '0 14 * * *' });
      set({ name: 'web', cronStart: '30 13 * * *' });
      clock.jump(3 * HOUR_MS - 2 * MINUTE_MS);
      await clock.advance(MINUTE_MS);
      const fields = fired.map((line) => line.slice(12));
      expect(fields).toEqual(['db start', 'web start', 'db stop']);
      await clock.advance(HOUR_MS);
      expect(fired).toHaveLength(3);
    });

    test('makes up for one of the intervals that were missed', async () => {
      set({ cronStart: '@every 600s' });
      clock.jump(2 * HOUR_MS + 5 * MINUTE_MS);
      await clock.advance(MINUTE_MS);
      expect(fired).toEqual(['04-01T14:06 db start']);
      await clock.advance(5 * MINUTE_MS);
      expect(fired).toEqual(['04-01T14:06 db start', '04-01T14:10 db start']);
    });

    test('does not lengthen an interval when it is set back', async () => {
      set({ cronStart: '@every 600s' });
      await clock.advance(MINUTE_MS);
      clock.jump(-2 * HOUR_MS);
      await clock.advance(10 * MINUTE_MS);
      expect(fired).toEqual(['04-01T10:10 db start']);
    });

    test('makes up for every time of one job', async () => {
      set({ cronStart: '0 * * * *' });
      clock.jump(2 * HOUR_MS + 30 * MINUTE_MS);
      await clock.advance(MINUTE_MS);
      expect(fired).toHaveLength(2);
    });

    test('passes over what lies between when it is set forward by more', async () => {
      set({ cronStart: '0 13 * * *', cronStop: '0 17 * * *' });
      clock.jump(4 * HOUR_MS);
      await clock.advance(MINUTE_MS);
      expect(fired).toEqual([]);
      await clock.advance(HOUR_MS);
      expect(fired).toEqual(['04-01T17:00 db stop']);
    });

    test('goes by the new time when it is set back by more', async () => {
      set({ cronStart: '30 12 * * *' });
      await clock.advance(31 * MINUTE_MS);
      clock.jump(-24 * HOUR_MS);
      await clock.advance(24 * HOUR_MS);
      expect(fired).toEqual(['04-01T12:30 db start', '04-01T12:30 db start']);
    });

    test.each([
      ['forward', 5 * HOUR_MS, []],
      ['back', -5 * HOUR_MS, ['04-01T08:00 db start', '04-01T13:00 db start']],
    ])(
      'sees that it was set %s although another service is changed before it looks',
      async (_way, byMs, expected) => {
        set({ cronStart: '0 8,13 * * *' });
        await clock.advance(30_000);
        clock.jump(byMs);
        set({ name: 'web', cronStart: '0 0 1 1 *' });
        await clock.advance(6 * HOUR_MS);
        expect(fired.slice(0, 2)).toEqual(expected);
      },
    );

    test('takes the time between two schedules for no jump', async () => {
      set({ cronStart: '30 12 * * *' });
      schedules.clear('db');
      await clock.advance(10 * HOUR_MS);
      set({ cronStart: '1 22 * * *' });
      await clock.advance(MINUTE_MS);
      expect(fired).toEqual(['04-01T22:01 db start']);
    });
  });

  describe('windows', () => {
    const everyDay = [0, 1, 2, 3, 4, 5, 6];
    const fromTo = (from: number, to: number) => ({
      days: everyDay,
      fromMinute: from * 60,
      toMinute: to * 60,
    });

    test('open and close, and are caught up with where one is open at first', async () => {
      set({ awake: [fromTo(11, 13), fromTo(15, 16)] });
      await clock.advance(12 * HOUR_MS);
      expect(fired).toEqual([
        '04-01T12:00 db open until 04-01T13:00',
        '04-01T13:00 db closed until 04-01T15:00',
        '04-01T15:00 db open until 04-01T16:00',
        '04-01T16:00 db closed until 04-02T11:00',
      ]);
      expect(schedules.nextFires('db')).toEqual({ opens: Date.UTC(2026, 3, 2, 11) });
    });

    test('stand beside cron jobs, which come first', async () => {
      set({ awake: [fromTo(13, 14)], cronStop: '0 13 * * *', cronStart: '0 14 * * *' });
      await clock.advance(2 * HOUR_MS);
      expect(fired).toEqual([
        '04-01T12:00 db closed until 04-01T13:00',
        '04-01T13:00 db stop',
        '04-01T13:00 db open until 04-01T14:00',
        '04-01T14:00 db start',
        '04-01T14:00 db closed until 04-02T13:00',
      ]);
    });

    test('are replaced when they are edited, and end with the service', async () => {
      set({ awake: [fromTo(11, 13)] });
      set({ awake: [fromTo(11, 14)] });
      set({ cronStop: '0 18 * * *' });
      set({ awake: [fromTo(0, 24)] });
      schedules.clear('db');
      await clock.advance(24 * HOUR_MS);
      expect(fired).toEqual([
        '04-01T12:00 db open until 04-01T13:00',
        '04-01T12:00 db open until 04-01T14:00',
        '04-01T12:00 db closed until ever',
        '04-01T12:00 db open until ever',
      ]);
    });

    test.each([
      ['forward into one', 3 * HOUR_MS, 'open until 04-01T16:00'],
      ['forward past one', 5 * HOUR_MS, 'closed until 04-02T10:00'],
      ['back into one', -1.5 * HOUR_MS, 'open until 04-01T11:00'],
    ])('follow a clock that is set %s within a minute', async (_way, byMs, expected) => {
      set({ awake: [fromTo(10, 11), fromTo(15, 16)] });
      clock.jump(byMs);
      await clock.advance(MINUTE_MS);
      expect(fired.at(-1)).toContain(expected);
    });
  });
});
