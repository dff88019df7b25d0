import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { request } from 'node:http';
import type { Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { textAnswer } from '../../src/status/answer.ts';
import type { Api, StreamJob } from '../../src/status/api/api.ts';
import { StatusServer } from '../../src/status/status-server.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { ending, Sockets } from '../support/sockets.ts';

describe('StatusServer', () => {
  let sockets: Sockets;
  let server: StatusServer;
  let port: number;
  let rows: unknown[];
  let phase: 'starting' | 'serving' | 'draining';

  beforeEach(async () => {
    sockets = new Sockets();
    rows = [];
    phase = 'serving';
    port = await freePort();
    server = new StatusServer({ status: () => rows, problems: () => ['a problem'], phase: () => phase });
    await server.open({ address: '127.0.0.1', port });
  });
  afterEach(async () => {
    server.close();
    await sockets.close();
  });

  const ask = async (path: string, method = 'GET') => {
    const sent = request({ host: '127.0.0.1', port, path, method, agent: false });
    sent.end();
    const [response] = await once(sent, 'response');
    let body = '';
    for await (const chunk of response) body += chunk;
    return { status: response.statusCode, headers: response.headers, body };
  };

  test('answers /status with the rows of the moment as JSON', async () => {
    rows = [{ container_name: 'db' }];
    const { status, headers, body } = await ask('/status');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(JSON.parse(body)).toEqual([{ container_name: 'db' }]);
    rows = [];
    expect(JSON.parse((await ask('/status')).body)).toEqual([]);
  });

  test('answers /status whatever the query says', async () => {
    expect((await ask('/status?pretty=1')).status).toBe(200);
  });

  test('answers /problems with the problems as JSON', async () => {
    expect(JSON.parse((await ask('/problems')).body)).toEqual(['a problem']);
  });

  test('answers /health with ok and nothing else', async () => {
    const { status, headers, body } = await ask('/health');
    expect([status, body]).toEqual([200, 'ok']);
    expect(headers['content-type']).toMatch(/^text\/plain/);
  });

  test.each([
    ['starting', 503, 'starting'],
    ['serving', 200, 'ok'],
    ['draining', 503, 'draining'],
  ] as const)('answers /ready while %s with %d', async (now, expected, text) => {
    phase = now;
    const { status, body } = await ask('/ready');
    expect([status, body]).toEqual([expected, text]);
  });

  test('answers 404 and what there is when the path is unknown', async () => {
    const { status, body } = await ask('/nothing');
    expect(status).toBe(404);
    expect(body).toContain('/status');
  });

  test('names the API and the dashboard as well when it has them', async () => {
    server.close();
    const content = { status: () => rows, problems: () => [], phase: () => phase };
    server = new StatusServer(content, { loadApi: () => Promise.reject(new Error('not asked for')) });
    await server.open({ address: '127.0.0.1', port });
    expect((await ask('/nothing')).body).toBe(
      'there is /status, /problems, /health, /ready, /api, /traefik, /caddy and the dashboard at /',
    );
  });

  test.each(['POST', 'PUT', 'DELETE'])(
    'answers 405 and what is allowed when the method is %s',
    async (method) => {
      const { status, headers } = await ask('/status', method);
      expect(status).toBe(405);
      expect(headers.allow).toBe('GET, HEAD');
    },
  );

  describe('with an answer that has no end', () => {
    /** Connects a client that has got the begin of the answer; `left` resolves when the server knows that it is gone. */
    const listen = async () => {
      let tell: () => void = () => {};
      const left = new Promise<void>((resolve) => {
        tell = resolve;
      });
      const serve: StreamJob['serve'] = (client) => {
        client.onClose(tell);
        client.write('begun');
      };
      const api: Api = { take: () => Promise.resolve({ headers: {}, serve }), close() {} };
      const content = { status: () => rows, problems: () => [], phase: () => phase };
      const streaming = new StatusServer(content, { loadApi: () => Promise.resolve(api) });
      onTestFinished(() => streaming.close());
      const at = { address: '127.0.0.1', port: await freePort() };
      await streaming.open(at);
      const client = await sockets.connect(at.port);
      client.write('GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n');
      await once(client, 'data');
      return { client, left };
    };

    test.each(['end', 'destroy', 'resetAndDestroy'] as const)(
      'notices without writing that a client has left by %s',
      async (leave) => {
        const { client, left } = await listen();
        client[leave]();
        await left;
      },
    );

    test('goes on for a client that sends a little, and cuts off one that sends without an end', async () => {
      const { client, left } = await listen();
      client.write('x'.repeat(65_536));
      await settle();
      expect(client.destroyed).toBe(false);
      const ended = ending(client);
      client.write('x');
      await left;
      await ended;
    });
  });

  test('answers HEAD without a body', async () => {
    const { status, body } = await ask('/health', 'HEAD');
    expect([status, body]).toEqual([200, '']);
  });

  test('throws the bind error when the port is taken', async () => {
    const second = new StatusServer({ status: () => [], problems: () => [], phase: () => 'serving' });
    await expect(second.open({ address: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    second.close();
  });

  test('gives the port back and ends its connections when it is closed', async () => {
    const client = await sockets.connect(port);
    const ended = once(client, 'close');
    client.resume().once('end', () => client.end());
    server.close();
    await ended;
    await sockets.listen(undefined, { port });
    server.close();
  });

  test('goes on when a client can not be accepted', async () => {
    // What Node does when it has no file descriptor left.
    const fail = (message: unknown) =>
      (message as { socket: { server: Server } }).socket.server.emit('error', new Error('EMFILE'));
    subscribe('net.server.socket', fail);
    const answer = await ask('/health');
    unsubscribe('net.server.socket', fail);
    expect(answer.status).toBe(200);
  });

  test('listens on every address when none is given', async () => {
    server.close();
    server = new StatusServer({ status: () => [], problems: () => [], phase: () => 'serving' });
    await server.open({ address: '', port });
    expect((await ask('/health')).status).toBe(200);
  });
});

describe('StatusServer with slow clients', () => {
  let sockets: Sockets;
  let clock: FakeClock;
  let server: StatusServer;
  let port: number;
  let crowded: number;

  beforeEach(async () => {
    sockets = new Sockets();
    clock = new FakeClock();
    crowded = 0;
    port = await freePort();
    server = new StatusServer(
      { status: () => [], problems: () => [], phase: () => 'serving' },
      { clock, maxConnections: 3, onCrowded: () => crowded++ },
    );
    await server.open({ address: '127.0.0.1', port });
  });
  afterEach(async () => {
    server.close();
    await sockets.close();
  });

  test.each([
    ['headers', 'GET /health HTTP/1.1\r\nhost: x\r\n'],
    ['body', 'GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab'],
  ])('closes who has not sent the %s of a request within 10 s', async (part, text) => {
    const client = await sockets.connect(port);
    client.write(text);
    if (part === 'body') await once(client, 'data');
    // One that was answered shows that the server has taken up the first.
    expect(await (await fetch(`http://127.0.0.1:${port}/health`)).text()).toBe('ok');
    const ended = ending(client);
    await clock.advance(9_999);
    expect(client.destroyed).toBe(false);
    await clock.advance(1);
    expect(await ended).toBe('closed');
  });

  test('closes the oldest one without a request where there are too many, and answers who asks', async () => {
    const clients = [];
    for (let count = 0; count < 3; count++) {
      clients.push(await sockets.connect(port));
      clients[count]?.write('GET /health HTTP/1.1\r\n');
    }
    const ended = clients.map((client) => ending(client));
    const asked = await fetch(`http://127.0.0.1:${port}/health`, { headers: { connection: 'close' } });
    expect(await asked.text()).toBe('ok');
    await ended[0];
    expect([crowded, clients.map(({ destroyed }) => destroyed)]).toEqual([1, [true, false, false]]);
  });
});

describe('StatusServer with clients that ask much and read little', () => {
  const ROWS = [{ container_name: 'x'.repeat(2 ** 20) }];
  const GET = 'GET /status HTTP/1.1\r\nhost: x\r\n\r\n';
  /** As many as one read of the server brings. */
  const CHUNK = GET.repeat(Math.floor(65_536 / GET.length));
  let sockets: Sockets;
  let clock: FakeClock;
  let server: StatusServer;
  let port: number;
  let made: number;
  /** How long the making of a body takes. */
  let costMs: number;

  beforeEach(async () => {
    sockets = new Sockets();
    clock = new FakeClock();
    made = 0;
    costMs = 0;
    let spentMs = 0;
    port = await freePort();
    const content = {
      status: () => {
        spentMs += costMs;
        return [{ ...ROWS[0], made: ++made }];
      },
      problems: () => [],
      phase: () => 'serving' as const,
    };
    server = new StatusServer(content, {
      clock: {
        nowMs: () => clock.nowMs(),
        monotonicMs: () => clock.monotonicMs() + spentMs,
        schedule: (ms, callback) => clock.schedule(ms, callback),
        sleep: (ms, signal) => clock.sleep(ms, signal),
      },
      maxConnections: 3,
    });
    await server.open({ address: '127.0.0.1', port });
  });
  afterEach(async () => {
    server.close();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });
  const health = async () => (await fetch(`http://127.0.0.1:${port}/health`)).text();
  /** A client that reads nothing. */
  const askUnread = async (text: string) => {
    const client = await sockets.connect(port);
    client.pause().write(text);
    return client;
  };
  const turns = async () => {
    for (let turn = 0; turn < 20; turn++) await settle();
  };
  const answersIn = (text: string) => text.split('HTTP/1.1 200 OK').length - 1;

  test('makes one answer for a client that sends thousands of requests and reads nothing', async () => {
    await askUnread(CHUNK);
    for (let count = 0; count < 10; count++) expect(await health()).toBe('ok');
    // What the kernel takes, which is more than one of them.
    expect(made).toBeLessThan(10);
  });

  test('answers every request of one chunk, in their order, when the client reads', async () => {
    const paths = Array.from({ length: 500 }, (_, index) => (index % 5 === 0 ? '/none' : '/health'));
    const client = await sockets.connect(port);
    client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`).join(''));
    client.end();
    let text = '';
    for await (const chunk of client) text += chunk;
    const statuses = [...text.matchAll(/HTTP\/1.1 (\d+)/g)].map(([, status]) => status);
    expect(statuses).toEqual(paths.map((path) => (path === '/none' ? '404' : '200')));
  });

  test('answers requests that are cut anywhere', async () => {
    const client = await sockets.connect(port);
    const text = 'POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\na\r\n\r\nb\r\n\r\n'.slice(
      0,
      -1,
    );
    client.setNoDelay();
    let got = '';
    client.on('data', (chunk) => {
      got += chunk;
    });
    for (const byte of text + GET.replace('/status', '/health').repeat(3)) {
      client.write(byte);
      await settle();
    }
    await expect.poll(() => answersIn(got)).toBe(3);
    expect(got).toMatch(/^HTTP\/1.1 405 /);
  });

  test('makes a body once for all who ask while the last one has just been made', async () => {
    costMs = 20;
    await fetch(`http://127.0.0.1:${port}/status`);
    const asked = [1, 2].map(async () => (await fetch(`http://127.0.0.1:${port}/status`)).json());
    expect(await health()).toBe('ok');
    await turns();
    await clock.advance(179);
    expect(made).toBe(1);
    await clock.advance(1);
    expect((await Promise.all(asked)).map((rows) => (rows as { made: number }[])[0]?.made)).toEqual([2, 2]);
  });

  test('closes who has not taken an answer within a minute', async () => {
    const client = await askUnread(CHUNK);
    expect(await health()).toBe('ok');
    await turns();
    await clock.advance(59_999);
    expect(client.destroyed).toBe(false);
    const ended = ending(client);
    await clock.advance(60_000);
    client.resume();
    expect(await ended).toBe('closed');
  });

  test('closes the one that has been taking its answer for the longest time where all are at it', async () => {
    const clients = [];
    for (let count = 0; count < 3; count++) {
      clients.push(await askUnread(CHUNK));
      while (made <= count) await settle();
      await turns();
      await clock.advance(1);
    }
    expect(await health()).toBe('ok');
    await turns();
    const open = clients.map((client) => ending(client.resume()));
    expect(await open[0]).toBe('closed');
  });
});

test('answers each request once, though the next one comes while the end of the last answer is being told', async () => {
  const sockets = new Sockets();
  const port = await freePort();
  const taken: (() => void)[] = [];
  const urls: string[] = [];
  const server = new StatusServer(
    { status: () => [], problems: () => [], phase: () => 'serving' },
    {
      loadApi: async () => ({
        async take({ url }) {
          urls.push(url);
          await new Promise<void>((resolve) => taken.push(resolve));
          return { pace: url, key: url, make: () => textAnswer(200, url) };
        },
        close() {},
      }),
    },
  );
  await server.open({ address: '127.0.0.1', port });
  const client = await sockets.connect(port);
  client.write('POST /api/1 HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n');
  while (taken.length < 1) await settle();
  client.write('body');
  for (let turn = 0; turn < 20; turn++) await settle();
  // In a timer: what has come is read before what waits for the end of this turn.
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      client.write('GET /api/2 HTTP/1.1\r\nhost: x\r\n\r\n');
      taken[0]?.();
      resolve();
    }, 1);
  });
  while (taken.length < 2) await settle();
  for (let turn = 0; turn < 20; turn++) await settle();
  expect(urls).toEqual(['/api/1', '/api/2']);
  server.close();
  await sockets.close();
});
