import { once } from 'node:events';
import { closeSync, readdirSync, readlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { setEnvironmentData } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Admission } from '../../src/relay/access/admission.ts';
import { countDescriptors, createClientCounts } from '../../src/relay/access/client-counts.ts';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import { createTcpRelay } from '../../src/relay/tcp/create-tcp-relay.ts';
import type { SpliceRelay } from '../../src/relay/splice/main/splice-relay.ts';
import { systemClock } from '../../src/system/clock.ts';
import { Descriptors } from '../../src/system/descriptors.ts';
import { type LogFields, type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aListener } from '../support/builders.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { DEATH_KEY } from '../support/mortal-relay-key.ts';
import { MORTAL_THREAD_FILE, THREAD_FILE } from '../support/relay-thread-file.ts';
import { createSpliceRelay } from '../support/relays.ts';
import { collect, ending, pattern, Sockets } from '../support/sockets.ts';

const isLinux = process.platform === 'linux';

/** What a link leads to; nothing where it is gone by now. */
function readlinkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

const A_ROUTE = {
  ...{ service: 0, name: 'db', keepAliveMs: 0, budgetMs: 30_000 },
  access: { allowList: [], blockList: [] },
  onUse() {},
  onReturned() {},
  onLost() {},
};

function createAdmission(): Admission {
  const [clock, logger] = [systemClock, silentLogger];
  const descriptors = new Descriptors({ limit: 1_024, clock, logger });
  return new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
}

describe.runIf(isLinux)('SpliceRelay whose thread fails', () => {
  const death = new Int32Array(new SharedArrayBuffer(4));
  let sockets: Sockets;
  let relay: SpliceRelay;
  let errors: string[];
  let admission: Admission;

  beforeEach(async () => {
    sockets = new Sockets();
    errors = [];
    Atomics.store(death, 0, 0);
    setEnvironmentData(DEATH_KEY, death as never);
    const error = (_fields: LogFields, message: string) => void errors.push(message);
    admission = createAdmission();
    const logger = { ...silentLogger, error };
    relay = await createSpliceRelay({ threadFile: MORTAL_THREAD_FILE, logger, admission });
  });
  afterEach(async () => {
    relay.close();
    await sockets.close();
  });

  const join = async () => {
    const left = await sockets.pair();
    const right = await sockets.pair();
    let ends = 0;
    const ended = new Promise<void>((resolve) => {
      relay.join({ client: left.far, upstream: right.near, keepAliveMs: 0 }, () => {
        ends++;
        resolve();
      });
    });
    return { client: left.near, upstream: right.far, ended, ends: () => ends };
  };

  test('counts the pipes of the thread no longer, and closes them', async () => {
    const pipes = () => {
      const links = readdirSync('/proc/self/fd').map((fd) => readlinkOf(`/proc/self/fd/${fd}`));
      return links.filter((link) => link.startsWith('pipe:'));
    };
    const before = new Set(pipes());
    const { client, ended } = await join();
    client.write(pattern(64 * 1_048_576));
    while (countDescriptors(admission.counts) === 0) await settle();
    Atomics.store(death, 0, 1);
    // Word of another connection wakes the loop, where the bytes don't.
    void join();
    await ended;
    expect(countDescriptors(admission.counts)).toBe(0);
    expect(pipes().filter((link) => !before.has(link))).toEqual([]);
  });

  test('counts the clients that the thread had let in no longer', async () => {
    const upstream = await sockets.listen();
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const route = relay.openRoute(server, {
      ...A_ROUTE,
      upstreams: [{ host: '127.0.0.1', port: upstream.port }],
    });
    server.close();
    await Promise.all([sockets.connect(port), upstream.socket(0)]);
    expect([countDescriptors(admission.counts), admission.counts.connections[0]]).toEqual([2, 1]);
    const { ended } = await join();
    Atomics.store(death, 0, 1);
    // Word of another connection wakes the loop.
    void join();
    await ended;
    expect([countDescriptors(admission.counts), admission.counts.connections[0]]).toEqual([0, 0]);
    closeSync(route?.takeListener() ?? -1);
  });

  test('resets every connection, says so, and relays new ones by streams', async () => {
    const before = await join();
    const other = await join();
    for (const { client, upstream } of [before, other]) {
      client.write('ping');
      await once(upstream, 'data');
    }
    expect(relay.kind).toBe('splice');
    const ends = [before.client, before.upstream, other.client, other.upstream].map(ending);
    Atomics.store(death, 0, 1);
    // Word of a third connection wakes the loop. Bytes for one of the two would do so as well, but Node takes a reset for
    // an end where it comes together with bytes.
    void join();
    expect(await Promise.all(ends)).toEqual(Array(4).fill('ECONNRESET'));
    await Promise.all([before.ended, other.ended]);
    expect([before.ends(), other.ends()]).toEqual([1, 1]);
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^the relay thread has failed: struck; /);
    expect(relay.kind).toBe('stream');
    const after = await join();
    after.client.end(pattern(100_000));
    expect(await collect(after.upstream)).toHaveLength(100_000);
  });
});

