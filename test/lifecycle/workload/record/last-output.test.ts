/** What a workload had printed last when its start failed. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { aService } from '../../../support/builders.ts';
import { RUNNING, STOPPED } from '../../../support/fake-backend.ts';
import { settle } from '../../../support/fake-clock.ts';
import { Bench } from '../../bench.ts';

describe('the last output', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
    bench.backend.output = ['one', 'two'];
    bench.add(aService({ startTimeoutMs: 60_000 }), STOPPED);
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const output = () => bench.controller('db').account.wakes.output;
  const told = () => bench.lines.filter((line) => line.startsWith('db | '));
  /** A client whose start fails. */
  const fail = async () => {
    const count = bench.backend.calls.length + 1;
    const client = bench.client('db', 80);
    await bench.until(() => bench.backend.calls.length === count, 50);
    bench.backend.last.succeed({ ...STOPPED, detail: 'exit code 3' });
    await bench.until(() => client.outcome !== 'waiting', 50);
  };

  test('goes to the log and is kept when a start fails, until one works', async () => {
    const server = await bench.sockets.listen();
    await fail();
    expect(told()).toEqual(['db | one', 'db | two']);
    expect(output()).toEqual(['one', 'two']);
    const client = bench.client('db', server.port);
    await bench.until(() => bench.backend.calls.length === 2, 50);
    bench.backend.last.succeed(RUNNING);
    await client.served;
    expect(output()).toEqual([]);
  });

  test('is logged once in 10 s, however many starts fail', async () => {
    const beganMs = bench.clock.monotonicMs();
    for (let starts = 0; starts < 4; starts++) await fail();
    expect(bench.clock.monotonicMs() - beganMs).toBeLessThan(10_000);
    expect(told()).toEqual(['db | one', 'db | two']);
    await bench.clock.advance(10_000);
    await fail();
    expect(told()).toHaveLength(4);
  });

  test('is that of each wake that has failed', async () => {
    for (const line of ['first', 'second', 'third']) {
      bench.backend.output = [line];
      await fail();
      await settle();
    }
    const kept = bench.controller('db').account.wakes.kept.map(({ output: lines }) => lines);
    expect(kept).toEqual([['first'], ['second'], ['third']]);
  });

  test('is that of the health check first, where that has failed', async () => {
    const client = bench.client('db', 80);
    await bench.backend.called(1);
    bench.backend.last.succeed({ ...RUNNING, health: 'starting' });
    await bench.until(() => client.outcome !== 'waiting', 500);
    await settle();
    expect(bench.backend.readings).toEqual(['check docker/db', 'workload docker/db']);
    expect(told()).toEqual(['db | one', 'db | two']);
  });

  test('is not read where the engine has not started anything', async () => {
    const client = bench.client('db', 80);
    await bench.backend.called(1);
    bench.backend.last.fail('no such program', STOPPED);
    await bench.until(() => client.outcome !== 'waiting', 50);
    expect(bench.backend.readings).toEqual([]);
  });

  test('hurts nobody where it can not be read', async () => {
    bench.backend.output = new Error('403 Forbidden');
    await fail();
    expect(output()).toEqual([]);
    expect(bench.lines).toContainEqual("db: its last output can't be read: 403 Forbidden");
    expect(bench.controller('db').account.wakes.last).toMatchObject({
      ...{ result: 'failed', reason: 'exit code 3', outputProblem: '403 Forbidden' },
    });
    await fail();
    expect(bench.controller('db').state.kind).toBe('failed');
  });
});
