import type { Socket } from 'node:net';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { WarmUser } from '../../src/model/running/warm-path.ts';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import type { RelayKind, TcpRelay } from '../../src/relay/tcp/tcp-relay.ts';
import { silentLogger } from '../../src/system/log/logger.ts';
import { aListener } from '../support/builders.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { createRelay } from '../support/relays.ts';
import { ending, Sockets, type TestServer } from '../support/sockets.ts';
import { createOptionReader, type TcpOptions } from '../support/tcp-options.ts';

/** Each way in which a connection comes to its sockets, the relays that have it, and what it is seen by. */
const WAYS: readonly { readonly way: Way; readonly relays: readonly RelayKind[] }[] = [
  { way: 'held', relays: ['stream', 'splice'] },
  { way: 'cold', relays: ['stream', 'splice'] },
  { way: 'warm', relays: ['splice'] },
  { way: 'given back', relays: ['splice'] },
  { way: 'after a reload', relays: ['stream', 'splice'] },
  { way: 'warm after a reload', relays: ['splice'] },
];
type Way = 'held' | 'cold' | 'warm' | 'given back' | 'after a reload' | 'warm after a reload';

/** What is configured, and what the kernel is told. */
const TIMES = [
  { keepAliveMs: 60_000, keepAlive: { idle: 60, interval: 10, probes: 6 } },
  { keepAliveMs: 9_000, keepAlive: { idle: 9, interval: 2, probes: 6 } },
  { keepAliveMs: 500, keepAlive: { idle: 1, interval: 1, probes: 6 } },
  { keepAliveMs: 86_400_000, keepAlive: { idle: 32_767, interval: 5_462, probes: 6 } },
  { keepAliveMs: 0, keepAlive: undefined },
] as const;

/** Node's own, where there is no koffi. */
const NODE_PROBES = { interval: 1, probes: 10 };

const CASES = WAYS.flatMap(({ way, relays }) =>
  relays.flatMap((kind) => TIMES.map((times) => ({ way, kind, ...times }))),
);

describe.runIf(process.platform === 'linux')('the sockets of a connection', () => {
  let read: Awaited<ReturnType<typeof createOptionReader>>;
  let sockets: Sockets;
  let upstream: TestServer;
  let relay: TcpRelay;
  let listener: TcpListener;
  let port: number;
  let user: WarmUser | undefined;
  let warmPort: number;

  beforeAll(async () => {
    read = await createOptionReader();
  });
  beforeEach(async () => {
    sockets = new Sockets();
    upstream = await sockets.listen();
    warmPort = upstream.port;
    user = undefined;
  });
  afterEach(async () => {
    listener.destroy();
    relay.close();
    await sockets.close();
  });

  const bind = (keepAliveMs: number, connect?: () => Promise<never>) => ({
    service: 'db',
    targetPort: 5432,
    keepAliveMs,
    access: compileAccessList({ allowList: [], blockList: [] }),
    connect: connect ?? (async () => ({ socket: await sockets.connect(upstream.port), release() {} })),
    openWarmPath(wanted: WarmUser) {
      user = wanted;
      return { endpoints: [{ host: '127.0.0.1', port: warmPort }], budgetMs: 30_000, used() {}, close() {} };
    },
  });
  const open = async (kind: RelayKind | 'stream without koffi', binding: ReturnType<typeof bind>) => {
    relay = kind === 'stream without koffi' ? createStreamRelay() : await createRelay(kind);
    port = await freePort();
    const spec = aListener({ address: '127.0.0.1', port });
    listener = new TcpListener({
      spec,
      binding,
      relay,
      logger: silentLogger,
      onRefused() {},
      onDrained() {},
    });
    await listener.open();
  };
  const connect = async () => {
    const { client, far } = await sockets.through(port, upstream);
    // Whoever has the sockets has them now.
    client.write('ping');
    await new Promise((resolve) => far.once('data', resolve));
    return { client, far };
  };
  const end = async ({ client, far }: { readonly client: Socket; readonly far: Socket }) => {
    const ends = Promise.all([ending(client), ending(far)]);
    client.end();
    far.end();
    await ends;
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const warmUp = async () => {
    user = undefined;
    const first = await connect();
    await until(() => user !== undefined);
    await end(first);
    await until(() => listener.activeConnections === 0);
  };

  /** The options of the proxy's socket to the client, and of that to the upstream where there is one. */
  const readBoth = ({ client, far }: { readonly client: Socket; readonly far?: Socket }) => {
    const near = read({ local: port, remote: client.localPort });
    return far === undefined ? near : [...near, ...read({ local: far.remotePort, remote: upstream.port })];
  };

  const go: Readonly<Record<Way, (kind: RelayKind, ms: number) => Promise<readonly TcpOptions[]>>> = {
    async held(kind, ms) {
      let asked = false;
      await open(
        kind,
        bind(ms, () => {
          asked = true;
          return new Promise<never>(() => {});
        }),
      );
      const client = await sockets.connect(port);
      await until(() => asked);
      return readBoth({ client });
    },
    async cold(kind, ms) {
      await open(kind, bind(ms));
      return readBoth(await connect());
    },
    async warm(kind, ms) {
      await open(kind, bind(ms));
      await warmUp();
      return readBoth(await connect());
    },
    async 'given back'(kind, ms) {
      warmPort = await freePort();
      await open(kind, bind(ms));
      await warmUp();
      return readBoth(await connect());
    },
    async 'after a reload'(kind, ms) {
      await open(kind, bind(5_000));
      await connect();
      listener.rebind(bind(ms));
      return readBoth(await connect());
    },
    async 'warm after a reload'(kind, ms) {
      await open(kind, bind(5_000));
      await warmUp();
      listener.rebind(bind(ms));
      await warmUp();
      return readBoth(await connect());
    },
  };

  test.each(CASES)('have no delay and keepalive: $way, $kind, $keepAliveMs ms', async (example) => {
    const { way, kind, keepAliveMs, keepAlive } = example;
    const found = await go[way](kind, keepAliveMs);
    const wanted = { noDelay: true, urgentInline: true, keepAlive };
    expect(found).toEqual(way === 'held' ? [wanted] : [wanted, wanted]);
  });

  test.each(TIMES)("have Node's own probes where there is no koffi: $keepAliveMs ms", async (example) => {
    const { keepAliveMs, keepAlive } = example;
    await open('stream without koffi', bind(keepAliveMs));
    const probes = keepAlive && { ...keepAlive, ...NODE_PROBES };
    const wanted = { noDelay: true, urgentInline: false, keepAlive: probes };
    expect(readBoth(await connect())).toEqual([wanted, wanted]);
  });
});
