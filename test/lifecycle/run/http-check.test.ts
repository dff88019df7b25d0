import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fillHealthcheckUrl, untilHttpHealthy } from '../../../src/lifecycle/run/http-check.ts';
import type { CheckTarget } from '../../../src/system/net/http-client.ts';
import { aUrl } from '../../support/builders.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { hasIpv6 } from '../../support/has-ipv6.ts';
import { Sockets } from '../../support/sockets.ts';

describe('fillHealthcheckUrl', () => {
  test.each([
    ['http://{{container}}:8080/health', '10.0.0.1', 'http://10.0.0.1:8080/health'],
    ['http://{{container}}:8080/health', 'fd00::1', 'http://[fd00::1]:8080/health'],
    ['http://{{container}}/?host={{container}}', '10.0.0.1', 'http://10.0.0.1/?host=10.0.0.1'],
    ['http://elsewhere/health', '10.0.0.1', 'http://elsewhere/health'],
  ])('fills %s with %s', (template, host, url) => {
    expect(fillHealthcheckUrl(template, host)).toBe(url);
  });
});

describe('untilHttpHealthy', () => {
  let clock: FakeClock;
  let server: Server | undefined;
  let stop: AbortController;
  let asked: string[];
  let outcome: string;
  beforeEach(() => {
    clock = new FakeClock();
    stop = new AbortController();
    server = undefined;
    asked = [];
    outcome = 'waiting';
  });
  afterEach(async () => {
    stop.abort(new Error('over'));
    await until(() => outcome !== 'waiting');
    server?.closeAllConnections();
    if (server !== undefined) await new Promise((resolve) => server?.close(resolve));
    expect(clock.pending).toBe(0);
  });
  const until = async (condition: () => boolean) => {
    while (!condition()) await settle();
  };
  const serve = async (listener: RequestListener, { host = '127.0.0.1', port = 0 } = {}) => {
    server = createServer((request, response) => {
      asked.push(`${request.method} ${request.url}`);
      listener(request, response);
    });
    server.listen(port, host);
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const check = (template: string, hosts: readonly string[] = ['127.0.0.1']) => {
    untilHttpHealthy(aUrl(template), { hosts, clock, signal: stop.signal }).then(
      () => {
        outcome = 'healthy';
      },
      (error) => {
        outcome = error.message;
      },
    );
  };
  /** Waits for the pause after the try under way, lets it pass, and says how long it was. */
  const nextPause = async () => {
    // While a try is under way its time limit is pending.
    await until(() => outcome !== 'waiting' || (clock.pending === 1 && clock.delaysMs[0] !== 2_000));
    const [pauseMs = 0] = clock.delaysMs;
    await clock.advance(pauseMs);
    return pauseMs;
  };

  test.each([200, 204, 299])('is content with %i at once', async (status) => {
    const port = await serve((_request, response) => response.writeHead(status).end());
    check(`http://{{container}}:${port}/health?x=1`);
    await until(() => outcome === 'healthy');
    expect(asked).toEqual(['GET /health?x=1']);
  });

  test('asks again fast at first, then once a second, until the answer is good', async () => {
    let status = 503;
    const port = await serve((_request, response) => response.writeHead(status).end('not yet'));
    check(`http://{{container}}:${port}/`);
    const pauses: number[] = [];
    for (let tries = 0; tries < 8; tries++) pauses.push(await nextPause());
    expect(pauses).toEqual([25, 50, 100, 200, 400, 800, 1_000, 1_000]);
    status = 200;
    await nextPause();
    await until(() => outcome === 'healthy');
  });

  test.each([199, 301, 404, 500])('is not content with %i', async (status) => {
    const port = await serve((_request, response) => {
      if (status !== 199) return response.writeHead(status).end();
      return response.socket?.end('HTTP/1.1 199 Odd\r\n\r\n');
    });
    check(`http://{{container}}:${port}/`);
    expect(await nextPause()).toBe(25);
    expect(outcome).toBe('waiting');
  });

  test('asks again when nobody listens yet', async () => {
    const port = await freePort();
    check(`http://{{container}}:${port}/`);
    expect(await nextPause()).toBe(25);
    expect(await nextPause()).toBe(50);
    await serve((_request, response) => response.end(), { port });
    await nextPause();
    await until(() => outcome === 'healthy');
  });

  test('gives an answer 2 s', async () => {
    let hang = true;
    const port = await serve((_request, response) => {
      if (!hang) response.end();
    });
    check(`http://{{container}}:${port}/`);
    await until(() => asked.length === 1);
    await clock.advance(1_999);
    expect(clock.delaysMs).toEqual([1]);
    hang = false;
    await clock.advance(1);
    expect(await nextPause()).toBe(25);
    await until(() => outcome === 'healthy');
  });

  test('does not wait for the rest of an answer that has begun', async () => {
    const port = await serve((_request, response) => void response.writeHead(200).write('and so on'));
    check(`http://{{container}}:${port}/`);
    await until(() => outcome === 'healthy');
  });

  test('follows redirects, relative ones and absolute ones', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/a') response.writeHead(302, { location: '/b' }).end();
      else if (request.url === '/b')
        response.writeHead(307, { location: `http://127.0.0.1:${port}/c` }).end();
      else response.end();
    });
    check(`http://{{container}}:${port}/a`);
    await until(() => outcome === 'healthy');
    expect(asked).toEqual(['GET /a', 'GET /b', 'GET /c']);
  });

  test('is content with a redirect whose own status counts, and does not follow it', async () => {
    const port = await serve((_request, response) => response.writeHead(302, { location: '/login' }).end());
    const accepted = () => [{ first: 200, last: 302 }];
    await untilHttpHealthy(aUrl(`http://{{container}}:${port}/`), {
      ...{ hosts: ['127.0.0.1'], clock, signal: stop.signal, accepted },
    });
    outcome = 'healthy';
    expect(asked).toEqual(['GET /']);
  });

  test('follows no more than five redirects', async () => {
    const port = await serve((_request, response) => response.writeHead(302, { location: '/' }).end());
    check(`http://{{container}}:${port}/`);
    await until(() => clock.delaysMs[0] === 25);
    expect(asked).toHaveLength(6);
  });

  test.each(['http://[bad', 'ftp://127.0.0.1/'])(
    'takes a redirect to %s as a failed try',
    async (location) => {
      const port = await serve((_request, response) => response.writeHead(302, { location }).end());
      check(`http://{{container}}:${port}/`);
      expect(await nextPause()).toBe(25);
      expect(outcome).toBe('waiting');
    },
  );

  test('takes what is no HTTP as a failed try', async () => {
    const odd = createTcpServer((socket) =>
      socket
        .on('error', () => {})
        .resume()
        .end('hello\r\n'),
    );
    odd.listen(0, '127.0.0.1');
    await once(odd, 'listening');
    check(`http://{{container}}:${(odd.address() as AddressInfo).port}/`);
    expect(await nextPause()).toBe(25);
    await new Promise((resolve) => odd.close(resolve));
  });

  test.runIf(hasIpv6)(
    'puts an IPv6 address into brackets, and asks it at once when the other refuses',
    async () => {
      const port = await serve((_request, response) => response.end(), { host: '::1' });
      check(`http://{{container}}:${port}/`, ['127.0.0.1', '::1']);
      await until(() => outcome === 'healthy');
      expect(clock.pending).toBe(0);
    },
  );

  describe('with several addresses', () => {
    let sockets: Sockets;
    beforeEach(() => {
      sockets = new Sockets();
    });
    afterEach(() => sockets.close());
    const answer = (socket: Socket, status: number) =>
      void socket.once('data', () => socket.end(`HTTP/1.1 ${status} S\r\nconnection: close\r\n\r\n`));

    test('asks the next one when one is silent for 250 ms', async () => {
      const silent = await sockets.listen(() => {}, { host: '127.0.0.2' });
      const good = await sockets.listen((socket) => answer(socket, 200), {
        ...{ host: '127.0.0.3', port: silent.port },
      });
      check(`http://{{container}}:${silent.port}/`, ['127.0.0.2', '127.0.0.3']);
      await until(() => silent.sockets.length === 1);
      await clock.advance(249);
      expect(good.sockets).toHaveLength(0);
      await clock.advance(1);
      await until(() => outcome === 'healthy');
      expect(clock.pending).toBe(0);
    });

    test('begins with the one that answered last, and tells of its answer', async () => {
      const silent = await sockets.listen(() => {}, { host: '127.0.0.2' });
      const order: string[] = [];
      silent.server.on('connection', () => order.push('silent'));
      let status = 503;
      await sockets.listen(
        (socket) => {
          order.push(String(status));
          answer(socket, status);
        },
        { host: '127.0.0.3', port: silent.port },
      );
      const failures: string[] = [];
      const hosts = ['127.0.0.2', '127.0.0.3'];
      const onFailure = (reason: string) => void failures.push(reason);
      const template = `http://{{container}}:${silent.port}/`;
      const healthy = untilHttpHealthy(aUrl(template), { hosts, clock, signal: stop.signal, onFailure });
      await until(() => order.length === 1);
      await clock.advance(250);
      await until(() => order.length === 2);
      status = 200;
      await clock.advance(1_750);
      await until(() => failures.length === 1);
      await clock.advance(25);
      expect(await healthy).toBe('127.0.0.3');
      outcome = 'healthy';
      expect(order).toEqual(['silent', '503', '200']);
      expect(failures).toEqual([`GET http://127.0.0.3:${silent.port}/ answered 503 (ready: 200-299)`]);
    });
  });

  test('stays on its host, and says where it was to go', async () => {
    const port = await serve((_request, response) =>
      response.writeHead(302, { location: `http://user:pw@127.0.0.2:${port}/login?token=x` }).end(),
    );
    const failures: string[] = [];
    const onFailure = (reason: string) => void failures.push(reason);
    const options = { hosts: ['127.0.0.1'], clock, signal: stop.signal, onFailure };
    untilHttpHealthy(aUrl(`http://{{container}}:${port}/a?secret`), options).catch(() => {
      outcome = 'over';
    });
    await until(() => failures.length === 1);
    expect(failures).toEqual([
      `GET http://127.0.0.1:${port}/a answered 302, which leads to another host (http://127.0.0.2:${port}) (ready: 200-299)`,
    ]);
    expect(asked).toHaveLength(1);
  });

  describe('with the URL of a label', () => {
    const ask = (template: string, checkLabelUrl?: CheckTarget) => {
      const failures: string[] = [];
      const options = {
        ...{ hosts: ['127.0.0.1'], clock, signal: stop.signal, ...(checkLabelUrl && { checkLabelUrl }) },
        onFailure: (reason: string) => void failures.push(reason),
      };
      untilHttpHealthy(aUrl(template, 'label'), options).then(
        () => {
          outcome = 'healthy';
        },
        (error) => {
          outcome = error.message;
        },
      );
      return failures;
    };

    test('asks the workload itself, whatever its address', async () => {
      const port = await serve((_request, response) => response.end());
      ask(`http://{{container}}:${port}/`, () => 'never');
      await until(() => outcome === 'healthy');
    });

    test.each([
      'http://127.0.0.1:PORT/',
      'http://localhost:PORT/',
      'http://2130706433:PORT/',
      'http://{{container}}@127.0.0.1:PORT/',
      'http://127.0.0.1:PORT/{{container}}',
      'http://127.0.0.1:PORT/?{{container}}',
      'http://127.0.0.1:PORT\\@{{container}}/',
      'http://127.0.0.1:PORT#@{{container}}/',
    ])('asks about the address of %s', async (template) => {
      const port = await serve((_request, response) => response.end());
      const failures = ask(template.replace('PORT', String(port)), ({ address }) => `not to ${address}`);
      await until(() => failures.length === 1);
      expect(failures[0]).toMatch(/not to (127\.0\.0\.1|::1)$/);
      expect(asked).toEqual([]);
    });

    test('asks nobody but the workload unless it is told where it may', async () => {
      const port = await serve((_request, response) => response.end());
      const failures = ask(`http://127.0.0.1:${port}/`);
      await until(() => failures.length === 1);
      expect(failures[0]).toContain('may lead to {{container}} only');
      expect(asked).toEqual([]);
    });
  });

  test.each(['while it asks', 'between two tries'])('ends with the signal %s', async (when) => {
    const port = await serve((_request, response) => {
      if (when !== 'while it asks') response.writeHead(503).end();
    });
    check(`http://{{container}}:${port}/`);
    await until(() => asked.length === 1);
    if (when !== 'while it asks') await until(() => clock.delaysMs[0] === 25);
    stop.abort(new Error('too late'));
    await until(() => outcome === 'too late');
    expect(clock.pending).toBe(0);
  });

  test('keeps no connection open', async () => {
    const port = await serve((_request, response) => response.end());
    const closed = new Promise((resolve) => {
      server?.on('connection', (socket) => socket.once('close', resolve));
    });
    check(`http://{{container}}:${port}/`);
    await until(() => outcome === 'healthy');
    await closed;
  });
});
