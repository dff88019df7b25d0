import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  compileAccessList,
  compileAddressSet,
  compileWakeList,
} from '../../../src/relay/access/access-list.ts';
import { readProxyHeader, writeProxyHeader } from '../../../src/relay/access/proxy-protocol.ts';
import { createStreamRelay } from '../../../src/relay/tcp/stream-relay.ts';
import { type TcpBinding, TcpListener } from '../../../src/relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../../../src/relay/tcp/tcp-relay.ts';
import { aListener } from '../../support/builders.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { createRelay, RELAY_KINDS } from '../../support/relays.ts';
import { collect, ending, Sockets, type TestServer } from '../../support/sockets.ts';

const V1 = 'PROXY TCP4 203.0.113.7 198.51.100.2 56324 443\r\n';
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');

/** A lifecycle as far as the relay sees it: asleep or awake, and woken by who may wake it. */
class Service {
  isAwake = false;
  readonly wakes: string[] = [];
  readonly connects: { readonly client: string; readonly mayWake: boolean }[] = [];
  readonly #upstream: () => Promise<Socket>;

  constructor(upstream: () => Promise<Socket>) {
    this.#upstream = upstream;
  }

  refusal({ mayWake }: { readonly mayWake: boolean }): Error | undefined {
    if (this.isAwake || mayWake) return undefined;
    return Object.assign(new Error('it is asleep'), { code: 'wake-list' });
  }

