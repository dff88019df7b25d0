import { beforeEach, describe, expect, test } from 'vitest';
import { LeaseBook } from '../../../../src/lifecycle/workload/use/lease-book.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

describe('LeaseBook', () => {
  let clock: FakeClock;
  let book: LeaseBook;
  let counts: number[];
  beforeEach(() => {
    clock = new FakeClock();
    counts = [];
    book = new LeaseBook(clock, { onChange: () => counts.push(book.count) });
  });

  test('counts the leases that are held, and tells of each change after it', () => {
    const first = book.take();
    const second = book.take();
    first.release();
    second.release();
    expect(counts).toEqual([1, 2, 1, 0]);
  });

  test('takes a lease back only once', () => {
    const lease = book.take();
    book.take();
    lease.release();
    lease.release();
    expect(book.count).toBe(1);
    expect(counts).toEqual([1, 2, 1]);
  });

  test('keeps nobody whose lease was given back', () => {
    const lease = book.take({ listUses: () => [] });
    lease.release();
    expect(lease.user).toBeUndefined();
    expect([...book.listUses()]).toEqual([]);
  });

  test('knows nothing of idling before the first lease was given back', () => {
    expect(book.idleSinceMs).toBeUndefined();
    book.take();
    expect(book.idleSinceMs).toBeUndefined();
  });

  test('is idle since a lease was given back', async () => {
    const lease = book.take();
    await clock.advance(1_000);
    lease.release();
    expect(book.idleSinceMs).toBe(clock.monotonicMs());
  });

  test('is idle since the last use that a lease tells of, whichever is given back last', async () => {
    const startMs = clock.monotonicMs();
    const [first, second] = [book.take(), book.take()];
    await clock.advance(1_000);
    second.release(startMs + 900);
    first.release(startMs + 100);
    expect(book.idleSinceMs).toBe(startMs + 900);
  });

  test('knows when it last changed, on the wall clock', async () => {
    const madeMs = clock.nowMs();
    await clock.advance(1_000);
    expect(book.lastActiveMs).toBe(madeMs);
    const lease = book.take();
    expect(book.lastActiveMs).toBe(madeMs + 1_000);
    await clock.advance(1_000);
    lease.release();
    expect(book.lastActiveMs).toBe(madeMs + 2_000);
  });

  test('has unmet holds until the workload was awake', () => {
    book.take();
    expect(book.unmetCauses).toEqual([]);
    book.hold({ kind: 'schedule' });
    book.hold({ kind: 'schedule' });
    expect(book.unmetCauses).toEqual(['schedule', 'schedule']);
    book.meetAll();
    expect(book.unmetCauses).toEqual([]);
    expect(book.count).toBe(3);
  });

  test('forgets an unmet hold that is given back', () => {
    const [first, second] = [book.hold({ kind: 'schedule' }), book.hold({ kind: 'schedule' })];
    first.release();
    expect(book.unmetCauses).toEqual(['schedule']);
    second.release();
    expect(book.unmetCauses).toEqual([]);
    expect(book.count).toBe(0);
  });
});
