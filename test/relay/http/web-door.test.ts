import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { aRequest, readAll, readUntil, WebBed } from './web-bed.ts';

describe('a web door', () => {
  let bed: WebBed;
  afterEach(() => bed.close());

  test('forwards a request to the service that its host leads to', async () => {
    bed = await WebBed.open([
      { host: 'wiki', app: (request, response) => response.end(`wiki got ${request.method} ${request.url}`) },
      { host: 'blog', app: (_, response) => response.end('blog') },
    ]);
    const answer = await bed.exchange(aRequest('Wiki.Test.:8080', { path: '/a?b=%20c' }));
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(answer).toContain('wiki got GET /a?b=%20c');
    expect(await bed.exchange(aRequest('blog.test'))).toContain('blog');
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
    expect(bed.served).toEqual(['GET /a 200', 'GET / 200']);
  });

  test('answers for an unknown host with 404, and wakes nothing', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end() }]);
    expect(await bed.exchange(aRequest('other.test'))).toMatch(/^HTTP\/1\.1 404 /);
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('sends plain HTTP to HTTPS with its path and query, and the method stays', async () => {
    bed = await WebBed.open(
      [{ host: 'wiki', app: (_, response) => response.end('plain') }, { host: 'blog' }],
      {
        door: { redirect: (host) => (host === 'wiki.test' ? 'https://wiki.test:8443' : undefined) },
      },
    );
    bed.service('blog').view = { state: 'asleep' };
    for (const method of ['GET', 'POST', 'HEAD']) {
      const answer = await bed.exchange(aRequest('Wiki.test:80', { method, path: '/a%20b?c=d&e=//f' }));
      expect(answer).toMatch(/^HTTP\/1\.1 308 /);
      expect(answer).toContain('Location: https://wiki.test:8443/a%20b?c=d&e=//f\r\n');
    }
    const answer = await bed.exchange(aRequest('blog.test', { path: '/.lazy-proxy/state' }));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('sends nobody to HTTPS who came by it to a proxy in front', async () => {
    let isTrusted = true;
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end('plain') }], {
      door: { redirect: () => 'https://wiki.test', isTrusted: () => isTrusted },
    });
    const headers = 'X-Forwarded-Proto: https\r\n';
    expect(await bed.exchange(aRequest('wiki.test', { headers }))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 308 /);
    isTrusted = false;
    expect(await bed.exchange(aRequest('wiki.test', { headers }))).toMatch(/^HTTP\/1\.1 308 /);
  });

  test.each([
    ['close', /^$/],
    ['403', /^HTTP\/1\.1 403 Forbidden\r\n[\s\S]*Connection: close\r\n/],
  ] as const)(
    'gives whom the access list refuses nothing but what blocked says: %s',
    async (blocked, expected) => {
      let isAsked = false;
      const access = { allowList: [], blockList: ['127.0.0.1'] };
      bed = await WebBed.open([{ host: 'wiki', policy: { blocked }, access }], {
        door: { redirect: () => 'https://wiki.test' },
        parts: {
          login: {
            check: () => {
              isAsked = true;
              return undefined;
            },
            close() {},
          },
        },
      });
      expect(await bed.exchange(aRequest('wiki.test', { path: '/.lazy-proxy/state' }))).toMatch(expected);
      expect(await bed.exchange(aRequest('wiki.test'))).toMatch(expected);
      expect([bed.service('wiki').dials, bed.service('wiki').tally.blocked, isAsked]).toEqual([0, 2, false]);
    },
  );

  test('keeps the connections of client and upstream for the next request', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (request, response) => response.end(request.url) }]);
    const socket = await bed.connect();
    for (const path of ['/1', '/2', '/3']) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: wiki.test\r\n\r\n`);
      await readUntil(socket, new RegExp(`${path}$`));
    }
    expect(bed.service('wiki').dials).toBe(1);
    // An idle connection of a client holds nothing awake.
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('streams a body up and down, whole', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (request, response) => request.pipe(response) }]);
    const body = 'x'.repeat(3_000_000);
    const headers = `Content-Length: ${body.length}\r\n`;
    const answer = await bed.exchange(aRequest('wiki.test', { method: 'POST', headers, body }));
    expect(answer.includes(body.slice(0, 1000))).toBe(true);
    expect(answer.length).toBeGreaterThan(body.length);
    const { up, down } = bed.service('wiki').tally.readTotals();
    expect([up, down]).toEqual([body.length, body.length]);
  });

  test('gives the upstream request up when the client leaves', async () => {
    let aborted = 0;
    bed = await WebBed.open([
      { host: 'wiki', app: (request) => void request.once('close', () => aborted++) },
    ]);
    const socket = await bed.connect();
    socket.write(aRequest('wiki.test'));
    await expect.poll(() => bed.service('wiki').leases).toBe(1);
    socket.destroy();
    await expect.poll(() => aborted).toBe(1);
    expect(bed.service('wiki').leases).toBe(0);
  });

  test('passes an upgrade on, and its bytes both ways', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: () => {} }]);
    bed.service('wiki').server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello');
      socket.pipe(socket);
    });
    const socket = await bed.connect();
    socket.write('GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly');
    expect(await readUntil(socket, /helloearly$/)).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
    socket.write('more');
    await readUntil(socket, /more$/);
    expect(bed.service('wiki').leases).toBe(1);
    socket.end();
    await once(socket, 'close');
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('asks again on a new connection where an idle one turns out to be dead', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (request, response) => response.end(request.url) }]);
    expect(await bed.exchange(aRequest('wiki.test', { path: '/1' }))).toContain('/1');
    const wiki = bed.service('wiki');
    wiki.server.prependOnceListener('request', (request) => request.socket.destroy());
    expect(await bed.exchange(aRequest('wiki.test', { path: '/2' }))).toContain('/2');
    expect(wiki.dials).toBe(2);
  });

  test('answers 502 and names the service where the upstream says nothing', async () => {
    bed = await WebBed.open([
      { host: 'wiki', raw: (socket) => void socket.once('data', () => socket.end()) },
    ]);
    const answer = await bed.exchange(
      aRequest('wiki.test', { method: 'POST', headers: 'Content-Length: 0\r\n' }),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).toContain('wiki closed the connection');
    expect(bed.unserved).toHaveLength(1);
  });

  test('shows a page where a navigation has to wait, and opens the service afterwards', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end('here I am') }]);
    const wiki = bed.service('wiki');
    let wake = () => {};
    wiki.awake = new Promise((resolve) => {
      wake = resolve;
    });
    wiki.view = { state: 'waking', phase: 'health', elapsedMs: 1_000, expectedMs: 4_000 };
    const page = await bed.exchange(aRequest('wiki.test', { headers: 'Accept: text/html\r\n', path: '/a' }));
    expect(page).toMatch(/^HTTP\/1\.1 503 /);
    expect(page).toContain('wiki is waking up');
    expect(page.length).toBeLessThan(10_240);
    expect(wiki.leases).toBe(1);
    const state = await bed.exchange(aRequest('wiki.test', { path: '/.lazy-proxy/state' }));
    expect(state).toContain('"time":"1 of about 4 s"');
    wake();
    wiki.view = { state: 'ready' };
    await expect.poll(() => wiki.dials).toBe(1);
    expect(await bed.exchange(aRequest('wiki.test', { path: '/a' }))).toContain('here I am');
    await expect.poll(() => wiki.leases).toBe(0);
    expect(wiki.dials).toBe(1);
  });

  test('ends requests under way and idle connections when it is closed', async () => {
    let answer = () => {};
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (_, response) => {
          answer = () => response.end('late');
        },
      },
    ]);
    const [idle, busy] = [await bed.connect(), await bed.connect()];
    busy.write('GET / HTTP/1.1\r\nHost: wiki.test\r\n\r\n');
    await expect.poll(() => bed.service('wiki').connections).toBe(1);
    bed.door.close();
    await readAll(idle);
    expect(bed.drains).toBe(0);
    answer();
    expect(await readAll(busy)).toMatch(/Connection: close\r\n\r\nlate$/);
    await expect.poll(() => bed.drains).toBe(1);
  });
});
