import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { request, type Server } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StatusServer } from '../../src/status/status-server.ts';
import { FakeClock } from '../support/fake-clock.ts';
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

  it('answers /status with the rows of the moment as JSON', async () => {
    rows = [{ container_name: 'db' }];
    const { status, headers, body } = await ask('/status');
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(JSON.parse(body)).toEqual([{ container_name: 'db' }]);
    rows = [];
    expect(JSON.parse((await ask('/status')).body)).toEqual([]);
  });

  it('answers /status whatever the query says', async () => {
    expect((await ask('/status?pretty=1')).status).toBe(200);
  });

  it('answers /problems with the problems as JSON', async () => {
    expect(JSON.parse((await ask('/problems')).body)).toEqual(['a problem']);
  });

  it('answers /health with ok and nothing else', async () => {
    const { status, headers, body } = await ask('/health');
    expect([status, body]).toEqual([200, 'ok']);
    expect(headers['content-type']).toMatch(/^text\/plain/);
  });

  it.each([
    ['starting', 503, 'starting'],
    ['serving', 200, 'ok'],
    ['draining', 503, 'draining'],
  ] as const)('answers /ready while %s with %d', async (now, expected, text) => {
    phase = now;
    const { status, body } = await ask('/ready');
    expect([status, body]).toEqual([expected, text]);
  });

  it('answers 404 and what there is when the path is unknown', async () => {
    const { status, body } = await ask('/nothing');
    expect(status).toBe(404);
    expect(body).toContain('/status');
  });

  it.each(['POST', 'PUT', 'DELETE'])(
    'answers 405 and what is allowed when the method is %s',
    async (method) => {
      const { status, headers } = await ask('/status', method);
      expect(status).toBe(405);
      expect(headers.allow).toBe('GET, HEAD');
    },
  );

  it('answers HEAD without a body', async () => {
    const { status, body } = await ask('/health', 'HEAD');
    expect([status, body]).toEqual([200, '']);
  });

  it('throws the bind error when the port is taken', async () => {
    const second = new StatusServer({ status: () => [], problems: () => [], phase: () => 'serving' });
    await expect(second.open({ address: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    second.close();
  });

  it('gives the port back and ends its connections when it is closed', async () => {
    const client = await sockets.connect(port);
    const ended = once(client, 'close');
    client.resume().once('end', () => client.end());
    server.close();
    await ended;
    await sockets.listen(undefined, { port });
    server.close();
  });

  it('goes on when a client can not be accepted', async () => {
    // What Node does when it has no file descriptor left.
    const fail = (message: unknown) =>
      (message as { server: Server }).server.emit('error', new Error('EMFILE'));
    subscribe('http.server.request.start', fail);
    const answer = await ask('/health');
    unsubscribe('http.server.request.start', fail);
    expect(answer.status).toBe(200);
  });

  it('listens on every address when none is given', async () => {
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

  it.each([
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

  it('closes the oldest one without a request where there are too many, and answers who asks', async () => {
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
