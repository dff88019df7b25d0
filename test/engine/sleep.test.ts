/** What counts as use of a service, and how it is put to sleep: on a real engine, with real servers. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand, nodeApp } from './support/apps.ts';
import { get } from './support/http.ts';
import { psqlProgram, STAND_INS, whyNoStandIns } from './support/stand-ins.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type ServiceFields } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

type Create = Parameters<Awaited<ReturnType<typeof openTestBed>>['scope']['createContainer']>[0];

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const PING = Buffer.from('8900', 'hex');

/** A container behind a proxy, with these fields of its service. */
async function serve(spec: Omit<Create, 'name'>, fields: ServiceFields, target = 80) {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('web');
  const container = await bed.scope.createContainer({ ...spec, name });
  const services = { web: { container: name, ports: [`${port}:${target}`], ...fields } };
  const proxy = await bed.startProxy({ services });
  const until = (state: string) =>
    waitUntil(async () => (await container.state()) === state, { timeoutMs: 20_000, what: state });
  return { bed, port, container, proxy, until };
}

/** A session of PostgreSQL's own client. */
function openSession(url: string) {
  const client = spawn(psqlProgram(), [url, '--no-psqlrc', '-tA']);
  onTestFinished(() => void client.kill());
  const said = text(client.stderr);
  const ended = once(client, 'close').then(async ([status]) => `status ${status}: ${await said}`);
  return {
    ended,
    /** Answers with a line, or with how the session has ended. */
    async ask(command: string): Promise<string> {
      client.stdin.write(`${command};\n`);
      const answer = once(client.stdout, 'data').then(([data]) => String(data).trim());
      return await Promise.race([answer, ended]);
    },
  };
}

test.skipIf(whyNoStandIns() !== undefined)(
  'PostgreSQL sleeps under the idle connections of a pool, and wakes for the next command',
  async () => {
    const image = await STAND_INS['postgres']?.();
    // It opens its port before it is ready.
    const healthcheck = { test: ['CMD', 'pg_isready', '-h', '127.0.0.1'], intervalMs: 500, retries: 60 };
    const env = { POSTGRES_PASSWORD: 'secret' };
    const fields = { idle_when: 'no_traffic', idle_timeout: '2s' };
    const spec = { ...(image && { image }), env, healthcheck };
    const { port, container, until, proxy } = await serve(spec, fields, 5432);
    const url = `postgres://postgres:secret@127.0.0.1:${port}/postgres`;
    const pool = [openSession(url), openSession(url), openSession(url)];
    expect(await Promise.all(pool.map(({ ask }) => ask('select 41')))).toEqual(['41', '41', '41']);
    await until('exited');
    expect((await proxy.waitForLog(({ event }) => event === 'sleep')).msg).toBe(
      'web is going to sleep: idle for 2 s: 3 connections that carried nothing were closed',
    );
    // At SIGTERM it waits until the last client has left: it would have been killed in the end.
    expect(await container.logs()).toContain('received smart shutdown request');
    expect((await container.inspect()).State.ExitCode).toBe(0);
    // So that its owner takes it out of the pool.
    expect(await pool[0]?.ask('select 42')).toMatch(/^status 2: server closed the connection unexpectedly/);
    expect(await openSession(url).ask('select 42')).toBe('42');
  },
);

test('a connection that carries heartbeats alone does not keep a service awake', async () => {
  const fields = { idle_when: 'no_traffic', idle_ignore_below: '1KiB/s', idle_timeout: '2s' };
  const { port, container, until } = await serve(await nodeApp({ mode: 'echo' }), fields);
  const client = await connectTcp(port);
  onTestFinished(() => client.destroy());
  await client.send('x'.repeat(10_000));
  await client.readAtLeast(10_000);
  const beating = setInterval(() => void client.send('beat').catch(() => {}), 100);
  onTestFinished(() => clearInterval(beating));
  expect(await container.state()).toBe('running');
  expect(await client.closed).toBe('end');
  await until('exited');
});

