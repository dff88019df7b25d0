import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createServiceListener, type ServiceListener } from '../../src/apply/service-listener.ts';
import type { ListenerSpec, Service } from '../../src/model/service.ts';
import { TrustedProxies } from '../../src/relay/access/trusted-proxies.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { LogLimiter } from '../../src/system/log/log-limiter.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { Bench } from '../lifecycle/bench.ts';
import { aListener, aService, aUdpBudget } from '../support/builders.ts';
import { Datagrams, type Endpoint, settleDatagrams } from '../support/datagrams.ts';
import { datagramsWays } from '../support/datagrams-ways.ts';
import { RUNNING, STOPPED } from '../support/fake-backend.ts';
import { settle } from '../support/fake-clock.ts';
import { freeUdpPort } from '../support/free-ports.ts';

const KEY = 'docker/db';
const WAKE_MS = 200;
const START_TIMEOUT_MS = 30_000;
const IDLE_MS = 60_000;

describe.each(datagramsWays)('a UDP service moving datagrams $way', ({ native }) => {
  let bench: Bench;
  let datagrams: Datagrams;
  let spec: ListenerSpec;
  let service: Service;
  let listener: ServiceListener;
  let lines: string[];
  /** What the log tells at debug. */
  let details: string[];

  beforeEach(async () => {
    bench = new Bench();
    datagrams = new Datagrams();
    lines = [];
    details = [];
    const targetPort = await freeUdpPort();
    spec = aListener({ protocol: 'udp', port: await freeUdpPort(), targetPort });
    service = aService({
      listeners: [spec],
      idleTimeoutMs: IDLE_MS,
      startTimeoutMs: START_TIMEOUT_MS,
      udp: {
        readiness: 'reply',
        flowTimeoutMs: 60_000,
        maxQueuedDatagrams: 2_000,
        maxQueuedBytes: 1_048_576,
        maxQueueAgeMs: 90_000,
      },
    });
    await open(service);
    bench.backend.automate({ clock: bench.clock, wakeMs: WAKE_MS, sleepMs: 100 });
  });
  afterEach(async () => {
    listener.destroy();
    await settle();
    expect(bench.lifecycle.find('db')?.leases ?? 0).toBe(0);
    expect(await bench.close()).toBe(0);
    await datagrams.close();
  });

  async function open(wanted: Service): Promise<void> {
    service = wanted;
    const { lifecycle, clock } = bench;
    const logger: Logger = {
      ...silentLogger,
      shows: () => true,
      warn: (_fields, message) => void lines.push(message),
      debug: (_fields, message) => void details.push(message),
    };
    const parts = {
      udpBudget: aUdpBudget(),
      trustedProxies: new TrustedProxies(),
      lifecycle,
      relay: createStreamRelay(),
      clock,
      logger,
      limiter: new LogLimiter(clock, 1_000),
    };
    const more = { loadDatagrams: async () => native, service, trackerOf: () => undefined, onDrained() {} };
    listener = createServiceListener(spec, { ...parts, ...more });
    await listener.open();
  }
  const useOpenMode = () => {
    service = { ...service, udp: { ...service.udp, readiness: 'open' } };
    listener.rebind(service);
  };
  const upstream = (onDatagram?: Parameters<Datagrams['bind']>[0]) =>
    datagrams.bind(onDatagram, { port: Number(spec.targetPort) });
  const echo = () => datagrams.echo({ port: Number(spec.targetPort) });
  const send = (client: Endpoint, ...texts: readonly string[]) => {
    for (const text of texts) client.send(text, { port: spec.port });
  };
  const state = () => bench.controller('db').state.kind;
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

  test('each flow is told at its end: who, where to, for how long and how much', async () => {
    bench.add(service, STOPPED);
    await echo();
    const client = await datagrams.bind();
    send(client, 'hello', 'there');
    await bench.backend.called(1);
    await bench.clock.advance(WAKE_MS);
    await client.arrived(2);
    send(client, 'more');
    await client.arrived(3);
    // The time of the answers is the last that counts.
    await bench.clock.advance(60_000);
    await bench.until(() => details.length > 0);
    const flow = `db: flow of 127.0.0.1:${client.port} to 127.0.0.1:${spec.targetPort}`;
    expect(details[0]).toMatch(/: ended by silence after \d+ ms, 14 bytes up, 29 bytes down$/);
    expect(details[0]?.startsWith(`${flow}: `)).toBe(true);
    expect(details).toHaveLength(1);
  });

  describe('in reply mode', () => {
    test('answers the first datagrams of ten clients, each with its own reply', async () => {
      bench.add(service, STOPPED);
      const clients = await Promise.all(Array.from({ length: 10 }, () => datagrams.bind()));
      for (const [index, client] of clients.entries()) send(client, `hello ${index}`);
      await bench.backend.called(1);
      await bench.clock.advance(WAKE_MS + 1_000);
      await echo();
      await bench.until(() => clients.every(({ received }) => received.length > 0));
      for (const [index, { texts }] of clients.entries()) expect(texts).toEqual([`echo hello ${index}`]);
      expect(bench.backend.log).toEqual(['wake docker/db']);
      expect(state()).toBe('ready');
    });

    test('offers the very first datagram until it is answered, and sends all others once and in order', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      const [first, second] = [await datagrams.bind(), await datagrams.bind()];
      send(first, 'a1', 'a2', 'a3');
      await bench.backend.called(1);
      send(second, 'b1', 'b2');
      await settleDatagrams();
      await bench.clock.advance(WAKE_MS);
      await target.arrived(1);
      for (let tries = 2; tries <= 4; tries++) {
        await bench.clock.advance(499);
        await settleDatagrams();
        expect(target.received).toHaveLength(tries - 1);
        await bench.clock.advance(1);
        await target.arrived(tries);
      }
      expect(new Set(target.texts)).toEqual(new Set(['a1']));
      expect(state()).toBe('starting');
      target.send('here', { port: target.senders[0]?.port ?? 0 });
      await first.arrived(1);
      await bench.until(() => target.received.length >= 8);
      await bench.clock.advance(2_000);
      await settleDatagrams();
      const rest = target.texts.slice(4);
      expect(rest.filter((text) => text.startsWith('a'))).toEqual(['a2', 'a3']);
      expect(rest.filter((text) => text.startsWith('b'))).toEqual(['b1', 'b2']);
      expect(second.received).toEqual([]);
    });

    test('tries again quickly when the port refuses at first', async () => {
      bench.add(service, STOPPED);
      const client = await datagrams.bind();
      send(client, 'hello');
      await bench.backend.called(1);
      await bench.clock.advance(WAKE_MS + 5_000);
      const target = await echo();
      const openedMs = bench.clock.monotonicMs();
      await bench.until(() => client.received.length > 0);
      // The clock of the test runs ahead of the sockets a little.
      expect(bench.clock.monotonicMs() - openedMs).toBeLessThan(400);
      expect(target.texts).toEqual(['hello']);
    });

    test('drops what later clients sent, too, when the start was in vain', async () => {
      bench.add(service, STOPPED);
      await upstream();
      send(await datagrams.bind(), 'a');
      await bench.backend.called(1);
      await bench.clock.advance(20_000);
      send(await datagrams.bind(), 'b');
      await settleDatagrams();
      await bench.clock.advance(START_TIMEOUT_MS - 20_000);
      expect(listener.drops).toEqual({ 'not-ready': 2 });
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    });

    test('drops what nothing has answered within the budget, and puts the workload to sleep again', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      const client = await datagrams.bind();
      send(client, 'a', 'b', 'c');
      await bench.backend.called(1);
      await bench.clock.advance(START_TIMEOUT_MS - 1);
      expect(bench.controller('db').leases).toBe(1);
      await bench.clock.advance(1);
      expect(listener.drops).toEqual({ 'not-ready': 3 });
      expect(listener.activeConnections).toBe(0);
      expect(bench.controller('db').leases).toBe(0);
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
      expect(new Set(target.texts)).toEqual(new Set(['a']));
      expect(lines).toEqual([expect.stringContaining('flow of 127.0.0.1')]);
    });

    test('leaves the workload awake when somebody else uses it', async () => {
      bench.add(service, STOPPED);
      await upstream();
      send(await datagrams.bind(), 'a');
      await bench.backend.called(1);
      const lease = bench.controller('db').takeLease();
      await bench.clock.advance(START_TIMEOUT_MS + 1_000);
      expect(listener.drops).toEqual({ 'not-ready': 1 });
      expect(bench.backend.log).toEqual(['wake docker/db']);
      lease.release();
    });

    test('leaves a workload to its idle timer when something else has proved that it is well', async () => {
      bench.add(service, STOPPED);
      await upstream();
      const lease = bench.controller('db').hold('for a test', { keeper: { kind: 'schedule' } });
      await bench.clock.advance(WAKE_MS);
      expect(state()).toBe('ready');
      lease.release();
      send(await datagrams.bind(), 'a');
      await settleDatagrams();
      await bench.clock.advance(START_TIMEOUT_MS);
      expect(listener.drops).toEqual({ 'not-ready': 1 });
      expect(bench.backend.log).toEqual(['wake docker/db']);
      await bench.clock.advance(IDLE_MS);
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    });

    test('starts afresh for the next datagram when the start has failed', async () => {
      bench.add(service, STOPPED);
      const client = await datagrams.bind();
      send(client, 'a');
      await bench.backend.called(1);
      await bench.clock.advance(START_TIMEOUT_MS + 1_000);
      expect(state()).toBe('stopped');
      await echo();
      send(client, 'b');
      await bench.until(() => client.received.length > 0);
      expect(client.texts).toEqual(['echo b']);
    });
  });

  describe('in open mode', () => {
    beforeEach(useOpenMode);

    test('passes a thousand datagrams on once each and in order, those of the start and those after', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      const client = await datagrams.bind();
      const all = numbers(1, 1_000);
      send(client, ...all.slice(0, 50));
      await bench.backend.called(1);
      for (let next = 50; next < all.length; next += 10) {
        send(client, ...all.slice(next, next + 10));
        await settle();
        await bench.clock.advance(1);
      }
      await bench.until(() => target.received.length >= 1_000);
      await bench.clock.advance(2_000);
      await settleDatagrams();
      expect(target.texts).toEqual(all);
      expect(listener.drops).toEqual({});
    });

    test('sends a datagram again that the port has refused, and nothing else twice', async () => {
      bench.add(service, STOPPED);
      const client = await datagrams.bind();
      send(client, '1', '2', '3');
      await bench.backend.called(1);
      await bench.clock.advance(WAKE_MS + 3_000);
      const target = await upstream();
      await bench.until(() => target.received.length >= 3);
      await bench.clock.advance(2_000);
      expect(target.texts).toEqual(['1', '2', '3']);
      expect(listener.drops).toEqual({});
    });

    test('is content with a workload that never answers, and lets it idle when nothing comes any more', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      send(await datagrams.bind(), 'a');
      await bench.until(() => target.received.length > 0);
      await bench.clock.advance(START_TIMEOUT_MS + 1_000);
      expect(state()).toBe('ready');
      expect(target.texts).toEqual(['a']);
      expect(bench.backend.log).toEqual(['wake docker/db']);
      await bench.clock.advance(IDLE_MS);
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    });

    test('fails after the budget when the port refuses all the time, and leaves the rest to the idle timer', async () => {
      bench.add(service, STOPPED);
      send(await datagrams.bind(), 'a');
      await bench.backend.called(1);
      await bench.clock.advance(START_TIMEOUT_MS + 1_000);
      expect(listener.drops).toEqual({ 'not-ready': 1 });
      expect(bench.backend.log).toEqual(['wake docker/db']);
      await bench.clock.advance(IDLE_MS);
      expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    });

    test('loses no more of a burst than the port refused, and sends nothing twice', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      const client = await datagrams.bind();
      send(client, '0');
      await bench.until(() => state() === 'ready' && target.received.length === 1);
      await bench.clock.advance(2_000);
      await target.close();
      send(client, ...numbers(1, 150));
      await bench.until(() => listener.drops['refused'] === 1);
      const again = await upstream();
      await bench.until(() => again.received.length >= 149);
      await bench.clock.advance(2_000);
      expect(again.texts).toEqual(numbers(2, 150));
      expect(listener.drops).toEqual({ refused: 1 });
    });

    test('wakes a workload again whose port has gone with it', async () => {
      bench.add(service, STOPPED);
      const target = await upstream();
      const client = await datagrams.bind();
      send(client, '1');
      await bench.until(() => state() === 'ready');
      await target.close();
      bench.backend.tell(KEY, STOPPED);
      send(client, '2', '3');
      await bench.backend.called(2);
      await bench.clock.advance(WAKE_MS);
      const again = await upstream();
      await bench.until(() => again.received.length >= 2);
      await bench.clock.advance(2_000);
      expect(again.texts).toEqual(['2', '3']);
    });
  });

  test('needs no proof when its workload was awake before', async () => {
    bench.add(service, RUNNING);
    const target = await upstream();
    send(await datagrams.bind(), 'a', 'b');
    await target.arrived(2);
    await bench.clock.advance(5_000);
    expect(target.texts).toEqual(['a', 'b']);
    expect(bench.backend.calls).toEqual([]);
  });

  test('sends nothing before the health gate is passed, and does not mind silence after it', async () => {
    bench.backend.automate({
      clock: bench.clock,
      wakeMs: WAKE_MS,
      sleepMs: 100,
      running: { ...RUNNING, health: 'starting' },
    });
    bench.add(service, STOPPED);
    const target = await upstream();
    send(await datagrams.bind(), 'a');
    await bench.backend.called(1);
    await bench.clock.advance(5_000);
    await settleDatagrams();
    expect(target.received).toEqual([]);
    bench.backend.tell(KEY, { ...RUNNING, health: 'healthy' });
    await target.arrived(1);
    await bench.clock.advance(START_TIMEOUT_MS);
    expect(listener.drops).toEqual({ 'not-ready': 1 });
    expect(bench.backend.log).toEqual(['wake docker/db']);
    await bench.clock.advance(IDLE_MS);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
  });

  describe('with two addresses, of which the first never answers', () => {
    const hosts = ['127.0.0.66', '127.0.0.1'];
    let deaf: Endpoint;
    beforeEach(async () => {
      deaf = await datagrams.bind(undefined, { port: Number(spec.targetPort), host: '127.0.0.66' });
      bench.backend.automate({
        clock: bench.clock,
        wakeMs: WAKE_MS,
        sleepMs: 100,
        running: { ...RUNNING, hosts },
      });
    });
    /** As resolvers do: again every second, until there is an answer. */
    const ask = async (client: Endpoint, text: string) => {
      const { length } = client.received;
      let tries = 0;
      while (client.received.length === length && tries < 10) {
        send(client, text);
        tries++;
        for (let step = 0; step < 20 && client.received.length === length; step++)
          await bench.clock.advance(50);
      }
      return { tries, answer: client.texts.at(-1) };
    };

    test('is answered from the other one when it wakes, and asks the first no more', async () => {
      bench.add(service, STOPPED);
      await echo();
      const first = await datagrams.bind();
      expect((await ask(first, 'a')).answer).toBe('echo a');
      const { length } = deaf.received;
      const second = await datagrams.bind();
      expect(await ask(second, 'b')).toEqual({ tries: 1, answer: 'echo b' });
      expect(deaf.received).toHaveLength(length);
    });

    test('is answered from the other one in open mode, with the second try', async () => {
      useOpenMode();
      bench.add(service, STOPPED);
      await echo();
      const first = await datagrams.bind();
      expect(await ask(first, 'a')).toEqual({ tries: 2, answer: 'echo a' });
      expect(deaf.texts).toEqual(['a']);
      const second = await datagrams.bind();
      expect(await ask(second, 'b')).toEqual({ tries: 1, answer: 'echo b' });
      expect(await ask(first, 'c')).toEqual({ tries: 1, answer: 'echo c' });
    });

    test('is answered from the other one when it ran before, and remembers it beyond the run', async () => {
      useOpenMode();
      bench.add(service, { ...RUNNING, hosts });
      await echo();
      const client = await datagrams.bind();
      expect(await ask(client, 'a')).toEqual({ tries: 2, answer: 'echo a' });
      bench.backend.tell(KEY, STOPPED);
      await settle();
      const { length } = deaf.received;
      expect((await ask(await datagrams.bind(), 'b')).answer).toBe('echo b');
      expect(deaf.received).toHaveLength(length);
    });

    test('keeps a burst together', async () => {
      useOpenMode();
      bench.add(service, { ...RUNNING, hosts });
      send(await datagrams.bind(), ...numbers(1, 20));
      await bench.until(() => deaf.received.length >= 20);
      expect(deaf.texts).toEqual(numbers(1, 20));
    });
  });

  test('goes to sleep as long after the last datagram as the idle timeout says', async () => {
    bench.add(service, STOPPED);
    await echo();
    const client = await datagrams.bind();
    send(client, 'a');
    await bench.until(() => client.received.length > 0);
    await bench.clock.advance(30_000);
    send(client, 'b');
    await client.arrived(2);
    await bench.clock.advance(IDLE_MS - 1);
    expect(bench.backend.log).toEqual(['wake docker/db']);
    await bench.clock.advance(1);
    expect(bench.backend.log).toEqual(['wake docker/db', 'sleep docker/db']);
    expect(listener.activeConnections).toBe(0);
  });

  test('goes on with a fresh socket when its workload was restarted', async () => {
    bench.add(service, STOPPED);
    const target = await echo();
    const client = await datagrams.bind();
    send(client, 'a');
    await bench.until(() => client.received.length > 0);
    bench.backend.tell(KEY, { ...RUNNING, state: 'starting', hosts: [] });
    bench.backend.tell(KEY, RUNNING);
    send(client, 'b');
    await bench.until(() => client.received.length > 1);
    expect(client.texts).toEqual(['echo a', 'echo b']);
    expect(target.senders[1]?.port).not.toBe(target.senders[0]?.port);
    expect(listener.activeConnections).toBe(1);
  });

  test('wakes its workload again for a flow that goes on after it was stopped', async () => {
    bench.add(service, RUNNING);
    await echo();
    const client = await datagrams.bind();
    send(client, 'a');
    await client.arrived(1);
    bench.backend.tell(KEY, STOPPED);
    send(client, 'b');
    await bench.until(() => client.received.length > 1);
    expect(client.texts).toEqual(['echo a', 'echo b']);
    expect(bench.backend.log).toEqual(['wake docker/db']);
  });

  test('refuses flows beyond those that may wait for a start', async () => {
    service = { ...service, maxPending: 2 };
    listener.rebind(service);
    bench.add(service, STOPPED);
    for (const text of ['a', 'b', 'c']) send(await datagrams.bind(), text);
    await bench.backend.called(1);
    await settleDatagrams();
    expect(listener.activeConnections).toBe(2);
    expect(listener.drops).toEqual({ 'not-ready': 1 });
  });

  test('lets one address have no more than half of the places, and then a quarter', async () => {
    service = { ...service, maxPending: 8 };
    listener.rebind(service);
    bench.add(service, STOPPED);
    for (let count = 0; count < 6; count++) send(await datagrams.bind(), 'a');
    await bench.backend.called(1);
    await settleDatagrams();
    expect(listener.activeConnections).toBe(4);
    expect(listener.drops).toEqual({ 'not-ready': 2 });
  });

  describe('of a manual workload', () => {
    beforeEach(() => {
      service = { ...service, availability: 'manual' };
      listener.rebind(service);
    });

    test('drops what comes while it sleeps, counts it, and says why', async () => {
      const controller = bench.add(service, STOPPED);
      const before = controller.lastActiveMs;
      await bench.clock.advance(1_000);
      for (const text of ['a', 'b', 'c']) send(await datagrams.bind(), text);
      await bench.until(() => listener.drops['asleep'] === 3);
      expect(listener.drops).toEqual({ asleep: 3 });
      expect(listener.activeConnections).toBe(0);
      expect(lines).toEqual([
        expect.stringMatching(
          /^db: flow of 127\.0\.0\.1:\d+ ended: it is asleep, and clients don't wake it \(availability: manual\)$/,
        ),
      ]);
      expect(controller.lastActiveMs).toBe(before);
      expect(bench.backend.calls).toEqual([]);
    });

    test('serves it while it runs, and ends a flow that goes on after it was stopped', async () => {
      bench.add(service, RUNNING);
      await echo();
      const client = await datagrams.bind();
      send(client, 'a');
      await client.arrived(1);
      bench.backend.tell(KEY, STOPPED);
      send(client, 'b');
      await bench.until(() => listener.activeConnections === 0);
      expect(listener.drops).toEqual({ asleep: 1 });
      bench.backend.tell(KEY, RUNNING);
      send(client, 'c');
      await bench.until(() => client.received.length > 1);
      await bench.clock.advance(1_000_000);
      expect(client.texts).toEqual(['echo a', 'echo c']);
      expect(bench.backend.calls).toEqual([]);
    });

    test('leaves it alone when it does not answer', async () => {
      bench.add(service, RUNNING);
      bench.backend.tell(KEY, { ...RUNNING, state: 'starting', hosts: [] });
      bench.backend.tell(KEY, RUNNING);
      send(await datagrams.bind(), 'a');
      await bench.clock.advance(START_TIMEOUT_MS + 100_000);
      await bench.until(() => listener.activeConnections === 0, 1_000);
      expect(bench.backend.calls).toEqual([]);
    });
  });

  test('says that a client was refused, and leaves everything as it is', async () => {
    const controller = bench.add(service, STOPPED);
    const before = controller.lastActiveMs;
    await bench.clock.advance(1_000);
    listener.rebind({ ...service, allowList: ['10.0.0.0/8'] });
    send(await datagrams.bind(), 'a');
    while (lines.length === 0) await settle();
    expect(lines).toEqual([
      expect.stringMatching(/^db: the access list refuses 127\.0\.0\.1:\d+ \(blocked\)$/),
    ]);
    expect(controller.lastActiveMs).toBe(before);
    expect(bench.backend.calls).toEqual([]);
  });
});
