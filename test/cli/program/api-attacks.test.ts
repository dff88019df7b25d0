/** The API of the running program under attack: nobody changes, learns or stops anything without the token. */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type AskApi, askingAt } from '../../support/api-proxy.ts';
import { freePort } from '../../support/free-ports.ts';
import { type RunningProgram, startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const TOKEN = 's3cret-t0ken-0f-the-proxy';
const SECRET = 'hunter2';
/** `LAZY_PROXY_API_REQUESTS=100000` for a long run. */
const REQUESTS = Number(process.env['LAZY_PROXY_API_REQUESTS'] ?? 5_000);
const CONNECTIONS = 16;

let program: RunningProgram;
let port: number;
let ask: AskApi;
beforeEach(async () => {
  port = await freePort();
  const cwd = await createFolder({
    'lazy-proxy.yaml': `
status: { listen: "127.0.0.1:${port}" }
docker: { labels: false }
services:
  app: { command: [sleep, "600"], env: { PASSWORD: ${SECRET} }, ports: ["127.0.0.1:${await freePort()}:81"] }
  shop/db: { command: [sleep, "600"], ports: ["127.0.0.1:${await freePort()}:82"] }
`,
  });
  program = await startProgram({ cwd, env: { ...process.env, LAZY_PROXY_TOKEN: TOKEN } });
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
        '~',
        'a'.repeat(500),
      ],
    ),
    fc.stringMatching(/^[!-"$-~]{0,12}$/),
  );
  const attempt = fc.record({
    method: fc.constantFrom('GET', 'POST', 'POST', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
    path: fc.oneof(
      fc.constantFrom('wake', 'sleep', 'hold', 'release').map((action) => `/api/services/app/${action}`),
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/api/${pieces.join('/')}`),
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join('/')}`),
    ),
    query: fc.constantFrom(
      '',
      '?service=app',
      '?force=true',
      '?for=2h',
      '?service=shop/db&force=true',
      '?a=%',
      `?token=${TOKEN}`,
    ),
    host: fc.constantFrom('localhost', '127.0.0.1', 'evil.example', 'localhost:1', '[::1]', '', 'a b'),
    origin: fc.constantFrom(undefined, 'null', 'http://localhost', 'https://evil.example', 'x'),
    authorization: fc.constantFrom(
      ...[undefined, 'Bearer', `Basic ${TOKEN}`, TOKEN, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`],
      ...[
        'Bearer undefined',
        'Bearer null',
        'Bearer ***',
        `Bearer ${TOKEN.toUpperCase()}`,
        `Bearer x, Bearer ${TOKEN}`,
      ],
    ),
    body: fc.constantFrom('', '{}', `token=${TOKEN}`, 'x'.repeat(1_000)),
  });

  test(`changes and tells nothing in ${REQUESTS} random requests, none of which takes long`, async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    onTestFinished(() => agent.destroy());
    const attempts = fc.sample(attempt, { numRuns: Math.min(REQUESTS, 20_000), seed: 1 });
    let next = 0;
    let longestMs = 0;
    const send = async ({ path, query, body, method, ...headers }: (typeof attempts)[number]) => {
      const begunMs = performance.now();
      const defined = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
      const sent = request({ host: '127.0.0.1', port, path: path + query, method, agent, headers: defined });
      sent.on('error', () => {}).end(body);
      const [response] = (await once(sent, 'response')) as [IncomingMessage];
      const { statusCode = 0 } = response;
      const isEndless = response.headers['content-type']?.startsWith('text/event-stream') === true;
      response.on('error', () => {});
      let text = '';
      if (isEndless) sent.destroy();
      else for await (const chunk of response) text += chunk;
      longestMs = Math.max(longestMs, performance.now() - begunMs);
      const seen = [statusCode < 500, text.includes(SECRET), text.includes(TOKEN)];
      expect(seen, `${method} ${path}${query}`).toEqual([true, false, false]);
    };
    const work = async () => {
      for (; next < REQUESTS; ) {
        const attempt = attempts[next++ % attempts.length];
        if (attempt !== undefined) await send(attempt);
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, work));
    expect(longestMs).toBeLessThan(5_000);
    await expectUntouched();
    expect(program.log()).not.toContain(TOKEN);
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
