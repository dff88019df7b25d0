import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CronWindows } from '../../src/apply/cron-windows.ts';
import type { Service } from '../../src/model/service.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aBareService, Bench } from '../lifecycle/bench.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';

const WAKE_MS = 200;
const SLEEP_MS = 100;

describe('CronWindows', () => {
  let bench: Bench;
  let server: TestServer;
  let windows: CronWindows;
  let lines: string[];
  const window: Partial<Service> = { cronStart: '30 8 * * *', cronStop: '30 17 * * *' };
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    lines = [];
    const logger: Logger = { ...silentLogger, info: (_fields, message) => void lines.push(message) };
    windows = new CronWindows({ lifecycle: bench.lifecycle, logger });
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const leases = () => bench.controller('db').leases;
  const state = () => bench.controller('db').state.kind;

  test('wakes the service at the start, and holds it until the stop', async () => {
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(WAKE_MS);
    expect(state()).toBe('ready');
    expect(leases()).toBe(1);
    windows.fire('db', 'stop');
    expect(leases()).toBe(0);
    await bench.clock.advance(SLEEP_MS);
    expect(state()).toBe('stopped');
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    expect(lines).toEqual(['db: cron_start', 'db: cron_stop']);
  });

  test('goes over to the other workload when the service gets one in the middle of its window', async () => {
    const before = aBareService(window);
    const after = aBareService({ ...window, workload: { kind: 'docker', container: 'other' } });
    bench.add(before, STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(WAKE_MS);
    const old = bench.controller('db');
    bench.backend.tell('docker/other', STOPPED);
    bench.lifecycle.update(after, before);
    windows.follow('db');
    expect(old.leases).toBe(0);
    expect(leases()).toBe(1);
    await bench.clock.advance(WAKE_MS);
    expect(bench.backend.log).toEqual(['wake docker/db', 'wake docker/other']);
    windows.fire('db', 'stop');
    expect(leases()).toBe(0);
  });

  test('holds no lease when there is no stop, and lets the service run on', async () => {
    bench.add(aBareService({ cronStart: '30 8 * * *' }), STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(1_000_000);
    expect(leases()).toBe(0);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('only logs a start that finds the service awake', async () => {
    bench.add(aBareService(window), RUNNING);
    await settle();
    windows.fire('db', 'start');
    expect(bench.backend.calls).toEqual([]);
    expect(leases()).toBe(1);
    expect(lines).toEqual(['db: cron_start: awake already']);
  });

  test('only logs a stop that finds the service asleep', async () => {
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'stop');
    await bench.clock.advance(1_000);
    expect(bench.backend.calls).toEqual([]);
    expect(lines).toEqual(['db: cron_stop: asleep already']);
  });

  test('holds one lease when a start fires twice', async () => {
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'start');
    windows.fire('db', 'start');
    expect(leases()).toBe(1);
    await bench.clock.advance(WAKE_MS);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('puts the service to sleep at the stop although a client uses it, and wakes it for the next', async () => {
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(WAKE_MS);
    await bench.client('db', server.port).served;
    windows.fire('db', 'stop');
    await bench.clock.advance(SLEEP_MS);
    expect(state()).toBe('stopped');
    const late = bench.client('db', server.port);
    await bench.until(() => late.outcome === 'served');
    expect(bench.backend.count('wake')).toBe(2);
  });

  test('puts the service to sleep when the stop comes while it still wakes', async () => {
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(WAKE_MS / 2);
    windows.fire('db', 'stop');
    await bench.clock.advance(WAKE_MS + SLEEP_MS);
    expect(state()).toBe('stopped');
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  test('serves the client that waits for a start when the stop comes', async () => {
    bench.add(aBareService(window), STOPPED);
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    windows.fire('db', 'stop');
    await bench.until(() => client.outcome !== 'waiting');
    expect(client.outcome).toBe('served');
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('tries again until the service was awake once when its start fails', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 1e9, sleepMs: SLEEP_MS });
    bench.add(aBareService(window), STOPPED);
    windows.fire('db', 'start');
    bench.backend.last.fail('no memory', STOPPED);
    await bench.clock.advance(1_000);
    expect(bench.backend.count('wake')).toBe(2);
    bench.backend.last.succeed(RUNNING);
    await settle();
    expect(state()).toBe('ready');
  });

  test('lets the service idle when its window is closed with its schedule', async () => {
    const service = aBareService({ ...window, idleTimeoutMs: 60_000 });
    bench.add(service, STOPPED);
    windows.fire('db', 'start');
    await bench.clock.advance(WAKE_MS);
    bench.lifecycle.update(aBareService({ idleTimeoutMs: 60_000 }), service);
    windows.close('db');
    windows.close('db');
    await bench.clock.advance(59_999);
    expect(bench.backend.count('sleep')).toBe(0);
    await bench.clock.advance(1);
    expect(bench.backend.count('sleep')).toBe(1);
  });

  test('ends its window when a reload takes the stop away, since nothing would end it then', async () => {
    const before = aBareService(window);
    bench.add(before, RUNNING);
    windows.fire('db', 'start');
    expect(leases()).toBe(1);
    bench.lifecycle.update(aBareService({ cronStart: window.cronStart }), before);
    windows.follow('db');
    expect(leases()).toBe(0);
    await bench.clock.advance(1_000_000);
    expect(bench.backend.log).toEqual([]);
  });

  test('starts no other workload that the service gets together with the end of its schedule', async () => {
    const before = aBareService(window);
    const { cronStart } = window;
    for (const after of [{}, { cronStart }, { ...window, availability: 'manual' as const }]) {
      bench.add(before, RUNNING);
      windows.fire('db', 'start');
      const workload = { kind: 'docker', container: 'other' } as const;
      const service = aBareService({ ...after, workload });
      bench.backend.tell('docker/other', STOPPED);
      bench.lifecycle.update(service, before);
      windows.follow('db');
      expect(leases()).toBe(0);
      expect(bench.backend.log).toEqual([]);
      bench.lifecycle.remove(service);
    }
  });

  test('does nothing for a service that is not there', () => {
    windows.fire('nobody', 'start');
    windows.fire('nobody', 'stop');
    windows.close('nobody');
    expect(lines).toEqual([]);
  });
});
