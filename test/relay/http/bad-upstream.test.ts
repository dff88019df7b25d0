import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { aRequest, readUntil, WebBed } from './web-bed.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** What no client may get as it is. */
const MALFORMED: readonly (readonly [string, string])[] = [
  ['no HTTP', 'hello\r\n\r\n'],
  ['nothing but line ends', '\r\n\r\n\r\n'],
  ['another version', 'HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status that is no number', 'HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok'],
  ['the begin of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok'],
  ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'],
  ['a length in hexadecimal digits', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
  ['a length too big', `HTTP/1.1 200 OK\r\nContent-Length: ${'9'.repeat(40)}\r\n\r\nok`],
  [
    'a length and chunks',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
  ],
  ['a blank before a colon', 'HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok'],
  ['a header without a colon', 'HTTP/1.1 200 OK\r\nbroken\r\nContent-Length: 2\r\n\r\nok'],
  ['a header without a name', 'HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 2\r\n\r\nok'],
  ['a NUL in a header', 'HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok'],
  ['a carriage return in a header', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok'],
  ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`],
  ['a head that is too big', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\nContent-Length: 2\r\n\r\nok`],
  ['an upgrade that nobody asked for', 'HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nok'],
  ['an end within the head', 'HTTP/1.1 200 OK\r\nContent-Le'],
  ['a folded header', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok'],
  ['lone line feeds', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'],
  ['the same length twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
  ['a coding that is not chunked', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  [
    'more and more answers before the answer',
    `${'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n'.repeat(33)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
  ],
  ['only an answer before the answer', 'HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n'],
];

/** Those whose head is all right. */
const BROKEN_BODIES: readonly (readonly [string, string])[] = [
  ['a chunk without a size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n'],
  ['a chunk that is longer', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n'],
  ['a chunk too big', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(20)}\r\nok\r\n`],
  ['no last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n'],
  ['less than was said', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok'],
];

describe('an upstream that does not keep to the rules', () => {
  let bed: WebBed;
  afterEach(() => bed.close());

  /** Answers the first request with these bytes and an end, and the others as they should be. */
  async function openAnswering(first: string): Promise<string[]> {
    const seen: string[] = [];
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          socket.on('data', (chunk: Buffer) => {
            seen.push(chunk.toString('latin1'));
            if (seen.length > 1) socket.write(OK);
            else socket.end(first, 'latin1');
          });
        },
      },
    ]);
    return seen;
  }

  const post = () => aRequest('wiki.test', { method: 'POST', headers: 'Content-Length: 2\r\n', body: 'hi' });

  test.each(MALFORMED)('gets its client 502 for %s, and the next one is served', async (_, answer) => {
    const seen = await openAnswering(answer);
    const got = await bed.exchange(post());
    const [last = ''] = /HTTP\/1\.1 (?!103)[\s\S]*$/.exec(got) ?? [];
    expect(last).toMatch(/^HTTP\/1\.1 502 [\s\S]*wiki/);
    expect(last.match(/HTTP\/1\.1/g)).toHaveLength(1);
    expect(seen).toHaveLength(1);
    expect(bed.service('wiki').leases).toBe(0);
    expect(await bed.exchange(post())).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  });

  test.each(BROKEN_BODIES)('is seen to break off with %s', async (_, answer) => {
    await openAnswering(answer);
    const got = await bed.exchange(post());
    expect(got).toMatch(/^(HTTP\/1\.1 200 OK\r\n[\s\S]*|HTTP\/1\.1 502 [\s\S]*)?$/);
    expect(got).not.toMatch(/\r\n0\r\n\r\n$/);
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
    expect(await bed.exchange(post())).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  });

  test.each([
    [
      'HEAD',
      'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
      /^HTTP\/1\.1 200 OK\r\nContent-Length: 5\r\n/,
    ],
    ['GET', 'HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello', /^HTTP\/1\.1 204 None\r\n/],
    ['GET', 'HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nhello', /^HTTP\/1\.1 304 Same\r\n/],
  ])('may send a body where %s has none, and nobody gets it', async (method, answer, head) => {
    await openAnswering(answer);
    const got = await bed.exchange(aRequest('wiki.test', { method }));
    expect(got).toMatch(head);
    expect(got).not.toContain('hello');
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
    expect(await bed.exchange(post())).toMatch(/^HTTP\/1\.1 200 OK[\s\S]*ok$/);
  });

  test('may not change to another protocol than the one that was asked for', async () => {
    await openAnswering('HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nok');
    const request = 'GET / HTTP/1.1\r\nHost: wiki.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
    expect(await bed.exchange(request)).toMatch(/^HTTP\/1\.1 502 /);
  });

  /** Serves one request on each connection, and closes it as soon as the next one comes. */
  async function openClosing(isGood: (request: number) => boolean): Promise<string[]> {
    const seen: string[] = [];
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          socket.on('data', (chunk: Buffer) => {
            seen.push(chunk.toString('latin1').split(' HTTP', 1)[0] ?? '');
            if (isGood(seen.length)) socket.write(OK);
            else socket.destroy();
          });
        },
      },
    ]);
    expect(await bed.exchange(aRequest('wiki.test', { path: '/first' }))).toMatch(/ok$/);
    return seen;
  }

  test.each(['GET', 'HEAD', 'OPTIONS', 'DELETE'])(
    'is sent %s once more where its connection ends at that moment',
    async (method) => {
      const seen = await openClosing((request) => request !== 2);
      expect(await bed.exchange(aRequest('wiki.test', { method, path: '/x' }))).toMatch(/^HTTP\/1\.1 200 OK/);
      expect(seen).toEqual(['GET /first', `${method} /x`, `${method} /x`]);
      expect(bed.service('wiki').leases).toBe(0);
    },
  );

  /** Sends these bytes for the first request, and for the others, wherever they come, the number of their connection. */
  async function openCounting(first: string): Promise<void> {
    let connections = 0;
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          const number = ++connections;
          let requests = 0;
          socket.on('data', () => {
            const isFirst = ++requests === 1 && number === 1;
            const text = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n#${number}`;
            socket.write(isFirst ? first : text, 'latin1');
          });
        },
      },
    ]);
  }
  const FORGED = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';

  test.each([
    ['a second answer', `${OK}${FORGED}`, /ok$/],
    ['a line end too many', `${OK}\r\n`, /ok$/],
    [
      'a second answer behind chunks',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${FORGED}`,
      /2\r\nok\r\n0\r\n\r\n$/,
    ],
    ['a second answer behind none', `HTTP/1.1 304 Same\r\n\r\n${FORGED}`, /^HTTP\/1\.1 304 Same\r\n/],
    ['the word that it closes', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', /ok$/],
    ['an answer of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', /ok$/],
  ])('is asked on a new connection behind %s', async (_, first, expected) => {
    await openCounting(first);
    const got = await bed.exchange(aRequest('wiki.test'));
    expect(got).toMatch(expected);
    expect(got).not.toContain('forged');
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/#2$/);
  });

  test.each([
    ['a length', OK],
    [
      'chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\nX: y\r\n\r\n',
    ],
    ['no body', 'HTTP/1.1 204 None\r\n\r\n'],
    ['HTTP/1.0 that stays', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'],
    ['answers before it', `HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 110 Odd\r\n\r\n${OK}`],
  ])('is asked on the same connection behind an answer with %s', async (_, first) => {
    await openCounting(first);
    await bed.exchange(aRequest('wiki.test'));
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/#1$/);
  });

  test('is read to the end of an early answer, though it takes no more of the body', async () => {
    let resets = () => {};
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          socket.once('data', () => {
            socket.pause();
            socket.write('HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop');
            resets = () => void socket.destroy();
          });
        },
      },
    ]);
    const socket = await bed.connect();
    socket.write('POST / HTTP/1.1\r\nHost: wiki.test\r\nContent-Length: 100000000\r\n\r\n');
    const push = () => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
    };
    socket.on('drain', push);
    push();
    const answer = readUntil(socket, /stop$/);
    await expect.poll(() => bed.service('wiki').tally.readTotals().up).toBeGreaterThan(0);
    resets();
    expect(await answer).toMatch(/^HTTP\/1\.1 413 Too Much\r\n/);
  });

  test('that resets its connection in the head of its answer is as one without an answer', async () => {
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) =>
          void socket.once('data', () =>
            socket.write('HTTP/1.1 200 OK\r\nX', () => socket.resetAndDestroy()),
          ),
      },
    ]);
    expect(await bed.exchange(post())).toMatch(/^HTTP\/1\.1 502 /);
    expect(bed.service('wiki').dials).toBe(1);
  });

  test('that never says whether it wants the body gets it when its client sends it all the same', async () => {
    let got = '';
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          socket.on('data', (chunk: Buffer) => {
            got += chunk.toString('latin1');
            if (got.endsWith('\r\n\r\nbody')) socket.write(OK);
          });
        },
      },
    ]);
    const headers = 'Expect: 100-continue\r\nContent-Length: 4\r\n';
    const socket = await bed.connect();
    socket.write(aRequest('wiki.test', { method: 'POST', headers }));
    await expect.poll(() => got).toMatch(/\r\n\r\n$/);
    socket.write('body');
    expect(await readUntil(socket, /ok$/)).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('is sent nothing a third time', async () => {
    const seen = await openClosing((request) => request === 1);
    expect(await bed.exchange(aRequest('wiki.test', { path: '/x' }))).toMatch(/^HTTP\/1\.1 502 /);
    expect(seen).toEqual(['GET /first', 'GET /x', 'GET /x']);
  });

  /** Closes each connection at its first request, and the run is over then, where this says why; the last ones answer. */
  async function openStopping(reasons: readonly (Error | undefined)[]): Promise<() => number> {
    let requests = 0;
    bed = await WebBed.open([
      {
        host: 'wiki',
        raw: (socket: Socket) => {
          socket.once('data', () => {
            const [isGood, reason] = [requests >= reasons.length, reasons[requests]];
            requests++;
            if (isGood) return void socket.write(OK);
            const service = bed.service('wiki');
            socket.destroy();
            if (reason === undefined) return;
            // Its engine tells of it a little later.
            setTimeout(() => {
              service.run.abort(reason);
              service.run = new AbortController();
            }, 2);
          });
        },
      },
    ]);
    return () => requests;
  }
  const BY_OTHERS = Object.assign(new Error('the workload stopped'), { code: 'stopped-by-others' });

  test('that others stop again and again is asked in its next run', async () => {
    const requests = await openStopping([BY_OTHERS, BY_OTHERS, BY_OTHERS]);
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(requests()).toBe(4);
  });

  test('that others stop while it takes connections yet is asked in its next run', async () => {
    const requests = await openStopping([undefined, BY_OTHERS]);
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 200 OK/);
    expect(requests()).toBe(3);
  });

  test('that ends by itself over a request is asked once more', async () => {
    const requests = await openStopping([new Error('exit code 1'), new Error('exit code 1')]);
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 502 /);
    expect(requests()).toBe(2);
  });

  test('that others have stopped is not asked for ever', async () => {
    const requests = await openStopping(Array(9).fill(BY_OTHERS));
    expect(await bed.exchange(aRequest('wiki.test'))).toMatch(/^HTTP\/1\.1 502 /);
    expect(requests()).toBe(5);
  });

  test.each([
    ['POST', 'Content-Length: 2\r\n', 'hi'],
    ['POST', 'Content-Length: 0\r\n', ''],
    ['PATCH', 'Transfer-Encoding: chunked\r\n', '2\r\nhi\r\n0\r\n\r\n'],
    ['PUT', 'Content-Length: 2\r\n', 'hi'],
  ])('is sent no %s twice (%j)', async (method, headers, body) => {
    const seen = await openClosing((request) => request === 1);
    const answer = await bed.exchange(aRequest('wiki.test', { method, path: '/x', headers, body }));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(seen.filter((request) => request === `${method} /x`)).toHaveLength(1);
    expect(bed.service('wiki').leases).toBe(0);
  });
});
