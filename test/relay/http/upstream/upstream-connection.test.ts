import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { type Asker, UpstreamConnection } from '../../../../src/relay/http/upstream/upstream-connection.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('a connection to an upstream', () => {
  let server: Server;
  let upstream: Socket;
  let told: string[];
  let asker: Asker;
  afterEach(() => {
    upstream.destroy();
    server.close();
  });

  async function open(): Promise<UpstreamConnection> {
    // What an earlier connection still tells belongs to its own test.
    const mine: string[] = [];
    told = mine;
    asker = {
      onInformation: ({ status }) => mine.push(`information ${status}`),
      onHead: ({ status }) => mine.push(`head ${status}`),
      onBody: (chunk) => mine.push(`body ${chunk.toString()}`),
      onEnd: () => mine.push('end'),
      onPause: () => mine.push('pause'),
      onDrain: () => {},
      onSwitch: (rest) => mine.push(`switch ${rest.toString()}`),
      onBroken: () => mine.push('broken'),
    };
    server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    [[upstream]] = (await Promise.all([once(server, 'connection'), once(socket, 'connect')])) as [
      [Socket],
      unknown,
    ];
    upstream.on('error', () => {});
    const owner = { onFree: () => mine.push('free'), onClosed: () => mine.push('closed') };
    return new UpstreamConnection(socket, { owner, idleMs: 1_000, ended: new AbortController().signal });
  }

  const ask = (connection: UpstreamConnection, body: 'none' | 'length' | 'chunked' = 'none') =>
    connection.ask(asker, { text: 'GET / HTTP/1.1\r\n\r\n', isHead: false, body });

  test('reads the answer that came before a write has failed', async () => {
    const connection = await open();
    ask(connection, 'length');
    await once(upstream, 'data');
    upstream.write(OK);
    upstream.resetAndDestroy();
    // In this same turn, so that nothing was read yet.
    connection.write(Buffer.alloc(1_000_000));
    await expect.poll(() => told.at(-1)).toBe('closed');
    expect(told).toEqual(['head 200', 'body ok', 'end', 'closed']);
  });

  test('is free when its answer is whole', async () => {
    const connection = await open();
    ask(connection);
    await once(upstream, 'data');
    upstream.write(OK);
    await expect.poll(() => told).toEqual(['head 200', 'body ok', 'end', 'free']);
  });

  test('is closed when more comes than was asked for', async () => {
    const connection = await open();
    upstream.write(OK);
    await expect.poll(() => told).toEqual(['closed']);
    expect(connection.isUsable).toBe(false);
  });

  test('is closed, and not free, when the answer comes before the whole body', async () => {
    const connection = await open();
    ask(connection, 'chunked');
    connection.write(Buffer.from('some'));
    await once(upstream, 'data');
    upstream.write(OK);
    await expect.poll(() => told).toEqual(['head 200', 'body ok', 'end', 'closed']);
  });

  test('sends head and body in one piece where they are there together', async () => {
    const connection = await open();
    ask(connection, 'chunked');
    process.nextTick(() => {
      connection.write(Buffer.from('body'));
      connection.end(['X-Sum', '1']);
    });
    const [sent] = (await once(upstream, 'data')) as [Buffer];
    expect(sent.toString()).toBe('GET / HTTP/1.1\r\n\r\n4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n');
  });

  test('hands over what follows another protocol, and nothing more', async () => {
    const connection = await open();
    ask(connection);
    await once(upstream, 'data');
    upstream.write('HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nhello');
    await expect.poll(() => told).toEqual(['information 101', 'switch hello']);
    const socket = connection.letGo();
    upstream.write(OK);
    const [more] = (await once(socket.resume(), 'data')) as [Buffer];
    expect([more.toString(), told.length]).toEqual([OK, 2]);
    socket.destroy();
  });
});
