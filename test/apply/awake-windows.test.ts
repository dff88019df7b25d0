import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AwakeWindows } from '../../src/apply/awake-windows.ts';
import type { Service } from '../../src/model/service.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aBareService, Bench } from '../lifecycle/bench.ts';
import { MISSING, RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';

const WAKE_MS = 200;
const SLEEP_MS = 100;
const IDLE_MS = 5_000;
const HOUR_MS = 3_600_000;

describe('AwakeWindows', () => {
  let bench: Bench;
  let windows: AwakeWindows;
  let lines: string[];
  const nine: Partial<Service> = {
    awake: [{ days: [0], fromMinute: 540, toMinute: 600 }],
    idleTimeoutMs: IDLE_MS,
  };
  beforeEach(() => {
    bench = new Bench();
    lines = [];
    const logger: Logger = { ...silentLogger, info: (_fields, message) => void lines.push(message) };
    windows = new AwakeWindows({ lifecycle: bench.lifecycle, logger });
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: SLEEP_MS });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const open = (untilMs?: number) => windows.set('db', { isOpen: true, changesMs: untilMs });
  const keepers = () =>
    bench.controller('db').account.report.keepers.map(({ sinceMs: _, ...keeper }) => keeper);
  const state = () => bench.controller('db').state.kind;

  test('wake the service and keep it awake; outside of them the idle timeout applies', async () => {
    bench.add(aBareService(nine), STOPPED);
    const untilMs = bench.clock.nowMs() + HOUR_MS;
    open(untilMs);
    await bench.clock.advance(HOUR_MS);
    expect(state()).toBe('ready');
    expect(keepers()).toEqual([{ kind: 'window', untilMs }]);
    windows.close('db');
    await bench.clock.advance(IDLE_MS - 1);
    expect(state()).toBe('ready');
    await bench.clock.advance(SLEEP_MS + 1);
    expect(state()).toBe('stopped');
    expect(bench.controller('db').account.report.wakes).toEqual([
      expect.objectContaining({ cause: 'for its window', by: 'window', result: 'ready' }),
    ]);
    expect(lines).toEqual(['db: awake: window opens', 'db: awake: window closes']);
  });

  test('only keep awake what runs already', async () => {
    bench.add(aBareService(nine), RUNNING);
    await settle();
    open();
    await bench.clock.advance(HOUR_MS);
    expect(bench.backend.calls).toEqual([]);
    expect(keepers()).toEqual([{ kind: 'window' }]);
    expect(lines).toEqual(['db: awake: window opens, awake already']);
  });

  test('that are edited while one is open leave no gap', async () => {
    bench.add(aBareService({ ...nine, idleTimeoutMs: 0 }), STOPPED);
    open(1);
    await bench.clock.advance(WAKE_MS);
    open(2);
    await bench.clock.advance(HOUR_MS);
    expect(keepers()).toEqual([{ kind: 'window', untilMs: 2 }]);
    expect(bench.backend.log).toEqual(['wake docker/db']);
    expect(lines).toHaveLength(1);
  });

  test('wake a service that comes while one is open', async () => {
    bench.add(aBareService(nine), MISSING);
    await settle();
    open();
    await bench.clock.advance(HOUR_MS);
    bench.backend.tell('docker/db', STOPPED);
    await bench.clock.advance(WAKE_MS);
    expect(state()).toBe('ready');
  });

  test('go along where the service gets another workload', async () => {
    const before = aBareService(nine);
    const after = aBareService({ ...nine, workload: { kind: 'docker', container: 'other' } });
    bench.add(before, STOPPED);
    open();
    await bench.clock.advance(WAKE_MS);
    bench.backend.tell('docker/other', STOPPED);
    bench.lifecycle.update(after, before);
    windows.follow('db');
    await bench.clock.advance(WAKE_MS);
    expect(bench.backend.log).toEqual(['wake docker/db', 'wake docker/other']);
    expect(keepers()).toEqual([{ kind: 'window' }]);
  });

  test('start nothing any more for a service that has just lost them', async () => {
    const before = aBareService(nine);
    const after = aBareService({ workload: { kind: 'docker', container: 'other' } });
    bench.add(before, STOPPED);
    open();
    await bench.clock.advance(WAKE_MS);
    bench.lifecycle.update(after, before);
    bench.backend.tell('docker/other', STOPPED);
    windows.follow('db');
    await bench.clock.advance(WAKE_MS);
    expect(bench.backend.log).toEqual(['wake docker/db']);
    expect(keepers()).toEqual([]);
  });

  test('start what no client wakes, and let it sleep when it is idle', async () => {
    bench.add(aBareService({ ...nine, availability: 'schedule' }), STOPPED);
    open();
    await bench.clock.advance(WAKE_MS);
    expect(state()).toBe('ready');
    windows.close('db');
    await bench.clock.advance(IDLE_MS + SLEEP_MS);
    expect(state()).toBe('stopped');
  });

  test('let somebody put the service to sleep, and do not wake it again', async () => {
    bench.add(aBareService(nine), STOPPED);
    open();
    await bench.clock.advance(WAKE_MS);
    bench.controller('db').sleep({ kind: 'hand', words: 'by hand' });
    await bench.clock.advance(HOUR_MS);
    expect(state()).toBe('stopped');
    expect(keepers()).toEqual([{ kind: 'window' }]);
  });

  test('of services that are gone do nothing', () => {
    open();
    windows.follow('db');
    windows.close('db');
    expect(lines).toEqual([]);
  });
});
