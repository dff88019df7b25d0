/** The API of the running program under attack: nobody changes, learns or stops anything without the token. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type AskApi, askingAt } from '../../support/api-proxy.ts';
import { freePort } from '../../support/free-ports.ts';
import { type RunningProgram, startProgram } from '../../support/start-program.ts';
import { PROGRAM } from '../../support/run-program.ts';
import { createFolder } from './folder.ts';

const TOKEN = 's3cret-t0ken-0f-the-proxy';
const SECRET = 'hunter2';
/** `LAZY_PROXY_API_REQUESTS=100000` for a long run; `LAZY_PROXY_API_SEED=2` for other requests. */
const REQUESTS = Number(process.env['LAZY_PROXY_API_REQUESTS'] ?? 5_000);
const SEED = Number(process.env['LAZY_PROXY_API_SEED'] ?? 1);
/** So many requests are made up at a time: what the proxy takes for them must not depend on how many came before. */
const BATCH = 2_500;
const isLong = REQUESTS > 50_000;
/** By how much what JavaScript holds may grow with any number of requests, and the memory of the process. */
const HELD_MIB = 1;
const MEMORY_LEFT_MIB = 15;
/** All that can be read. */
const PAGES = [
  ...[
    '/',
    '/status',
    '/problems',
    '/health',
    '/ready',
    '/metrics',
    '/api',
    '/api/config',
    '/api/reload',
    '/api/events',
  ],
  ...['/api/services', '/api/services/app', '/api/services/shop%2Fdb'],
];
const RUBBISH = Math.ceil(REQUESTS / 10);
const CONNECTIONS = 16;
const COLLECTOR = join(import.meta.dirname, '../../bench/soak/collect-on-signal.mjs');

let program: RunningProgram;
let port: number;
let ask: AskApi;
/** What JavaScript holds in the program, after a garbage collection. */
let countHeldMib: () => Promise<number>;
beforeEach(async () => {
  port = await freePort();
  const cwd = await createFolder({
    'lazy-proxy.yaml': `
status: { listen: "127.0.0.1:${port}" }
docker: { labels: false }
services:
  app:
    command: [sh, -c, exec sleep 600, ${SECRET}]
    env: { PASSWORD: ${SECRET} }
    ports: ["127.0.0.1:${await freePort()}:81"]
    webhook_url: "http://user:${SECRET}@127.0.0.1:9/${SECRET}?token=${SECRET}"
  shop/db: { command: [sleep, "600"], ports: ["127.0.0.1:${await freePort()}:82"] }
`,
  });
  const node = [process.execPath, '--expose-gc', '--import', COLLECTOR, PROGRAM];
  program = await startProgram({
    ...{ cwd, env: { ...process.env, LAZY_PROXY_TOKEN: TOKEN } },
    program: ['/bin/sh', '-c', 'exec 3>held; exec "$@"', 'sh', ...node],
  });
  countHeldMib = async () => {
    const linesOf = () => readFileSync(join(cwd, 'held'), 'utf8').split('\n').slice(0, -1);
    const before = linesOf().length;
    program.child.kill('SIGUSR2');
    await expect.poll(() => linesOf().length).toBeGreaterThan(before);
    return Number(linesOf().at(-1)) / 2 ** 20;
  };
  ask = askingAt(port);
});

/** Every service sleeps as it did at the start, and nobody holds it. */
async function expectUntouched(): Promise<void> {
  const { json } = await ask('/api/services');
  expect(json).toMatchObject([
    { name: 'app', state: 'stopped', why: { leases: 0 } },
    { name: 'shop/db', state: 'stopped', why: { leases: 0 } },
  ]);
  for (const name of ['app', 'shop%2Fdb'])
    expect((await ask(`/api/services/${name}`)).json).toMatchObject({ wakes: [], sleeps: {} });
  expect(program.child.exitCode).toBe(null);
}

function privateMib(): number {
  const text = readFileSync(`/proc/${program.child.pid}/smaps_rollup`, 'utf8');
  return Number(/Private_Dirty:\s+(\d+)/.exec(text)?.[1]) / 1024;
}

async function open(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return socket;
}

