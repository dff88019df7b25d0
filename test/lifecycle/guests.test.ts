import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Observation } from '../../src/model/running/observation.ts';
import { MISSING, PAUSED, RUNNING, STARTING, STOPPED, STOPPING } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import type { TestServer } from '../support/sockets.ts';
import { aBareService, Bench, type Client } from './bench.ts';

const KEY = 'docker/db';
const FLOW = { port: 53, client: 'c', sleepIfSilent: true };

describe('a client that may not wake the workload', () => {
  let bench: Bench;
  let server: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    server = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });

  const service = aBareService({ idleTimeoutMs: 1_000, startTimeoutMs: 5_000 });
  const automate = () => bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });
  const guest = (port = server.port) => bench.client('db', port, { mayWake: false });
  const reasonOf = async ({ served }: Client) => served.then(String, (error: Error) => error.message);
  const nobody = async () => {
    const { port, close } = await bench.sockets.listen();
    await close();
    return port;
  };

  test.each<[string, Observation]>([
    ['asleep', STOPPED],
    ['paused', PAUSED],
    ['being stopped', STOPPING],
  ])('is refused at once while that is %s, and nothing is woken', async (what, observation) => {
    automate();
    const controller = bench.add(service, observation);
    const { lastActiveMs } = controller;
    await bench.clock.advance(500);
    const client = guest();
    await settle();
    expect(client.outcome).toBe('wake-list');
    expect(await reasonOf(client)).toBe(`it is ${what}, and this client may not wake it (wake_list)`);
    expect(() => bench.lifecycle.takeFlowLease('db', { ...FLOW, mayWake: false })).toThrow('wake_list');
    expect(bench.lifecycle.refusalOf('db', { mayWake: false })?.code).toBe('wake-list');
    expect(bench.lifecycle.refusalOf('db', { mayWake: true })).toBeUndefined();
    expect(controller.lastActiveMs).toBe(lastActiveMs);
    expect(controller.account.report.unavailable).toBeUndefined();
    await bench.clock.advance(10_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('is served while that is awake, and keeps it so', async () => {
    automate();
    bench.add(service, RUNNING);
    const client = guest();
    await bench.until(() => client.outcome === 'served');
    await bench.clock.advance(10_000);
    expect(bench.backend.log).toEqual([]);
    (await client.served).release();
    await bench.until(() => bench.controller('db').state.kind === 'stopped');
  });

  test('waits while that starts for another client, and is served with it', async () => {
    automate();
    bench.add(service, STOPPED);
    const other = bench.client('db', server.port);
    await settle();
    const client = guest();
    await settle();
    expect(client.outcome).toBe('waiting');
    await bench.until(() => client.outcome === 'served' && other.outcome === 'served');
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('waits while that is not there, and is refused as soon as it sleeps', async () => {
    bench.add(service, MISSING);
    const client = guest();
    await settle();
    expect(client.outcome).toBe('waiting');
    bench.backend.tell(KEY, STOPPED);
    await settle();
    expect(client.outcome).toBe('wake-list');
    expect(bench.backend.calls).toEqual([]);
  });

  test('is refused when others stop that in the middle of its start, and it alone waits', async () => {
    bench.add(service, RUNNING);
    const client = guest(await nobody());
    await bench.clock.advance(100);
    expect(client.outcome).toBe('waiting');
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect(client.outcome).toBe('wake-list');
    await bench.clock.advance(60_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('goes on waiting then while one waits that may wake it, and is refused once that has left', async () => {
    bench.add(service, STARTING);
    const port = await nobody();
    const [client, other] = [guest(port), bench.client('db', port)];
    bench.backend.tell(KEY, RUNNING);
    await bench.clock.advance(100);
    bench.backend.tell(KEY, { ...STOPPED, stoppedBy: 'others' });
    await settle();
    expect([client.outcome, other.outcome]).toEqual(['waiting', 'waiting']);
    other.leave();
    await settle();
    expect([client.outcome, other.outcome]).toEqual(['wake-list', 'left']);
    await bench.clock.advance(60_000);
    expect(bench.backend.calls).toEqual([]);
  });

  test('gets the reason of everybody where no client may wake it', async () => {
    bench.add({ ...service, availability: 'manual' }, STOPPED);
    const client = guest();
    await settle();
    expect(client.outcome).toBe('asleep');
    expect(await reasonOf(client)).toBe("it is asleep, and clients don't wake it (availability: manual)");
  });

  test('has a flow that is served while that is awake', () => {
    bench.add(service, RUNNING);
    bench.lifecycle.takeFlowLease('db', { ...FLOW, mayWake: false }).release(bench.clock.monotonicMs());
  });
});
