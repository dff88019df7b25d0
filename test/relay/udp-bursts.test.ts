import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import type { FlowLease } from '../../src/relay/udp/flow-lease.ts';
import { type UdpBinding, UdpListener } from '../../src/relay/udp/udp-listener.ts';
import { aListener, aUdpBudget } from '../support/builders.ts';
import { Datagrams, type Endpoint, settleDatagrams } from '../support/datagrams.ts';
import { datagramsWays } from '../support/datagrams-ways.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { freeUdpPort } from '../support/free-ports.ts';
import { hasIpv6 } from '../support/has-ipv6.ts';
import { pattern } from '../support/sockets.ts';

const numbers = (count: number) => Array.from({ length: count }, (_, index) => String(index));

/** Many datagrams that are there before the listener is asked for the first of them. */
describe.each(datagramsWays)('UdpListener in bursts, moving datagrams $way', ({ native }) => {
  let clock: FakeClock;
  let datagrams: Datagrams;
  let mirror: Endpoint;
  let listener: UdpListener;
  let port: number;
  let came: string[];
  beforeEach(async () => {
    clock = new FakeClock();
    datagrams = new Datagrams();
    mirror = await datagrams.bind((datagram, from, { socket }) => {
      socket.send(datagram, from.port, from.address);
    });
    port = await freeUdpPort();
    came = [];
    await open('');
  });
  afterEach(async () => {
    listener.destroy();
    await settle();
    await datagrams.close();
    expect(clock.pending).toBe(0);
  });

  async function open(address: string): Promise<void> {
    const spec = aListener({ protocol: 'udp', address, port });
    const loadDatagrams = async () => native;
    listener = new UdpListener({
      spec,
      clock,
      budget: aUdpBudget(),
      binding: bindingTo({}),
      onDrained() {},
      loadDatagrams,
    });
    await listener.open();
  }
  function bindingTo(overrides: Partial<UdpBinding>): UdpBinding {
    return {
      access: compileAccessList({ allowList: [], blockList: [] }),
      policy: {
        readiness: 'open',
        flowTimeoutMs: 60_000,
        maxQueuedDatagrams: 1_000,
        maxQueuedBytes: 1_000_000,
        maxQueueAgeMs: 1_000,
      },
      idleTimeoutMs: 60_000,
      lease: awakeLease,
      track: ({ address }) => {
        came.push(address);
        return () => {};
      },
      onRefused() {},
      onUnserved() {},
      ...overrides,
    };
  }
  function awakeLease(): FlowLease {
    return {
      async open({ follow, signal }) {
        const value = await follow({ host: '127.0.0.1', port: mirror.port }, signal);
        return { value, ended: new AbortController().signal };
      },
      answered() {},
      mayAnswerElsewhere: () => false,
      doubt() {},
      release() {},
    };
  }
  const blocking = (address: string) =>
    bindingTo({ access: compileAccessList({ allowList: [], blockList: [address] }) });
  /** Clients whose flows are warm. */
  const clientsAt = async (...hosts: readonly string[]) => {
    const clients = await Promise.all(hosts.map((host) => datagrams.bind(undefined, { host })));
    for (const client of clients) client.send('warm', { port });
    await Promise.all(clients.map((client) => client.arrived(1)));
    return clients;
  };
  const sendAll = (clients: readonly Endpoint[], texts: readonly string[]) => {
    for (const text of texts) for (const client of clients) client.send(text, { port });
  };

  test('passes more than one batch on, once each and in order, and back', async () => {
    const [client] = await clientsAt('127.0.0.1');
    sendAll(client ? [client] : [], numbers(250));
    await client?.arrived(251);
    expect(client?.texts).toEqual(['warm', ...numbers(250)]);
    expect(mirror.texts).toEqual(['warm', ...numbers(250)]);
  });

  test('keeps the order of each client, and gives each its own replies, when many send by turns', async () => {
    const clients = await clientsAt(...Array.from({ length: 30 }, () => '127.0.0.1'));
    for (let index = 0; index < 10; index++) {
      for (const client of clients) client.send(`${client.port} ${index}`, { port });
    }
    await Promise.all(clients.map((client) => client.arrived(11)));
    for (const client of clients) {
      expect(client.texts.slice(1)).toEqual(numbers(10).map((text) => `${client.port} ${text}`));
    }
    expect(listener.activeConnections).toBe(30);
  });

  test('makes one flow for each new client whose datagrams come together', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => datagrams.bind()));
    sendAll(clients, numbers(5));
    while (clients.some(({ received }) => received.length < 5)) await clock.advance(1);
    for (const { texts } of clients) expect(texts).toEqual(numbers(5));
    expect(came).toHaveLength(3);
  });

  test.runIf(hasIpv6)('knows clients of IPv4 and of IPv6 on one socket', async () => {
    const clients = await clientsAt('127.0.0.1', '::1');
    sendAll(clients, numbers(40));
    await Promise.all(clients.map((client) => client.arrived(41)));
    for (const { texts } of clients) expect(texts).toEqual(['warm', ...numbers(40)]);
    expect(came.sort()).toEqual(['127.0.0.1', '::1']);
  });

  test('knows clients on a socket of IPv4 alone, also after longer addresses', async () => {
    if (hasIpv6) sendAll(await clientsAt('::1'), numbers(40));
    await settleDatagrams();
    listener.close();
    await settle();
    await open('127.0.0.1');
    came = [];
    const clients = await clientsAt('127.0.0.1', '127.0.0.1');
    sendAll(clients, numbers(40));
    await Promise.all(clients.map((client) => client.arrived(41)));
    for (const { texts } of clients) expect(texts).toEqual(['warm', ...numbers(40)]);
    expect(came).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  test('carries datagrams of every length side by side', async () => {
    const [client] = await clientsAt('127.0.0.1');
    const sent = [0, 1, 65_507, 0, 3, 65_507, 1_472, 0].map((length) => pattern(length));
    for (const datagram of sent) client?.send(datagram, { port });
    await client?.arrived(1 + sent.length);
    expect(client?.received.slice(1).map(({ length }) => length)).toEqual(sent.map(({ length }) => length));
    for (const [index, datagram] of sent.entries()) {
      expect(client?.received[index + 1]?.equals(datagram)).toBe(true);
    }
  });

  test('drops and counts each datagram of a client that is blocked, and serves the others', async () => {
    listener.rebind(blocking('127.0.0.2'));
    const [friend] = await clientsAt('127.0.0.1');
    const stranger = await datagrams.bind(undefined, { host: '127.0.0.2' });
    sendAll(friend ? [friend, stranger] : [], numbers(40));
    await friend?.arrived(41);
    expect(friend?.texts).toEqual(['warm', ...numbers(40)]);
    expect(listener.drops).toEqual({ blocked: 40 });
    expect(stranger.received).toEqual([]);
  });

  test('drops or delivers each datagram of a flow that ends in the middle', async () => {
    const [client] = await clientsAt('127.0.0.1');
    const stranger = await datagrams.bind(undefined, { host: '127.0.0.2' });
    // The first datagram of the stranger ends the client's flow.
    const track = () => {
      listener.rebind(blocking('127.0.0.1'));
      return () => {};
    };
    listener.rebind(bindingTo({ track }));
    for (const from of [client, stranger, client, client]) from?.send('x', { port });
    while ((listener.drops.blocked ?? 0) < 2) await settle();
    await stranger.arrived(1);
    expect(mirror.texts.filter((text) => text === 'x').length + (listener.drops.blocked ?? 0)).toBe(4);
    expect(listener.activeConnections).toBe(1);
  });

  test('begins a new flow with what follows in the batch in which the old one ended', async () => {
    const [client] = await clientsAt('127.0.0.1');
    const stranger = await datagrams.bind(undefined, { host: '127.0.0.2' });
    const track: UdpBinding['track'] = ({ address }) => {
      came.push(address);
      if (address !== '127.0.0.2') return () => {};
      listener.rebind(blocking('127.0.0.1'));
      listener.rebind(bindingTo({}));
      return () => {};
    };
    listener.rebind(bindingTo({ track }));
    const sent = [client, stranger, client, client];
    for (const [index, from] of sent.entries()) from?.send(String(index), { port });
    while ((client?.received.length ?? 0) < 3) await clock.advance(1);
    await clock.advance(1);
    // The answer to the first one goes to the old flow where that had passed it on already.
    expect(client?.texts.slice(-2)).toEqual(['2', '3']);
    expect(mirror.texts.filter((text) => text !== '1')).toEqual(['warm', '0', '2', '3']);
    expect(came).toEqual(['127.0.0.1', '127.0.0.2', '127.0.0.1']);
  });

  test('takes nothing more when it is closed in the middle', async () => {
    const [client] = await clientsAt('127.0.0.1');
    const stranger = await datagrams.bind(undefined, { host: '127.0.0.2' });
    const track: UdpBinding['track'] = ({ address }) => {
      came.push(address);
      listener.close();
      return () => {};
    };
    listener.rebind(bindingTo({ track }));
    for (const from of [client, stranger, client, client]) from?.send('x', { port });
    while (came.length < 2) await settle();
    await settleDatagrams();
    expect(came).toEqual(['127.0.0.1', '127.0.0.2']);
    expect(mirror.texts.filter((text) => text === 'x').length).toBeLessThanOrEqual(1);
    expect((await datagrams.bind(undefined, { port })).port).toBe(port);
  });
});