  async connect({ client, mayWake }: Parameters<TcpBinding['connect']>[0]) {
    this.connects.push({ client, mayWake });
    const refusal = this.refusal({ mayWake });
    if (refusal !== undefined) throw refusal;
    if (!this.isAwake) this.wakes.push(client);
    this.isAwake = true;
    return { socket: await this.#upstream(), release() {} };
  }
}

const KINDS = [...RELAY_KINDS, 'plain stream'] as const;

describe.each(KINDS)('the entrance of a listener with a %s relay', (kind) => {
  let relay: TcpRelay;
  let sockets: Sockets;
  let upstream: TestServer;
  let service: Service;
  let clock: FakeClock;
  let listener: TcpListener;
  let port: number;
  let told: string[];
  let refused: string[];
  let tracked: string[];
  let drains: number;

  beforeEach(async () => {
    relay = kind === 'plain stream' ? createStreamRelay() : await createRelay(kind);
    sockets = new Sockets();
    upstream = await sockets.listen();
    service = new Service(() => sockets.connect(upstream.port));
    clock = new FakeClock();
    [told, refused, tracked, drains] = [[], [], [], 0];
    port = await freePort();
  });
  afterEach(async () => {
    listener.destroy();
    await until(() => listener.activeConnections === 0);
    relay.close();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });

  const open = async (overrides: Partial<TcpBinding>) => {
    const logger = createRecordingLogger();
    listener = new TcpListener({
      spec: aListener({ address: '', port }),
      binding: bindingOf(overrides),
      ...{ relay, clock, logger },
      onRefused: (client) => refused.push(client),
      onUnserved: (client, { error }) => told.push(`${client}: ${(error as Error).message}`),
      onDrained: () => drains++,
    });
    await listener.open();
  };
  const bindingOf = (overrides: Partial<TcpBinding>): TcpBinding => ({
    service: 'db',
    targetPort: 5432,
    access: compileAccessList({ allowList: [], blockList: [] }),
    keepAliveMs: 60_000,
    track: ({ endpoint }) => {
      tracked.push(endpoint);
      return () => tracked.push(`${endpoint} ended`);
    },
    refusal: (client) => service.refusal(client),
    connect: (request) => service.connect(request),
    ...overrides,
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const arrived = () => until(() => listener.activeConnections === 1);
  const firstOf = async (count: number) => {
    const far = await upstream.socket(0);
    let text = Buffer.alloc(0);
    far.on('data', (chunk) => {
      text = Buffer.concat([text, chunk]);
    });
    await until(() => text.length >= count);
    return text;
  };

  describe('that waits for data', () => {
    beforeEach(() => open({ wakeOn: 'data' }));

    test('wakes nothing for who connects and leaves', async () => {
      const client = await sockets.connect(port);
      await arrived();
      client.end();
      await until(() => listener.activeConnections === 0);
      expect([service.connects, tracked, listener.readTotals().accepted]).toEqual([[], [], 0]);
      expect(listener.refusals).toEqual({});
    });

    test('closes who sends nothing for five seconds, and counts that', async () => {
      const client = await sockets.connect(port);
      const ended = ending(client);
      await arrived();
      await clock.advance(4_999);
      expect(listener.activeConnections).toBe(1);
      await clock.advance(1);
      await ended;
      await until(() => listener.activeConnections === 0);
      expect(listener.refusals).toEqual({ silent: 1 });
      expect(told).toEqual([expect.stringMatching(/: it sent nothing within 5000 ms, and only data wakes/)]);
      expect([service.wakes, tracked]).toEqual([[], []]);
    });

    test('wakes the service for the first byte, and delivers all that came', async () => {
      const client = await sockets.connect(port);
      await arrived();
      expect(service.connects).toEqual([]);
      client.write('h');
      await until(() => service.wakes.length === 1);
      client.write('ello');
      expect(`${await firstOf(5)}`).toBe('hello');
      expect(listener.readTotals().accepted).toBe(1);
      client.end();
      (await upstream.socket(0)).end();
      await until(() => listener.activeConnections === 0);
      expect(tracked).toHaveLength(2);
    });

    test('serves who sends something at once and then its end', async () => {
      const client = await sockets.connect(port);
      const answer = collect(client);
      client.end('question');
      const far = await upstream.socket(0);
      expect(`${await collect(far)}`).toBe('question');
      far.end('answer');
      expect(`${await answer}`).toBe('answer');
    });

    test('keeps more than it reads ahead for the upstream', async () => {
      const client = await sockets.connect(port);
      const sent = Buffer.alloc(3_000_000, 'x');
      client.end(sent);
      expect((await collect(await upstream.socket(0))).equals(sent)).toBe(true);
    });

    test('lets clients of the awake service in at once, though they say nothing', async () => {
      service.isAwake = true;
      const client = await sockets.connect(port);
      const far = await upstream.socket(0);
      far.end('220 ready');
      expect(`${await collect(client)}`).toBe('220 ready');
      expect(service.connects).toMatchObject([{ mayWake: false }]);
    });

    test('lets who waits in when another client has woken the service', async () => {
      const silent = await sockets.connect(port);
      await arrived();
      const speaking = await sockets.connect(port);
      speaking.write('x');
      await until(() => upstream.sockets.length === 2);
      expect(service.wakes).toHaveLength(1);
      silent.destroy();
      speaking.destroy();
    });

    test('waits for data after all where the service goes to sleep just then', async () => {
      let isLate = true;
      listener.rebind(
        bindingOf({
          wakeOn: 'data',
          // Awake when the client comes, asleep when it is to be connected.
          refusal: (client) => (isLate ? undefined : service.refusal(client)),
          connect: (request) => {
            isLate = false;
            return service.connect(request);
          },
        }),
      );
      const client = await sockets.connect(port);
      await until(() => service.connects.length === 1);
      expect(service.wakes).toEqual([]);
      client.write('now');
      expect(`${await firstOf(3)}`).toBe('now');
      expect(service.connects.map(({ mayWake }) => mayWake)).toEqual([false, true]);
    });

    test('closes who waits when the listener is closed', async () => {
      const ended = ending(await sockets.connect(port));
      await arrived();
      listener.close();
      await ended;
      await until(() => drains === 1);
    });

    test('resets who waits when clients are cut', async () => {
      const ended = ending(await sockets.connect(port));
      await arrived();
      listener.cutClients();
      expect(await ended).toBe('ECONNRESET');
      await until(() => listener.activeConnections === 0);
    });
  });

  describe('with a wake list', () => {
    test('refuses others while the service sleeps, and serves them while it is awake', async () => {
      await open({ wakes: compileWakeList(['192.0.2.1']) });
      await ending(await sockets.connect(port));
      await until(() => told.length === 1);
      expect([service.connects, tracked]).toEqual([[], []]);
      expect(listener.refusals).toEqual({ 'wake-list': 1 });
      expect(listener.readTotals().unserved).toEqual({});
      service.isAwake = true;
      const client = await sockets.connect(port);
      await upstream.socket(0);
      expect(service.connects).toMatchObject([{ mayWake: false }]);
      client.destroy();
    });

    test('lets those on it wake the service', async () => {
      await open({ wakes: compileWakeList(['127.0.0.0/8']) });
      const client = await sockets.connect(port);
      await upstream.socket(0);
      expect(service.wakes).toHaveLength(1);
      client.destroy();
    });

    test('refuses others at once where data is waited for', async () => {
      await open({ wakes: compileWakeList(['192.0.2.1']), wakeOn: 'data' });
      await ending(await sockets.connect(port));
      expect(listener.refusals).toEqual({ 'wake-list': 1 });
    });
  });

  describe('behind proxies', () => {
    const TRUSTED = { proxies: compileAddressSet(['127.0.0.1']) };

    test.each<[string, readonly (string | Buffer)[], string]>([
      ['of version 1', [V1], '203.0.113.7:56324'],
      ['of version 1 with data behind it', [`${V1}hello`], '203.0.113.7:56324'],
      ['byte by byte', [...V1, 'hello'], '203.0.113.7:56324'],
      [
        'of version 2',
        [
          writeProxyHeader('v2', {
            source: { host: '2001:db8::7', port: 7 },
            destination: { host: '2001:db8::1', port: 1 },
            protocol: 'tcp',
          }),
        ],
        '[2001:db8::7]:7',
      ],
    ])('takes the client from a header %s', async (_what, writes, endpoint) => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      for (const bytes of writes) {
        client.write(bytes);
        await settle();
      }
      await until(() => service.connects.length === 1);
      expect(service.connects).toMatchObject([{ client: endpoint, mayWake: true }]);
      expect(tracked).toEqual([endpoint]);
      const rest = writes.join('').includes('hello') ? 'hello' : '';
      client.end(' world');
      expect(`${await collect(await upstream.socket(0))}`).toBe(`${rest} world`);
      expect(listener.listClients(1)).toMatchObject([{ endpoint }]);
      (await upstream.socket(0)).end();
    });

    test('delivers what follows the header though the client ends with it, and its answer', async () => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      const answer = collect(client);
      client.end(`${V1}question`);
      const far = await upstream.socket(0);
      expect(`${await collect(far)}`).toBe('question');
      far.end('answer');
      expect(`${await answer}`).toBe('answer');
    });

    test.each([
      ['LOCAL', LOCAL],
      ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
    ])('takes the proxy itself for the client where the header is %s', async (_what, header) => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      client.write(header);
      await until(() => service.connects.length === 1);
      expect(service.connects[0]?.client).toBe(`127.0.0.1:${client.localPort}`);
      client.destroy();
    });

    test.each([
      ['malformed', 'GET / HTTP/1.1\r\n\r\n', 'bad-proxy-header'],
      ['too long', `PROXY TCP4 ${'1'.repeat(500)}`, 'bad-proxy-header'],
    ])('closes a connection whose header is %s', async (_what, text, code) => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      const ended = ending(client);
      client.write(text);
      await ended;
      await until(() => told.length === 1);
      expect(listener.refusals).toEqual({ [code]: 1 });
      expect([service.connects, tracked, listener.activeConnections]).toEqual([[], [], 0]);
    });

    test.each([
      ['no header', ''],
      ['half a header', V1.slice(0, 20)],
    ])('closes a connection with %s after five seconds', async (_what, text) => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      const ended = ending(client);
      client.write(text);
      await arrived();
      await settle();
      await clock.advance(4_999);
      expect(listener.activeConnections).toBe(1);
      await clock.advance(1);
      await ended;
      expect(listener.refusals).toEqual({ 'no-proxy-header': 1 });
    });

    test('counts nothing where the proxy leaves before its header', async () => {
      await open(TRUSTED);
      const client = await sockets.connect(port);
      await arrived();
      client.end();
      await until(() => listener.activeConnections === 0);
      expect([listener.refusals, service.connects]).toEqual([{}, []]);
    });

    test('closes others at once, whatever they send', async () => {
      await open({ proxies: compileAddressSet(['192.0.2.1']) });
      const client = await sockets.connect(port);
      const ended = ending(client);
      client.write(V1);
      await ended;
      await until(() => told.length === 1);
      expect(told).toEqual([expect.stringContaining('it comes from none of trusted_proxies')]);
      expect(listener.refusals).toEqual({ 'untrusted-proxy': 1 });
      expect(service.connects).toEqual([]);
    });

    test.each([
      ['the access list', { access: compileAccessList({ allowList: ['127.0.0.1'], blockList: [] }) }],
      ['the wake list', { wakes: compileWakeList(['127.0.0.1']) }],
    ])('asks %s for the address in the header', async (_what, overrides) => {
      await open({ ...TRUSTED, ...overrides });
      const client = await sockets.connect(port);
      const ended = ending(client);
      client.write(V1);
      await ended;
      await until(() => listener.activeConnections === 0);
      expect([...refused, ...told].join()).toMatch(/^203\.0\.113\.7:56324/);
      expect(service.connects).toEqual([]);
    });

    test('waits for data behind the header', async () => {
      await open({ ...TRUSTED, wakeOn: 'data' });
      const client = await sockets.connect(port);
      client.write(V1);
      await settle();
      await settle();
      expect(service.connects).toEqual([]);
      client.end('data');
      expect(`${await collect(await upstream.socket(0))}`).toBe('data');
      (await upstream.socket(0)).end();
    });

    test('resets who waits when clients are cut', async () => {
      await open(TRUSTED);
      const ended = ending(await sockets.connect(port));
      await arrived();
      listener.cutClients();
      expect(await ended).toBe('ECONNRESET');
      await until(() => listener.activeConnections === 0);
    });

    test('closes who waits when the listener is closed', async () => {
      await open(TRUSTED);
      const ended = ending(await sockets.connect(port));
      await arrived();
      listener.close();
      await ended;
      await until(() => drains === 1);
    });
  });

  describe('that tells its upstream of the client', () => {
    test.each(['v1', 'v2'] as const)('sends a header of %s before what the client sends', async (version) => {
      await open({ proxyProtocol: version });
      const client = await sockets.connect(port);
      client.end('question');
      const far = await upstream.socket(0);
      const received = await collect(far);
      const reading = readProxyHeader(received);
      expect(reading).toMatchObject({
        kind: 'header',
        ends: {
          source: { host: '127.0.0.1', port: client.localPort },
          destination: { host: '127.0.0.1', port },
        },
      });
      const { bytes = 0 } = reading as { bytes?: number };
      expect(`${received.subarray(bytes)}`).toBe('question');
      far.end();
    });

    test('sends it though the client says nothing', async () => {
      await open({ proxyProtocol: 'v1' });
      const client = await sockets.connect(port);
      const text = `PROXY TCP4 127.0.0.1 127.0.0.1 ${client.localPort} ${port}\r\n`;
      expect(`${await firstOf(text.length)}`).toBe(text);
      client.destroy();
    });

    test('passes on what a header of the proxy in front says, in the other version', async () => {
      await open({ proxyProtocol: 'v2', proxies: compileAddressSet(['127.0.0.1']) });
      const client = await sockets.connect(port);
      client.end(`${V1}question`);
      const far = await upstream.socket(0);
      expect(readProxyHeader(await collect(far))).toMatchObject({
        ends: {
          source: { host: '203.0.113.7', port: 56_324 },
          destination: { host: '198.51.100.2', port: 443 },
        },
      });
      far.end();
    });

    test('lends its socket to no relay thread', async () => {
      let lent = 0;
      const openWarmPath = () => void lent++;
      await open({ proxyProtocol: 'v2', track: undefined, openWarmPath });
      const client = await sockets.connect(port);
      await upstream.socket(0);
      await settle();
      expect(lent).toBe(0);
      client.destroy();
    });
  });
});
