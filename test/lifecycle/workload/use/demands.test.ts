import { beforeEach, describe, expect, test } from 'vitest';
import { Demands } from '../../../../src/lifecycle/workload/use/demands.ts';
import type { Availability, WakeCause } from '../../../../src/model/availability.ts';

describe('Demands', () => {
  let waitingRoom: { wakers: number };
  let leases: { unmetCauses: Exclude<WakeCause, 'client'>[] };
  let availability: Availability;
  let demands: Demands;
  beforeEach(() => {
    waitingRoom = { wakers: 0 };
    leases = { unmetCauses: [] };
    availability = 'on_demand';
    demands = new Demands({ waitingRoom, leases, availability: () => availability });
  });

  test('are none where nobody wants the workload awake', () => {
    expect([demands.for(undefined), demands.atTurn, demands.describe()]).toEqual(['none', 'none', undefined]);
  });

  test.each([
    ['on_demand', 'client', 'restart'],
    ['schedule', 'client', 'none'],
    ['schedule', 'schedule', 'restart'],
    ['manual', 'schedule', 'none'],
    ['manual', 'hand', 'wake'],
  ] as const)('with the availability %s, a %s gets what is allowed: %s', (of, cause, allowed) => {
    availability = of;
    expect(demands.for(cause)).toBe(allowed);
    expect(demands.note('for somebody', cause)).toBe(allowed !== 'none');
    expect(demands.last).toBe(allowed === 'none' ? undefined : 'for somebody');
  });

  test('are those of all who wait, clients and leases', () => {
    availability = 'schedule';
    waitingRoom.wakers = 2;
    expect(demands.for(undefined)).toBe('none');
    leases.unmetCauses = ['hub'];
    expect(demands.for(undefined)).toBe('restart');
    demands.note('hub web runs', 'hub');
    // The clients don't count here.
    expect([demands.lastOfWaiting, demands.describe()]).toEqual(['hub web runs', 'hub web runs']);
    availability = 'on_demand';
    expect(demands.describe()).toBe('2 waiting');
  });

  test('keep what was asked until its turn comes, though nobody waits any more', () => {
    demands.ask('schedule');
    expect([demands.for(undefined), demands.atTurn, demands.causeAtTurn]).toEqual([
      ...['none', 'restart', 'schedule'],
    ]);
    demands.withdraw();
    expect([demands.atTurn, demands.causeAtTurn]).toEqual(['none', undefined]);
  });

  test('are none once they are over, whoever waits', () => {
    waitingRoom.wakers = 1;
    demands.ask('hand');
    demands.end();
    expect([demands.for('hand'), demands.atTurn]).toEqual(['none', 'none']);
  });
});
