import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { healthcheck } from '../../src/cli/healthcheck.ts';
import { type Clock, systemClock } from '../../src/system/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { freePort } from '../support/free-ports.ts';
import { hasIpv6 } from '../support/has-ipv6.ts';

/** A status server with this answer; its port. */
async function serve(answer: RequestListener, host = '127.0.0.1'): Promise<number> {
  const server = createServer(answer).listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const healthy: RequestListener = (request, response) => {
  response.statusCode = request.url === '/health' ? 200 : 404;
  response.end('ok\n');
};

interface Call {
  readonly statusPort?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Text of ./lazy-proxy.yaml */
  readonly file?: string;
}

async function check({ statusPort, env = {}, file }: Call, clock: Clock = systemClock) {
  const cwd = await mkdtemp(join(tmpdir(), 'healthcheck-'));
  onTestFinished(() => rm(cwd, { recursive: true }));
  if (file !== undefined) await writeFile(join(cwd, 'lazy-proxy.yaml'), file);
  const output: string[] = [];
  const write = (line: string) => void output.push(line);
  const io = {
    env,
    cwd,
    clock,
    isTerminal: false,
    stdout: write,
    stderr: write,
    onSignal: () => () => {},
    settleOutput: async () => {},
  };
  const status = await healthcheck({ config: undefined, statusPort }, io);
  return { status, output: output.join('\n') };
}

test('healthcheck is content when the status server answers ok', async () => {
  expect(await check({ statusPort: await serve(healthy) })).toEqual({ status: 0, output: 'ok' });
});

test.each([
  ['the environment', (port: number): Call => ({ env: { STATUS_PORT: String(port) } })],
  ['the file', (port: number): Call => ({ file: `status: { listen: "127.0.0.1:${port}" }\n` })],
  [
    'a file with mistakes elsewhere',
    (port: number): Call => ({ file: `status: { listen: ":${port}" }\nservices: { a: { ports: 7 } }\n` }),
  ],
  [
    'a flag over all others',
    (port: number): Call => ({ statusPort: port, env: { STATUS_PORT: '1' }, file: 'status: off\n' }),
  ],
  [
    'the environment, beside a broken file',
    (port: number): Call => ({ env: { STATUS_PORT: String(port) }, file: '{' }),
  ],
])('healthcheck takes the port from %s', async (_, call) => {
  expect((await check(call(await serve(healthy)))).status).toBe(0);
});

test.runIf(hasIpv6)('healthcheck asks at the address that the file names', async () => {
  const port = await serve(healthy, '::1');
  const file = `status: { listen: "[::]:${port}" }\n`;
  expect((await check({ file })).status).toBe(0);
});

test.each([
  [
    'another body',
    (_: unknown, response: Parameters<RequestListener>[1]) => response.end('no'),
    'answers 200: no',
  ],
  [
    'another status',
    (_: unknown, response: Parameters<RequestListener>[1]) => response.writeHead(503).end('ok'),
    'answers 503: ok',
  ],
  [
    'half an answer',
    (_: unknown, response: Parameters<RequestListener>[1]) =>
      response.writeHead(200, { 'content-length': 9 }).write('ok', () => response.destroy()),
    'aborted',
  ],
])('healthcheck complains about %s', async (_, answer, message) => {
  const { status, output } = await check({ statusPort: await serve(answer) });
  expect(status).toBe(1);
  expect(output).toContain(message);
});

test('healthcheck complains where nobody listens', async () => {
  const statusPort = await freePort();
  const { status, output } = await check({ statusPort });
  expect(status).toBe(1);
  expect(output).toContain(`http://127.0.0.1:${statusPort}/health does not say "ok"`);
});

test('healthcheck waits no longer than 2 s', async () => {
  const clock = new FakeClock();
  let arrive = () => {};
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const statusPort = await serve(() => arrive());
  const checking = check({ statusPort }, clock);
  await arrived;
  await clock.advance(2_000);
  expect(await checking).toMatchObject({
    status: 1,
    output: expect.stringContaining('no answer within 2 s'),
  });
  expect(clock.pending).toBe(0);
});

test.each([
  ['by the environment', { env: { STATUS_PORT: '0' } }],
  ['by the file', { file: 'status: off\n' }],
])('healthcheck is content when the status server is off %s', async (_, call) => {
  expect(await check(call)).toEqual({
    status: 0,
    output: 'the status server is off, so there is nothing to check',
  });
});
