import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Endpoint, Observation } from '../../src/model/running/observation.ts';
import { aService } from '../support/builders.ts';
import { RUNNING, STOPPED, UNKNOWN } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import type { TestServer } from '../support/sockets.ts';
import { Bench } from './bench.ts';

const KEY = 'docker/db';

describe('a workload whose ports are mapped', () => {
  let bench: Bench;
  let first: TestServer;
  let second: TestServer;
  beforeEach(async () => {
    bench = new Bench();
    first = await bench.sockets.listen();
    second = await bench.sockets.listen();
  });
  afterEach(async () => {
    expect(await bench.close()).toBe(0);
  });
  const endpoint = (port: number): Endpoint => ({ host: '127.0.0.1', port });
  const running = (...ports: readonly number[]): Observation => ({
    ...RUNNING,
    ports: { 'tcp/http': ports.map(endpoint) },
  });
  const asleep: Observation = { ...STOPPED, ports: { 'tcp/http': [] } };
  const serve = async () => {
    const client = bench.client('db', 'http');
    return bench.sockets.own((await client.served).socket).remotePort;
  };

  test('is woken for a port by its name and reached where that is', async () => {
    bench.add(aService(), asleep);
    const client = bench.client('db', 'http');
    await bench.backend.called(1);
    bench.backend.last.succeed(running(first.port));
    expect((await client.served).socket.remotePort).toBe(first.port);
  });

  test('spreads its clients over the endpoints', async () => {
    bench.add(aService(), running(first.port, second.port));
    const ports = [await serve(), await serve(), await serve(), await serve()];
    expect(ports.filter((port) => port === first.port)).toHaveLength(2);
    expect(ports.filter((port) => port === second.port)).toHaveLength(2);
  });

  test('passes over an endpoint that refuses', async () => {
    bench.add(aService(), running(await freePort(), second.port));
    expect([await serve(), await serve(), await serve()]).toEqual([second.port, second.port, second.port]);
  });

  test('serves nobody on a port that does not exist, and is not woken for it', async () => {
    bench.add(aService(), asleep);
    const client = bench.client('db', 'https');
    await expect(client.served).rejects.toThrow('no target port tcp/https; there is tcp/http');
    expect(bench.backend.log).toEqual([]);
  });

  test('refuses a client that waits as soon as it turns out that its port does not exist', async () => {
    bench.add(aService(), UNKNOWN);
    const client = bench.client('db', 'https');
    await settle();
    bench.backend.tell(KEY, running(first.port));
    await expect(client.served).rejects.toThrow('no target port tcp/https');
  });

  test('serves nobody while something has to be mended, and says what', async () => {
    bench.add(aService(), { ...asleep, problem: 'Service shop/db does not exist' });
    const client = bench.client('db', 'http');
    await expect(client.served).rejects.toThrow('Service shop/db does not exist');
    expect(bench.backend.log).toEqual([]);
  });

  test('takes other endpoints in the middle of its run', async () => {
    bench.add(aService(), running(first.port));
    expect(await serve()).toBe(first.port);
    bench.backend.tell(KEY, running(second.port));
    expect(await serve()).toBe(second.port);
  });

  test('ends a UDP flow when its endpoint goes, and lets the others be', async () => {
    bench.add(aService(), {
      ...RUNNING,
      ports: { 'udp/53': [endpoint(first.port), endpoint(second.port)] },
    });
    const open = () => {
      const lease = bench.lifecycle.takeFlowLease('db', { port: 53, client: 'c', sleepIfSilent: false });
      const take = async ({ port }: Endpoint) => ({ port, close() {} });
      const signal = new AbortController().signal;
      return lease.open({
        readiness: 'open',
        prove: ([first]) => take(first as Endpoint),
        follow: take,
        signal,
      });
    };
    const flows = [await open(), await open()];
    bench.backend.tell(KEY, { ...RUNNING, ports: { 'udp/53': [endpoint(second.port)] } });
    await settle();
    const lives = (port: number) => flows.find(({ value }) => value.port === port)?.ended.aborted === false;
    expect([lives(first.port), lives(second.port)]).toEqual([false, true]);
  });
});
