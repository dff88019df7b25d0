import { expect, test } from 'vitest';
import {
  type Availability,
  hasSchedule,
  mayPutToSleep,
  mayWake,
  type StopCause,
  type WakeCause,
} from '../../src/model/availability.ts';

const WAKES: readonly WakeCause[] = ['client', 'schedule', 'hub', 'hand'];
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
  ['on_demand', 'client schedule hub hand', 'idle silence restart schedule hub hand'],
  ['schedule', 'schedule hub hand', 'restart schedule hub hand'],
  ['manual', 'hub hand', 'hand'],
] as const)('%s is woken by %s, and put to sleep by %s', (availability, wakes, sleeps) => {
  expect(WAKES.filter((cause) => mayWake(availability, cause)).join(' ')).toBe(wakes);
  expect(SLEEPS.filter((cause) => mayPutToSleep(availability, cause)).join(' ')).toBe(sleeps);
});

test.each([
  ['on_demand', undefined, undefined, false],
  ['on_demand', '0 8 * * *', undefined, true],
  ['schedule', undefined, '0 8 * * *', true],
  ['schedule', undefined, undefined, false],
  ['manual', '0 8 * * *', '0 9 * * *', false],
] as const)(
  'a service that is %s with %s and %s has a schedule: %s',
  (availability, cronStart, cronStop, has) => {
    const service: {
      availability: Availability;
      cronStart: string | undefined;
      cronStop: string | undefined;
    } = {
      ...{ availability, cronStart, cronStop },
    };
    expect(hasSchedule(service)).toBe(has);
  },
);
