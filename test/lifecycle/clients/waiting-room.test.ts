import { beforeEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../../src/lifecycle/refusal.ts';
import { type Waiter, WaitingRoom } from '../../../src/lifecycle/clients/waiting-room.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const placeOf = (address: string | undefined, service = 'db') => ({ service, address });

describe('WaitingRoom', () => {
  let clock: FakeClock;
  let room: WaitingRoom;
  beforeEach(() => {
    clock = new FakeClock();
    room = new WaitingRoom(clock);
  });
  const enter = (options: Partial<Parameters<WaitingRoom['enter']>[0]> = {}) =>
    room.enter({
      budgetMs: 1_000,
      signal: new AbortController().signal,
      place: placeOf(undefined),
      ...options,
    });
  const refusalOf = (waiter: Waiter) => (waiter.signal.reason as Refusal | undefined)?.code;

  test('refuses with a timeout when the budget is spent, and no sooner', async () => {
    const waiter = enter();
    await clock.advance(999);
    expect(waiter.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(refusalOf(waiter)).toBe('timeout');
  });

  test('takes from the budget what is spent of it already', async () => {
    const waiter = enter({ spentMs: 400 });
    await clock.advance(599);
    expect(waiter.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(refusalOf(waiter)).toBe('timeout');
  });

  test('begins a budget at the start when it is told so', async () => {
    const waiter = enter({ extraMs: 90_000 });
    await clock.advance(60_000);
    room.startBudgets();
    await clock.advance(999);
    expect(waiter.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(refusalOf(waiter)).toBe('timeout');
  });

  test('ends a wait after its extra time and its budget when that has never begun', async () => {
    const waiter = enter({ extraMs: 10_000 });
    await clock.advance(10_999);
    expect(waiter.signal.aborted).toBe(false);
    await clock.advance(1);
    expect(refusalOf(waiter)).toBe('timeout');
  });

  test('does not prolong a budget when budgets start again', async () => {
    const waiter = enter();
    await clock.advance(600);
    room.startBudgets();
    await clock.advance(400);
    expect(refusalOf(waiter)).toBe('timeout');
  });

  test('gives each its own budget when several wait', async () => {
    const early = enter();
    await clock.advance(500);
    const late = enter();
    await clock.advance(500);
    expect([refusalOf(early), refusalOf(late)]).toEqual(['timeout', undefined]);
  });

  test('notices a client that leaves', () => {
    const client = new AbortController();
    const waiter = enter({ signal: client.signal });
    client.abort();
    expect(refusalOf(waiter)).toBe('left');
  });

  test('notices a client that left before it entered', () => {
    expect(refusalOf(enter({ signal: AbortSignal.abort() }))).toBe('left');
  });

  test('counts those who wait, and not those who were refused', () => {
    const first = enter();
    enter();
    expect(room.size).toBe(2);
    first.leave();
    expect(room.size).toBe(1);
    room.refuseAll(new Refusal('failed', 'it failed'));
    expect(room.size).toBe(0);
  });

  test('does not count a client that has left when nobody has taken note yet', () => {
    const client = new AbortController();
    enter({ signal: client.signal });
    client.abort();
    expect(room.size).toBe(0);
  });

  test('keeps the first reason when a waiter is refused twice', () => {
    const waiter = enter();
    room.refuseAll(new Refusal('failed', 'it failed'));
    room.refuseAll(new Refusal('removed', 'it was removed'));
    expect(refusalOf(waiter)).toBe('failed');
  });

  test('leaves no timer and hears of nothing when a waiter has left', () => {
    const client = new AbortController();
    const waiter = enter({ signal: client.signal });
    waiter.leave();
    waiter.leave();
    client.abort();
    room.startBudgets();
    expect(waiter.signal.aborted).toBe(false);
    expect(clock.pending).toBe(0);
  });

  test('calls everybody who waits for a turn', async () => {
    const turns = [room.nextCall(enter()), room.nextCall(enter())];
    room.callAll();
    await expect(Promise.all(turns)).resolves.toHaveLength(2);
  });

  test('does not call for a turn that is over', async () => {
    room.callAll();
    let called = false;
    void room.nextCall(enter()).then(() => {
      called = true;
    });
    await clock.advance(0);
    expect(called).toBe(false);
  });

  test('ends the wait for a turn with the refusal', async () => {
    const turn = room.nextCall(enter());
    room.refuseAll(new Refusal('failed', 'it failed'));
    await expect(turn).rejects.toMatchObject({ code: 'failed' });
  });

  test('gives no turn to a waiter that is refused already', async () => {
    const waiter = enter({ signal: AbortSignal.abort() });
    await expect(room.nextCall(waiter)).rejects.toMatchObject({ code: 'left' });
  });
});

describe('WaitingRoom by address', () => {
  const fill = (room: WaitingRoom, address: string, count: number, service?: string) =>
    Array.from({ length: count }, () =>
      room.enter({ budgetMs: 1_000, signal: new AbortController().signal, place: placeOf(address, service) }),
    );

  test('has a quarter for one address once half of it is taken', () => {
    const room = new WaitingRoom(new FakeClock());
    const [first] = fill(room, 'a', 4);
    expect([room.findBound(placeOf('a'), 10), room.findBound(placeOf('b'), 10)]).toEqual([
      undefined,
      undefined,
    ]);
    fill(room, 'c', 1);
    expect([
      room.findBound(placeOf('a'), 10),
      room.findBound(placeOf('b'), 10),
      room.findBound(placeOf('c'), 10),
    ]).toEqual([...['address', undefined, undefined]]);
    fill(room, 'b', 5);
    expect(room.findBound(placeOf('d'), 10)).toBe('all');
    first?.leave();
    first?.leave();
    expect([room.findBound(placeOf('d'), 10), room.findBound(placeOf('a'), 10)]).toEqual([
      undefined,
      'address',
    ]);
  });

  test('has no more than a quarter for one address, where a quarter is a whole number', () => {
    const room = new WaitingRoom(new FakeClock());
    fill(room, 'a', 2);
    fill(room, 'b', 1);
    fill(room, 'c', 1);
    expect([room.findBound(placeOf('a'), 8), room.findBound(placeOf('b'), 8)]).toEqual([
      'address',
      undefined,
    ]);
  });

  test('has no parts where a quarter is less than one place', () => {
    const room = new WaitingRoom(new FakeClock());
    fill(room, 'a', 2);
    expect(room.findBound(placeOf('a'), 3)).toBeUndefined();
  });

  test('has places of its own for each service of the workload', () => {
    const room = new WaitingRoom(new FakeClock());
    fill(room, 'a', 4);
    const ofOther = placeOf('a', 'db-plain');
    expect([room.findBound(placeOf('b'), 4), room.findBound(ofOther, 4)]).toEqual(['all', undefined]);
    const [first] = fill(room, 'a', 1, 'db-plain');
    expect(room.findBound(ofOther, 1)).toBe('all');
    first?.leave();
    expect([room.findBound(ofOther, 1), room.size]).toEqual([undefined, 4]);
  });
});
