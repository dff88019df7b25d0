import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList, compileAddressSet } from '../../../src/relay/access/access-list.ts';
import { readProxyHeader, writeProxyHeader } from '../../../src/relay/access/proxy-protocol.ts';
import { type UdpBinding, UdpListener } from '../../../src/relay/udp/udp-listener.ts';
import { aListener, aUdpBudget } from '../../support/builders.ts';
import { Datagrams, type Endpoint } from '../../support/datagrams.ts';
import { datagramsWays } from '../../support/datagrams-ways.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freeUdpPort } from '../../support/free-ports.ts';
import { Leases } from './leases.ts';

const DESTINATION = { host: '198.51.100.2', port: 53 };
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');

describe.each(datagramsWays)('PROXY headers of datagrams moved $way', ({ native }) => {
  let clock: FakeClock;
  let datagrams: Datagrams;
  let echo: Endpoint;
  let listener: UdpListener;
  let port: number;
  let clients: string[];
  let told: string[];
  let leases: Leases;

  beforeEach(async () => {
    clock = new FakeClock();
    datagrams = new Datagrams();
    echo = await datagrams.echo();
    port = await freeUdpPort();
    [clients, told, leases] = [[], [], new Leases()];
  });
  afterEach(async () => {
    listener.destroy();
    await settle();
    await datagrams.close();
    expect([leases.count, clock.pending]).toEqual([0, 0]);
  });

  const bindingOf = (overrides: Partial<UdpBinding>): UdpBinding => ({
    access: compileAccessList({ allowList: [], blockList: [] }),
    policy: {
      readiness: 'reply',
      flowTimeoutMs: 60_000,
      maxQueuedDatagrams: 9,
      maxQueuedBytes: 100_000,
      maxQueueAgeMs: 1_000,
    },
    idleTimeoutMs: 60_000,
    lease: ({ endpoint }) => {
      clients.push(endpoint);
      return leases.on(echo);
    },
    track: undefined,
    onRefused: ({ endpoint }) => void told.push(`${endpoint} refused`),
    onUnserved: ({ endpoint }, error) => void told.push(`${endpoint}: ${(error as Error).message}`),
    ...overrides,
  });
  const open = async (overrides: Partial<UdpBinding>, address = '') => {
    listener = new UdpListener({
      spec: aListener({ protocol: 'udp', address, port }),
      clock,
      budget: aUdpBudget(),
      binding: bindingOf(overrides),
      loadDatagrams: async () => native,
      onDrained: () => {},
    });
    await listener.open();
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const behind = (host: string, clientPort: number) =>
    writeProxyHeader('v2', {
      source: { host, port: clientPort },
      destination: DESTINATION,
      protocol: 'udp',
    });
  const join = (header: Buffer, text: string) => Buffer.concat([header, Buffer.from(text)]);

  describe('that a proxy in front sends', () => {
    const TRUSTED = { proxies: compileAddressSet(['127.0.0.1']) };

    test('name the client of each datagram, and are left out', async () => {
      await open(TRUSTED);
      const proxy = await datagrams.bind();
      proxy.send(join(behind('203.0.113.7', 1_000), 'one'), { port });
      await proxy.arrived(1);
      proxy.send(join(behind('203.0.113.7', 1_000), 'two'), { port });
      await proxy.arrived(2);
      expect(echo.texts).toEqual(['one', 'two']);
      expect(proxy.texts).toEqual(['echo one', 'echo two']);
      expect(clients).toEqual(['203.0.113.7:1000']);
      expect(listener.listClients(9)).toMatchObject([{ endpoint: '203.0.113.7:1000' }]);
    });

    test('tell the clients of one socket apart, each with a socket of its own upstream', async () => {
      await open(TRUSTED);
      const proxy = await datagrams.bind();
      for (const [host, text] of [
        ['203.0.113.7', 'a'],
        ['2001:db8::7', 'b'],
        ['203.0.113.7', 'c'],
      ] as const)
        proxy.send(join(behind(host, 1_000), text), { port });
      await proxy.arrived(3);
      expect(clients.toSorted()).toEqual(['203.0.113.7:1000', '[2001:db8::7]:1000']);
      expect(new Set(echo.senders.map((sender) => sender.port)).size).toBe(2);
      expect(listener.activeConnections).toBe(2);
    });

    test('name nobody in a check of the proxy itself', async () => {
      await open(TRUSTED);
      const proxy = await datagrams.bind();
      proxy.send(join(LOCAL, 'check'), { port });
      await proxy.arrived(1);
      expect(clients).toEqual([`127.0.0.1:${proxy.port}`]);
    });

    test('are asked for in every datagram', async () => {
      await open(TRUSTED);
      const proxy = await datagrams.bind();
      proxy.send(join(behind('203.0.113.7', 1_000), 'one'), { port });
      await proxy.arrived(1);
      for (const text of ['no header', '', behind('203.0.113.7', 1).subarray(0, 20)])
        proxy.send(text, { port });
      await until(() => listener.drops['bad-proxy-header'] === 3);
      expect(echo.texts).toEqual(['one']);
      expect(told[0]).toMatch(/^127\.0\.0\.1:\d+: its PROXY header can't be read/);
    });

    test('count from trusted proxies alone, as they are now', async () => {
      let isTrusted = true;
      await open({ proxies: { includes: () => isTrusted } });
      const proxy = await datagrams.bind();
      proxy.send(join(behind('203.0.113.7', 1_000), 'one'), { port });
      await proxy.arrived(1);
      isTrusted = false;
      const other = await datagrams.bind();
      for (const sender of [proxy, other]) sender.send(join(behind('203.0.113.7', 1_000), 'two'), { port });
      await until(() => listener.drops['untrusted-proxy'] === 2);
      expect(echo.texts).toEqual(['one']);
    });

    test('are what access lists go by', async () => {
      await open({ ...TRUSTED, access: compileAccessList({ allowList: ['127.0.0.1'], blockList: [] }) });
      const proxy = await datagrams.bind();
      proxy.send(join(behind('203.0.113.7', 1_000), 'one'), { port });
      await until(() => listener.drops.blocked === 1);
      expect([clients, told]).toEqual([[], ['203.0.113.7:1000 refused']]);
    });

    test('are read anew after a flow has ended, and after all have', async () => {
      await open(TRUSTED);
      const proxy = await datagrams.bind();
      for (const count of [1, 2]) {
        proxy.send(join(behind('203.0.113.7', 1_000), 'x'), { port });
        await proxy.arrived(count);
        listener.cutClients();
        expect(listener.activeConnections).toBe(0);
      }
      expect(clients).toHaveLength(2);
    });

    test('are wanted as soon as the service asks for them, and flows without one end', async () => {
      await open({});
      const client = await datagrams.bind();
      client.send('plain', { port });
      await client.arrived(1);
      listener.rebind(bindingOf(TRUSTED));
      expect(listener.activeConnections).toBe(0);
      client.send('plain', { port });
      await until(() => listener.drops['bad-proxy-header'] === 1);
    });
  });

  describe('that the service wants', () => {
    test.each([
      ['bound to an address', '127.0.0.1', '127.0.0.1'],
      // Node alone doesn't tell to which address a datagram came.
      ['on all addresses', '', native === undefined ? '0.0.0.0' : '127.0.0.1'],
    ])('name the client in each datagram of a listener %s', async (_what, address, reached) => {
      await open({ tellsClient: true }, address);
      const client = await datagrams.bind();
      for (const [index, text] of ['one', 'two'].entries()) {
        client.send(text, { port });
        await client.arrived(index + 1);
      }
      for (const [index, text] of ['one', 'two'].entries()) {
        const received = echo.received[index] ?? Buffer.alloc(0);
        const reading = readProxyHeader(received);
        expect(reading).toEqual({
          kind: 'header',
          bytes: 28,
          ends: {
            source: { host: '127.0.0.1', port: client.port },
            destination: { host: reached, port },
          },
        });
        // UDP over IPv4.
        expect(received[13]).toBe(0x12);
        expect(`${received.subarray(28)}`).toBe(text);
      }
    });

    test('pass on what the proxy in front says', async () => {
      await open({ tellsClient: true, proxies: compileAddressSet(['127.0.0.1']) });
      const proxy = await datagrams.bind();
      const datagram = join(behind('203.0.113.7', 1_000), 'question');
      proxy.send(datagram, { port });
      await proxy.arrived(1);
      expect(echo.received[0]).toEqual(datagram);
    });
  });
});