describe('the API under attack', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...['api', 'services', 'app', 'shop%2Fdb', 'shop', 'db', 'wake', 'sleep', 'hold', 'release', 'config'],
      ...[
        'reload',
        'events',
        '..',
        '.',
        '',
        '%2e%2e',
        '%2f',
        '%',
        '%00',
        '%ff',
        '*',
        '__proto__',
        'constructor',
        'status',
        'metrics',
        'problems',
        'ready',
        'index.html',
        '~',
        'a'.repeat(500),
      ],
    ),
    fc.stringMatching(/^[!-"$-~]{0,12}$/),
  );
  /** Mostly the first one, so that not every request is refused for several reasons at once. */
  const mostly = <T>(usual: T, ...others: readonly T[]) =>
    fc.oneof(
      { weight: 2, arbitrary: fc.constant(usual) },
      { weight: 1, arbitrary: fc.constantFrom(...others) },
    );
  const attempt = fc.record({
    method: fc.constantFrom(
      ...['GET', 'GET', 'GET', 'POST', 'POST', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'],
    ),
    path: fc.oneof(
      fc.constantFrom(...PAGES),
      fc.constantFrom('wake', 'sleep', 'hold', 'release').map((action) => `/api/services/app/${action}`),
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/api/${pieces.join('/')}`),
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`),
    ),
    query: mostly(
      '',
      '?service=app',
      '?force=true',
      '?for=2h',
      '?service=shop/db&force=true',
      '?service=__proto__',
      '?memory=true',
      '?last_event_id=-1',
      '?last_event_id=9e999',
      '?a=%',
      `?token=${TOKEN}`,
    ),
    host: mostly('localhost', '127.0.0.1', 'evil.example', 'localhost:1', '[::1]', '', 'a b'),
    origin: mostly<string | undefined>(undefined, 'null', 'http://localhost', 'https://evil.example', 'x'),
    authorization: mostly<string | undefined>(
      undefined,
      ...['Bearer', `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`],
      ...[
        'Bearer undefined',
        'Bearer null',
        'Bearer ***',
        `Bearer ${TOKEN.toUpperCase()}`,
        `Bearer x, Bearer ${TOKEN}`,
      ],
    ),
    'last-event-id': mostly<string | undefined>(undefined, '0', 'x', '-1', '9'.repeat(400)),
    body: fc.constantFrom('', '{}', `token=${TOKEN}`, 'x'.repeat(1_000)),
  });
  type Attempt = typeof attempt extends fc.Arbitrary<infer Value> ? Value : never;
  /** What is no request, or hardly one: pieces of some, one after the other. */
  const rubbish = fc
    .array(
      fc.oneof(
        fc.constantFrom(
          ...[
            'GET ',
            'POST ',
            '/api/services/app/wake',
            '/api/services',
            ' HTTP/1.1',
            ' HTTP/9.9',
            '\r\n',
            '\r\n\r\n',
          ],
          ...[
            'host: localhost',
            'host: evil.example',
            'content-length: 5',
            'content-length: -1',
            'content-length: 1e9',
          ],
          ...[
            'transfer-encoding: chunked',
            '0\r\n\r\n',
            'ffffffffffffffff\r\n',
            'connection: close',
            'upgrade: websocket',
          ],
          ...[
            `authorization: Bearer ${TOKEN}x`,
            'expect: 100-continue',
            'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
            '\0',
            '\n',
            ':',
          ],
        ),
        fc.string({ unit: 'binary', maxLength: 20 }),
      ),
      { maxLength: 14 },
    )
    .map((pieces) => pieces.join(''));

  test(`changes and tells nothing in ${REQUESTS} random requests, none of which takes long, and gives memory back`, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    onTestFinished(() => agent.destroy());
    let longestMs = 0;
    const send = async ({ path, query, body, method, ...headers }: Attempt) => {
      const begunMs = performance.now();
      // Node's client says no length of what a GET or DELETE has with it, and the next request would begin there.
      const all = { ...headers, 'content-length': String(body.length) };
      const defined = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
      const sent = request({ host: '127.0.0.1', port, path: path + query, method, agent, headers: defined });
      sent.on('error', () => {}).end(body);
      const [response] = (await once(sent, 'response').catch((cause: unknown) => {
        throw new Error(`${method} ${path}${query} had no answer`, { cause });
      })) as [IncomingMessage];
      const { statusCode = 0 } = response;
      const isEndless = response.headers['content-type']?.startsWith('text/event-stream') === true;
      response.on('error', () => {});
      let text = response.rawHeaders.join();
      if (isEndless) sent.destroy();
      else for await (const chunk of response) text += chunk;
      longestMs = Math.max(longestMs, performance.now() - begunMs);
      const seen = [statusCode < 500, text.includes(SECRET), text.includes(TOKEN)];
      expect(seen, `${method} ${path}${query}`).toEqual([true, false, false]);
    };
    const sendBatch = async (number: number) => {
      const attempts = fc.sample(attempt, {
        numRuns: Math.min(BATCH, REQUESTS - number * BATCH),
        seed: SEED * 1_000 + number,
      });
      const work = async () => {
        for (let next = attempts.pop(); next !== undefined; next = attempts.pop()) await send(next);
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, work));
    };
    // With the first ones all is loaded that is loaded once.
    await sendBatch(0);
    const [held, before] = [await countHeldMib(), privateMib()];
    for (let number = 1; number * BATCH < REQUESTS; number++) await sendBatch(number);
    expect(longestMs).toBeLessThan(5_000);
    await expectUntouched();
    expect(program.log()).not.toContain(TOKEN);
    expect((await countHeldMib()) - held).toBeLessThan(HELD_MIB);
    // Node gives pages back when it has been quiet for half a minute.
    if (isLong)
      await expect
        .poll(privateMib, { timeout: 120_000, interval: 1_000 })
        .toBeLessThan(before + MEMORY_LEFT_MIB);
  }, 600_000);

  test(`answers ${RUBBISH} pieces of rubbish with nothing that changes or tells anything`, async () => {
    const pieces = fc.sample(rubbish, { numRuns: RUBBISH, seed: SEED });
    const send = async (text: string) => {
      const socket = await open();
      const closed = new Promise((resolve) => socket.once('close', resolve));
      let answer = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        answer += chunk;
      });
      socket.end(text, 'latin1');
      await closed;
      expect([answer.includes(SECRET), / 5\d\d /.test(answer.slice(0, 14))], text).toEqual([false, false]);
    };
    const work = async () => {
      for (let next = pieces.pop(); next !== undefined; next = pieces.pop()) await send(next);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, work));
    await expectUntouched();
    expect((await ask('/health')).body).toBe('ok');
  }, 600_000);

  test('serves others, and forgets them, while 1,000 clients listen to events and never read', async () => {
    await ask('/api/services');
    const before = privateMib();
    for (let count = 0; count < 1_000; count++) {
      const socket = await open();
      socket.pause();
      socket.write('GET /api/events HTTP/1.1\r\nhost: localhost\r\n\r\n');
      if (count % 100 === 0) expect((await ask('/health')).body).toBe('ok');
    }
    expect((await ask('/api/services')).status).toBe(200);
    expect(privateMib() - before).toBeLessThan(40);
    await expectUntouched();
  }, 120_000);

  test('cuts off who sends a body without an end, and reads none of it', async () => {
    const socket = await open();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(
      `POST /api/services/app/wake HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer x\r\ncontent-length: 10000000\r\n\r\n`,
    );
    const chunk = Buffer.alloc(16_384, 'x');
    const flood = setInterval(() => socket.write(chunk), 1);
    await closed;
    clearInterval(flood);
    await expectUntouched();
  });

  test('answers who sends half a body only when it is there', async () => {
    const socket = await open();
    socket.write('POST /api/services/app/wake HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf');
    expect((await ask('/health')).body).toBe('ok');
    await expectUntouched();
  });

  test.each([
    'GET http://evil.example/api/services HTTP/1.1\r\nhost: evil.example\r\n\r\n',
    'POST /api/services/app/wake HTTP/1.1\r\nhost: evil.example\r\nhost: localhost\r\n\r\n',
    `POST /api/services/app/wake HTTP/1.1\r\nhost: localhost\r\nauthorization: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`,
    'POST /api/services/app/wake HTTP/1.0\r\n\r\n',
    'GET /api/services/app/wake?_method=POST HTTP/1.1\r\nhost: localhost\r\nx-http-method-override: POST\r\n\r\n',
    'POST /api/services/app/wake HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ])('does nothing for %j', async (text) => {
    const socket = await open();
    socket.write(text);
    const [answer] = await once(socket, 'data');
    expect(String(answer)).toMatch(/^HTTP\/1\.1 4\d\d /);
    await expectUntouched();
  });

  test('gives no process that it starts the token', async () => {
    const headers = { authorization: `Bearer ${TOKEN}` };
    expect((await ask('/api/services/app/wake', { method: 'POST', headers })).status).toBe(200);
    let id = '';
    while (!/^\d+$/.test(id)) id = ((await ask('/api/services/app')).json as { id: string }).id;
    const environment = readFileSync(`/proc/${id}/environ`, 'utf8');
    expect([environment.includes(SECRET), environment.includes(TOKEN)]).toEqual([true, false]);
  });
});
