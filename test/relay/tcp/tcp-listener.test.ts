import { once } from 'node:events';
import { Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList } from '../../../src/relay/access/access-list.ts';
import { Admission } from '../../../src/relay/access/admission.ts';
import { createClientCounts } from '../../../src/relay/access/client-counts.ts';
import { type TcpBinding, TcpListener } from '../../../src/relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../../../src/relay/tcp/tcp-relay.ts';
import { Descriptors } from '../../../src/system/descriptors.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { aListener } from '../../support/builders.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { createRelay, RELAY_KINDS } from '../../support/relays.ts';
import { collect, ending, pattern, Sockets, type TestServer } from '../../support/sockets.ts';

/** One call of a binding's connect, held until the test lets it go. */
interface Hold {
  readonly client: string;
  readonly port: number | string;
  readonly signal: AbortSignal;
  releases: number;
  /** Connects to the upstream, as a lifecycle does. */
  serve(): Promise<void>;
  refuse(error?: Error): void;
}

describe.each(RELAY_KINDS)('TcpListener with a %s relay', (kind) => {
  let relay: TcpRelay;
  let sockets: Sockets;
  let upstream: TestServer;
  let listener: TcpListener;
  let port: number;
  let holds: Hold[];
  let refused: string[];
  let counts: { drains: number };
  let arrived: () => void;

  beforeEach(async () => {
    relay = await createRelay(kind);
    sockets = new Sockets();
    upstream = await sockets.listen();
    port = await freePort();
    holds = [];
    refused = [];
    counts = { drains: 0 };
    arrived = () => {};
    listener = create();
    await listener.open();
  });
  afterEach(async () => {
    listener.destroy();
    for (const hold of holds) hold.refuse();
    relay.close();
    await sockets.close();
  });

  const create = (
    address = '',
    changes: Partial<ConstructorParameters<typeof TcpListener>[0]> = {},
  ): TcpListener => {
    const own = counts;
    return new TcpListener({
      spec: aListener({ address, port, targetPort: 5432 }),
      binding: bindingTo(upstream),
      relay,
      logger: silentLogger,
      onRefused: (client) => refused.push(client),
      onDrained: () => own.drains++,
      ...changes,
    });
  };

  function bindingTo(server: TestServer, overrides: Partial<TcpBinding> = {}): TcpBinding {
    return {
      service: 'db',
      targetPort: 5432,
      access: compileAccessList({ allowList: [], blockList: [] }),
      keepAliveMs: 60_000,
      connect: (request) =>
        new Promise((resolve, reject) => {
          const hold: Hold = {
            ...request,
            releases: 0,
            async serve() {
              const socket = await sockets.connect(server.port);
              resolve({ socket, release: () => void hold.releases++ });
            },
            refuse: (error = new Error('no')) => reject(error),
          };
          holds.push(hold);
          arrived();
        }),
      ...overrides,
    };
  }
  const heldClient = async (index: number): Promise<Hold> => {
    for (;;) {
      const hold = holds[index];
      if (hold !== undefined) return hold;
      await new Promise<void>((resolve) => {
        arrived = resolve;
      });
    }
  };
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  /** A client that is relayed, and its upstream's end of the connection. */
  const relayed = async (index = 0, server = upstream) => {
    const client = await sockets.connect(port);
    const hold = await heldClient(index);
    const before = server.sockets.length;
    await hold.serve();
    return { client, hold, far: await server.socket(before) };
  };
  const closeBoth = async (client: Socket, far: Socket) => {
    const ends = Promise.all([ending(client), ending(far)]);
    client.end();
    far.end();
    await ends;
  };

  test('tells of each client that it could not serve, but of none that left by itself', async () => {
    listener.destroy();
    const told: unknown[] = [];
    listener = create('', { onUnserved: (_client, { error }) => void told.push(error) });
    await listener.open();
    const ends = [];
    for (const [index, code] of ['left', 'failed'].entries()) {
      ends.push(ending(await sockets.connect(port)));
      (await heldClient(index)).refuse(Object.assign(new Error('no'), { code }));
    }
    await Promise.all(ends);
    expect(told).toEqual([expect.objectContaining({ code: 'failed' })]);
    expect(listener.readTotals()).toEqual({ accepted: 2, up: 0, down: 0, unserved: { left: 1, failed: 1 } });
  });

  test('counts the clients that a limit of the service keeps out', async () => {
    listener.destroy();
    const [clock, logger] = [new FakeClock(), silentLogger];
    const descriptors = new Descriptors({ limit: 8_192, clock, logger });
    const admission = new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
    const bounds = { maxConnections: 1, maxConnectionsPerAddress: 0 };
    listener = create('', { admission, binding: bindingTo(upstream, { bounds }) });
    await listener.open();
    await relayed();
    expect(await ending(sockets.begin(port))).toBe('ECONNRESET');
    expect([listener.refusals, holds.length]).toEqual([{ 'max-connections': 1 }, 1]);
  });

  test.runIf(kind === 'stream')(
    'says that a client was not accepted for want of descriptors, counts it, and goes on',
    async () => {
      listener.destroy();
      let server: Server | undefined;
      const tune: TcpRelay['tune'] = (socket, keepAliveMs) => {
        if (socket instanceof Server) server = socket;
        return relay.tune(socket, keepAliveMs);
      };
      const [clock, logger] = [new FakeClock(), createRecordingLogger()];
      const descriptors = new Descriptors({ limit: 1_024, clock, logger });
      const admission = new Admission({ descriptors, counts: createClientCounts(7), clock, logger });
      listener = create('', { relay: { ...relay, tune }, admission });
      await listener.open();
      const scarce = Object.assign(new Error('accept EMFILE'), { code: 'EMFILE' });
      for (let count = 1; count <= 2; count++) server?.emit('error', scarce);
      expect(listener.refusals).toEqual({ 'no-descriptors': 2 });
      expect(logger.lines.map(({ message }) => message)).toEqual([
        expect.stringMatching(/^too few file descriptors; .*: a client on \*:\d+ was not accepted$/),
      ]);
      await relayed();
    },
  );

  test('hands the target port and the client on', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    expect(hold.port).toBe(5432);
    expect(hold.client).toBe(`127.0.0.1:${client.localPort}`);
  });

  test('relays both ways, and gives the lease back once when both have ended', async () => {
    const { client, hold, far } = await relayed();
    client.write('ping');
    expect(String(await once(far, 'data'))).toBe('ping');
    far.write('pong');
    expect(String(await once(client, 'data'))).toBe('pong');
    expect(hold.releases).toBe(0);
    await closeBoth(client, far);
    await until(() => listener.activeConnections === 0);
    expect(hold.releases).toBe(1);
  });

  test('delivers everything when the client sends 1 MB and ends while it is held', async () => {
    const client = await sockets.connect(port);
    const request = pattern(1_048_576);
    client.end(request);
    const hold = await heldClient(0);
    const answer = collect(client);
    for (let turn = 0; turn < 50; turn++) await settle();
    expect(hold.signal.aborted).toBe(false);
    await hold.serve();
    const far = await upstream.socket(0);
    expect((await collect(far)).equals(request)).toBe(true);
    far.end('thanks');
    expect((await answer).toString()).toBe('thanks');
    await until(() => hold.releases > 0);
    expect(hold.releases).toBe(1);
  });

  test('reads no more than a little of a client that it holds', async () => {
    const client = await sockets.connect(port);
    client.end(pattern(8 * 1_048_576));
    const hold = await heldClient(0);
    let written = -1;
    for (let still = 0; still < 50; still++) {
      if (client.bytesWritten - client.writableLength !== written) still = 0;
      written = client.bytesWritten - client.writableLength;
      await settle();
    }
    expect(client.writableLength).toBeGreaterThan(0);
    await hold.serve();
    expect((await collect(await upstream.socket(0))).length).toBe(8 * 1_048_576);
  });

  test('shows who is there, oldest first, and who of them waits', async () => {
    const { client } = await relayed();
    const waiting = await sockets.connect(port);
    await heldClient(1);
    const shown = () => listener.listClients(9).map(({ endpoint, isWaiting }) => ({ endpoint, isWaiting }));
    expect(shown()).toEqual([
      { endpoint: `127.0.0.1:${client.localPort}`, isWaiting: false },
      { endpoint: `127.0.0.1:${waiting.localPort}`, isWaiting: true },
    ]);
    expect(listener.listClients(1)).toHaveLength(1);
  });

  test('counts those whom the access list refuses', async () => {
    listener.rebind(
      bindingTo(upstream, { access: compileAccessList({ allowList: ['10.0.0.1'], blockList: [] }) }),
    );
    expect(listener.blocked).toBe(0);
    await ending(await sockets.connect(port));
    await until(() => listener.blocked === 1);
    expect(refused).toHaveLength(1);
  });

  test('tells that a client leaves while it is held when it resets', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    client.resetAndDestroy();
    await until(() => hold.signal.aborted);
    hold.refuse();
    await until(() => listener.activeConnections === 0);
  });

  test('tells that a client leaves while it is held when it resets after it has sent a little', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    client.write('hello');
    // A reset that arrives together with the bytes looks like their end: the bytes have to be read first.
    for (let turn = 0; turn < 10; turn++) await settle();
    client.resetAndDestroy();
    await until(() => hold.signal.aborted);
  });

  test('tells that a client leaves while it is held when it closes without a byte', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    client.end();
    await until(() => hold.signal.aborted);
    hold.refuse();
    await until(() => listener.activeConnections === 0);
  });

  test('closes the client when it can not be served', async () => {
    const client = await sockets.connect(port);
    (await heldClient(0)).refuse();
    await ending(client);
    expect(listener.activeConnections).toBe(0);
  });

  test('closes a client in order that can not be served, whatever it has sent', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    await new Promise<void>((resolve) => client.write(pattern(20_000), () => resolve()));
    const ended = ending(client);
    hold.refuse();
    expect(await ended).toBe('closed');
  });

  test('gives the lease back once when the client left just before it was served', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    client.resetAndDestroy();
    await until(() => hold.signal.aborted);
    await hold.serve();
    await ending(await upstream.socket(0));
    await until(() => hold.releases > 0);
    expect(hold.releases).toBe(1);
  });

  test('gives the lease back once when the upstream is gone before the relay begins', async () => {
    const socket = await sockets.connect(upstream.port);
    socket.destroy();
    let releases = 0;
    listener.rebind(
      bindingTo(upstream, { connect: async () => ({ socket, release: () => void releases++ }) }),
    );
    expect(await ending(sockets.begin(port))).toBe('ECONNRESET');
    expect(releases).toBe(1);
  });

  test.each(['client', 'upstream'] as const)('gives the lease back once when the %s resets', async (side) => {
    const { client, far, hold } = await relayed();
    const other = ending(side === 'client' ? far : client);
    (side === 'client' ? client : far).resetAndDestroy();
    expect(await other).toBe('ECONNRESET');
    await until(() => hold.releases > 0);
    await settle();
    expect(hold.releases).toBe(1);
  });

  test('closes a client that the access list refuses before anything else', async () => {
    const access = compileAccessList({ allowList: ['192.0.2.1'], blockList: [] });
    listener.rebind(bindingTo(upstream, { access }));
    await ending(sockets.begin(port));
    await until(() => refused.length > 0);
    expect(refused).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
    expect(holds).toEqual([]);
    expect(listener.activeConnections).toBe(0);
  });

  test('closes a client in order that is refused at once, and counts it', async () => {
    const tracked: string[] = [];
    const track = ({ endpoint }: { readonly endpoint: string }) => {
      tracked.push(endpoint);
      return () => {};
    };
    const refusal = () => Object.assign(new Error('it is asleep'), { code: 'asleep' });
    listener.rebind(bindingTo(upstream, { refusal, track }));
    const client = sockets.begin(port);
    client.write(pattern(20_000));
    expect(await ending(client)).toBe('closed');
    expect(listener.refusals).toEqual({ asleep: 1 });
    expect([holds, tracked, refused, listener.activeConnections]).toEqual([[], [], [], 0]);
  });

  test('counts a client that waited for what fell asleep', async () => {
    const asleep = Object.assign(new Error('it is asleep'), { code: 'asleep' });
    listener.rebind(bindingTo(upstream, { connect: () => Promise.reject(asleep) }));
    expect(await ending(sockets.begin(port))).toBe('closed');
    await until(() => listener.activeConnections === 0);
    expect(listener.refusals).toEqual({ asleep: 1 });
  });

  test('sends new connections elsewhere and keeps live ones when it is rebound', async () => {
    const other = await sockets.listen();
    const first = await relayed();
    listener.rebind(bindingTo(other));
    const second = await relayed(1, other);
    first.client.write('still here');
    expect(String(await once(first.far, 'data'))).toBe('still here');
    expect(upstream.sockets).toHaveLength(1);
    expect(second.client.destroyed).toBe(false);
  });

  test('keeps a held client with the service it came for when it is rebound', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    listener.rebind(bindingTo(await sockets.listen()));
    await hold.serve();
    client.write('hello');
    expect(String(await once(await upstream.socket(0), 'data'))).toBe('hello');
  });

  test('gives the port back at once when it is closed, while connections go on', async () => {
    const { client, far } = await relayed();
    listener.close();
    await sockets.listen(undefined, { port });
    client.write('ping');
    expect(String(await once(far, 'data'))).toBe('ping');
    expect(counts.drains).toBe(0);
    await closeBoth(client, far);
    await until(() => counts.drains > 0);
    expect(counts.drains).toBe(1);
  });

  test('goes on holding a client when it is closed', async () => {
    const client = await sockets.connect(port);
    const hold = await heldClient(0);
    listener.close();
    await hold.serve();
    client.write('hello');
    expect(String(await once(await upstream.socket(0), 'data'))).toBe('hello');
  });

  test('is drained once when it is closed twice with no connection', () => {
    listener.close();
    listener.close();
    expect(counts.drains).toBe(1);
  });

  test('resets what is relayed and what is held when it is destroyed', async () => {
    const { client, far } = await relayed();
    const held = await sockets.connect(port);
    const hold = await heldClient(1);
    const ends = Promise.all([ending(client), ending(far), ending(held)]);
    listener.destroy();
    expect(await ends).toEqual(['ECONNRESET', 'ECONNRESET', 'ECONNRESET']);
    expect(hold.signal.aborted).toBe(true);
    await until(() => counts.drains > 0);
    listener.destroy();
    expect(counts.drains).toBe(1);
  });

  test('throws the bind error when the port is taken, and can be opened later', async () => {
    const blocked = create();
    await expect(blocked.open()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    listener.destroy();
    await blocked.open();
    await sockets.connect(port);
    await heldClient(0);
    blocked.destroy();
  });

  test('keeps no listener of a failed try when it is opened again and again', async () => {
    const blocked = create();
    const warnings: string[] = [];
    const note = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', note);
    for (let round = 0; round < 12; round++) {
      await expect(blocked.open()).rejects.toMatchObject({ code: 'EADDRINUSE' });
    }
    await settle();
    process.off('warning', note);
    expect(warnings).toEqual([]);
    blocked.close();
  });

  test.each(['', '127.0.0.1'])('ends its opening when it is closed meanwhile on [%s]', async (address) => {
    listener.destroy();
    const brief = create(address);
    const opening = brief.open();
    brief.close();
    await opening;
    await sockets.listen(undefined, { port });
  });

  test('listens on the address that is given alone', async () => {
    listener.destroy();
    listener = create('127.0.0.2');
    await listener.open();
    await expect(sockets.connect(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await sockets.connect(port, '127.0.0.2');
  });

  test.runIf(hasIpv6)('listens on IPv6 and IPv4 alike when no address is given', async () => {
    const six = await sockets.connect(port, '::1');
    expect((await heldClient(0)).client).toBe(`[::1]:${six.localPort}`);
    const four = await sockets.connect(port, '127.0.0.1');
    expect((await heldClient(1)).client).toBe(`127.0.0.1:${four.localPort}`);
  });
});