/** A WebSocket server of this machine that sends a heartbeat ten times a second, and nothing else. */
async function startHeart(): Promise<number> {
  const server = createServer();
  server.on('upgrade', ({ headers }, socket: Duplex) => {
    const accept = createHash('sha1').update(`${headers['sec-websocket-key']}${WEBSOCKET_GUID}`);
    const head = `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept.digest('base64')}\r\n\r\n`;
    socket.write(head);
    const beating = setInterval(() => void socket.write(PING), 100);
    const end = () => {
      clearInterval(beating);
      socket.destroy();
    };
    socket.on('close', end).on('error', end).on('end', end).resume();
  });
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A file that lets nginx lead to a port of this machine, as seen from the engine's own network. */
async function writeNginxConfig(port: number): Promise<string> {
  const { scope } = await openTestBed();
  const { IPAM } = await scope.docker.getNetwork('bridge').inspect();
  const folder = await mkdtemp(path.join(tmpdir(), 'sleep-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, 'nginx.conf');
  const upgrade = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;';
  const location = `proxy_pass http://${IPAM?.Config?.[0]?.Gateway}:${port}; proxy_http_version 1.1; ${upgrade}`;
  await writeFile(
    file,
    `user root; error_log stderr; pid /tmp/nginx.pid; events {}\nhttp { access_log off; server { listen 80; location / { ${location} } } }\n`,
  );
  return file;
}

/** Opens a WebSocket and answers each heartbeat. */
async function openWebSocket(port: number) {
  const client = await connectTcp(port);
  onTestFinished(() => client.destroy());
  const key = randomBytes(16).toString('base64');
  await client.send(
    `GET / HTTP/1.1\r\nhost: web\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${key}\r\n\r\n`,
  );
  expect((await client.readAtLeast(1)).toString()).toContain(' 101 ');
  // A pong as a browser masks it.
  client.socket.on('data', () => void client.send(Buffer.from('8a8000000000', 'hex')).catch(() => {}));
  return client;
}

test.skipIf(whyNoStandIns() !== undefined)(
  'heartbeats of a WebSocket behind nginx keep a service awake, but not where so little does not count',
  async () => {
    const image = await STAND_INS['nginx']?.();
    const binds = [`${await writeNginxConfig(await startHeart())}:/etc/nginx/nginx.conf:ro`];
    const spec = { ...(image && { image }), binds };
    const fields = { idle_when: 'no_traffic', idle_timeout: '2s' };
    const [counting, ignoring] = await Promise.all([
      serve(spec, fields),
      serve(spec, { ...fields, idle_ignore_below: '1KiB/s' }),
    ]);
    const [kept, ended] = await Promise.all([openWebSocket(counting.port), openWebSocket(ignoring.port)]);
    expect(await ended.closed).toBe('end');
    await ignoring.until('exited');
    // Both were as idle.
    expect(await counting.container.state()).toBe('running');
    await kept.readAtLeast(1);
    expect((await kept.readAtLeast(2)).includes(PING)).toBe(true);
  },
);

test('a service is paused first, wakes at once, and is stopped later', async () => {
  const fields = { pause_after: '1s', idle_timeout: '5s' };
  const { port, container, proxy, until } = await serve({ cmd: httpdCommand() }, fields);
  expect((await get(port)).body).toBe('hello');
  await until('paused');
  const startedAt = await container.startedAt();
  expect((await get(port)).body).toBe('hello');
  expect(await container.startedAt()).toBe(startedAt);
  await until('paused');
  await until('exited');
  const sleeps = proxy.logs().filter(({ event }) => event === 'sleep');
  expect(sleeps.map(({ msg }) => msg)).toEqual([
    'web is being paused: idle for 1 s',
    'web is being paused: idle for 1 s',
    'web is going to sleep: idle for 5 s',
  ]);
});

test('a service that is busy is not put to sleep, as a command inside it says, or a URL', async () => {
  const cmd = ['sh', '-c', `touch /busy; ${httpdCommand()[2]}`, 'hello'];
  const fields = { busy_check: { command: 'test -e /busy' } as never, idle_timeout: '1s' };
  const { port, proxy, container } = await serve({ cmd }, fields);
  expect((await get(port)).body).toBe('hello');
  expect((await proxy.waitForLog(({ event }) => event === 'busy')).msg).toBe(
    'web is not put to sleep: it is busy, says its busy_check',
  );
  expect(await container.state()).toBe('running');
  const url = { busy_check: { url: 'http://{{container}}:80/missing' } as never, idle_timeout: '1s' };
  const other = await serve({ cmd: httpdCommand() }, url);
  expect((await get(other.port)).body).toBe('hello');
  await other.until('exited');
  const failing = { busy_check: { command: ['no-such-program'] } as never, idle_timeout: '1s' };
  const broken = await serve({ cmd: httpdCommand() }, failing);
  await get(broken.port);
  const line = await broken.proxy.waitForLog(({ event }) => event === 'busy');
  expect(line.msg).toMatch(
    /^web is not put to sleep: it is busy, as far as is known: (exit code 12[67]|.*no-such-program)/,
  );
});

test('a service is stopped by the signal that it asks for, where the engine takes one', async () => {
  const cmd = ['sh', '-c', "trap 'echo got INT; exit' INT; httpd -p 80 -h /; while :; do sleep 0.1; done"];
  const spec = { cmd, stopTimeoutSecs: 2 };
  const { bed, port, container, proxy, until } = await serve(spec, {
    stop_signal: 'SIGINT',
    idle_timeout: '1s',
  });
  await get(`http://127.0.0.1:${port}/etc/passwd`);
  await until('exited');
  const { ApiVersion } = await bed.scope.docker.version();
  const takesSignal = Number(ApiVersion.split('.')[1]) >= 42;
  expect(await container.logs()).toBe(takesSignal ? 'got INT\n' : '');
  const told = proxy.logs().filter(({ event }) => event === 'stop-signal');
  expect(told.map(({ msg }) => msg)).toEqual(
    takesSignal
      ? []
      : [expect.stringContaining(`the engine has API ${ApiVersion}, and takes a signal from 1.42 on`)],
  );
});
