import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createServiceListener, type ServiceListener } from '../../src/apply/service-listener.ts';
import type { ListenerSpec, Service } from '../../src/model/service.ts';
import { TrustedProxies } from '../../src/relay/access/trusted-proxies.ts';
import type { Client } from '../../src/relay/listener.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { LogLimiter } from '../../src/system/log/log-limiter.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aListener, aService, aUdpBudget } from '../support/builders.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { collect, ending } from '../support/sockets.ts';

const INTERVAL_MS = 10_000;

describe('createServiceListener', () => {
  let bench: Bench;
  let spec: ListenerSpec;
  let service: Service;
  let listener: ServiceListener;
  let lines: string[];
  let drains: number;
  let tracked: string[];

  beforeEach(async () => {
    bench = new Bench();
    const upstream = await bench.sockets.listen((socket) => socket.end('hello'));
    spec = aListener({ port: await freePort(), targetPort: upstream.port });
    service = aService({ listeners: [spec] });
    lines = [];
    drains = 0;
    tracked = [];
    const logger: Logger = { ...silentLogger, warn: (_fields, message) => void lines.push(message) };
    const { lifecycle, clock } = bench;
    const limiter = new LogLimiter(clock, INTERVAL_MS);
    const parts = {
      lifecycle,
      relay: createStreamRelay(),
      clock,
      logger,
      limiter,
      udpBudget: aUdpBudget(),
      trustedProxies: new TrustedProxies(),
      trackerOf: () => track,
    };
    listener = createServiceListener(spec, { ...parts, service, onDrained: () => drains++ });
    await listener.open();
  });
  afterEach(async () => {
    listener.destroy();
    expect(await bench.close()).toBe(0);
  });
  const track = ({ address }: Client) => {
    const own = tracked;
    own.push(`${address} came`);
    return () => own.push(`${address} went`);
  };
  const visit = async () => {
    const client = await bench.sockets.connect(spec.port);
    const received = await collect(client);
    const ended = once(client, 'close');
    client.end();
    await ended;
    return received.toString();
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const refuse = async () => {
    listener.rebind({ ...service, blockList: ['127.0.0.1'] });
    await ending(bench.sockets.begin(spec.port));
  };

  test('connects clients to the target port of its service', async () => {
    bench.add(service, RUNNING);
    expect(await visit()).toBe('hello');
  });

  test('tells who comes and goes', async () => {
    bench.add(service, RUNNING);
    await visit();
    await until(() => tracked.length > 1);
    expect(tracked).toEqual(['127.0.0.1 came', '127.0.0.1 went']);
  });

  test('wakes its service for a client, and lets it idle when the client is gone', async () => {
    bench.backend.automate({ clock: bench.clock, wakeMs: 200, sleepMs: 300 });
    bench.add({ ...service, idleTimeoutMs: 0 }, STOPPED);
    const visited = visit();
    await bench.backend.called(1);
    await bench.clock.advance(200);
    expect(await visited).toBe('hello');
    await until(() => bench.controller('db').leases === 0);
    await bench.clock.advance(300);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  test('connects to the new target port when it is rebound', async () => {
    bench.add(service, RUNNING);
    const other = await bench.sockets.listen((socket) => socket.end('other'));
    listener.rebind(aService({ listeners: [{ ...spec, targetPort: other.port }] }));
    expect(await visit()).toBe('other');
  });

  test('leaves everything as it is when it refuses a client', async () => {
    const controller = bench.add(service, STOPPED);
    const lastActiveMs = controller.lastActiveMs;
    await bench.clock.advance(1_000);
    await refuse();
    await until(() => lines.length > 0);
    expect(bench.backend.calls).toEqual([]);
    expect(tracked).toEqual([]);
    expect(controller.leases).toBe(0);
    expect(controller.lastActiveMs).toBe(lastActiveMs);
  });

  test('logs refused clients now and then, with how many came in between', async () => {
    for (let count = 0; count < 4; count++) await refuse();
    await until(() => lines.length > 0);
    for (let turn = 0; turn < 20; turn++) await settle();
    expect(lines).toEqual([
      expect.stringMatching(/^db: the access list refuses 127\.0\.0\.1:\d+ \(blocked\)$/),
    ]);
    await bench.clock.advance(INTERVAL_MS);
    await refuse();
    await until(() => lines.length > 1);
    expect(lines[1]).toMatch(/\(blocked\), and 3 more before it$/);
  });

  test('closes who may not wake what sleeps before anything else, and says why', async () => {
    const manual: Service = { ...service, availability: 'manual' };
    const controller = bench.add(manual, STOPPED);
    const { lastActiveMs } = controller;
    await bench.clock.advance(1_000);
    listener.rebind(manual);
    await ending(bench.sockets.begin(spec.port));
    await until(() => lines.length > 0);
    expect(lines).toEqual([
      expect.stringMatching(
        /^db: connection of 127\.0\.0\.1:\d+ closed: it is asleep, and clients don't wake it \(availability: manual\)$/,
      ),
    ]);
    expect(listener.refusals).toEqual({ asleep: 1 });
    expect(tracked).toEqual([]);
    expect(controller.lastActiveMs).toBe(lastActiveMs);
    bench.backend.tell('docker/db', RUNNING);
    expect(await visit()).toBe('hello');
    expect(bench.backend.calls).toEqual([]);
  });

  test('closes a client of a service that is gone', async () => {
    await ending(bench.sockets.begin(spec.port));
    await until(() => lines.length > 0);
    expect(lines).toEqual([expect.stringContaining('the service was removed')]);
  });

  test('throws when the service has no such listener', () => {
    expect(() => listener.rebind(aService({ listeners: [] }))).toThrow('no listener');
  });

  test('says that it is drained', () => {
    listener.close();
    expect(drains).toBe(1);
  });
});
