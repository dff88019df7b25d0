import { beforeEach, describe, expect, test } from 'vitest';
import { LifecycleTimers, type TimerDemands } from '../../../src/lifecycle/workload/timers.ts';
import type { LifecycleState } from '../../../src/lifecycle/workload/machine.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const READY: LifecycleState = { kind: 'ready' };
const STOPPED: LifecycleState = { kind: 'stopped' };
const WAKING: LifecycleState = { kind: 'starting', phase: 'waking' };
const GATE: LifecycleState = { kind: 'starting', phase: 'gate' };
const INTERRUPTED: LifecycleState = { kind: 'starting', phase: 'interrupted' };
const SLEEPING: LifecycleState = { kind: 'stopping', phase: 'sleeping' };
const PAUSING: LifecycleState = { kind: 'stopping', phase: 'pausing' };
const FAILED: LifecycleState = { kind: 'failed', running: false };
const LAME: LifecycleState = { kind: 'failed', running: true };

describe('LifecycleTimers', () => {
  let clock: FakeClock;
  let timers: LifecycleTimers;
  let fired: string[];
  beforeEach(() => {
    clock = new FakeClock();
    fired = [];
    timers = new LifecycleTimers(clock, (event) => fired.push(event));
  });
  const follow = (state: LifecycleState, demands: Partial<TimerDemands> = {}) =>
    timers.follow(state, {
      ...{ mayIdle: true, idleTimeoutMs: 60_000, minAwakeMs: 0, notBeforeMs: 0, isLazy: false },
      ...{ startTimeoutMs: 30_000, isOnlyKept: false },
      ...demands,
    });

  test('fires the idle timer at the very millisecond', async () => {
    follow(READY);
    await clock.advance(59_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['idle']);
  });

  test('fires at once when the idle timeout is 0', async () => {
    follow(READY, { idleTimeoutMs: 0 });
    await clock.advance(0);
    expect(fired).toEqual(['idle']);
  });

  test('fires at the idle timeout when the wall clock jumps', async () => {
    follow(READY);
    clock.jump(-3_600_000);
    follow(READY);
    await clock.advance(59_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['idle']);
  });

  test('keeps a workload awake for its least time once it is ready', async () => {
    await clock.advance(5_000);
    follow(READY, { idleTimeoutMs: 1_000, minAwakeMs: 10_000 });
    await clock.advance(9_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['idle']);
  });

  test('goes on counting while the workload is being paused, and anew when others have paused it', async () => {
    follow(READY, { idleTimeoutMs: 10_000 });
    await clock.advance(10_000);
    follow(PAUSING);
    await clock.advance(300);
    const paused = { idleTimeoutMs: 60_000 };
    follow({ kind: 'paused' }, paused);
    await clock.advance(49_699);
    expect(fired).toEqual(['idle']);
    await clock.advance(1);
    expect(fired).toEqual(['idle', 'idle']);
    follow(STOPPED);
    follow({ kind: 'paused' }, paused);
    await clock.advance(59_999);
    expect(fired).toEqual(['idle', 'idle']);
    await clock.advance(1);
    expect(fired).toEqual(['idle', 'idle', 'idle']);
  });

  test('leaves what has no idle timeout as it is', async () => {
    follow({ kind: 'paused' }, { idleTimeoutMs: undefined });
    expect(clock.pending).toBe(0);
  });

  test('begins again when the workload was used in between', async () => {
    follow(READY);
    await clock.advance(50_000);
    follow(READY, { mayIdle: false });
    expect(clock.pending).toBe(0);
    await clock.advance(50_000);
    follow(READY, { idleSinceMs: clock.monotonicMs() });
    await clock.advance(59_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['idle']);
  });

  test('counts from when the workload became awake when it was used only before', async () => {
    const idleSinceMs = clock.monotonicMs();
    await clock.advance(500_000);
    follow(READY, { idleSinceMs });
    expect(clock.delaysMs).toEqual([60_000]);
  });

  test('goes on from where idling began when it is told the same again', async () => {
    follow(READY);
    await clock.advance(50_000);
    follow(READY);
    expect(clock.delaysMs).toEqual([10_000]);
  });

  test.each([
    ['shorter', 20_000, 10_000],
    ['longer', 90_000, 80_000],
    ['over already', 5_000, 0],
  ])('counts from where idling began when the new timeout is %s', async (_case, idleTimeoutMs, leftMs) => {
    follow(READY);
    await clock.advance(10_000);
    follow(READY, { idleTimeoutMs });
    await clock.advance(leftMs - 1);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['idle']);
    expect(clock.pending).toBe(0);
  });

  test('idles a workload that runs without having become ready', async () => {
    follow(LAME);
    await clock.advance(60_000);
    expect(fired).toEqual(['idle']);
  });

  test.each([STOPPED, SLEEPING, GATE])('does not idle what is %o', (state) => {
    follow(READY);
    follow(state, { startTimeoutMs: 1 });
    expect(clock.delaysMs).not.toContain(60_000);
  });

  test('adds 1, 2, 4 … 30 s to the idle timeout when putting it to sleep fails again and again', async () => {
    const delays: (number | undefined)[] = [];
    for (let round = 0; round < 7; round++) {
      follow(READY);
      delays.push(clock.delaysMs[0]);
      await clock.advance(90_000);
      follow(SLEEPING);
      timers.sleepEnded('sleep-failed');
    }
    expect(delays).toEqual([60_000, 61_000, 62_000, 64_000, 68_000, 76_000, 90_000]);
  });

  test('idles for the plain timeout again when a sleep has succeeded', () => {
    timers.sleepEnded('sleep-failed');
    timers.sleepEnded('slept');
    follow(READY);
    expect(clock.delaysMs).toEqual([60_000]);
  });

  test('idles for the plain timeout again when it was stopped by somebody else after a failed sleep', () => {
    timers.sleepEnded('sleep-failed');
    follow(STOPPED);
    follow(READY);
    expect(clock.delaysMs).toEqual([60_000]);
  });

  test('idles for the plain timeout again when it was paused by somebody else after a failed sleep, and woken', () => {
    timers.sleepEnded('sleep-failed');
    for (const state of [{ kind: 'paused' }, WAKING, GATE, READY] as const)
      follow(state, { mayIdle: state === READY });
    expect(clock.delaysMs).toEqual([60_000]);
  });

  test('tells the deadline once, for the whole of a start', async () => {
    follow(WAKING);
    await clock.advance(20_000);
    follow(GATE);
    await clock.advance(9_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['deadline-passed']);
  });

  test.each([
    ['were stopped by others', INTERRUPTED, WAKING],
    ['were stopped and started by others', INTERRUPTED, GATE],
    ['were paused by others', WAKING, GATE],
  ])('gives starts that %s the whole time again', async (_name, first, second) => {
    follow(WAKING);
    follow(GATE);
    await clock.advance(29_000);
    follow(first);
    await clock.advance(200);
    follow(second);
    await clock.advance(29_799);
    expect(fired).not.toContain('deadline-passed');
    await clock.advance(201);
    expect(fired).toContain('deadline-passed');
  });

  test.each([READY, STOPPED, FAILED])('has no deadline when the start ends as %o', async (state) => {
    follow(WAKING);
    follow(state, { mayIdle: false });
    await clock.advance(30_000);
    expect(fired).not.toContain('deadline-passed');
  });

  test.each([
    [120_000, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]],
    // Half the budget of who waits: the other half is for the start.
    [30_000, [1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]],
  ])('waits longer and longer when starts of %i ms fail in a row', async (startTimeoutMs, expected) => {
    const delays: (number | undefined)[] = [];
    for (let round = 0; round < 7; round++) {
      follow(WAKING, { startTimeoutMs });
      follow(FAILED, { startTimeoutMs });
      delays.push(clock.delaysMs[0]);
      await clock.advance(30_000);
    }
    expect(delays).toEqual(expected);
    expect(fired).toEqual(Array(7).fill('backoff-over'));
  });

  test.each([FAILED, LAME])(
    'waits up to 30 s for who keeps %o, however short a start may take',
    async (failed) => {
      const delays: (number | undefined)[] = [];
      const kept = { startTimeoutMs: 3_000, isOnlyKept: true, mayIdle: false };
      for (let round = 0; round < 7; round++) {
        follow(WAKING, kept);
        follow(failed, kept);
        delays.push(clock.delaysMs[0]);
        await clock.advance(30_000);
      }
      expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    },
  );

  test('waits no longer than a client can where one comes to what is only kept', async () => {
    const kept = { startTimeoutMs: 3_000, isOnlyKept: true };
    for (let round = 0; round < 6; round++) {
      follow(WAKING, kept);
      follow(FAILED, kept);
    }
    await clock.advance(1_000);
    expect(fired).toEqual([]);
    follow(FAILED, { startTimeoutMs: 3_000 });
    expect(clock.delaysMs).toEqual([500]);
  });

  test('leaves a running backoff as it is', async () => {
    follow(FAILED);
    await clock.advance(900);
    follow(FAILED);
    await clock.advance(100);
    expect(fired).toEqual(['backoff-over']);
  });

  test('begins the backoff at 1 s again when it was ready in between', () => {
    follow(FAILED);
    follow(READY, { mayIdle: false });
    follow(FAILED);
    expect(clock.delaysMs).toEqual([1_000]);
  });

  test('gives who stops it in the middle of a start 0.5, 1, 2 … 30 s to start it again', async () => {
    const delays: number[] = [];
    for (let round = 0; round < 8; round++) {
      follow(GATE);
      const fromMs = clock.monotonicMs();
      follow(INTERRUPTED, { startTimeoutMs: 1e9 });
      fired = [];
      while (!fired.includes('backoff-over')) await clock.advance(500);
      delays.push(clock.monotonicMs() - fromMs);
    }
    expect(delays).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  test('takes no more than half the budget of who waits where it was stopped again and again', async () => {
    for (let round = 0; round < 8; round++) {
      follow(GATE);
      follow(INTERRUPTED, { startTimeoutMs: 10_000 });
    }
    await clock.advance(4_999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['backoff-over']);
  });

  test('backs off as after any failed start when an interrupted one has failed', () => {
    follow(INTERRUPTED);
    follow(FAILED);
    expect(clock.delaysMs).toEqual([1_000]);
  });

  test('does not back off from a workload that runs', () => {
    follow(LAME, { mayIdle: false });
    expect(clock.pending).toBe(0);
  });

  test('keeps no timer and takes no more when it is closed', () => {
    follow(READY);
    timers.close();
    follow(WAKING);
    expect(clock.pending).toBe(0);
  });
});
