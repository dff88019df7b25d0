import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList } from '../../src/relay/access/access-list.ts';
import { EndLog } from '../../src/relay/end-log.ts';
import { createStreamRelay } from '../../src/relay/tcp/stream-relay.ts';
import { TcpListener } from '../../src/relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../../src/relay/tcp/tcp-relay.ts';
import { systemClock } from '../../src/system/clock.ts';
import { type LogFields, type Logger, silentLogger } from '../../src/system/log/logger.ts';
import { aListener } from '../support/builders.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { createSpliceRelay } from '../support/relays.ts';
import { collect, ending, pattern, Sockets, type TestServer } from '../support/sockets.ts';

const isLinux = process.platform === 'linux';
const WAYS = [
  { way: 'by streams', kind: 'stream', isWarm: false },
  ...(isLinux ? ([{ way: 'by the relay thread', kind: 'splice', isWarm: false }] as const) : []),
  ...(isLinux ? ([{ way: 'by the relay thread alone', kind: 'splice', isWarm: true }] as const) : []),
] as const;

test('nobody is asked to count anything where the log does not show debug', () => {
  expect(EndLog.create({ logger: silentLogger, clock: systemClock })).toBeUndefined();
});

describe.each(WAYS)('a connection relayed $way', ({ kind, isWarm }) => {
  let sockets: Sockets;
  let upstream: TestServer;
  let relay: TcpRelay;
  let listener: TcpListener;
  let port: number;
  let asked: number;
  let isLent: boolean;
  let lines: { readonly fields: LogFields; readonly message: string }[];

  beforeEach(async () => {
    sockets = new Sockets();
    upstream = await sockets.listen();
    port = await freePort();
    lines = [];
    asked = 0;
    isLent = false;
    const logger: Logger = {
      ...silentLogger,
      shows: () => true,
      debug: (fields, message) => void lines.push({ fields, message }),
    };
    relay = kind === 'splice' ? await createSpliceRelay({ logger }) : createStreamRelay();
    listener = new TcpListener({
      spec: aListener({ address: '127.0.0.1', port }),
      ...{ relay, logger, endLog: EndLog.create({ logger, clock: systemClock }) },
      binding: {
        service: 'db',
        targetPort: 5432,
        keepAliveMs: 60_000,
        access: compileAccessList({ allowList: [], blockList: [] }),
        async connect() {
          asked++;
          return { socket: await sockets.connect(upstream.port), release() {} };
        },
        openWarmPath() {
          if (!isWarm) return undefined;
          isLent = true;
          const endpoints = [{ host: '127.0.0.1', port: upstream.port }];
          return { endpoints, budgetMs: 30_000, used() {}, close() {} };
        },
      },
      onRefused() {},
      onDrained() {},
    });
    await listener.open();
    if (!isWarm) return;
    const { client, far } = await connect();
    await until(() => isLent);
    client.end();
    far.end();
    await Promise.all([ending(client), ending(far)]);
    await until(() => lines.length > 0);
    lines = [];
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

  test('is told at its end: who, where to, for how long and how much', async () => {
    const { client, far } = await connect();
    client.end(pattern(1_000));
    await collect(far);
    const { localPort } = client;
    far.end(pattern(300_000));
    await collect(client);
    await until(() => lines.length > 0);
    const [line] = lines;
    expect(line?.message).toMatch(
      new RegExp(
        `^db: connection of 127\\.0\\.0\\.1:${localPort} to 127\\.0\\.0\\.1:${upstream.port}: closed by both sides after \\d+ ms, 1000 bytes up, 300000 bytes down$`,
      ),
    );
    expect(line?.fields).toMatchObject({
      event: 'connection-end',
      service: 'db',
      client: `127.0.0.1:${localPort}`,
      bytesUp: 1_000,
      bytesDown: 300_000,
      ending: 'closed',
    });
    expect([lines.length, asked]).toEqual([1, 1]);
  });

  test('is told with its own address and traffic, whoever came after it', async () => {
    const pairs = [await connect(), await connect()];
    const ports = pairs.map(({ client }) => client.localPort);
    for (const [index, { client, far }] of pairs.entries()) {
      client.end(pattern(1 + index));
      await collect(far);
      far.end();
      await collect(client);
      await until(() => lines.length > index);
    }
    expect(lines.map(({ fields: { client, bytesUp } }) => [client, bytesUp])).toEqual(
      ports.map((from, index) => [`127.0.0.1:${from}`, 1 + index]),
    );
  });

  test.each([
    ['client', 'client-reset'],
    ['far', 'upstream-reset'],
  ] as const)('is told to be reset when the %s resets it', async (side, expected) => {
    const pair = await connect();
    for (const socket of [pair.client, pair.far]) socket.on('error', () => {});
    // It is relayed both ways before.
    pair.far.write('hello');
    await new Promise((resolve) => pair.client.once('data', resolve));
    pair[side].resetAndDestroy();
    await until(() => lines.length > 0);
    expect(lines.map(({ fields }) => fields['ending'])).toEqual([expected]);
  });

  test('is told to be cut when its listener is destroyed', async () => {
    const { client, far } = await connect();
    for (const socket of [client, far]) socket.on('error', () => {});
    far.write('hello');
    await new Promise((resolve) => client.once('data', resolve));
    listener.destroy();
    await until(() => lines.length > 0);
    expect(lines.map(({ fields }) => fields['ending'])).toEqual(['cut']);
  });
});
