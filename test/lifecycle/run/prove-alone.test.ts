/** Workloads that run while nobody waits for them: the proxy asks their ports itself. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Service } from '../../../src/model/service.ts';
import { aListener, aService } from '../../support/builders.ts';
import { RUNNING, STOPPED } from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { collect, type TestServer } from '../../support/sockets.ts';
import { Bench } from '../bench.ts';

const KEY = 'docker/db';

describe('a workload that nobody waits for', () => {
  let bench: Bench;
  let server: TestServer;
  let closed: number;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
    closed = await freePort();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const state = () => bench.controller('db').state;
  const on = (ports: readonly number[], overrides: Partial<Service> = {}) =>
    aService({
      listeners: ports.map((targetPort) => aListener({ port: targetPort, targetPort })),
      startTimeoutMs: 4_000,
      ...overrides,
    });

  test('is ready once its port has answered one dial, which carries nothing', async () => {
    bench.add(on([server.port]), RUNNING);
    expect(state().kind).toBe('starting');
    await bench.until(() => state().kind === 'ready');
    expect(server.sockets).toHaveLength(1);
    const [socket] = server.sockets;
    expect(socket === undefined ? 'none' : String(await collect(socket))).toBe('');
    await bench.clock.advance(60_000);
    expect(server.sockets).toHaveLength(1);
  });

  test.each([
    ['that ran before the proxy', RUNNING],
    ['that somebody else starts', STOPPED],
  ])('%s has failed after start_timeout where its port is wrong, with the reason', async (_, first) => {
    bench.add(on([closed]), first);
    bench.backend.tell(KEY, RUNNING);
    await bench.until(() => state().kind !== 'starting', 10);
    expect(state()).toEqual({ kind: 'failed', running: true });
    const reason = `not ready within 4000 ms: connection refused at 127.0.0.1:${closed}`;
    expect(bench.controller('db').account.wakes).toMatchObject({
      failure: reason,
      last: { result: 'failed' },
    });
    expect(bench.backend.calls).toEqual([]);
  });

  test('is ready at once where it has no port that can be asked', async () => {
    const udp = aListener({ protocol: 'udp', port: 53, targetPort: 53 });
    bench.add(aService({ listeners: [udp] }), RUNNING);
    await settle();
    expect(state().kind).toBe('ready');
  });

  test('is ready where one of many ports answers', async () => {
    bench.add(on([...Array.from({ length: 10 }, () => closed), closed, server.port]), RUNNING);
    await bench.until(() => state().kind === 'ready');
    expect(server.sockets).toHaveLength(1);
  });

  test('has its whole idle timeout from its answer on', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });
    bench.add(on([closed], { idleTimeoutMs: 10_000 }), RUNNING);
    await bench.clock.advance(3_000);
    const late = await bench.sockets.listen(undefined, { port: closed });
    await bench.until(() => state().kind === 'ready', 10);
    expect(late.sockets).toHaveLength(1);
    await bench.clock.advance(9_900);
    expect(bench.backend.calls).toEqual([]);
    await bench.clock.advance(100);
    expect(bench.backend.log).toEqual(['sleep docker/db']);
  });

  test('is not dialled before its health check has passed', async () => {
    bench.add(on([server.port]), { ...RUNNING, health: 'starting' });
    await bench.clock.advance(2_000);
    expect(server.sockets).toEqual([]);
    bench.backend.tell(KEY, { ...RUNNING, health: 'healthy' });
    await bench.until(() => state().kind === 'ready');
  });

  test('is dialled no more when it stops, or the proxy ends', async () => {
    bench.add(on([closed]), RUNNING);
    await bench.clock.advance(1_000);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(state().kind).toBe('stopped');
    expect(bench.clock.pending).toBe(0);
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(100);
  });

  test('serves a client that comes meanwhile', async () => {
    bench.add(on([closed]), RUNNING);
    await bench.clock.advance(1_000);
    const client = bench.client('db', closed);
    await bench.sockets.listen(undefined, { port: closed });
    await bench.until(() => client.outcome !== 'waiting', 10);
    expect(client.outcome).toBe('served');
    expect(state().kind).toBe('ready');
  });

  test('is asked when the last client that waited for it has left', async () => {
    bench.add(on([closed]), STOPPED);
    const client = bench.client('db', closed);
    await bench.backend.called(1);
    bench.backend.last.succeed(RUNNING);
    await bench.clock.advance(1_000);
    client.leave();
    await settle();
    expect(state().kind).toBe('starting');
    await bench.sockets.listen(undefined, { port: closed });
    await bench.until(() => state().kind === 'ready', 10);
  });
});
