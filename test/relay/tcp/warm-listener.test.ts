import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect as connectTo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WarmUser } from '../../../src/model/running/warm-path.ts';
import { compileAccessList } from '../../../src/relay/access/access-list.ts';
import { Admission } from '../../../src/relay/access/admission.ts';
import { countShared, createClientCounts } from '../../../src/relay/access/client-counts.ts';
import { type TcpBinding, TcpListener } from '../../../src/relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../../../src/relay/tcp/tcp-relay.ts';
import type { Client } from '../../../src/relay/listener.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { aListener } from '../../support/builders.ts';
import { settle } from '../../support/fake-clock.ts';
import { withDeafPort } from '../../support/deaf-port.ts';
import { freePort } from '../../support/free-ports.ts';
import { createSpliceRelay } from '../../support/relays.ts';
import { collect, ending, pattern, receive, Sockets, type TestServer } from '../../support/sockets.ts';
import { createSendUrgent } from '../../support/urgent.ts';

describe.runIf(process.platform === 'linux')('TcpListener whose service is ready', () => {
  let sockets: Sockets;
  let upstream: TestServer;
  let relay: TcpRelay;
  let listener: TcpListener;
  let port: number;
  let binding: TcpBinding;
  let refused: string[];
  /** Clients that asked for their upstream. */
  let asked: number;
  let user: WarmUser | undefined;
  let counts: number[];
  let drained: { times: number };
  /** Where the relay is told to connect. */
  let upstreamPort: number;
  let upstreamHost: string;
  /** Paths that were opened and are not closed. */
  let paths: number;

  beforeEach(async () => {
    sockets = new Sockets();
    relay = await createSpliceRelay();
    upstream = await sockets.listen();
    upstreamPort = upstream.port;
    upstreamHost = '127.0.0.1';
    paths = 0;
    port = await freePort();
    asked = 0;
    const own = { times: 0 };
    drained = own;
    user = undefined;
    counts = [];
    refused = [];
    binding = {
      service: 'db',
      targetPort: 5432,
      keepAliveMs: 60_000,
      access: compileAccessList({ allowList: [], blockList: [] }),
      async connect() {
        asked++;
        return { socket: await sockets.connect(upstream.port), release() {} };
      },
      openWarmPath(wanted) {
        user = wanted;
        paths++;
        return {
          endpoints: [{ host: upstreamHost, port: upstreamPort }],
          budgetMs: 30_000,
          used: (count) => void counts.push(count),
          close: () => void paths--,
        };
      },
    };
    listener = new TcpListener({
      spec: aListener({ address: '127.0.0.1', port }),
      binding,
      relay,
      logger: silentLogger,
      onRefused: (client) => void refused.push(client),
      onDrained: () => own.times++,
    });
    await listener.open();
  });
  afterEach(async () => {
    listener.destroy();
    relay.close();
    await sockets.close();
  });

  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const connect = () => sockets.through(port, upstream);
  const end = async ({ client, far }: { readonly client: Socket; readonly far: Socket }) => {
    const ends = Promise.all([ending(client), ending(far)]);
    client.end();
    far.end();
    await ends;
  };
  /** Serves the one who has to ask, and waits until nobody uses the listener. */
  const warmUp = async () => {
    const first = await connect();
    await until(() => user !== undefined);
    await end(first);
    await until(() => listener.activeConnections === 0);
  };

  test('shows the clients that it has let in, with what they have carried, oldest first', async () => {
    await warmUp();
    const first = await connect();
    const second = await connect();
    first.client.write('hello');
    await once(first.far, 'data');
    const endpoints = [first, second].map(({ client }) => `127.0.0.1:${client.localPort}`);
    await until(() => listener.listClients(9)[0]?.bytesUp === 5);
    expect(listener.listClients(9).map(({ endpoint }) => endpoint)).toEqual(endpoints);
    expect(listener.listClients(9)[0]).toMatchObject({ isWaiting: false, bytesUp: 5, bytesDown: 0 });
    expect(Math.abs(Date.now() - (listener.listClients(1)[0]?.sinceMs ?? 0))).toBeLessThan(60_000);
    expect(listener.listClients(1)).toHaveLength(1);
    for (const one of [first, second]) await end(one);
    await until(() => listener.activeConnections === 0);
    expect(listener.listClients(9)).toEqual([]);
  });

  test('knows its clients again, and closes the idle ones, which is no use of it', async () => {
    await warmUp();
    const first = await connect();
    const second = await connect();
    first.client.write('hello');
    await once(first.far, 'data');
    await until(() => user?.listUses().some(({ bytes }) => bytes === 5) === true);
    const uses = user?.listUses() ?? [];
    expect(uses.map(({ bytes }) => bytes).toSorted()).toEqual([0, 5]);
    for (const use of uses) expect(use.quietMs()).toBeLessThan(10_000);
    expect(user?.listUses().every((use) => uses.includes(use))).toBe(true);
    const lastMs = user?.lastUsedMs;
    const over = Promise.all([first, second].map(({ client }) => ending(client)));
    for (const use of uses) use.closeIdle(5);
    expect(await over).toEqual(['closed', 'closed']);
    await until(() => listener.activeConnections === 0);
    expect([user?.lastUsedMs, user?.listUses()]).toEqual([lastMs, []]);
  });

  test('adds up what its clients have carried, those that have gone included, whoever let them in', async () => {
    await warmUp();
    expect(listener.readTotals()).toEqual({ accepted: 1, up: 0, down: 0, unserved: {} });
    const first = await connect();
    first.client.write('hello');
    await once(first.far, 'data');
    await until(() => listener.readTotals().up === 5);
    expect(listener.readTotals()).toMatchObject({ accepted: 2, down: 0 });
    const second = await connect();
    second.far.write('hi');
    await once(second.client, 'data');
    await until(() => listener.readTotals().down === 2);
    await end(first);
    await end(second);
    await until(() => listener.activeConnections === 0);
    const all = { accepted: 3, up: 5, down: 2, unserved: {} };
    expect(listener.readTotals()).toEqual(all);
    // The route is gone with this, and the slots of its connections are taken by others.
    listener.rebind(binding);
    expect(listener.readTotals()).toEqual(all);
    await warmUp();
    const third = await connect();
    expect(listener.readTotals()).toMatchObject({ up: 5, down: 2 });
    await end(third);
    await until(() => listener.activeConnections === 0);
    expect(listener.readTotals()).toEqual({ accepted: 5, up: 5, down: 2, unserved: {} });
  });

  test('lets clients in without asking, and tells when they come and go', async () => {
    await warmUp();
    const both = [await connect(), await connect()];
    await until(() => counts.some((count) => count > 0));
    expect(asked).toBe(1);
    expect(listener.activeConnections).toBe(2);
    expect(user?.lastUsedMs).toBeGreaterThanOrEqual(0);
    for (const one of both) await end(one);
    await until(() => counts.at(-1) === 0);
    expect(listener.activeConnections).toBe(0);
    expect(user?.lastUsedMs).toBeGreaterThan(0);
  });

  test('carries everything both ways, with half-close', async () => {
    await warmUp();
    const { client, far } = await connect();
    const [request, answer] = [pattern(3_000_000, 1), pattern(3_000_000, 2)];
    client.end(request);
    expect((await collect(far)).equals(request)).toBe(true);
    far.end(answer);
    expect((await collect(client)).equals(answer)).toBe(true);
    expect(asked).toBe(1);
  });

  test('is not closed while somebody is in, and asks again once it is', async () => {
    await warmUp();
    const one = await connect();
    expect(user?.tryClose()).toBe(false);
    await end(one);
    await until(() => counts.at(-1) === 0);
    expect(user?.tryClose()).toBe(true);
    await connect();
    expect(asked).toBe(2);
  });

  test('keeps connections when it is closed, and serves new clients the ordinary way', async () => {
    await warmUp();
    const one = await connect();
    user?.close();
    const two = await connect();
    expect(asked).toBe(2);
    one.client.write('still');
    expect(String(await once(one.far, 'data'))).toBe('still');
    await end(one);
    await end(two);
    await until(() => listener.activeConnections === 0);
  });

  test('loses no client while it is closed and opened again and again, and asks for none that came while it was open', async () => {
    await warmUp();
    let arrived = 1;
    const three = async () => {
      arrived += 3;
      return await Promise.all([0, 1, 2].map(() => sockets.connect(port)));
    };
    for (let round = 0; round < 20; round++) {
      const before = asked;
      const warm = await three();
      await until(() => upstream.sockets.length === arrived);
      expect(asked, `asked in round ${round}`).toBe(before);
      const during = await three();
      user?.close();
      const after = await three();
      await until(() => upstream.sockets.length === arrived);
      for (const client of [...warm, ...during, ...after]) client.destroy();
      for (const socket of upstream.sockets) socket.resume().end();
    }
    await until(() => listener.activeConnections === 0);
  });

  test('gives each client the answer of a server that resets at once, and asks the server once', async () => {
    await warmUp();
    const answer = 'HTTP/1.1 413 Content Too Large\r\n\r\n';
    upstream.server.on('connection', (socket) => {
      socket.once('data', () => {
        socket.write(answer);
        socket.resetAndDestroy();
      });
    });
    for (let round = 0; round < 150; round++) {
      const client = await sockets.connect(port);
      client.write(pattern(5_000));
      expect(String(await receive(client)), `round ${round}`).toBe(answer);
    }
    expect([asked, upstream.sockets.length]).toEqual([1, 151]);
  });

  test('carries what a client sends around an urgent byte', async () => {
    const sendUrgent = await createSendUrgent();
    await warmUp();
    const { client, far } = await connect();
    const whole = collect(far);
    await new Promise((resolve) => client.write('before', resolve));
    sendUrgent(client, 33);
    const all = new Promise<void>((resolve) => {
      let length = 0;
      far.on('data', (chunk: Buffer) => {
        length += chunk.length;
        if (length === 12) resolve();
      });
    });
    client.write('after');
    await all;
    client.end();
    expect([String(await whole), asked]).toEqual(['before!after', 1]);
  });

  test('gives the server what a client has sent that resets at once', async () => {
    await warmUp();
    for (let round = 0; round < 150; round++) {
      const client = await sockets.connect(port);
      client.write('question');
      client.resetAndDestroy();
      expect(String(await receive(await upstream.socket(1 + round))), `round ${round}`).toBe('question');
    }
    expect(asked).toBe(1);
  });

  test('serves a client the ordinary way whose upstream refuses', async () => {
    upstreamPort = await freePort();
    await warmUp();
    const { client, far } = await connect();
    expect(asked).toBe(2);
    client.write('ping');
    expect(String(await once(far, 'data'))).toBe('ping');
  });

  test('lets in whom the access list allows', async () => {
    listener.rebind({ ...binding, access: compileAccessList({ allowList: ['127.0.0.1'], blockList: [] }) });
    await warmUp();
    await connect();
    expect(asked).toBe(1);
  });

  test('refuses whom the access list bars, which is no use of the service', async () => {
    listener.rebind({ ...binding, access: compileAccessList({ allowList: [], blockList: ['127.0.0.2'] }) });
    await warmUp();
    const told = counts.length;
    const barred = connectTo({ host: '127.0.0.1', port, localAddress: '127.0.0.2' });
    await ending(barred);
    expect(refused).toEqual([expect.stringMatching(/^127\.0\.0\.2:\d+$/)]);
    expect([counts.length, upstream.sockets.length]).toEqual([told, 1]);
    await connect();
    expect(asked).toBe(1);
  });

  test('sends clients elsewhere from the moment on at which it is rebound', async () => {
    await warmUp();
    const other = await sockets.listen();
    const connectToOther = async () => ({ socket: await sockets.connect(other.port), release() {} });
    listener.rebind({ ...binding, connect: connectToOther, openWarmPath: () => undefined });
    await sockets.connect(port);
    await other.socket(0);
    expect(upstream.sockets).toHaveLength(1);
  });

  test('looks at each client itself where their number is bounded', async () => {
    listener.rebind({ ...binding, bounds: { maxConnections: 5, maxConnectionsPerAddress: 0 } });
    for (let count = 1; count <= 2; count++) {
      await end(await connect());
      await until(() => listener.activeConnections === 0);
    }
    expect([asked, user]).toEqual([2, undefined]);
  });

  test('looks at each client itself where a webhook is told of each', async () => {
    const tracked: string[] = [];
    const track = ({ endpoint }: Client) => {
      tracked.push(endpoint);
      return () => {};
    };
    listener.rebind({ ...binding, track });
    for (let count = 1; count <= 2; count++) {
      await end(await connect());
      await until(() => listener.activeConnections === 0);
    }
    expect([asked, user, tracked.length]).toEqual([2, undefined, 2]);
  });

  test('counts clients that come after all others have left, and resets them when it is destroyed', async () => {
    await warmUp();
    await end(await connect());
    await until(() => counts.at(-1) === 0);
    const { client } = await connect();
    await until(() => listener.activeConnections === 1);
    const over = ending(client);
    listener.destroy();
    expect(await over).toBe('ECONNRESET');
  });

  test('counts each client once after every sleep and wake', async () => {
    for (let wake = 1; wake <= 3; wake++) {
      await warmUp();
      const one = await connect();
      expect([asked, listener.activeConnections]).toEqual([wake, 1]);
      await end(one);
      await until(() => listener.activeConnections === 0);
      await until(() => user?.tryClose() === true);
      user = undefined;
    }
  });

  test.each(['rebound', 'closed'])('gives its path back when it is %s', async (how) => {
    await warmUp();
    expect(paths).toBe(1);
    if (how === 'closed') listener.close();
    else listener.rebind(binding);
    expect(paths).toBe(0);
  });

  test('gives its path back where the relay does not take the socket', async () => {
    upstreamHost = 'db.internal';
    await warmUp();
    expect(paths).toBe(0);
    await connect();
    expect(asked).toBe(2);
  });

  test('lends nothing any more when it was closed while its client waited', async () => {
    const client = await sockets.connect(port);
    await until(() => asked === 1);
    listener.close();
    const far = await upstream.socket(0);
    far.write('hello');
    await once(client, 'data');
    expect(user).toBeUndefined();
    await end({ client, far });
  });

  describe('with an admission', () => {
    let admission: Admission;
    beforeEach(async () => {
      listener.destroy();
      const [clock, logger] = [systemClock, silentLogger];
      const descriptors = new Descriptors({ limit: 8_192, clock, logger });
      admission = new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
      listener = new TcpListener({
        ...{ spec: aListener({ address: '127.0.0.1', port }), binding, relay, logger, admission },
        onRefused() {},
        onDrained() {},
      });
      await listener.open();
    });
    const expected = () => admission.descriptors.expected[0];

    test('looks at each client itself once half of the descriptors are taken', async () => {
      countShared(admission.counts, 4_096);
      for (let count = 1; count <= 2; count++) {
        await end(await connect());
        await until(() => listener.activeConnections === 0);
      }
      expect([asked, user]).toEqual([2, undefined]);
    });

    test('keeps a descriptor for the upstream of a client until that is there', async () => {
      const client = await sockets.connect(port);
      await until(() => asked === 1);
      expect(expected()).toBe(1);
      const far = await upstream.socket(0);
      far.write('hello');
      await once(client, 'data');
      expect(expected()).toBe(0);
      await end({ client, far });
    });

    test('keeps no descriptor for a client that could not be served', async () => {
      listener.rebind({ ...binding, connect: () => Promise.reject(new Error('no')) });
      await ending(await sockets.connect(port));
      await until(() => listener.activeConnections === 0);
      expect(expected()).toBe(0);
    });
  });

  test('resets what is connected when it is destroyed', async () => {
    await warmUp();
    const { client, far } = await connect();
    const ends = Promise.all([ending(client), ending(far)]);
    listener.destroy();
    expect(await ends).toEqual(['ECONNRESET', 'ECONNRESET']);
    await until(() => drained.times === 1);
  });

  test('resets a client that is being connected when it is destroyed, and asks for none', async () => {
    await withDeafPort(sockets, async (deafPort) => {
      upstreamPort = deafPort;
      const first = await connect();
      await until(() => user !== undefined);
      await end(first);
      await until(() => listener.activeConnections === 0);
      const client = await sockets.connect(port);
      const ended = ending(client);
      await until(() => listener.activeConnections === 1);
      listener.destroy();
      expect(await ended).toBe('ECONNRESET');
      expect(asked).toBe(1);
    });
  });

  test('gives its port back at once, while the relay has the socket yet', async () => {
    await warmUp();
    await connect();
    listener.close();
    await expect(sockets.connect(port)).rejects.toThrow('ECONNREFUSED');
  });

  test('is drained when the last connection has ended', async () => {
    await warmUp();
    const one = await connect();
    listener.close();
    await settle();
    expect(drained.times).toBe(0);
    await end(one);
    await until(() => drained.times === 1);
    await expect(sockets.connect(port)).rejects.toThrow();
  });
});

