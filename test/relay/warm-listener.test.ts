import { once } from 'node:events';
import { connect as connectTo, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WarmUser } from '../../src/model/warm-path.ts';
import { compileAccessList } from '../../src/relay/access-list.ts';
import { type TcpBinding, TcpListener } from '../../src/relay/tcp-listener.ts';
import type { TcpRelay } from '../../src/relay/tcp-relay.ts';
import { silentLogger } from '../../src/system/logger.ts';
import { aListener } from '../support/builders.ts';
import { settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { createSpliceRelay } from '../support/relays.ts';
import { collect, ending, pattern, Sockets, type TestServer } from '../support/sockets.ts';

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

  beforeEach(async () => {
    sockets = new Sockets();
    relay = await createSpliceRelay();
    upstream = await sockets.listen();
    upstreamPort = upstream.port;
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
        const endpoints = [{ host: '127.0.0.1', port: upstreamPort }];
        return { endpoints, used: (count) => void counts.push(count), close() {} };
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
  const connect = async (): Promise<{ readonly client: Socket; readonly far: Socket }> => {
    const index = upstream.sockets.length;
    const client = await sockets.connect(port);
    return { client, far: await upstream.socket(index) };
  };
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

  it('lets clients in without asking, and tells when they come and go', async () => {
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

  it('carries everything both ways, with half-close', async () => {
    await warmUp();
    const { client, far } = await connect();
    const [request, answer] = [pattern(3_000_000, 1), pattern(3_000_000, 2)];
    client.end(request);
    expect((await collect(far)).equals(request)).toBe(true);
    far.end(answer);
    expect((await collect(client)).equals(answer)).toBe(true);
    expect(asked).toBe(1);
  });

  it('is not closed while somebody is in, and asks again once it is', async () => {
    await warmUp();
    const one = await connect();
    expect(user?.tryClose()).toBe(false);
    await end(one);
    await until(() => counts.at(-1) === 0);
    expect(user?.tryClose()).toBe(true);
    await connect();
    expect(asked).toBe(2);
  });

  it('keeps connections when it is closed, and serves new clients the ordinary way', async () => {
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

  it('loses no client while it is closed and opened again and again', async () => {
    await warmUp();
    for (let round = 0; round < 20; round++) {
      const clients = await Promise.all([0, 1, 2].map(() => sockets.connect(port)));
      user?.close();
      const more = await Promise.all([0, 1, 2].map(() => sockets.connect(port)));
      await until(() => upstream.sockets.length === 1 + (round + 1) * 6);
      for (const client of [...clients, ...more]) client.destroy();
      for (const socket of upstream.sockets) socket.resume().end();
    }
    await until(() => listener.activeConnections === 0);
  });

  it('serves a client the ordinary way whose upstream refuses', async () => {
    upstreamPort = await freePort();
    await warmUp();
    const { client, far } = await connect();
    expect(asked).toBe(2);
    client.write('ping');
    expect(String(await once(far, 'data'))).toBe('ping');
  });

  it('lets in whom the access list allows', async () => {
    listener.rebind({ ...binding, access: compileAccessList({ allowList: ['127.0.0.1'], blockList: [] }) });
    await warmUp();
    await connect();
    expect(asked).toBe(1);
  });

  it('refuses whom the access list bars, which is no use of the service', async () => {
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

  it('resets what is connected when it is destroyed', async () => {
    await warmUp();
    const { client, far } = await connect();
    const ends = Promise.all([ending(client), ending(far)]);
    listener.destroy();
    expect(await ends).toEqual(['ECONNRESET', 'ECONNRESET']);
    await until(() => drained.times === 1);
  });

  it('gives its port back at once, while the relay has the socket yet', async () => {
    await warmUp();
    await connect();
    listener.close();
    await expect(sockets.connect(port)).rejects.toThrow('ECONNREFUSED');
  });

  it('is drained when the last connection has ended', async () => {
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
