/** How a workload is put to sleep: paused, stopped, or the one after the other. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_REST, type RestPolicy } from '../../../src/model/running/sleep.ts';
import { PAUSED, RUNNING, STOPPED } from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import type { TestServer } from '../../support/sockets.ts';
import { aBareService, Bench } from '../bench.ts';

const KEY = 'docker/db';

describe('WorkloadController', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    bench.backend.automate({ clock: bench.clock, wakeMs: 20, sleepMs: 300 });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const add = (rest: Partial<RestPolicy>, observation = RUNNING) =>
    bench.add(aBareService({ rest: { ...DEFAULT_REST, ...rest } }), observation);
  const controller = () => bench.controller('db');
  const log = () => bench.backend.log.map((call) => call.replace(` ${KEY}`, ''));

  test('pauses instead of stopping, and leaves it paused', async () => {
    add({ way: 'pause' });
    await bench.clock.advance(120_300);
    expect(log()).toEqual(['pause']);
    expect(controller().state.kind).toBe('paused');
    await bench.clock.advance(10_000_000);
    expect(log()).toEqual(['pause']);
  });

  test('pauses first, and stops when it was idle for the whole idle timeout since its last use', async () => {
    add({ pauseAfterMs: 60_000 });
    const { release } = await bench.client('db', server.port).served;
    release();
    await bench.clock.advance(59_999);
    expect(log()).toEqual([]);
    await bench.clock.advance(1);
    expect(log()).toEqual(['pause']);
    await bench.clock.advance(59_999);
    expect(log()).toEqual(['pause']);
    await bench.clock.advance(301);
    expect(log()).toEqual(['pause', 'sleep']);
    expect(controller().state.kind).toBe('stopped');
    expect(controller().account.report.lastSleep).toMatchObject({ kind: 'idle', words: 'idle for 120 s' });
  });

  test('wakes what is paused for a client, who may come while it is being paused', async () => {
    add({ pauseAfterMs: 60_000 });
    await bench.clock.advance(60_000);
    expect(controller().state).toEqual({ kind: 'stopping', phase: 'pausing' });
    const client = bench.client('db', server.port);
    await bench.until(() => client.outcome === 'served');
    expect(log()).toEqual(['pause', 'wake']);
  });

  test('stops what somebody else has paused after the whole idle timeout, where it is stopped at last', async () => {
    add({ pauseAfterMs: 60_000 }, PAUSED);
    await bench.clock.advance(119_999);
    expect(log()).toEqual([]);
    await bench.clock.advance(301);
    expect(log()).toEqual(['sleep']);
  });

  test.each<Partial<RestPolicy>>([{ way: 'pause' }, { pauseAfterMs: 60_000 }])(
    'stops what it has paused under %s where a reload takes that away, but not what somebody else has paused',
    async (rest) => {
      add(rest);
      await bench.clock.advance(100_300);
      await bench.clock.advance(rest.way === 'pause' ? 20_000 : 0);
      expect(log()).toEqual(['pause']);
      expect(controller().state.kind).toBe('paused');
      bench.edit('db', { rest: DEFAULT_REST });
      await bench.clock.advance(20_300);
      expect(log()).toEqual(['pause', 'sleep']);
      bench.backend.tell(KEY, PAUSED);
      await bench.clock.advance(10_000_000);
      expect(log()).toEqual(['pause', 'sleep']);
    },
  );

  test('stops at the idle timeout what can not be paused, and says why', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 20, sleepMs: 1_000_000 });
    add({ pauseAfterMs: 60_000 });
    await bench.clock.advance(60_000);
    bench.backend.last.refuse('this system has no freezer');
    await settle();
    expect(bench.lines).toContain("db can't be paused, so it is stopped instead: this system has no freezer");
    expect(controller().account.cannotPause).toBe('this system has no freezer');
    await bench.clock.advance(120_000);
    expect(log()).toEqual(['pause', 'sleep']);
  });

  test('stops at once what was to be paused for good and can not be', async () => {
    add({ way: 'pause' });
    await bench.clock.advance(120_000);
    bench.backend.last.refuse('this system has no freezer');
    await bench.clock.advance(1);
    expect(log()).toEqual(['pause', 'sleep']);
  });

  test('stops what somebody tells to sleep, where clients use it or it is paused already', async () => {
    add({ way: 'pause' });
    const { release } = await bench.client('db', server.port).served;
    controller().sleep({ kind: 'hand', words: 'by hand' });
    await bench.clock.advance(300);
    expect(log()).toEqual(['sleep']);
    release();
    bench.backend.tell(KEY, PAUSED);
    controller().sleep({ kind: 'hand', words: 'by hand' });
    await bench.clock.advance(300);
    expect(log()).toEqual(['sleep', 'sleep']);
    expect(controller().state.kind).toBe('stopped');
  });

  test('stops what somebody tells to sleep while it is being paused', async () => {
    add({ pauseAfterMs: 60_000 });
    await bench.clock.advance(60_100);
    controller().sleep({ kind: 'hand', words: 'by hand' });
    await bench.clock.advance(501);
    expect(log()).toEqual(['pause', 'sleep']);
    expect(controller().state.kind).toBe('stopped');
  });

  test('leaves it paused where a reload says meanwhile that it may not be stopped for that', async () => {
    add({ pauseAfterMs: 60_000 });
    await bench.clock.advance(60_100);
    controller().sleep({ kind: 'user', words: 'web has stopped' });
    bench.edit('db', { availability: 'manual' });
    await bench.clock.advance(501);
    expect(log()).toEqual(['pause']);
    expect(controller().state.kind).toBe('paused');
  });

  test('keeps it awake for its least time once it is ready, against its idle timeout alone', async () => {
    add({ minAwakeMs: 300_000 }, STOPPED);
    const client = bench.client('db', server.port);
    await bench.until(() => client.outcome === 'served');
    const readyMs = bench.clock.monotonicMs();
    expect(controller().account.report.awakeUntilMs).toBe(bench.clock.nowMs() + 300_000);
    (await client.served).release();
    await bench.clock.advance(299_000);
    expect(log()).toEqual(['wake']);
    await bench.clock.advance(1_000 - (bench.clock.monotonicMs() - readyMs - 299_000));
    expect(log()).toEqual(['wake', 'sleep']);
    expect(controller().account.report.awakeUntilMs).toBeUndefined();
    await bench.clock.advance(300);
    const again = bench.client('db', server.port);
    await bench.until(() => again.outcome === 'served');
    controller().sleep({ kind: 'schedule', words: 'cron_stop' });
    expect(log()).toEqual(['wake', 'sleep', 'wake', 'sleep']);
  });

  test('stops with the signal of the service', async () => {
    add({ stopSignal: 'SIGINT' });
    await bench.clock.advance(120_000);
    expect(bench.backend.last.stopSignal).toBe('SIGINT');
  });
});