describe.runIf(isLinux)('SpliceRelay', () => {
  test('frees the port of a server at once, whenever the thread gets to close its copy of the socket', async () => {
    // It does what it is told at the end only.
    const thread = `import { closeSync } from 'node:fs';
      import { receiveMessageOnPort, workerData } from 'node:worker_threads';
      const { shared, port } = workerData;
      while (Atomics.load(shared.quit, 0) === 0) Atomics.wait(shared.quit, 0, 0, 5);
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
        if (next.message.kind === 'open-route') closeSync(next.message.listener);
      port.close();`;
    const relay = await createSpliceRelay({
      threadFile: new URL(`data:text/javascript,${encodeURIComponent(thread)}`),
    });
    const sockets = new Sockets();
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const route = relay.openRoute(server, { ...A_ROUTE, upstreams: [{ host: '127.0.0.1', port: 1 }] });
    server.close();
    server.listen({ fd: route?.takeListener() });
    await once(server, 'listening');
    relay.closeServer(server);
    await expect(sockets.connect(port)).rejects.toThrow('ECONNREFUSED');
    relay.close();
    await sockets.close();
  });

  test('counts its pipes among the descriptors of clients while it has them', async () => {
    const sockets = new Sockets();
    const admission = createAdmission();
    const relay = await createSpliceRelay({ admission });
    const [left, right] = [await sockets.pair(), await sockets.pair()];
    relay.join({ client: left.far, upstream: right.near, keepAliveMs: 0 }, () => {});
    // Nobody reads it.
    left.near.write(pattern(64 * 1_048_576));
    while (countDescriptors(admission.counts) === 0) await settle();
    expect(countDescriptors(admission.counts)).toBe(2);
    relay.close();
    while (countDescriptors(admission.counts) > 0) await settle();
    await sockets.close();
  });

  test.each(['served', 'served, its listener lent', 'turned away'])(
    'ends its thread 8 s after its last client has left, who was %s',
    async (how) => {
      const sockets = new Sockets();
      const clock = new FakeClock();
      const relay = await createSpliceRelay({ clock });
      const upstream = await sockets.listen((socket) => socket.resume().on('end', () => socket.end()));
      const endpoints = [{ host: '127.0.0.1', port: upstream.port }];
      const listener = new TcpListener({
        ...{ spec: aListener({ address: '127.0.0.1', port: await freePort() }), relay, logger: silentLogger },
        binding: {
          ...{ service: 'db', targetPort: 5432, keepAliveMs: 0 },
          access: compileAccessList({ allowList: [], blockList: [] }),
          async connect() {
            if (how === 'turned away') throw new Error('no');
            return { socket: await sockets.connect(upstream.port), release() {} };
          },
          openWarmPath: () =>
            how === 'served' ? undefined : { endpoints, budgetMs: 30_000, used() {}, close() {} },
        },
        onRefused() {},
        onDrained() {},
      });
      await listener.open();
      const threads = () => readdirSync('/proc/self/task').length;
      // The second client gets a new thread.
      for (let client = 1; client <= 2; client++) {
        const socket = await sockets.connect(listener.spec.port);
        socket.end();
        await ending(socket);
        while (clock.pending === 0) await settle();
        const before = threads();
        await clock.advance(7_999);
        expect(clock.delaysMs).toEqual([1]);
        await clock.advance(1);
        while (threads() >= before) await settle();
      }
      listener.destroy();
      relay.close();
      await sockets.close();
    },
  );

  test('warns once that the kernel refuses to watch sockets, and says what helps', async () => {
    const report = {
      ended: [],
      finished: [],
      returned: [],
      barred: [],
      used: [],
      closed: [],
      unwatched: [28, 28],
      short: [],
    };
    const thread = `import { workerData } from 'node:worker_threads';
      workerData.port.postMessage(${JSON.stringify(report)});
      while (Atomics.load(workerData.shared.quit, 0) === 0) Atomics.wait(workerData.shared.quit, 0, 0, 5);
      workerData.port.close();`;
    const warnings: string[] = [];
    const warned = new Promise<void>((resolve) => {
      const warn = (_fields: LogFields, message: string) => {
        warnings.push(message);
        resolve();
      };
      const threadFile = new URL(`data:text/javascript,${encodeURIComponent(thread)}`);
      void createSpliceRelay({ threadFile, logger: { ...silentLogger, warn } }).then((relay) => {
        relay.prepare();
        void warned.then(() => relay.close());
      });
    });
    await warned;
    await settle();
    expect(warnings).toEqual([expect.stringMatching(/errno 28.*raise fs\.epoll\.max_user_watches/)]);
  });

  test('leaves no descriptor behind when it is closed', async () => {
    const sockets = new Sockets();
    const count = () => readdirSync('/proc/self/fd').length;
    // What the first use of anything opens for good is not counted.
    for (let round = 0; round < 3; round++) {
      const before = count();
      const relay = await createSpliceRelay();
      const [left, right] = [await sockets.pair(), await sockets.pair()];
      const ended = new Promise<void>((resolve) => {
        relay.join({ client: left.far, upstream: right.near, keepAliveMs: 0 }, () => resolve());
      });
      left.near.end(pattern(3_000_000));
      expect(await collect(right.far)).toHaveLength(3_000_000);
      right.far.end();
      await collect(left.near);
      await ended;
      relay.close();
      await sockets.close();
      while (round > 0 && count() > before) await settle();
    }
  });
});

