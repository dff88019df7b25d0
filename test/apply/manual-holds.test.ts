import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ManualHolds } from '../../src/apply/manual-holds.ts';
import type { KeptHold } from '../../src/model/running/kept.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { aBareService, Bench } from '../lifecycle/bench.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';

const HOUR_MS = 3_600_000;
const BY = 'by hand, from 10.0.0.5';

describe('ManualHolds', () => {
  let bench: Bench;
  let holds: ManualHolds;
  beforeEach(() => {
    bench = new Bench({ shares: true });
    holds = new ManualHolds({ lifecycle: bench.lifecycle, clock: bench.clock, logger: silentLogger });
    bench.lifecycle.share('docker', { isSleeper: true, heldElsewhere: new Set() });
  });
  afterEach(async () => {
    holds.closeAll();
    expect(await bench.close()).toBe(0);
  });
  const start = async () => {
    bench.add(aBareService({ idleTimeoutMs: 60_000 }), STOPPED);
    holds.hold('db', { forMs: 2 * HOUR_MS, by: BY });
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await settle();
  };
  const report = () => bench.controller('db').account.report;

  test('wakes a service, keeps it awake for the time, and lets it go by itself', async () => {
    await start();
    expect(report()).toMatchObject({
      ...{ state: 'ready', wakes: [{ cause: BY, result: 'ready' }] },
      keepers: [{ kind: 'hand', untilMs: bench.clock.nowMs() + 2 * HOUR_MS }],
    });
    await bench.clock.advance(2 * HOUR_MS - 1);
    expect(report()).toMatchObject({ state: 'ready', keepers: [{ kind: 'hand' }] });
    await bench.clock.advance(1);
    expect(report().keepers).toEqual([]);
    await bench.clock.advance(60_000);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    bench.backend.last.succeed(STOPPED);
  });

  test('replaces an earlier hold, and never lets go between the two', async () => {
    await start();
    holds.hold('db', { forMs: HOUR_MS, by: BY });
    expect(report().keepers).toMatchObject([{ untilMs: bench.clock.nowMs() + HOUR_MS }]);
    expect(bench.backend.uses).toEqual(['docker/db in use']);
    await bench.clock.advance(HOUR_MS);
    expect(report().keepers).toEqual([]);
  });

  test('lasts 30 days, which is longer than a timer of Node', async () => {
    await start();
    holds.hold('db', { forMs: 720 * HOUR_MS, by: BY });
    await bench.clock.advance(720 * HOUR_MS - 1);
    expect(report().keepers).toHaveLength(1);
    await bench.clock.advance(1);
    expect(report().keepers).toEqual([]);
  });

  test('ends when it is released', async () => {
    await start();
    holds.release('db', BY);
    holds.release('db', BY);
    expect(report().keepers).toEqual([]);
    expect(report().sleepsAtMs).toBe(bench.clock.nowMs() + 60_000);
  });

  test('is known to the other replicas of the proxy, as a client is', async () => {
    await start();
    expect(bench.backend.uses).toEqual(['docker/db in use']);
    holds.release('db', BY);
    expect(bench.backend.uses).toEqual(['docker/db in use', 'docker/db free']);
  });

  test('survives new settings, and follows its service to another workload', async () => {
    await start();
    const before = aBareService();
    const after = aBareService({ workload: { kind: 'docker', container: 'db2' }, idleTimeoutMs: 1_000 });
    bench.backend.tell('docker/db2', STOPPED);
    bench.lifecycle.update(after, before);
    holds.follow('db');
    await bench.backend.called(2);
    expect(bench.backend.last.key).toBe('docker/db2');
    expect(report().keepers).toMatchObject([{ kind: 'hand' }]);
    bench.backend.last.succeed(RUNNING);
    await settle();
  });

  test('ends with its service', async () => {
    await start();
    bench.lifecycle.remove(aBareService());
    holds.close('db');
    holds.follow('db');
    expect(bench.backend.uses.at(-1)).toBe('docker/db free');
  });

  describe('after a restart', () => {
    const untilMs = new FakeClock().nowMs() + HOUR_MS;
    const remember = (kept: Partial<KeptHold> = {}) => {
      const hold = { service: 'db', workload: 'docker/db', untilMs, by: BY, ...kept };
      const asked: string[] = [];
      const recallHold = (service: string, workload: string) => {
        asked.push(`${service} ${workload}`);
        return hold;
      };
      const memory = { recallHold, touch: () => void asked.push('touch') };
      holds = new ManualHolds({
        lifecycle: bench.lifecycle,
        clock: bench.clock,
        logger: silentLogger,
        memory,
      });
      return asked;
    };

    test('goes on until its end, and wakes what sleeps', async () => {
      const asked = remember();
      const service = aBareService({ idleTimeoutMs: 60_000 });
      bench.add(service, STOPPED);
      holds.resume(service);
      expect(asked).toEqual(['db docker/db', 'touch']);
      expect(holds.list()).toEqual([{ service: 'db', workload: 'docker/db', untilMs, by: BY }]);
      await bench.backend.called(1);
      bench.backend.last.succeed(RUNNING);
      await bench.clock.advance(HOUR_MS - 1);
      expect(report().keepers).toMatchObject([{ kind: 'hand', untilMs }]);
      await bench.clock.advance(1);
      expect(report().keepers).toEqual([]);
      expect(holds.list()).toEqual([]);
      expect(asked).toHaveLength(3);
    });

    test('goes on beside the hold of another service that had its own workload when it began', async () => {
      remember();
      const services = ['db', 'web'].map((name) => aBareService({ name, workload: aBareService().workload }));
      for (const service of services) bench.add(service, STOPPED);
      for (const service of services) holds.resume(service);
      expect(holds.list().map(({ service }) => service)).toEqual(['db', 'web']);
      await bench.backend.called(1);
      bench.backend.last.succeed(RUNNING);
      await settle();
    });

    test.each([
      ['is over', -1],
      // As where the clock was wrong when it began.
      ['lasts longer than any', 31 * 24 * HOUR_MS],
    ])('does not go on where it %s', async (_how, forMs) => {
      remember({ untilMs: bench.clock.nowMs() + forMs });
      const service = aBareService();
      bench.add(service, STOPPED);
      holds.resume(service);
      await settle();
      expect(holds.list()).toEqual([]);
      expect(bench.backend.calls).toEqual([]);
    });
  });
});
