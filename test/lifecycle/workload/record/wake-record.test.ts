/** What is kept of the last start of a workload, and what its clients are told of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../../../src/model/service.ts';
import { aService } from '../../../support/builders.ts';
import { RUNNING, STARTING, STOPPED } from '../../../support/fake-backend.ts';
import { settle } from '../../../support/fake-clock.ts';
import { freePort } from '../../../support/free-ports.ts';
import { Bench } from '../../bench.ts';

const KEY = 'docker/db';
const SERVICE = aService({ startTimeoutMs: 4_000 });

describe('the last wake', () => {
  let bench: Bench;
  beforeEach(() => {
    bench = new Bench();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const add = (service: Service = SERVICE) => bench.add(service, STOPPED);
  const wakes = () => bench.controller('db').account.wakes;
  const messageOf = async (client: { readonly served: Promise<unknown> }) =>
    client.served.then(
      () => 'served',
      (error: Error) => error.message,
    );

  test('tells who woke it and how long each phase took', async () => {
    const server = await bench.sockets.listen();
    add();
    const client = bench.client('db', server.port);
    await bench.backend.called(1);
    await bench.clock.advance(200);
    bench.backend.last.succeed({ ...RUNNING, health: 'starting' });
    await bench.clock.advance(300);
    bench.backend.tell(KEY, { ...RUNNING, health: 'healthy' });
    await client.served;
    expect(wakes().failure).toBeUndefined();
    expect(wakes().last).toMatchObject({
      ...{ cause: 'for 10.0.0.5:4242', result: 'ready' },
      phases: { engine: 200, health: 300 },
    });
    expect(bench.lines).toContainEqual(
      expect.stringMatching(/^db is awake after \d+ ms \(engine 200 ms, health 300 ms/),
    );
  });

  test('says first what to do where the container publishes the port on which the proxy listens', async () => {
    const listeners = [{ protocol: 'tcp', address: '', port: 9210, targetPort: 80 }] as const;
    const seen = { ...STOPPED, publishedPorts: ['tcp/9210'] };
    bench.add(aService({ listeners }), seen);
    const client = bench.client('db', 9210);
    await bench.backend.called(1);
    bench.backend.last.fail('driver failed programming external connectivity', seen);
    expect(await messageOf(client)).toMatch(
      /^the container publishes tcp 9210 itself, .* own ports: driver failed programming/,
    );
  });

  test('says of what ended without an error that it ended by itself', async () => {
    add();
    const client = bench.client('db', 5_432);
    const told = messageOf(client);
    await bench.backend.called(1);
    bench.backend.last.succeed({ ...STOPPED, detail: 'exit code 0', stoppedBy: 'itself' });
    const reason = 'it ended by itself at once, without an error (exit code 0)';
    expect(await told).toBe(reason);
    expect(wakes().last).toMatchObject({ result: 'failed', reason });
  });

  test('names the container that does not exist, and what makes it', async () => {
    bench.add(SERVICE, { ...STOPPED, state: 'missing' });
    const told = messageOf(bench.client('db', 5_432));
    await bench.clock.advance(4_000);
    expect(await told).toBe(
      'not ready within 4000 ms: container db does not exist (docker compose create makes it)',
    );
  });

  test('says that the engine does not answer, where that is why it was not started', async () => {
    await bench.close();
    bench = new Bench({ explainEngine: () => 'the engine is away' });
    add();
    const told = messageOf(bench.client('db', 5_432));
    await bench.clock.advance(4_000);
    expect(await told).toBe('not ready within 4000 ms: the engine is away');
    expect(wakes().last).toMatchObject({ reason: 'not ready within 4000 ms: the engine is away' });
  });

  test('names the port that refused, to the client, in the log and in the record', async () => {
    const port = await freePort();
    add();
    const client = bench.client('db', port);
    const told = messageOf(client);
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.until(() => client.outcome !== 'waiting', 10);
    const reason = `not ready within 4000 ms: connection refused at 127.0.0.1:${port}`;
    expect(await told).toBe(reason);
    expect(wakes()).toMatchObject({ failure: reason, last: { result: 'failed', reason } });
    expect(bench.lines).toContainEqual(expect.stringContaining(reason));
  });

  test.each([
    ['what the engine says of a start under way', { ...STARTING, detail: 'ImagePullBackOff: no such image' }],
    [
      'what the engine says of a run without an address',
      { ...RUNNING, hosts: [], detail: 'ImagePullBackOff' },
    ],
    ['that its health check has not passed', { ...RUNNING, health: 'starting', detail: 'ImagePull' }],
  ] as const)('tells %s when the deadline passes', async (_, observation) => {
    add();
    const client = bench.client('db', 80);
    const told = messageOf(client);
    await bench.backend.called(1);
    bench.backend.last.succeed(observation);
    await bench.until(() => client.outcome !== 'waiting', 50);
    expect(await told).toMatch(/^not ready within 4000 ms: .*ImagePull/);
  });

  test('names a target port that nothing has', async () => {
    add();
    const client = bench.client('db', 80);
    const told = messageOf(client);
    await bench.backend.called(1);
    bench.backend.last.succeed({ ...RUNNING, ports: { 'tcp/80': [] }, portsOf: 'Service shop/db' });
    await bench.until(() => client.outcome !== 'waiting', 50);
    expect(await told).toBe(
      'not ready within 4000 ms: nothing that is ready behind Service shop/db has the target port tcp/80',
    );
  });

  test('gives each client a try inside its budget, however many starts have failed before', async () => {
    add(aService({ startTimeoutMs: 3_000 }));
    for (let tries = 1; tries <= 8; tries++) {
      const client = bench.client('db', 80);
      const told = messageOf(client);
      await bench.until(() => bench.backend.calls.length === tries, 50);
      bench.backend.last.fail('cannot start container "db": no such program', STOPPED);
      await bench.until(() => client.outcome !== 'waiting', 50);
      expect(client.outcome).toBe('failed');
      expect(await told).toContain('no such program');
    }
  });

  test('stays until one works, also when the workload looks like any other that sleeps', async () => {
    const server = await bench.sockets.listen();
    add();
    const first = bench.client('db', server.port);
    await bench.backend.called(1);
    bench.backend.last.succeed({ ...STOPPED, detail: 'exit code 3' });
    await bench.until(
      () => first.outcome !== 'waiting' && bench.controller('db').state.kind === 'stopped',
      50,
    );
    expect(wakes().failure).toBe('exit code 3');
    expect(bench.failedWakes).toEqual(['db: exit code 3']);
    const second = bench.client('db', server.port);
    await bench.backend.called(2);
    expect(wakes().failure).toBe('exit code 3');
    bench.backend.last.succeed(RUNNING);
    await second.served;
    expect(wakes()).toMatchObject({ failure: undefined, last: { result: 'ready' } });
  });

  test('does not get the reason of the one before, which its engine tells late', async () => {
    const explanations: ((why: string) => void)[] = [];
    bench.backend.explain = () => new Promise((resolve) => explanations.push(resolve));
    add();
    for (const [index, detail] of ['exit code 3', 'exit code 4'].entries()) {
      const client = bench.client('db', 80);
      await bench.until(() => bench.backend.calls.length > index, 50);
      bench.backend.last.succeed({ ...STOPPED, detail });
      await bench.until(() => client.outcome !== 'waiting', 50);
    }
    explanations[0]?.('out of memory');
    await settle();
    expect(wakes()).toMatchObject({ failure: 'exit code 4', last: { reason: 'exit code 4' } });
    explanations[1]?.('no space left');
    await settle();
    expect(wakes()).toMatchObject({ failure: 'exit code 4: no space left' });
    // Outside it is told once the engine has said why.
    expect(bench.failedWakes).toEqual(['db: exit code 3', 'db: exit code 4: no space left']);
  });

  test('keeps all of them, each failed one with its reason and what the workload had printed', async () => {
    add();
    for (const [index, detail] of ['exit code 3', 'exit code 4'].entries()) {
      bench.backend.output = [`line ${index}`];
      const client = bench.client('db', 80);
      await bench.until(() => bench.backend.calls.length > index, 50);
      bench.backend.last.succeed({ ...STOPPED, detail });
      await bench.until(() => client.outcome !== 'waiting', 50);
      // Output is read at most every 10 s.
      await bench.clock.advance(10_000);
    }
    expect(wakes().kept).toMatchObject([
      { result: 'failed', reason: 'exit code 3', output: ['line 0'] },
      { result: 'failed', reason: 'exit code 4', output: ['line 1'] },
    ]);
  });

  test('keeps the output of the last five failed ones alone', async () => {
    bench.backend.output = ['no space left'];
    add();
    for (let tries = 1; tries <= 7; tries++) {
      const client = bench.client('db', 80);
      await bench.until(() => bench.backend.calls.length === tries, 50);
      bench.backend.last.succeed({ ...STOPPED, detail: 'exit code 3' });
      await bench.until(() => client.outcome !== 'waiting', 50);
      await bench.clock.advance(30_000);
    }
    const shown = wakes().kept.map(({ output }) => output !== undefined);
    expect(shown).toEqual([false, false, true, true, true, true, true]);
  });

  test('shows the one that is under way, with the phase that it is in', async () => {
    add();
    const client = bench.client('db', 80);
    client.served.catch(() => {});
    await bench.backend.called(1);
    await bench.clock.advance(200);
    bench.backend.last.succeed({ ...RUNNING, health: 'starting' });
    await bench.clock.advance(300);
    expect(bench.controller('db').account.report.wakeUnderWay).toMatchObject({
      ...{ cause: 'for 10.0.0.5:4242', phase: 'health' },
      phases: { engine: 200, health: 300, port: 0 },
    });
    client.leave();
  });

  test('says that somebody else started it', async () => {
    add();
    bench.backend.tell(KEY, STARTING);
    await bench.clock.advance(100);
    bench.backend.tell(KEY, STOPPED);
    await settle();
    expect(wakes().last).toMatchObject({ cause: 'by somebody else', phases: { engine: 100 } });
  });
});