describe('createTcpRelay', () => {
  const lines: string[] = [];
  const logger: Logger = { ...silentLogger, info: (_fields, message) => void lines.push(message) };
  const parts = { threadFile: THREAD_FILE, clock: systemClock, logger };

  test.runIf(isLinux)('takes splice where it can be had', async () => {
    for (const setting of ['auto', 'splice'] as const) {
      const relay = await createTcpRelay(setting, parts);
      expect(relay.kind).toBe('splice');
      relay.close();
    }
    expect(lines).toEqual([]);
  });

  test('takes streams when it is told to', async () => {
    expect((await createTcpRelay('stream', parts)).kind).toBe('stream');
  });

  test('takes streams and says why where splice can not be had', async () => {
    const relay = await createTcpRelay('auto', { ...parts, platform: 'darwin' });
    expect(relay.kind).toBe('stream');
    expect(lines).toEqual([
      "TCP connections are relayed through Node's streams instead of splice(2), which takes more processor time: splice(2) is Linux only, this is darwin",
    ]);
  });

  test('fails where splice is asked for and can not be had', async () => {
    const creating = createTcpRelay('splice', { ...parts, platform: 'darwin' });
    await expect(creating).rejects.toThrow('relay: splice does not work here: splice(2) is Linux only');
  });
});
