/** What is remembered of the states of one workload: since when, for how long in all, and why it was put to sleep. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lifeOf } from '../../../../src/lifecycle/workload/record/state-history.ts';
import type { LifecycleState } from '../../../../src/lifecycle/workload/machine.ts';
import type { Observation } from '../../../../src/model/running/observation.ts';
import type { ListenerSpec } from '../../../../src/model/service.ts';
import { MISSING, PAUSED, RUNNING, STOPPED, STOPPING } from '../../../support/fake-backend.ts';
import { settle } from '../../../support/fake-clock.ts';
import { aService } from '../../../support/builders.ts';
import { aBareService, Bench } from '../../bench.ts';

const KEY = 'docker/db';
const AWAKE_MS = 60_000;

describe('the history of a workload', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const report = () => bench.controller('db').account.report;
  const add = () => bench.add(aBareService({ idleTimeoutMs: AWAKE_MS }), STOPPED);
  const wake = async () => {
    const calls = bench.backend.calls.length;
    bench.controller('db').demand('for 10.0.0.5:4242');
    await bench.backend.called(calls + 1);
    await bench.clock.advance(500);
    bench.backend.last.succeed(RUNNING);
    await settle();
  };
  const sleep = async () => {
    await bench.clock.advance(AWAKE_MS);
    bench.backend.last.succeed(STOPPED);
    await settle();
  };

  test('tells since when it is in its state, and when it will sleep', async () => {
    add();
    await bench.clock.advance(10_000);
    expect(report()).toMatchObject({
      state: 'stopped',
      life: 'asleep',
      sinceMs: bench.clock.nowMs() - 10_000,
    });
    expect(report().sleepsAtMs).toBeUndefined();
    await wake();
    await bench.clock.advance(20_000);
    expect(report()).toMatchObject({
      ...{ state: 'ready', life: 'awake', sinceMs: bench.clock.nowMs() - 20_000 },
      sleepsAtMs: bench.clock.nowMs() + AWAKE_MS - 20_000,
    });
  });

  test('adds up how long it was asleep, waking and awake, and counts its sleeps', async () => {
    add();
    await bench.clock.advance(10_000);
    for (let times = 0; times < 2; times++) {
      await wake();
      await sleep();
    }
    await bench.clock.advance(5_000);
    const { times, sleeps, lastSleep } = report();
    expect(times).toMatchObject({ asleep: 15_000, waking: 1_000, awake: 2 * AWAKE_MS, failed: 0 });
    expect(sleeps).toEqual({ idle: 2 });
    expect(lastSleep).toEqual({ kind: 'idle', words: 'idle for 60 s', atMs: bench.clock.nowMs() - 5_000 });
  });

  test('keeps the order of its states with their times', async () => {
    add();
    const startMs = bench.clock.nowMs();
    await bench.clock.advance(10_000);
    await wake();
    await sleep();
    expect(bench.controller('db').account.timeline).toEqual([
      { atMs: startMs, life: 'asleep' },
      { atMs: startMs + 10_000, life: 'waking' },
      { atMs: startMs + 10_500, life: 'awake' },
      { atMs: startMs + 10_500 + AWAKE_MS, life: 'stopping' },
      { atMs: startMs + 10_500 + AWAKE_MS, life: 'asleep', sleep: 'idle' },
    ]);
  });

  test('keeps the last 200 changes and 50 wakes, however often it wakes', async () => {
    add();
    for (let times = 0; times < 80; times++) {
      await wake();
      await sleep();
    }
    expect(bench.controller('db').account.timeline).toHaveLength(200);
    expect(report().wakes).toHaveLength(50);
    expect(report().sleeps).toEqual({ idle: 80 });
  });

  test.each([
    ['somebody else stopped it', { ...STOPPED, stoppedBy: 'others' }, 'others'],
    ['it ended by itself', { ...STOPPED, stoppedBy: 'itself', detail: 'exit code 1' }, 'itself'],
    ['somebody else paused it', PAUSED, 'others'],
  ] as const)('tells that %s', async (_, observation, kind) => {
    add();
    await wake();
    bench.backend.tell(KEY, observation);
    await settle();
    expect(report().sleeps).toEqual({ [kind]: 1 });
  });

  test('counts a stop by others once, also where the engine takes a while over it', async () => {
    add();
    await wake();
    bench.backend.tell(KEY, STOPPING);
    await settle();
    expect(report()).toMatchObject({ life: 'stopping', sleeps: {} });
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(report()).toMatchObject({ life: 'asleep', sleeps: { others: 1 } });
  });

  test('counts no sleep that has failed', async () => {
    add();
    await wake();
    await bench.clock.advance(AWAKE_MS);
    bench.backend.last.fail('device or resource busy', RUNNING);
    await settle();
    expect(report().sleeps).toEqual({});
  });

  test('names who keeps it awake', async () => {
    add();
    await wake();
    const lease = bench.controller('db').hold('with web', { keeper: { kind: 'hub', hub: 'web' } });
    await bench.clock.advance(3_000);
    expect(report()).toMatchObject({
      keepers: [{ kind: 'hub', hub: 'web', sinceMs: bench.clock.nowMs() - 3_000 }],
    });
    expect(report().sleepsAtMs).toBeUndefined();
    lease.release();
    expect(report().keepers).toEqual([]);
  });
});

describe('who has used a workload', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const report = () => bench.controller('db').account.report;

  test('is nobody where only a schedule has woken it', async () => {
    bench.add(aBareService(), STOPPED);
    bench.controller('db').hold('cron_start', { keeper: { kind: 'schedule' } });
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(report()).toMatchObject({ life: 'awake', wakes: [{ by: 'schedule' }] });
    expect(report().lastUsedMs).toBeUndefined();
  });

  test('is nobody where its start has failed for its client', async () => {
    bench.add(aService(), STOPPED);
    const client = bench.client('db', 5_432);
    await bench.backend.called(1);
    bench.backend.last.succeed({ ...STOPPED, stoppedBy: 'itself', detail: 'exit code 3' });
    await bench.until(() => client.outcome !== 'waiting', 50);
    expect(report().wakes).toMatchObject([{ by: 'client', result: 'failed' }]);
    expect(report().lastUsedMs).toBeUndefined();
  });

  test('is the client that was served last', async () => {
    const server = await bench.sockets.listen();
    bench.add(aService(), RUNNING);
    await bench.clock.advance(5_000);
    const client = bench.client('db', server.port);
    await client.served;
    await bench.clock.advance(5_000);
    (await client.served).release();
    expect(report().lastUsedMs).toBe(bench.clock.nowMs());
  });
});

describe('a workload that cannot start, and is kept by hand', () => {
  const CRASHED = { ...STOPPED, stoppedBy: 'itself', detail: 'exit code 3' } as const;
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
    bench.add(aBareService({ startTimeoutMs: 3_000 }), STOPPED);
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const controller = () => bench.controller('db');
  const hold = () => controller().hold('by hand', { keeper: { kind: 'hand', untilMs: 0 } });
  const crash = async () => {
    bench.backend.last.succeed(CRASHED);
    await settle();
  };

  test('is tried again after 1, 2, 4, 8 s and so on, and tells when', async () => {
    hold();
    const delays: number[] = [];
    for (let round = 1; round < 6; round++) {
      await bench.backend.called(round);
      await crash();
      const { triesAgainAtMs = 0, keepers } = controller().account.report;
      expect(keepers).toMatchObject([{ kind: 'hand' }]);
      delays.push(triesAgainAtMs - bench.clock.nowMs());
      await bench.clock.advance(triesAgainAtMs - bench.clock.nowMs());
    }
    expect(delays).toEqual([1_000, 2_000, 4_000, 8_000, 16_000]);
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(controller().account.report).toMatchObject({ life: 'awake' });
    expect(controller().account.report.triesAgainAtMs).toBeUndefined();
  });

  test('is not tried again once nobody keeps it', async () => {
    const lease = hold();
    await crash();
    lease.release();
    expect(controller().account.report.triesAgainAtMs).toBeUndefined();
    await bench.clock.advance(60_000);
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('is tried at once for who wakes it by hand', async () => {
    hold().release();
    await crash();
    hold().release();
    expect(bench.backend.count('wake')).toBe(2);
    await crash();
    expect(controller().account.report.wakes).toMatchObject([
      { by: 'hand' },
      { by: 'hand', cause: 'by hand' },
    ]);
  });

  test('is woken again by hand where it is just going to sleep', async () => {
    hold().release();
    bench.backend.last.succeed(RUNNING);
    await settle();
    controller().sleep({ kind: 'hand', words: 'by hand' });
    hold().release();
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db', 'wake docker/db']);
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(controller().account.wakes.last).toMatchObject({ by: 'hand', result: 'ready' });
    await bench.clock.advance(1_000);
    controller().sleep({ kind: 'hand', words: 'by hand' });
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(controller().account.report).toMatchObject({ life: 'asleep' });
  });
});

describe('a workload whose start has failed', () => {
  const CRASHED = { ...STOPPED, stoppedBy: 'itself', detail: 'exit code 3' } as const;
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const report = () => bench.controller('db').account.report;
  const wake = async (outcome: Observation) => {
    const calls = bench.backend.calls.length;
    bench.controller('db').demand('for 10.0.0.5:4242');
    await bench.backend.called(calls + 1);
    bench.backend.last.succeed(outcome);
    await settle();
  };
  const fail = async () => {
    bench.add(aBareService({ idleTimeoutMs: AWAKE_MS }), STOPPED);
    await wake(CRASHED);
    await bench.clock.advance(120_000);
  };

  test('has failed since then, also when it could be tried again', async () => {
    await fail();
    expect(report()).toMatchObject({ state: 'stopped', life: 'failed', failure: 'exit code 3' });
    expect(report().sinceMs).toBe(bench.clock.nowMs() - 120_000);
    expect(report().times).toMatchObject({ failed: 120_000, asleep: 0 });
  });

  test('is awake, and asleep, as soon as a start has worked', async () => {
    await fail();
    await wake(RUNNING);
    expect(report()).toMatchObject({ life: 'awake' });
    await bench.clock.advance(AWAKE_MS);
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(report()).toMatchObject({ life: 'asleep' });
    expect(report().failure).toBeUndefined();
  });

  test('is asleep once somebody has put it to sleep', async () => {
    await fail();
    bench.controller('db').sleep({ kind: 'hand', words: 'by hand' });
    expect(report()).toMatchObject({ state: 'stopped', life: 'asleep', sinceMs: bench.clock.nowMs() });
    expect(report().failure).toBeUndefined();
  });

  test('has failed still when it ran all the same, and was put to sleep for being idle', async () => {
    const port = { ...aService().listeners[0], protocol: 'udp' } as ListenerSpec;
    bench.add(aService({ listeners: [port], startTimeoutMs: 4_000, idleTimeoutMs: AWAKE_MS }), STOPPED);
    await wake({ ...RUNNING, health: 'starting' });
    await bench.clock.advance(4_000);
    expect(report()).toMatchObject({ state: 'failed', life: 'failed' });
    await bench.clock.advance(AWAKE_MS);
    expect(report()).toMatchObject({
      life: 'stopping',
      sleepUnderWay: { kind: 'idle', words: 'idle for 60 s', untilMs: bench.clock.nowMs() + 10_000 },
    });
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(report()).toMatchObject({ state: 'stopped', life: 'failed' });
  });

  test('is asleep where somebody else has stopped it', async () => {
    bench.add(aService({ startTimeoutMs: 4_000 }), STOPPED);
    await wake({ ...RUNNING, health: 'starting' });
    await bench.clock.advance(4_000);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(report()).toMatchObject({ state: 'stopped', life: 'asleep' });
  });

  test('is asleep where somebody has replaced it', async () => {
    await fail();
    bench.backend.tell(KEY, MISSING);
    bench.backend.tell(KEY, { ...STOPPED, id: 'b2' });
    await settle();
    expect(report()).toMatchObject({ state: 'stopped', life: 'asleep' });
  });
});

test.each<[LifecycleState, string]>([
  [{ kind: 'unknown' }, 'unknown'],
  [{ kind: 'missing' }, 'unknown'],
  [{ kind: 'stopped' }, 'asleep'],
  [{ kind: 'paused' }, 'asleep'],
  [{ kind: 'starting', phase: 'gate' }, 'waking'],
  [{ kind: 'ready' }, 'awake'],
  [{ kind: 'stopping', phase: 'engine' }, 'stopping'],
  [{ kind: 'failed', running: true }, 'failed'],
])('%j means %s', (state, life) => {
  expect(lifeOf(state, { hasFailed: false })).toBe(life);
});
