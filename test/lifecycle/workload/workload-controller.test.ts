import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createPolicy } from '../../../src/lifecycle/workload/workload-policy.ts';
import type { Service } from '../../../src/model/service.ts';
import {
  MISSING,
  PAUSED,
  RUNNING,
  STARTING,
  STOPPED,
  STOPPING,
  UNKNOWN,
} from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import type { TestServer } from '../../support/sockets.ts';
import { aBareService, Bench } from '../bench.ts';

const KEY = 'docker/db';

describe('WorkloadController', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const automate = () => bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });
  const controller = () => bench.controller('db');
  const update = (overrides: Partial<Service>, previous = aBareService()) =>
    bench.lifecycle.update(aBareService(overrides), previous);

  test.each([
    [STOPPED, 'stopped'],
    [RUNNING, 'ready'],
    [PAUSED, 'paused'],
    [MISSING, 'missing'],
    [UNKNOWN, 'unknown'],
    [STARTING, 'starting'],
    [STOPPING, 'stopping'],
  ])('begins with what the backend knows: %o', async (observation, kind) => {
    bench.add(aBareService(), observation);
    await settle();
    expect(controller().state.kind).toBe(kind);
    expect(bench.backend.calls).toEqual([]);
  });

  test('gives a workload that ran before the whole idle timeout', async () => {
    automate();
    bench.add(aBareService(), RUNNING);
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('gives a workload that somebody else started the whole idle timeout from then on', async () => {
    automate();
    bench.add(aBareService(), STOPPED);
    await bench.clock.advance(500_000);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('puts the workload to sleep when nobody has used it for the idle timeout', async () => {
    automate();
    bench.add(aBareService(), RUNNING);
    const { release } = await bench.client('db', server.port).served;
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
    release();
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(301);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(controller().state.kind).toBe('stopped');
  });

  test('puts the workload to sleep at once when the idle timeout is 0', async () => {
    automate();
    bench.add(aBareService({ idleTimeoutMs: 0 }), STOPPED);
    const client = bench.client('db', server.port);
    await bench.until(() => client.outcome === 'served');
    (await client.served).release();
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  test('stays awake while any lease is held', async () => {
    automate();
    bench.add(aBareService({ idleTimeoutMs: 0 }), STOPPED);
    const first = controller().takeLease();
    const second = controller().takeLease();
    bench.backend.tell(KEY, RUNNING);
    first.release();
    first.release();
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
    second.release();
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('keeps nothing of a wish to sleep when the start it waited for has failed', async () => {
    bench.add(aBareService(), STOPPED);
    controller().demand('for a test');
    controller().sleepIfUnused({ kind: 'schedule', words: 'no longer needed' });
    bench.backend.last.fail('no');
    await bench.clock.advance(1_000);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(119_999);
    expect(bench.backend.log).toEqual(['wake docker/db']);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test('says who has stopped it in the middle of a start, and wakes it again when it stays down', async () => {
    bench.add(aBareService(), STOPPED);
    const client = bench.client('db', await freePort());
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await settle();
    bench.backend.tell(KEY, { ...STOPPED, detail: 'exit code 137', stoppedBy: 'others' });
    expect(bench.lines.at(-1)).toBe(
      'somebody else stopped db while it was starting: exit code 137; it is woken again if it stays down',
    );
    await bench.clock.advance(499);
    expect(bench.backend.count('wake')).toBe(1);
    await bench.clock.advance(1);
    expect(bench.backend.count('wake')).toBe(2);
    expect(client.outcome).toBe('waiting');
    client.leave();
  });

  test('refuses nobody for the time that a start has taken which others have stopped', async () => {
    bench.add(aBareService(), STOPPED);
    const first = bench.client('db', await freePort());
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(29_000);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    const second = bench.client('db', server.port);
    await bench.clock.advance(2_000);
    expect([first.outcome, second.outcome]).toEqual(['timeout', 'waiting']);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => second.outcome !== 'waiting');
    expect(second.outcome).toBe('served');
    expect(bench.failedWakes).toEqual([]);
  });

  test('tells of a wake in vain where others have stopped it and the last client has waited for long enough', async () => {
    bench.add(aBareService({ startTimeoutMs: 300 }), STOPPED);
    const client = bench.client('db', await freePort());
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(200);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await bench.clock.advance(100);
    expect(client.outcome).toBe('timeout');
    expect(bench.failedWakes).toEqual([expect.stringMatching(/^db: not ready within 300 ms: somebody else/)]);
  });

  test('takes the restart of somebody else for the start that its client waits for', async () => {
    bench.add(aBareService(), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    const budget = bench.clock.monotonicMs() + 30_000;
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    bench.backend.last.succeed({ ...STOPPED, stoppedBy: 'others' });
    await bench.clock.advance(400);
    bench.backend.tell(KEY, RUNNING);
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    expect(bench.clock.monotonicMs()).toBeLessThan(budget);
    expect(bench.backend.count('wake')).toBe(1);
  });

  test('leaves what others have stopped in the middle of a start when nobody waits any more', async () => {
    bench.add(aBareService(), STARTING);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    expect(controller().state.kind).toBe('stopped');
    await bench.clock.advance(60_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('goes to sleep as soon as it is awake when nobody needs it any more', async () => {
    bench.add(aBareService(), STOPPED);
    controller().demand('for a test');
    controller().sleepIfUnused({ kind: 'schedule', words: 'no longer needed' });
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test('leaves what nobody needs any more to whom it is served by', async () => {
    bench.add(aBareService(), RUNNING);
    await settle();
    controller().setServed({ isServed: false });
    controller().sleepIfUnused({ kind: 'schedule', words: 'its hub has stopped' });
    await settle();
    expect(bench.backend.calls).toEqual([]);
  });

  test('lets a start end before it puts to sleep what nobody needs any more', async () => {
    const doubtful = { ...RUNNING, health: 'starting' } as const;
    bench.add(aBareService(), doubtful);
    controller().sleepIfUnused({ kind: 'schedule', words: 'its hub has stopped' });
    await bench.clock.advance(20_000);
    expect(bench.backend.calls).toEqual([]);
    bench.backend.tell(KEY, { ...doubtful, health: 'healthy' });
    await bench.clock.advance(0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(bench.lines.at(-1)).toBe('db is going to sleep: its hub has stopped');
    bench.backend.last.succeed(STOPPED);
  });

  test('forgets that nobody needed it when somebody uses it', async () => {
    bench.add(aBareService(), STOPPED);
    controller().demand('for a test');
    controller().sleepIfUnused({ kind: 'schedule', words: 'no longer needed' });
    const lease = controller().takeLease();
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(0);
    lease.release();
    await bench.clock.advance(119_999);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('forgets that nobody needed it when somebody uses it the moment it is awake', async () => {
    bench.add(aBareService(), STOPPED);
    controller().demand('for a test');
    controller().sleepIfUnused({ kind: 'schedule', words: 'no longer needed' });
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(controller().state.kind).toBe('ready');
    controller().takeLease().release();
    await bench.clock.advance(119_999);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('does not idle a workload whose health check has not spoken yet, though its start took too long', async () => {
    const doubtful = {
      ...RUNNING,
      health: 'starting',
      checkTimes: { firstMs: 1_000, lastMs: 400_000 },
    } as const;
    bench.add(aBareService({ idleTimeoutMs: 5_000 }), doubtful);
    await bench.clock.advance(300_000);
    expect(controller().state.kind).toBe('failed');
    expect(bench.backend.calls).toEqual([]);
    bench.backend.tell(KEY, { ...doubtful, health: 'healthy' });
    await settle();
    expect(controller().state.kind).toBe('ready');
    await bench.clock.advance(4_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test.each([
    ['says at last that it is unhealthy', 'unhealthy', 205_000],
    ['never speaks', 'starting', 405_000],
  ] as const)(
    'idles a workload whose start took too long when its health check %s',
    async (_, health, atMs) => {
      const checkTimes = { firstMs: 1_000, lastMs: 400_000 };
      bench.add(aBareService({ idleTimeoutMs: 5_000 }), { ...RUNNING, health: 'starting', checkTimes });
      await bench.clock.advance(200_000);
      bench.backend.tell(KEY, { ...RUNNING, health, checkTimes });
      await bench.clock.advance(atMs - 200_000 - 1);
      expect(bench.backend.calls).toEqual([]);
      await bench.clock.advance(1);
      expect(bench.backend.log).toEqual(['sleep docker/db']);
      bench.backend.last.succeed(STOPPED);
    },
  );

  test('counts the time of a health check from the start of the run, whoever asks for it meanwhile', async () => {
    const checkTimes = { firstMs: 1_000, lastMs: 400_000 };
    bench.add(aBareService({ idleTimeoutMs: 5_000 }), { ...RUNNING, health: 'starting', checkTimes });
    await bench.clock.advance(100_000);
    controller().demand('for a test');
    expect(controller().state).toEqual({ kind: 'starting', phase: 'gate' });
    await bench.clock.advance(304_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test('is exempt from the idle timer when it has a schedule', async () => {
    bench.add(aBareService({ cronStop: '0 18 * * *' }), RUNNING);
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('passes the grace of the policy on when it is put to sleep', async () => {
    bench.add(aBareService({ idleTimeoutMs: 0, stopTimeoutMs: 7_000 }), RUNNING);
    await bench.clock.advance(0);
    expect(bench.backend.last.graceMs).toBe(7_000);
    bench.backend.last.succeed(STOPPED);
  });

  test('tries again after a backoff when it can not be put to sleep', async () => {
    bench.add(aBareService({ idleTimeoutMs: 10_000 }), RUNNING);
    await bench.clock.advance(10_000);
    bench.backend.last.fail('no');
    await bench.clock.advance(10_999);
    expect(bench.backend.count('sleep')).toBe(1);
    await bench.clock.advance(1);
    expect(bench.backend.count('sleep')).toBe(2);
    expect(bench.lines).toContain('db could not be put to sleep: no');
    bench.backend.last.succeed(STOPPED);
  });

  test('is ready at once when it runs and nobody waits for proof', async () => {
    bench.add(aBareService(), STOPPED);
    bench.backend.tell(KEY, RUNNING);
    await settle();
    expect(controller().state.kind).toBe('ready');
  });

  test('counts the running idle timer from where it began when the timeout changes', async () => {
    automate();
    bench.add(aBareService(), RUNNING);
    await bench.clock.advance(50_000);
    update({ idleTimeoutMs: 60_000 });
    await bench.clock.advance(9_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('goes by what it knows of the workload until something is known of it under its new name', async () => {
    const seen = { ...RUNNING, ownGraceMs: 45_000 };
    bench.add(aBareService(), seen);
    controller().update(createPolicy([aBareService({ workload: { kind: 'docker', container: 'db-2' } })]));
    expect(controller().observation).toEqual(seen);
    expect(controller().graceMs).toBe(45_000);
  });

  test('begins to idle when its schedule is taken away', async () => {
    automate();
    const scheduled = aBareService({ cronStart: '0 8 * * *' });
    bench.add(scheduled, RUNNING);
    await bench.clock.advance(500_000);
    update({}, scheduled);
    await bench.clock.advance(120_000);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('says once that a workload is missing when it is told again and again', async () => {
    bench.add(aBareService(), MISSING);
    bench.backend.tell(KEY, MISSING);
    update({ idleTimeoutMs: 1_000 });
    await bench.clock.advance(1_000);
    expect(bench.lines.filter((line) => line.includes('does not exist'))).toHaveLength(1);
  });

  test('does not say that a workload is missing when its service goes at once, or it is made anew', async () => {
    bench.add(aBareService(), STOPPED);
    bench.backend.tell(KEY, MISSING);
    bench.lifecycle.remove(aBareService());
    await bench.clock.advance(1_000);
    bench.add(aBareService(), STOPPED);
    bench.backend.tell(KEY, MISSING);
    await bench.clock.advance(50);
    bench.backend.tell(KEY, STOPPED);
    await bench.clock.advance(1_000);
    expect(bench.lines.filter((line) => line.includes('does not exist'))).toEqual([]);
  });

  test('names the container that is missing, whatever the service is called', async () => {
    bench.add(aBareService(), MISSING);
    await bench.clock.advance(1_000);
    expect(bench.lines).toEqual([
      'db is missing: container db does not exist (docker compose create makes it); it is used as soon as it appears',
    ]);
  });

  test('says what is missing in the words of the engine where it has some', async () => {
    bench.add(aBareService(), { ...MISSING, detail: 'deployment shop/db does not exist' });
    await bench.clock.advance(1_000);
    expect(bench.lines).toEqual([
      'db is missing: deployment shop/db does not exist; it is used as soon as it appears',
    ]);
  });

  test('says once that a workload is paused when it is told again', () => {
    bench.add(aBareService(), PAUSED);
    bench.backend.tell(KEY, PAUSED);
    expect(bench.lines.filter((line) => line.includes('is paused'))).toHaveLength(1);
  });

  test('says who wakes it, when it is awake, and when it sleeps', async () => {
    automate();
    bench.add(aBareService({ idleTimeoutMs: 1_000 }), STOPPED);
    const client = bench.client('db', server.port);
    await bench.until(() => client.outcome === 'served');
    (await client.served).release();
    await bench.clock.advance(1_300);
    expect(bench.lines).toEqual([
      'db is asleep',
      'db is waking: for 10.0.0.5:4242',
      expect.stringMatching(/^db is awake after 20\d ms$/),
      'db is going to sleep: idle for 1 s',
      'db is asleep after 300 ms',
    ]);
  });

  test('remembers when a lease last began or ended', async () => {
    bench.add(aBareService(), RUNNING);
    const startMs = bench.clock.nowMs();
    await bench.clock.advance(5_000);
    expect(controller().lastActiveMs).toBe(startMs);
    const lease = controller().takeLease();
    expect(controller().lastActiveMs).toBe(startMs + 5_000);
    await bench.clock.advance(5_000);
    lease.release();
    expect(controller().lastActiveMs).toBe(startMs + 10_000);
  });

  test('refuses those who wait when it is closed, and calls the backend no more', async () => {
    bench.add(aBareService({ idleTimeoutMs: 0 }), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    controller().close();
    await settle();
    expect(client.outcome).toBe('removed');
    expect(bench.backend.last.aborted).toBe(true);
    bench.backend.tell(KEY, RUNNING);
    bench.backend.tell(KEY, STOPPED);
    await bench.clock.advance(100_000);
    expect(bench.backend.calls).toHaveLength(1);
  });

  test('that could not be put to sleep says why until it sleeps', async () => {
    bench.add(aBareService({ idleTimeoutMs: 1_000 }), RUNNING);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(1_000);
    bench.backend.last.fail('the engine is busy');
    await settle();
    expect(controller().account.report.sleepFailure).toBe('the engine is busy');
    await bench.clock.advance(60_000);
    expect(bench.backend.log).toHaveLength(2);
    expect(controller().account.report.sleepFailure).toBe('the engine is busy');
    bench.backend.last.succeed(STOPPED);
    await settle();
    expect(controller().account.report).not.toHaveProperty('sleepFailure');
  });

  test('is never put to sleep where that would destroy it, whoever asks, and says so once', async () => {
    const staysAwake = 'stopping it would remove it';
    bench.add(aBareService({ idleTimeoutMs: 1_000 }), { ...RUNNING, staysAwake });
    bench.backend.tell(KEY, { ...RUNNING, staysAwake });
    await bench.clock.advance(5_000);
    controller().sleep({ kind: 'schedule', words: 'for a test' });
    controller().sleepIfUnused({ kind: 'schedule', words: 'for a test' });
    expect(bench.backend.calls).toEqual([]);
    expect(bench.lines.filter((line) => line.includes('is not put'))).toEqual([
      `db is not put to sleep: ${staysAwake}`,
    ]);
    // Made anew without it.
    bench.backend.tell(KEY, { ...RUNNING, id: 'b2' });
    await bench.clock.advance(1_000);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test.each([
    ['is seen running', RUNNING, 'ready'],
    ['is seen stopped', STOPPED, 'stopped'],
  ])('gives up a stop whose end its backend never tells, when the workload %s', async (_, seen, kind) => {
    bench.add(aBareService({ idleTimeoutMs: 1_000, stopTimeoutMs: 4_000 }), RUNNING);
    await bench.clock.advance(1_000);
    expect(controller().state).toEqual({ kind: 'stopping', phase: 'sleeping' });
    const unanswered = bench.backend.last;
    bench.backend.tell(KEY, seen);
    await bench.clock.advance(63_999);
    expect(controller().state.kind).toBe('stopping');
    await bench.clock.advance(1);
    expect(controller().state.kind).toBe(kind);
    expect(bench.lines.at(-1)).not.toContain('undefined');
    unanswered.succeed(seen);
    await settle();
    expect(controller().state.kind).toBe(kind);
  });

  test('wakes nothing for a hold when it is closed', () => {
    bench.add(aBareService(), MISSING);
    controller().hold('for a test', { keeper: { kind: 'schedule' } });
    controller().close();
    bench.backend.tell(KEY, STOPPED);
    expect(bench.backend.calls).toEqual([]);
  });

  test('refuses a client whose dial fails when it was closed meanwhile', async () => {
    bench.add(aBareService(), RUNNING);
    (await bench.client('db', server.port).served).release();
    await server.close();
    const late = bench.client('db', server.port);
    controller().close();
    await bench.until(() => late.outcome !== 'waiting');
    expect(late.outcome).toBe('removed');
  });

  test('refuses a new client when it is closed', async () => {
    bench.add(aBareService(), RUNNING);
    controller().close();
    await expect(bench.client('db', server.port).served).rejects.toMatchObject({ code: 'removed' });
  });
});
