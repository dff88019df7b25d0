/** A workload that nobody uses is asked whether it is busy, before it is paused or put to sleep. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../../../src/model/service.ts';
import { DEFAULT_REST, type BusyCheck } from '../../../../src/model/running/sleep.ts';
import { aUrl } from '../../../support/builders.ts';
import { RUNNING } from '../../../support/fake-backend.ts';
import type { TestServer } from '../../../support/sockets.ts';
import { aBareService, Bench } from '../../bench.ts';

const COMMAND: BusyCheck = { kind: 'command', command: ['pgrep', 'backup'] };

describe('a busy check', () => {
  let bench: Bench;
  let server: TestServer;
  /** What the next commands do, the last one again and again: an exit status, or why they fail. */
  let outcomes: (number | string)[];
  let asked: number[];
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    bench.backend.automate({ clock: bench.clock, wakeMs: 20, sleepMs: 300 });
    outcomes = [0];
    asked = [];
    bench.backend.runCommand = async (_workload, { command }) => {
      expect(command).toEqual(['pgrep', 'backup']);
      asked.push(bench.clock.monotonicMs());
      const outcome = (outcomes.length > 1 ? outcomes.shift() : outcomes[0]) ?? 0;
      if (typeof outcome === 'string') throw new Error(outcome);
      return outcome;
    };
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const add = (overrides: Partial<Service> = {}, busyCheck: BusyCheck = COMMAND) =>
    bench.add(aBareService({ rest: { ...DEFAULT_REST, busyCheck }, ...overrides }), RUNNING);
  const controller = () => bench.controller('db');

  test('keeps what is busy awake, and is asked again after each idle timeout, but not within 30 s', async () => {
    outcomes = [0, 0, 1];
    add({ idleTimeoutMs: 10_000 });
    const startMs = bench.clock.monotonicMs();
    await bench.clock.advance(10_000);
    expect(bench.backend.calls).toEqual([]);
    expect(controller().account.report.keepers).toMatchObject([{ kind: 'busy' }]);
    expect(controller().account.report.sleepsAtMs).toBe(bench.clock.nowMs() + 30_000);
    await bench.clock.advance(60_001);
    expect(asked.map((ms) => ms - startMs)).toEqual([10_000, 40_000, 70_000]);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(bench.lines.filter((line) => line.includes('busy'))).toEqual([
      'db is not put to sleep: it is busy, says its busy_check',
    ]);
  });

  test('is asked before a pause', async () => {
    outcomes = [0, 1];
    add({ rest: { ...DEFAULT_REST, busyCheck: COMMAND, pauseAfterMs: 60_000 } });
    await bench.clock.advance(60_000);
    expect(bench.backend.calls).toEqual([]);
    // By then it was idle for the whole idle timeout.
    await bench.clock.advance(120_001);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('loses against a client that comes while it is asked', async () => {
    let answer = (_status: number) => {};
    bench.backend.runCommand = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    add();
    await bench.clock.advance(120_000);
    const { release } = await bench.client('db', server.port).served;
    answer(1);
    await bench.clock.advance(1_000_000);
    expect(bench.backend.calls).toEqual([]);
    release();
    await bench.clock.advance(120_000);
    answer(1);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('counts as not busy when it has failed three times in a row, and says so once', async () => {
    outcomes = ['403', 0, '403', '403', '403'];
    add();
    await bench.clock.advance(4 * 120_000);
    expect(bench.backend.calls).toEqual([]);
    expect(controller().account.busyFailure).toBeUndefined();
    await bench.clock.advance(120_001);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(controller().account.busyFailure).toBe('403');
    expect(bench.lines).toContain('db counts as not busy: its busy_check has failed 3 times in a row: 403');
  });

  test('fails where the command is not found, or gives no answer within 5 s', async () => {
    outcomes = [127, 126, 127];
    add({ idleTimeoutMs: 60_000 });
    await bench.clock.advance(180_001);
    expect(controller().account.busyFailure).toBe('exit code 127: the command could not be run');
    await bench.clock.advance(1_000);
    bench.backend.tell('docker/db', RUNNING);
    bench.backend.runCommand = (_workload, { signal }) =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    await bench.clock.advance(65_001);
    expect(controller().account.busyFailure).toBe('no answer within 5 s');
    expect(bench.backend.count('sleep')).toBe(2);
  });

  test('by URL is busy where that answers 2xx', async () => {
    let status = 204;
    const web = await bench.sockets.listen((socket) =>
      socket.on('error', () => {}).end(`HTTP/1.1 ${status} It\r\nContent-Length: 0\r\n\r\n`),
    );
    add({}, { kind: 'url', url: aUrl(`http://{{container}}:${web.port}/busy`) });
    await bench.clock.advance(120_000);
    await bench.until(() => controller().account.report.keepers.length > 0);
    status = 503;
    await bench.clock.advance(120_000);
    await bench.until(() => bench.backend.calls.length > 0);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('is not asked where a person, a schedule or the end of the service stops the workload', async () => {
    add();
    controller().sleep({ kind: 'hand', words: 'by hand' });
    expect(bench.backend.log).toEqual(['sleep docker/db']);
    expect(asked).toEqual([]);
  });
});