describe.runIf(process.platform === 'linux')('TcpListeners of two services', () => {
  let sockets: Sockets;
  let relay: TcpRelay;
  let listeners: TcpListener[];
  /** Threads that were there before the relay's. */
  let others: ReadonlySet<string>;

  beforeEach(async () => {
    sockets = new Sockets();
    listeners = [];
    others = new Set(readdirSync('/proc/self/task'));
    relay = await createSpliceRelay();
  });
  afterEach(async () => {
    for (const listener of listeners) listener.destroy();
    relay.close();
    await sockets.close();
  });

  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  /** A service that wakes with the first client who asks, and sleeps when it is told to. */
  const open = async () => {
    const upstream = await sockets.listen((socket) => socket.resume().on('end', () => socket.end()));
    const port = await freePort();
    let asked = 0;
    let user: WarmUser | undefined;
    const listener = new TcpListener({
      spec: aListener({ address: '127.0.0.1', port }),
      binding: {
        service: 'db',
        targetPort: 5432,
        keepAliveMs: 60_000,
        access: compileAccessList({ allowList: [], blockList: [] }),
        async connect() {
          asked++;
          return { socket: await sockets.connect(upstream.port), release() {} };
        },
        openWarmPath(wanted) {
          user = wanted;
          return {
            endpoints: [{ host: '127.0.0.1', port: upstream.port }],
            budgetMs: 30_000,
            used() {},
            close() {},
          };
        },
      },
      relay,
      logger: silentLogger,
      onRefused() {},
      onDrained() {},
    });
    listeners.push(listener);
    await listener.open();
    return {
      port,
      /** Clients that the main thread has accepted and connected. */
      asked: () => asked,
      async visit() {
        const client = await sockets.connect(port);
        const end = ending(client);
        client.end();
        expect(await end).toBe('closed');
      },
      async sleep() {
        await until(() => listener.activeConnections === 0);
        await until(() => user?.tryClose() ?? false);
      },
    };
  };
  /** Nanoseconds that the relay's threads have run. */
  const relayCpuNs = () => {
    const own = readdirSync('/proc/self/task').filter((thread) => !others.has(thread));
    const times = own.map((thread) => readFileSync(`/proc/self/task/${thread}/schedstat`, 'utf8').split(' '));
    return times.reduce((sum, [runNs]) => sum + Number(runNs), 0);
  };

  test('leaves every client but the waking one to the relay thread, after each of ten sleeps', async () => {
    const [awake, sleeper] = [await open(), await open()];
    await awake.visit();
    for (let wake = 1; wake <= 10; wake++) {
      await sleeper.visit();
      expect(sleeper.asked()).toBe(wake);
      for (let visit = 0; visit < 20; visit++) await sleeper.visit();
      expect(sleeper.asked(), `asked in wake ${wake}`).toBe(wake);
      await awake.visit();
      await sleeper.sleep();
    }
    expect(awake.asked()).toBe(1);
  });

  test('costs the relay thread nothing that a client waits for the main thread after a sleep', async () => {
    const [awake, sleeper] = [await open(), await open()];
    await awake.visit();
    await sleeper.visit();
    await sleeper.visit();
    await sleeper.sleep();
    // The thread has taken what was on the way to it.
    await awake.visit();
    const client = sockets.begin(sleeper.port);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const beforeNs = relayCpuNs();
    const blockedMs = 200;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockedMs);
    expect((relayCpuNs() - beforeNs) / 1e6).toBeLessThan(blockedMs / 10);
    await once(client, 'connect');
  });
});
