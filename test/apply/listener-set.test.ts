import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ListenerSet } from '../../src/apply/listener-set.ts';
import type { ServiceListener } from '../../src/apply/service-listener.ts';
import { type ListenerSpec, listenKey, type Service } from '../../src/model/service.ts';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { type TcpBinding, TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import { type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aListener, aService } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { ending, Sockets, type TestServer } from '../support/sockets.ts';

const db = aService();

describe('ListenerSet', () => {
  let clock: FakeClock;
  let sockets: Sockets;
  let upstream: TestServer;
  let set: ListenerSet;
  let spec: ListenerSpec;
  let served: string[];
  let lines: string[];
  let told: string[];

  beforeEach(async () => {
    clock = new FakeClock();
    sockets = new Sockets();
    upstream = await sockets.listen();
    spec = aListener({ port: await freePort() });
    served = [];
    lines = [];
    const note = (level: string) => (_fields: unknown, message: string) => lines.push(`${level} ${message}`);
    const logger: Logger = { ...silentLogger, error: note('error'), warn: note('warn'), info: note('info') };
    told = [];
    const onServed = (name: string, { isServed }: { readonly isServed: boolean }) =>
      void told.push(`${name} ${isServed ? 'served' : 'unserved'}`);
    set = new ListenerSet({ create, clock, logger, onServed });
  });
  afterEach(async () => {
    set.destroy();
    await set.settled();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });

  const bind = (service: Service): TcpBinding => ({
    service: service.name,
    targetPort: 80,
    access: compileAccessList(service),
    keepAliveMs: service.tcpKeepAliveMs,
    async connect() {
      served.push(service.name);
      return { socket: await sockets.connect(upstream.port), release() {} };
    },
  });
  function create(wanted: ListenerSpec, service: Service, onDrained: () => void): ServiceListener {
    const binding = bind(service);
    const options = {
      spec: wanted,
      binding,
      relay: createStreamRelay(),
      logger: silentLogger,
      onRefused() {},
      onDrained,
    };
    const listener = new TcpListener(options);
    return {
      spec: wanted,
      drops: { expired: 2 },
      refusals: {},
      blocked: 0,
      listClients: (max) => listener.listClients(max),
      readTotals: () => listener.readTotals(),
      get activeConnections() {
        return listener.activeConnections;
      },
      open: () => listener.open(),
      rebind: (next) => listener.rebind(bind(next)),
      cutClients: () => listener.cutClients(),
      close: () => listener.close(),
      destroy: () => listener.destroy(),
    };
  }
  const open = async (service = db, wanted = spec) => {
    set.open(wanted, service);
    await set.settled();
  };
  const hold = () => sockets.listen(undefined, { port: spec.port });
  const relayed = async () => {
    const client = await sockets.connect(spec.port);
    const far = await upstream.socket(upstream.sockets.length);
    return { client, far };
  };
  /** Lets the tries that are due end, each of which binds a real port. */
  const advance = async (ms: number) => {
    await clock.advance(ms);
    await set.settled();
  };

  test('serves on the port when it is open', async () => {
    await open();
    await relayed();
    expect(served).toEqual(['db']);
    expect(set.status(spec)).toEqual({
      ...{ blocked: 0, condition: 'bound' },
      activeConnections: 1,
      drops: { expired: 2 },
      refusals: {},
      error: undefined,
    });
    expect([...set.holders]).toEqual([[listenKey(spec), 'db']]);
  });

  test('knows nothing of a listener that was never opened', () => {
    expect(set.status(spec)).toEqual({
      ...{ blocked: 0, condition: 'pending' },
      activeConnections: 0,
      drops: {},
      refusals: {},
      error: undefined,
    });
  });

  test('reports a port that another process holds, and says so once', async () => {
    await hold();
    await open();
    await advance(5_000);
    expect(set.status(spec).error).toBe('another process holds the port');
    expect(set.holders.size).toBe(0);
    expect(lines).toEqual([
      `error db can't listen on *:${spec.port}/tcp: another process holds the port; trying again until it can`,
    ]);
  });

  test('reports an address that the machine does not have', async () => {
    const elsewhere = { ...spec, address: '192.0.2.1' };
    await open(db, elsewhere);
    expect(set.status(elsewhere).error).toBe('this machine does not have that address');
  });

  test('tries again after 250, 500 … at most 5000 ms when the port is taken', async () => {
    await hold();
    await open();
    const delays: number[] = [];
    for (let round = 0; round < 7; round++) {
      delays.push(...clock.delaysMs);
      await advance(clock.delaysMs[0] ?? 0);
    }
    expect(delays).toEqual([250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  });

  test('tells whether a service is served: by one bound listener at the least', async () => {
    const holder = await hold();
    await open();
    expect(told).toEqual(['db unserved']);
    const second = aListener({ port: await freePort() });
    await open(db, second);
    expect(told).toEqual(['db unserved', 'db served']);
    const third = aListener({ port: await freePort() });
    set.close(second);
    set.open(third, db);
    await set.settled();
    expect(told).toHaveLength(2);
    await holder.close();
    await advance(250);
    expect(told).toHaveLength(2);
    set.rebind(spec, aService({ name: 'web' }));
    await settle();
    expect(told).toEqual(['db unserved', 'db served', 'web served']);
  });

  test('takes the port as soon as a try finds it free', async () => {
    const holder = await hold();
    await open();
    await holder.close();
    await advance(250);
    expect(told).toEqual(['db unserved', 'db served']);
    expect(set.status(spec).error).toBeUndefined();
    expect(set.holders.get(listenKey(spec))).toBe('db');
    expect(lines.at(-1)).toBe(`info db: *:${spec.port}/tcp is free again`);
    await relayed();
    expect(served).toEqual(['db']);
  });

  test('goes to the service it was rebound to while the port was taken', async () => {
    const holder = await hold();
    await open();
    set.rebind(spec, aService({ name: 'web' }));
    await holder.close();
    await advance(250);
    await relayed();
    expect(served).toEqual(['web']);
  });

  test('sends new connections to the service it is rebound to', async () => {
    await open();
    const first = await relayed();
    set.rebind(spec, aService({ name: 'web' }));
    await relayed();
    expect(served).toEqual(['db', 'web']);
    expect(set.holders.get(listenKey(spec))).toBe('web');
    expect(first.client.destroyed).toBe(false);
  });

  test('opens a listener that it is to rebind and does not have', async () => {
    set.rebind(spec, db);
    await set.settled();
    await relayed();
    expect(served).toEqual(['db']);
  });

  test('gives up a port for good when it is closed between two tries', async () => {
    await hold();
    await open();
    set.close(spec);
    expect(clock.pending).toBe(0);
    expect(set.status(spec).error).toBeUndefined();
  });

  test('gives up a port when it is closed while it is being opened', async () => {
    set.open(spec, db);
    set.close(spec);
    await set.settled();
    expect(set.holders.size).toBe(0);
    await hold();
  });

  test('says nothing of a port that turns out to be taken after it was closed', async () => {
    await hold();
    set.open(spec, db);
    set.close(spec);
    await set.settled();
    expect(lines).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  test('binds the port again when it is closed and opened in one go', async () => {
    await open();
    const { client, far } = await relayed();
    const narrow = { ...spec, address: '127.0.0.1' };
    set.close(spec);
    set.open(narrow, aService({ name: 'web' }));
    await set.settled();
    expect(set.status(narrow).error).toBeUndefined();
    await relayed();
    expect(served).toEqual(['db', 'web']);
    client.write('still here');
    expect(String(await once(far, 'data'))).toBe('still here');
  });

  test('is drained at once when there is no connection', async () => {
    await open();
    await set.drain();
    await hold();
  });

  test('is drained when the last connection has ended', async () => {
    await open();
    const { client, far } = await relayed();
    let drained = false;
    const drain = set.drain().then(() => {
      drained = true;
    });
    await settle();
    expect(drained).toBe(false);
    const ended = ending(client);
    far.end();
    await ended;
    await drain;
  });

  test('waits for connections of listeners that were closed before', async () => {
    await open();
    const { client, far } = await relayed();
    set.close(spec);
    const drain = set.drain();
    const ended = ending(client);
    far.end();
    await ended;
    await drain;
  });

  test('ends everybody who waits for the drain when it is destroyed', async () => {
    await open();
    const { client } = await relayed();
    const ended = ending(client);
    const drains = [set.drain(), set.drain()];
    set.destroy();
    await Promise.all(drains);
    expect(await ended).toBe('ECONNRESET');
  });
});
