import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { aRequest, readAll, readUntil, WebBed } from './web-bed.ts';

describe('an exchange', () => {
  let bed: WebBed;
  afterEach(() => bed.close());

  /** An upstream that answers each request with these bytes, as soon as its head is there. */
  const answering = (text: string, { ends = false } = {}) => ({
    host: 'wiki',
    raw: (socket: Socket) => {
      socket.on('data', (chunk: Buffer) => {
        if (!chunk.toString('latin1').includes('\r\n\r\n')) return;
        socket.write(text, 'latin1');
        if (ends) socket.end();
      });
    },
  });

  test('hands on an answer that comes before the whole body, and the client sees it', async () => {
    bed = await WebBed.open([
      answering('HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\nConnection: close\r\n\r\nstop', {
        ends: true,
      }),
    ]);
    const socket = await bed.connect();
    socket.write('POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 100000000\r\n\r\n');
    const chunk = Buffer.alloc(65_536);
    const push = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', push);
    push();
    const answer = await readUntil(socket, /stop$/);
    expect(answer).toMatch(/^HTTP\/1\.1 413 Too Much\r\n/);
    expect(answer).toContain('Connection: close');
    socket.destroy();
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('hands on the head of a request whose body is not there yet', async () => {
    bed = await WebBed.open([
      {
        host: 'wiki',
        // It has the last word, and the first.
        app: (request, response) => {
          response.write('head ');
          request.on('data', (chunk: Buffer) => response.end(chunk));
        },
      },
    ]);
    for (const framing of ['Content-Length: 4', 'Transfer-Encoding: chunked']) {
      const socket = await bed.connect();
      socket.write(`POST / HTTP/1.1\r\nHost: wiki.test\r\nConnection: close\r\n${framing}\r\n\r\n`);
      await readUntil(socket, /head /);
      socket.write(framing.startsWith('T') ? '4\r\nbody\r\n0\r\n\r\n' : 'body');
      await readUntil(socket, /body/);
    }
  });

  test('asks the upstream whether the body is wanted, where the client asks', async () => {
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket) => {
          let text = '';
          socket.on('data', (chunk: Buffer) => {
            text += chunk.toString('latin1');
            if (/expect: 100-continue\r\n[\s\S]*\r\n\r\n$/i.test(text))
              socket.write('HTTP/1.1 100 Continue\r\n\r\n');
            if (text.endsWith('body')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          });
        },
      },
    ]);
    const socket = await bed.connect();
    socket.write('POST / HTTP/1.1\r\nHost: wiki.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n');
    await readUntil(socket, /^HTTP\/1\.1 100 Continue\r\n\r\n$/);
    socket.write('body');
    expect(await readUntil(socket, /ok$/)).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('hands on a refusal in place of the word to go on', async () => {
    bed = await WebBed.open([answering('HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno')]);
    const request = 'POST / HTTP/1.1\r\nHost: wiki.test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n';
    const answer = await bed.exchange(request);
    expect(answer).toMatch(/^HTTP\/1\.1 401 No\r\n[\s\S]*Connection: close\r\n\r\nno$/);
  });

  test.each([
    [
      'HEAD',
      'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Length: 500\r\n[\s\S]*\r\n\r\n$/,
    ],
    ['GET', 'HTTP/1.1 204 None\r\n\r\n', /^HTTP\/1\.1 204 None\r\n[\s\S]*\r\n\r\n$/],
    [
      'GET',
      'HTTP/1.1 304 Same\r\nETag: "x"\r\nContent-Length: 500\r\n\r\n',
      /^HTTP\/1\.1 304 Same\r\nETag: "x"\r\n[\s\S]*\r\n\r\n$/,
    ],
    [
      'GET',
      'HTTP/1.1 206 Part\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab',
      /Content-Range: bytes 0-1\/9\r\n[\s\S]*ab$/,
    ],
    ['GET', 'HTTP/1.0 200 OK\r\nX: 1\r\n\r\nuntil the end', /^HTTP\/1\.1 200 OK\r\n[\s\S]*until the end/],
    [
      'HEAD',
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 200 OK\r\n[\s\S]*\r\n\r\n$/,
    ],
    [
      'GET',
      'HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nX: 1\r\nContent-Length: 2\r\n\r\nok',
      /^HTTP\/1\.1 200 OK\r\nX: 1\r\n[\s\S]*ok$/,
    ],
    ['GET', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', /^HTTP\/1\.1 200 ?\r\n[\s\S]*ok$/],
  ])('hands on the answer to %s that is %j', async (method, answer, expected) => {
    bed = await WebBed.open([answering(answer, { ends: answer.includes('HTTP/1.0') })]);
    expect(await bed.exchange(aRequest('wiki.test', { method }))).toMatch(expected);
  });

  test('takes nothing of a body that no answer of that status has for the next answer', async () => {
    bed = await WebBed.open([
      answering('HTTP/1.1 204 None\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged'),
    ]);
    for (const _ of [1, 2])
      expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 204 None\r\n/);
    expect(bed.service('wiki').dials).toBe(2);
  });

  test('hands on hints that come before the answer', async () => {
    bed = await WebBed.open([
      answering(
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      ),
    ]);
    const answer = await bed.exchange(aRequest('wiki.test'));
    expect(answer).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK/i,
    );
  });

  test('hands on trailers both ways', async () => {
    const got: string[] = [];
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (request, response) => {
          request.resume().on('end', () => {
            got.push(...request.rawTrailers);
            response.writeHead(200, { Trailer: 'X-Sum' });
            response.write('body');
            response.addTrailers({ 'X-Sum': '42' });
            response.end();
          });
        },
      },
    ]);
    const headers = 'Transfer-Encoding: chunked\r\nTrailer: X-Up\r\n';
    // Behind the body nobody says whom it is from.
    const forged = 'X-Forwarded-For: 1.2.3.4\r\nX-API-Key: k\r\nHost: other\r\n';
    const body = `1\r\nx\r\n0\r\nX-Up: 7\r\n${forged}\r\n`;
    const answer = await bed.exchange(aRequest('wiki.test', { method: 'POST', headers, body }));
    expect(answer).toMatch(/4\r\nbody\r\n0\r\nX-Sum: 42\r\n\r\n$/);
    expect(got).toEqual(['X-Up', '7']);
  });

  test('keeps headers as they are, except those of the connection', async () => {
    bed = await WebBed.open([
      answering(
        'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Odd: \xe4\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\nContent-Length: 2\r\n\r\nok',
      ),
    ]);
    const answer = await bed.exchange(aRequest('wiki.test'));
    expect(answer).toContain('Set-Cookie: a=1\r\nset-cookie: b=2\r\nX-Odd: \xe4\r\n');
    expect(answer).not.toMatch(/X-Hop|Keep-Alive/);
  });

  test('breaks off where the upstream does', async () => {
    bed = await WebBed.open([
      answering('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', { ends: true }),
    ]);
    const socket = await bed.connect();
    socket.write(aRequest('wiki.test'));
    let error: Error | undefined;
    socket.on('error', (thrown) => {
      error = thrown;
    });
    const answer = await readAll(socket);
    expect(answer).not.toContain('\r\n0\r\n');
    expect(error).toMatchObject({ code: 'ECONNRESET' });
  });

  test('reads no more of the upstream than a slow client takes', async () => {
    let written = 0;
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (_, response) => {
          const push = () => {
            let isTaken = true;
            while (isTaken && written < 200_000_000) {
              isTaken = response.write(Buffer.alloc(65_536));
              written += 65_536;
            }
          };
          response.on('drain', push);
          push();
        },
      },
    ]);
    const socket = await bed.connect();
    socket.pause();
    socket.write(aRequest('wiki.test'));
    let before = -1;
    await expect
      .poll(() => {
        const isStill = written > 0 && written === before;
        before = written;
        return isStill;
      })
      .toBe(true);
    expect(written).toBeLessThan(50_000_000);
    expect(bed.service('wiki').leases).toBe(1);
    socket.destroy();
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('waits once for a slow client, in however many chunks its answer comes', async () => {
    const warnings: string[] = [];
    const note = ({ name }: Error) => warnings.push(name);
    process.on('warning', note);
    const chunks = '1\r\nx\r\n'.repeat(400_000);
    bed = await WebBed.open([
      answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`),
    ]);
    const socket = await bed.connect();
    socket.pause();
    socket.write(aRequest('wiki.test'));
    await expect.poll(() => bed.service('wiki').tally.readTotals().down).toBeGreaterThan(10_000);
    const answer = await readAll(socket.resume());
    process.off('warning', note);
    expect(answer.match(/\r\nx(?=\r\n)/g)).toHaveLength(400_000);
    expect(warnings).not.toContain('MaxListenersExceededWarning');
  });

  test('reads no more of the client than a slow upstream takes', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: () => {} }]);
    const socket = await bed.connect();
    socket.write('POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 200000000\r\n\r\n');
    const push = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
    };
    socket.on('drain', push);
    push();
    let before = -1;
    const up = () => bed.service('wiki').tally.readTotals().up;
    await expect
      .poll(() => {
        const isStill = up() > 0 && up() === before;
        before = up();
        return isStill;
      })
      .toBe(true);
    expect(up()).toBeLessThan(50_000_000);
  });

  test('gives up a body in the middle when its client does', async () => {
    let aborted = 0;
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (request) => void request.resume().once('aborted', () => aborted++),
      },
    ]);
    const socket = await bed.connect();
    socket.write('POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 10\r\n\r\nhalf');
    await expect.poll(() => bed.service('wiki').tally.readTotals().up).toBe(4);
    socket.destroy();
    await expect.poll(() => aborted).toBe(1);
    expect(bed.service('wiki').leases).toBe(0);
  });

  test('answers requests in their order, one after the other, that a client sends at once', async () => {
    let [atOnce, most] = [0, 0];
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (request, response) => {
          most = Math.max(most, ++atOnce);
          setImmediate(() => {
            atOnce--;
            response.end(request.url);
          });
        },
      },
    ]);
    const requests = ['/1', '/2', '/3'].map((path) => `GET ${path} HTTP/1.1\r\nHost: wiki.test\r\n\r\n`);
    const answer = await bed.exchange(`${requests.join('')}${aRequest('wiki.test', { path: '/4' })}`);
    expect(answer).toMatch(/\/1HTTP[\s\S]*\/2HTTP[\s\S]*\/3HTTP[\s\S]*\/4$/);
    expect(most).toBe(1);
  });

  test('closes idle connections to the upstream when its run ends', async () => {
    // On a clock that stands still, so that none is closed for being idle.
    const clock = new FakeClock();
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end('ok') }], { clock });
    await bed.exchange(aRequest('wiki.test'));
    const wiki = bed.service('wiki');
    expect(wiki.connections).toBe(1);
    wiki.run.abort();
    await expect.poll(() => wiki.connections).toBe(0);
  });

  test('does not send what must not be sent twice to a connection that was idle for long', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end('ok') }]);
    await bed.exchange(aRequest('wiki.test'));
    const pool = bed.engine.poolOf(bed.service('wiki').binding);
    expect(pool.idleConnections).toBe(1);
    await expect.poll(() => pool.take({ isRepeatable: false })).toBeUndefined();
    const post = aRequest('wiki.test', { method: 'POST', headers: 'Content-Length: 0\r\n' });
    expect(await bed.exchange(post)).toContain('ok');
  });

  test('answers an upgrade that the upstream refuses', async () => {
    bed = await WebBed.open([answering('HTTP/1.1 426 Other\r\nContent-Length: 2\r\n\r\nno')]);
    const answer = await bed.exchange(
      'GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nGET /next HTTP/1.1\r\nHost: wiki.test\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1\.1 426 Other\r\n[\s\S]*no$/);
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('never lets a client speak HTTP/2 in the clear with the upstream', async () => {
    const seen: unknown[] = [];
    bed = await WebBed.open([
      {
        host: 'wiki',
        app: (request, response) => {
          seen.push(request.headers.upgrade, request.headers['http2-settings'], request.headers.connection);
          response.end('plain');
        },
      },
    ]);
    bed.service('wiki').server.on('upgrade', (_request, socket) => {
      seen.push('upgraded');
      socket.destroy();
    });
    const upgrade = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
    const answer = await bed.exchange(
      `GET / HTTP/1.1\r\nHost: wiki.test\r\n${upgrade}\r\nPRI * HTTP/2.0\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*plain$/);
    expect(seen).toEqual([undefined, undefined, 'keep-alive']);
  });

  test('refuses a body in front of another protocol', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: (_, response) => response.end() }]);
    const upgrade = 'Connection: Upgrade\r\nUpgrade: x\r\nContent-Length: 4\r\n';
    const answer = await bed.exchange(`POST / HTTP/1.1\r\nHost: wiki.test\r\n${upgrade}\r\nbody`);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('serves nothing that is behind a request which ends the connection', async () => {
    const urls: unknown[] = [];
    bed = await WebBed.open([
      { host: 'wiki', app: (request, response) => response.end(void urls.push(request.url)) },
    ]);
    await bed.exchange(`${aRequest('wiki.test', { path: '/1' })}${aRequest('wiki.test', { path: '/2' })}`);
    expect(urls).toEqual(['/1']);
  });

  test('resets the upstream of an upgrade when the client is reset', async () => {
    bed = await WebBed.open([{ host: 'wiki', app: () => {} }]);
    let upstream: Socket | undefined;
    bed.service('wiki').server.on('upgrade', (_request, socket: Socket) => {
      upstream = socket.on('error', () => {});
      socket.write('HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    });
    const socket = await bed.connect();
    socket.write('GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
    await readUntil(socket, /\r\n\r\n$/);
    socket.resetAndDestroy();
    await expect.poll(() => upstream?.closed).toBe(true);
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });
});
