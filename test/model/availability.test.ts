import { expect, test } from 'vitest';
import {
  hasCronJobs,
  hasSchedule,
  hasWindows,
  mayIdle,
  mayPutToSleep,
  mayWake,
  type StopCause,
  type WakeCause,
} from '../../src/model/availability.ts';

const WAKES: readonly WakeCause[] = ['client', 'schedule', 'window', 'hub', 'hand'];
const SLEEPS: readonly StopCause[] = [
  'idle',
  'silence',
  'restart',
  'schedule',
  'hub',
  'hand',
  'others',
  'itself',
];

test.each([
  ['on_demand', 'client schedule window hub hand', 'idle silence restart schedule hub hand'],
  ['schedule', 'schedule window hub hand', 'restart schedule hub hand'],
  ['manual', 'hub hand', 'hand'],
] as const)('%s is woken by %s, and put to sleep by %s', (availability, wakes, sleeps) => {
  expect(WAKES.filter((cause) => mayWake(availability, cause)).join(' ')).toBe(wakes);
  expect(SLEEPS.filter((cause) => mayPutToSleep(availability, cause)).join(' ')).toBe(sleeps);
});

const WINDOW = { days: [0], fromMinute: 0, toMinute: 60 };

/** With cron expressions, windows. */
test.each([
  ['on_demand', [], [], { jobs: false, windows: false, idle: true }],
  ['on_demand', ['0 8 * * *'], [], { jobs: true, windows: false, idle: false }],
  ['on_demand', [], [WINDOW], { jobs: false, windows: true, idle: true }],
  ['on_demand', ['0 8 * * *'], [WINDOW], { jobs: true, windows: true, idle: false }],
  ['schedule', [undefined, '0 8 * * *'], [], { jobs: true, windows: false, idle: false }],
  ['schedule', [], [], { jobs: false, windows: false, idle: false }],
  ['schedule', [], [WINDOW], { jobs: false, windows: true, idle: true }],
  ['manual', ['0 8 * * *', '0 9 * * *'], [WINDOW], { jobs: false, windows: false, idle: false }],
] as const)(
  'a service that is %s with %j and %j has %j',
  (availability, [cronStart, cronStop], awake, has) => {
    const timetable = { availability, cronStart, cronStop, awake };
    expect({
      jobs: hasCronJobs(timetable),
      windows: hasWindows(timetable),
      idle: mayIdle(timetable),
    }).toEqual(has);
    expect(hasSchedule(timetable)).toBe(has.jobs || has.windows);
  },
);
