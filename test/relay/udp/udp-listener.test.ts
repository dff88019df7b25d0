import { networkInterfaces } from 'node:os';
import { queryObjects } from 'node:v8';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList } from '../../../src/relay/access/access-list.ts';
import { Admission, type ServiceBounds } from '../../../src/relay/access/admission.ts';
import { createClientCounts } from '../../../src/relay/access/client-counts.ts';
import type { Client } from '../../../src/relay/listener.ts';
import { FlowLimit, type UdpBudget } from '../../../src/relay/udp/udp-budget.ts';
import { type UdpBinding, UdpListener } from '../../../src/relay/udp/udp-listener.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { aListener, aUdpBudget } from '../../support/builders.ts';
import { Datagrams, type Endpoint, settleDatagrams } from '../../support/datagrams.ts';
import { datagramsWays } from '../../support/datagrams-ways.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freeUdpPort } from '../../support/free-ports.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { pattern } from '../../support/sockets.ts';
import { Leases } from './leases.ts';

const otherIpv6 = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .filter(({ address, family, scopeid }) => family === 'IPv6' && address !== '::1' && scopeid === 0)
  .map(({ address }) => address)
  .slice(0, 1);
const IDLE_MS = 60_000;

describe.each(datagramsWays)('UdpListener moving datagrams $way', ({ native }) => {
  let clock: FakeClock;
  let datagrams: Datagrams;
  let budget: UdpBudget;
  let echo: Endpoint;
  let listener: UdpListener;
  let port: number;
  let events: string[];
  let leases: Leases;
  let drains: number;
  beforeEach(async () => {
    clock = new FakeClock();
    budget = aUdpBudget();
    datagrams = new Datagrams();
    echo = await datagrams.echo();
    port = await freeUdpPort();
    events = [];
    leases = new Leases();
    drains = 0;
    listener = create();
    await listener.open();
  });
  afterEach(async () => {
    listener.destroy();
    await settle();
    await datagrams.close();
    expect(leases.count).toBe(0);
    expect(clock.pending).toBe(0);
  });

  function create({
    address = '',
    ...more
  }: {
    address?: string;
    maxFlows?: number;
    admission?: Admission;
  } = {}): UdpListener {
    const spec = aListener({ protocol: 'udp', address, port });
    const loadDatagrams = async () => native;
    const onDrained = () => drains++;
    return new UdpListener({
      spec,
      clock,
      budget,
      binding: bindingTo(echo),
      loadDatagrams,
      onDrained,
      ...more,
    });
  }
  function bindingTo(upstream: Endpoint, overrides: Partial<UdpBinding> = {}): UdpBinding {
    return {
      access: compileAccessList({ allowList: [], blockList: [] }),
      policy: {
        readiness: 'reply',
        flowTimeoutMs: 60_000,
        maxQueuedDatagrams: 9,
        maxQueuedBytes: 100_000,
        maxQueueAgeMs: 1_000,
      },
      idleTimeoutMs: IDLE_MS,
      lease: () => leases.on(upstream),
      track: ({ address }) => {
        events.push(`${address} came`);
        return () => events.push(`${address} went`);
      },
      onRefused: ({ address }) => void events.push(`${address} refused`),
      onUnserved: (_client, error) => void events.push(`unserved: ${(error as Error).message}`),
      ...overrides,
    };
  }
  const asks = async (client: Endpoint, text: string | Buffer, address?: string) => {
    const { length } = client.received;
    client.send(text, { port, ...(address === undefined ? {} : { address }) });
    await client.arrived(length + 1);
    return client.received.at(-1) ?? Buffer.alloc(0);
  };

  test('passes each reply to its own client', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => datagrams.bind()));
    for (const [index, client] of clients.entries()) {
      client.send(`first ${index}`, { port });
      client.send(`second ${index}`, { port });
    }
    await Promise.all(clients.map((client) => client.arrived(2)));
    for (const [index, client] of clients.entries()) {
      expect(client.texts).toEqual([`echo first ${index}`, `echo second ${index}`]);
      expect(client.senders[0]?.port).toBe(port);
    }
    expect(listener.activeConnections).toBe(10);
    expect(leases.count).toBe(10);
  });

  test('adds up the datagrams of its flows, those that have ended included', async () => {
    const [first, second] = [await datagrams.bind(), await datagrams.bind()];
    for (const text of ['one', 'two', 'three']) await asks(first, text);
    await asks(second, 'four');
    const all = { accepted: 2, up: 4, down: 4, unserved: {} };
    expect(listener.readTotals()).toEqual(all);
    const access = compileAccessList({ allowList: ['10.0.0.1'], blockList: [] });
    listener.rebind(bindingTo(echo, { access }));
    expect(listener.activeConnections).toBe(0);
    expect(listener.readTotals()).toEqual(all);
  });

  test('carries the longest datagrams both ways', async () => {
    const longest = pattern(65_507);
    const mirror = await datagrams.bind((datagram, from, { socket }) => {
      socket.send(datagram, from.port, from.address);
    });
    listener.rebind(bindingTo(mirror));
    const client = await datagrams.bind();
    expect((await asks(client, longest)).equals(longest)).toBe(true);
  });

  test.runIf(hasIpv6)('serves IPv4 and IPv6 on one socket', async () => {
    const old = await datagrams.bind();
    const young = await datagrams.bind(undefined, { host: '::1' });
    expect(String(await asks(old, 'a'))).toBe('echo a');
    expect(String(await asks(young, 'b'))).toBe('echo b');
    expect(events).toEqual(['127.0.0.1 came', '::1 came']);
  });

  /** Another local address than the one that the kernel answers from by itself. */
  const asked = [
    { family: 'IPv4', address: '127.0.0.2', host: '127.0.0.1' },
    ...otherIpv6.map((address) => ({ family: 'IPv6', address, host: '::1' })),
  ];
  describe.runIf(native)('on all addresses', () => {
    test.each(asked)('answers from the $family address that was asked', async ({ address, host }) => {
      const client = await datagrams.bind(undefined, { host });
      for (const text of ['first', 'second']) {
        expect(String(await asks(client, text, address))).toBe(`echo ${text}`);
        expect(client.senders.at(-1)?.address).toBe(address);
      }
    });

    test('answers many from the address that was asked', async () => {
      const client = await datagrams.bind();
      await asks(client, 'warm', '127.0.0.2');
      const texts = Array.from({ length: 40 }, (_, index) => String(index));
      for (const text of texts) client.send(text, { port, address: '127.0.0.2' });
      await client.arrived(41);
      expect(new Set(client.senders.map(({ address }) => address))).toEqual(new Set(['127.0.0.2']));
      expect(client.texts).toEqual(['warm', ...texts].map((text) => `echo ${text}`));
    });

    test('keeps what one client asks of two addresses apart', async () => {
      const client = await datagrams.bind();
      const addresses = ['127.0.0.3', '127.0.0.4', '127.0.0.3'];
      for (const address of addresses) await asks(client, address, address);
      expect(client.texts).toEqual(addresses.map((address) => `echo ${address}`));
      expect(client.senders.map(({ address }) => address)).toEqual(addresses);
      expect(listener.activeConnections).toBe(2);
    });

    test('leaves the address to the kernel when nothing can be sent from the one that was asked', async () => {
      const client = await datagrams.bind();
      client.socket.setBroadcast(true);
      client.send('to all', { port, address: '127.255.255.255' });
      await client.arrived(1);
      expect(client.texts).toEqual(['echo to all']);
    });
  });

  test('binds no more than the address it is given', async () => {
    listener.close();
    await settle();
    listener = create({ address: '127.0.0.1' });
    await listener.open();
    const elsewhere = await datagrams.bind(undefined, { port, host: '127.0.0.2' });
    expect(elsewhere.port).toBe(port);
    expect(String(await asks(await datagrams.bind(), 'a'))).toBe('echo a');
  });

  test('neither makes a flow nor takes a lease for a client that is blocked', async () => {
    listener.rebind(
      bindingTo(echo, { access: compileAccessList({ allowList: [], blockList: ['127.0.0.1'] }) }),
    );
    const client = await datagrams.bind();
    client.send('a', { port });
    client.send('b', { port });
    while (events.length < 2) await settle();
    expect(events).toEqual(['127.0.0.1 refused', '127.0.0.1 refused']);
    expect(listener.activeConnections).toBe(0);
    expect(leases.count).toBe(0);
    expect(listener.drops).toEqual({ blocked: 2 });
    expect(listener.blocked).toBe(2);
    expect(listener.listClients(9)).toEqual([]);
  });

  test('ends a flow whose client a new access list refuses', async () => {
    const client = await datagrams.bind();
    await asks(client, 'a');
    listener.rebind(
      bindingTo(echo, { access: compileAccessList({ allowList: [], blockList: ['127.0.0.1'] }) }),
    );
    expect(listener.activeConnections).toBe(0);
  });

  test('drops and counts what further clients send when there are too many flows', async () => {
    listener.close();
    await settle();
    listener = create({ maxFlows: 2 });
    await listener.open();
    const [one, two, three] = [await datagrams.bind(), await datagrams.bind(), await datagrams.bind()];
    await asks(one, 'a');
    await asks(two, 'b');
    three.send('c', { port });
    expect(String(await asks(one, 'd'))).toBe('echo d');
    expect(listener.drops).toEqual({ 'too-many-flows': 1 });
    expect(three.received).toEqual([]);
    expect(leases.count).toBe(2);
    await clock.advance(IDLE_MS);
    expect(String(await asks(three, 'e'))).toBe('echo e');
  });

  test('lets an idle flow make room, however many others wait for their workload', async () => {
    listener.close();
    await settle();
    listener = create({ maxFlows: 18 });
    await listener.open();
    const asleep = () => new Promise<never>(() => {});
    listener.rebind(bindingTo(echo, { lease: () => ({ ...leases.on(echo), open: asleep }) }));
    for (let count = 0; count < 17; count++) (await datagrams.bind()).send('tiny', { port });
    while (listener.activeConnections < 17) await settle();
    listener.rebind(bindingTo(echo));
    await asks(await datagrams.bind(), 'a');
    await clock.advance(2_000);
    expect(String(await asks(await datagrams.bind(), 'b'))).toBe('echo b');
    expect(listener.drops).toEqual({});
  });

  test('leaves nothing behind when it is closed by who is told of a client', async () => {
    const track = () => {
      listener.close();
      return () => {};
    };
    listener.rebind(bindingTo(echo, { track }));
    (await datagrams.bind()).send('a', { port });
    while (drains === 0) await settle();
    await settle();
    expect([listener.activeConnections, leases.count]).toEqual([0, 0]);
  });

  test('lets the flow make room that was idle for the longest time', async () => {
    listener.close();
    await settle();
    listener = create({ maxFlows: 3 });
    await listener.open();
    const [one, two, three] = [await datagrams.bind(), await datagrams.bind(), await datagrams.bind()];
    const four = await datagrams.bind();
    for (const client of [one, two, three, one]) {
      await asks(client, 'a');
      await clock.advance(500);
    }
    expect(String(await asks(four, 'b'))).toBe('echo b');
    expect(listener.activeConnections).toBe(3);
    // The second was the first to be silent: the others still have their flows, and their sockets to the workload.
    const before = new Set(echo.senders.map(({ port: from }) => from));
    for (const client of [one, three, four]) await asks(client, 'c');
    expect(new Set(echo.senders.map(({ port: from }) => from))).toEqual(before);
    expect(listener.drops).toEqual({});
    expect(events.filter((event) => event.endsWith('went'))).toHaveLength(1);
  });

  test('answers queries from ever new ports for longer than its flows last, and loses none', async () => {
    listener.close();
    await settle();
    listener = create({ maxFlows: 500 });
    await listener.open();
    // 100 a second, for 20 s: twice what there is room for until a flow has ended by itself.
    for (let query = 0; query < 2_000; query++) {
      const client = await datagrams.bind();
      expect(String(await asks(client, String(query)))).toBe(`echo ${query}`);
      await client.close();
      await clock.advance(10);
      expect(listener.activeConnections).toBeLessThanOrEqual(500);
    }
    expect(listener.drops).toEqual({});
    const count = (what: string) => events.filter((event) => event.endsWith(what)).length;
    // Some ports come again while their flow lives.
    expect(count('came')).toBeGreaterThan(1_500);
    expect(count('came') - count('went')).toBe(listener.activeConnections);
  });

  test('keeps no more for all its clients together than its part, and gives it back', async () => {
    budget = aUdpBudget({ maxQueuedBytes: 400_000 });
    listener.close();
    await settle();
    listener = create();
    await listener.open();
    const asleep = () => new Promise<never>(() => {});
    listener.rebind(bindingTo(echo, { lease: () => ({ ...leases.on(echo), open: asleep }) }));
    const clients = await Promise.all(Array.from({ length: 30 }, () => datagrams.bind()));
    for (const client of clients) for (let count = 0; count < 9; count++) client.send('tiny', { port });
    while ((listener.drops['queue-listener'] ?? 0) < 30 * 9 - 155) await settle();
    // What a datagram costs beside its bytes counts, too.
    expect(listener.drops).toEqual({ 'queue-listener': 30 * 9 - 155 });
    expect(budget.queuedBytes).toBe(155 * 644);
    listener.close();
    expect(budget.queuedBytes).toBe(0);
  });

  test('serves the others when a client can not be given a lease', async () => {
    const lease = () => {
      throw new Error('the service was removed');
    };
    listener.rebind(bindingTo(echo, { lease }));
    const client = await datagrams.bind();
    client.send('a', { port });
    while (events.length === 0) await settle();
    expect(events).toEqual(['unserved: the service was removed']);
    expect(listener.drops).toEqual({ 'not-ready': 1 });
    listener.rebind(bindingTo(echo));
    expect(String(await asks(client, 'b'))).toBe('echo b');
  });

  test('tells once of a flow that ends, and begins a new one with the next datagram', async () => {
    const client = await datagrams.bind();
    await asks(client, 'a');
    await clock.advance(IDLE_MS);
    expect(events).toEqual(['127.0.0.1 came', '127.0.0.1 went']);
    expect(listener.activeConnections).toBe(0);
    expect(leases.count).toBe(0);
    await asks(client, 'b');
    expect(events).toEqual(['127.0.0.1 came', '127.0.0.1 went', '127.0.0.1 came']);
  });

  test('tells of a flow that can not be served', async () => {
    const open = () => Promise.reject(new Error('no'));
    listener.rebind(bindingTo(echo, { lease: () => ({ ...leases.on(echo), open }) }));
    (await datagrams.bind()).send('a', { port });
    while (events.length < 3) await settle();
    expect(events).toEqual(['127.0.0.1 came', '127.0.0.1 went', 'unserved: no']);
    expect(listener.drops).toEqual({ 'not-ready': 1 });
  });

  test('keeps a flow for 5 s when the idle timeout is 0', async () => {
    listener.rebind(bindingTo(echo, { idleTimeoutMs: 0 }));
    await asks(await datagrams.bind(), 'a');
    await clock.advance(4_999);
    expect(listener.activeConnections).toBe(1);
    await clock.advance(1);
    expect(listener.activeConnections).toBe(0);
  });

  test('ends new flows by the timeout that it was rebound with', async () => {
    await asks(await datagrams.bind(), 'a');
    listener.rebind(bindingTo(echo, { idleTimeoutMs: 0 }));
    await asks(await datagrams.bind(), 'b');
    await clock.advance(5_000);
    expect(listener.activeConnections).toBe(1);
  });

  test('sends new flows elsewhere when it is rebound, and keeps those that live', async () => {
    const other = await datagrams.bind((_datagram, from, { socket }) => {
      socket.send('other', from.port, from.address);
    });
    const [old, young] = [await datagrams.bind(), await datagrams.bind()];
    await asks(old, 'a');
    listener.rebind(bindingTo(other));
    expect(String(await asks(young, 'b'))).toBe('other');
    expect(String(await asks(old, 'c'))).toBe('echo c');
  });

  test('ends its flows and gives the port back when it is closed', async () => {
    await asks(await datagrams.bind(), 'a');
    listener.close();
    listener.close();
    listener.destroy();
    expect(events).toEqual(['127.0.0.1 came', '127.0.0.1 went']);
    expect(leases.count).toBe(0);
    expect(drains).toBe(1);
    await settle();
    expect((await datagrams.bind(undefined, { port })).port).toBe(port);
  });

  test('sends no late reply when it is closed', async () => {
    const silent = await datagrams.bind();
    listener.rebind(bindingTo(silent));
    const client = await datagrams.bind();
    client.send('a', { port });
    await silent.arrived(1);
    silent.send('late', { port: silent.senders[0]?.port ?? 0 });
    listener.close();
    await settleDatagrams();
    expect(client.received).toEqual([]);
  });

  test('holds no port when it was closed while it was being opened', async () => {
    listener.close();
    await settle();
    listener = create();
    const opening = listener.open();
    listener.close();
    await opening;
    await settle();
    expect((await datagrams.bind(undefined, { port })).port).toBe(port);
    expect(drains).toBe(2);
  });

  test('holds no port however far it was opened when it was closed', async () => {
    listener.close();
    for (let turns = 1; turns <= 8; turns++) {
      await settle();
      listener = create();
      const opening = listener.open();
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      listener.close();
      await opening;
      await settle();
      const holder = await datagrams.bind(undefined, { port });
      await holder.close();
    }
  });

  describe('with an admission', () => {
    const bounded = (bounds: Partial<ServiceBounds>, overrides: Partial<UdpBinding> = {}) =>
      bindingTo(echo, {
        bounds: { service: 'dns', maxConnections: 0, maxConnectionsPerAddress: 0, ...bounds },
        ...overrides,
      });
    let descriptors: Descriptors;
    let logger: ReturnType<typeof createRecordingLogger>;
    const open = async (binding: UdpBinding, options: { readonly maxFlows?: number } = {}) => {
      listener.close();
      await settle();
      logger = createRecordingLogger();
      descriptors = new Descriptors({ limit: 1_024, clock, logger });
      const admission = new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
      listener = create({ admission, ...options });
      listener.rebind(binding);
      await listener.open();
    };

    test('gives the place back of a client that gets no lease', async () => {
      let isRefusing = true;
      const lease = () => {
        if (isRefusing) throw new Error('removed');
        return leases.on(echo);
      };
      await open(bounded({ maxConnections: 1 }, { lease }));
      (await datagrams.bind()).send('a', { port });
      while (events.length === 0) await settle();
      isRefusing = false;
      expect(String(await asks(await datagrams.bind(), 'b'))).toBe('echo b');
    });

    test('keeps a descriptor for a flow that waits, and none for one that has ended', async () => {
      const asleep = () => new Promise<never>(() => {});
      await open(bounded({}, { lease: () => ({ ...leases.on(echo), open: asleep }) }));
      (await datagrams.bind()).send('a', { port });
      while (listener.activeConnections === 0) await settle();
      expect(descriptors.expected[0]).toBe(1);
      listener.close();
      expect(descriptors.expected[0]).toBe(0);
    });

    test('says that there are too many flows', async () => {
      await open(bounded({}), { maxFlows: 1 });
      await asks(await datagrams.bind(), 'a');
      const late = await datagrams.bind();
      late.send('b', { port });
      while (logger.lines.length === 0) await settle();
      expect(logger.lines.map(({ message }) => message)).toEqual([
        expect.stringContaining(`a datagram of 127.0.0.1:${late.port} for dns was dropped`),
      ]);
    });

    test('has a flow of the same address make room where that has too many', async () => {
      await open(bounded({ maxConnectionsPerAddress: 1 }));
      await asks(await datagrams.bind(undefined, { host: '127.0.0.2' }), 'a');
      await asks(await datagrams.bind(), 'b');
      await clock.advance(2_000);
      expect(String(await asks(await datagrams.bind(), 'c'))).toBe('echo c');
      expect(events).toEqual([
        ...['127.0.0.2 came', '127.0.0.1 came'],
        ...['127.0.0.1 went', '127.0.0.1 came'],
      ]);
      expect(listener.drops).toEqual({});
    });

    test('knows every flow of an address when one of them has ended', async () => {
      await open(bounded({ maxConnectionsPerAddress: 2 }));
      // Two questions: a flow of one question and one answer ends sooner.
      const talk = async () => {
        const client = await datagrams.bind();
        for (const text of ['a', 'b']) expect(String(await asks(client, text))).toBe(`echo ${text}`);
      };
      await talk();
      await clock.advance(IDLE_MS / 2);
      await talk();
      await clock.advance(IDLE_MS / 2);
      expect(listener.activeConnections).toBe(1);
      await talk();
      // The second client's flow makes room.
      await talk();
      expect([listener.activeConnections, listener.drops]).toEqual([2, {}]);
    });
  });

  test('keeps nothing of addresses whose flows have ended', async () => {
    const held = () => queryObjects(FlowLimit, { format: 'count' });
    const before = held();
    for (let address = 2; address < 102; address++)
      await asks(await datagrams.bind(undefined, { host: `127.0.0.${address}` }), 'a');
    // What was made before this test may be collected meanwhile.
    expect(held() - before).toBeGreaterThan(50);
    await clock.advance(IDLE_MS);
    await settle();
    expect(held() - before).toBeLessThan(50);
  });

  test('throws when somebody else holds the port, and can be opened as soon as it is free', async () => {
    listener.close();
    await settle();
    const holder = await datagrams.bind(undefined, { port, host: '0.0.0.0' });
    listener = create();
    await expect(listener.open()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    await holder.close();
    await listener.open();
    expect(String(await asks(await datagrams.bind(), 'a'))).toBe('echo a');
  });

  test('goes on when a client has gone before its reply came', async () => {
    const silent = await datagrams.bind();
    listener.rebind(bindingTo(silent));
    const gone = await datagrams.bind();
    gone.send('a', { port });
    await silent.arrived(1);
    await gone.close();
    for (const text of ['b', 'c']) silent.send(text, { port: silent.senders[0]?.port ?? 0 });
    await settleDatagrams();
    listener.rebind(bindingTo(echo));
    expect(String(await asks(await datagrams.bind(), 'd'))).toBe('echo d');
  });

  test('knows its clients as people write them', async () => {
    let seen: Client | undefined;
    listener.rebind(
      bindingTo(echo, {
        lease: (client) => {
          seen = client;
          return leases.on(echo);
        },
      }),
    );
    const client = await datagrams.bind();
    await asks(client, 'a');
    expect(seen).toEqual({
      address: '127.0.0.1',
      port: client.port,
      endpoint: `127.0.0.1:${client.port}`,
    });
  });
});
