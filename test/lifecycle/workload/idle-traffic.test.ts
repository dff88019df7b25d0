/** `idle_when: no_traffic`: an open connection that carries nothing doesn't keep a workload awake, and is closed when that sleeps. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ClientUse, LeaseUser } from '../../../src/model/running/client-use.ts';
import type { Service } from '../../../src/model/service.ts';
import { DEFAULT_REST, type RestPolicy } from '../../../src/model/running/sleep.ts';
import type { Lease } from '../../../src/lifecycle/workload/use/lease-book.ts';
import { RUNNING } from '../../support/fake-backend.ts';
import type { FakeClock } from '../../support/fake-clock.ts';
import { aBareService, Bench } from '../bench.ts';

/** A connection whose counters the test turns. */
class Connection implements ClientUse, LeaseUser {
  bytes: number | undefined = 0;
  /** Whether the kernel tells when its last byte passed. */
  tells = true;
  closes = 0;
  lease: Lease | undefined;
  readonly #clock: FakeClock;
  #lastMs: number;

  constructor(clock: FakeClock) {
    this.#clock = clock;
    this.#lastMs = clock.monotonicMs();
  }

  carry(bytes: number): void {
    this.bytes = (this.bytes ?? 0) + bytes;
    this.#lastMs = this.#clock.monotonicMs();
  }

  quietMs(): number | undefined {
    return this.tells ? this.#clock.monotonicMs() - this.#lastMs : undefined;
  }

  closeIdle(bytes: number): void {
    this.closes++;
    if ((this.bytes ?? 0) <= bytes) this.lease?.release();
  }

  listUses(): readonly ClientUse[] {
    return [this];
  }
}

describe('a workload whose idle connections do not count', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
    bench.backend.automate({ clock: bench.clock, wakeMs: 20, sleepMs: 300 });
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const add = (rest: Partial<RestPolicy> = {}, overrides: Partial<Service> = {}) =>
    bench.add(
      aBareService({ rest: { ...DEFAULT_REST, idleWhen: 'no_traffic', ...rest }, ...overrides }),
      RUNNING,
    );
  const controller = () => bench.controller('db');
  const connect = () => {
    const connection = new Connection(bench.clock);
    connection.lease = controller().takeLease(connection);
    return connection;
  };

  test('sleeps the whole idle timeout after the last byte, to the millisecond, and closes them', async () => {
    add();
    await bench.clock.advance(60_000);
    const [one, two] = [connect(), connect()];
    await bench.clock.advance(50_000);
    two.carry(1);
    await bench.clock.advance(119_999);
    expect([one.closes, two.closes]).toEqual([0, 0]);
    expect(controller().account.report.sleepsAtMs).toBe(bench.clock.nowMs() + 1);
    await bench.clock.advance(1);
    expect([one.closes, two.closes]).toEqual([1, 1]);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    await bench.clock.advance(300);
    expect(controller().account.report.lastSleep?.words).toBe(
      'idle for 120 s: 2 connections that carried nothing were closed',
    );
  });

  test('reads no counter before the idle timer fires', async () => {
    add();
    const connection = connect();
    let reads = 0;
    Object.defineProperty(connection, 'bytes', { get: () => reads++ });
    await bench.clock.advance(119_999);
    expect(reads).toBe(0);
    expect(bench.clock.pending).toBe(1);
    connection.lease?.release();
  });

  test('stays awake for the one that carries something, and tells when it would sleep', async () => {
    add();
    const connection = connect();
    for (let minute = 0; minute < 10; minute++) {
      await bench.clock.advance(60_000);
      connection.carry(1);
      expect(controller().account.report.sleepsAtMs).toBe(bench.clock.nowMs() + 120_000);
    }
    expect(bench.backend.calls).toEqual([]);
    connection.lease?.release();
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('stays awake for a byte in the last moment', async () => {
    add();
    const connection = connect();
    const close = connection.closeIdle.bind(connection);
    connection.closeIdle = (bytes) => {
      connection.carry(1);
      close(bytes);
    };
    await bench.clock.advance(120_000);
    expect(connection.closes).toBe(1);
    await bench.clock.advance(119_999);
    expect(bench.backend.calls).toEqual([]);
    connection.closeIdle = close;
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('takes a connection for used until now where nobody knows when its last byte passed', async () => {
    add();
    const connection = connect();
    connection.tells = false;
    connection.carry(1);
    await bench.clock.advance(239_999);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('never sleeps under a client that waits, of whom nothing is known, or beside a guard', async () => {
    add();
    const connection = connect();
    connection.bytes = undefined;
    await bench.clock.advance(1_000_000);
    connection.bytes = 0;
    const guard = controller().guard({ kind: 'schedule' });
    await bench.clock.advance(1_000_000);
    guard.release();
    const unknown = controller().takeLease();
    await bench.clock.advance(1_000_000);
    expect([connection.closes, bench.backend.calls.length]).toEqual([0, 0]);
    unknown.release();
    await bench.clock.advance(240_000);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('ignores heartbeats below the rate, of each connection, over the idle timeout', async () => {
    // 2 KiB within the idle timeout of two minutes.
    add({ ignoreBelow: { bytes: 1_024, per: 'min' } });
    const [one, two] = [connect(), connect()];
    const beat = async (bytes: number) => {
      for (let second = 0; second < 120; second += 10) {
        for (const connection of [one, two]) connection.carry(bytes);
        await bench.clock.advance(10_000);
      }
    };
    await beat(200);
    await beat(200);
    expect(bench.backend.calls).toEqual([]);
    await beat(100);
    expect([one.closes, two.closes]).toEqual([1, 1]);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('looks at the connections that are there when a reload says that they do not count', async () => {
    bench.add(aBareService(), RUNNING);
    const connection = connect();
    await bench.clock.advance(1_000_000);
    const rest = { ...DEFAULT_REST, idleWhen: 'no_traffic' } as const;
    bench.lifecycle.update(aBareService({ rest }), aBareService());
    await bench.clock.advance(0);
    expect(connection.closes).toBe(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('is paused first, and asked whether it is busy before anything is closed', async () => {
    let status = 0;
    bench.backend.runCommand = async () => status;
    add({ pauseAfterMs: 60_000, busyCheck: { kind: 'command', command: ['a'] } });
    const connection = connect();
    await bench.clock.advance(61_000);
    expect(connection.closes).toBe(0);
    status = 1;
    await bench.clock.advance(120_000);
    expect(connection.closes).toBe(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });
});
