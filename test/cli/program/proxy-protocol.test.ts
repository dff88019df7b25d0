import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../support/free-ports.ts';
import { runProgram } from '../../support/run-program.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

const NGINX = '/usr/sbin/nginx';
const HAPROXY = '/usr/sbin/haproxy';
/** Where clients come from in these tests; all of 127.0.0.0/8 is this machine. */
const CLIENT = '127.7.7.7';

/** A server that greets each connection, answers each line with it, and writes a line to `started` when it starts. */
const SERVER = `
const { appendFileSync } = require('node:fs');
appendFileSync('started', 'x');
require('node:net').createServer({ allowHalfOpen: true }, (socket) => {
  socket.on('error', () => {});
  if (process.env.GREETS) socket.write('hello\\n');
  socket.on('data', (data) => socket.write('got ' + data)).on('end', () => socket.end('end'));
}).listen(Number(process.env.PORT), '127.0.0.1');
`;

/** nginx in the foreground, with its files in a folder of its own. */
function nginxConfig(folder: string, server: string): string {
  return `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
http {
  access_log off; client_body_temp_path ${folder}/a; proxy_temp_path ${folder}/b; fastcgi_temp_path ${folder}/c;
  uwsgi_temp_path ${folder}/d; scgi_temp_path ${folder}/e;
  server { ${server} }
}`;
}

const SHOWS_CLIENT = 'return 200 "$proxy_protocol_addr $proxy_protocol_port\\n";';

/** HAProxy in the foreground, that passes connections on. */
function haproxyConfig({ bind, server }: { readonly bind: string; readonly server: string }): string {
  return `defaults
  mode tcp
  timeout connect 20s
  timeout client 20s
  timeout server 20s
frontend front
  bind ${bind}
  default_backend back
backend back
  server one ${server}
`;
}

async function runFile(file: object, extra: Readonly<Record<string, string>> = {}) {
  const status = await freePort();
  const content = { status: { listen: `127.0.0.1:${status}` }, docker: { labels: false }, ...file };
  const folder = await createFolder({ 'lazy-proxy.yaml': JSON.stringify(content), ...extra });
  const proxy = await startProgram({ cwd: folder });
  const rows = async () =>
    (await (await fetch(`http://127.0.0.1:${status}/status`)).json()) as readonly {
      readonly container_name: string;
      readonly running: boolean;
      readonly refused?: Readonly<Record<string, number>>;
    }[];
  const about = async () => (await fetch(`http://127.0.0.1:${status}/api`)).json();
  const explain = async (service: string) => (await runProgram(['explain', service], { cwd: folder })).stdout;
  return { proxy, folder, rows, about, explain };
}

/** Sends a text from the client's address, and returns the answer with the client's port. */
async function ask(
  port: number,
  text: string,
  { localAddress = CLIENT, ends = true } = {},
): Promise<{ readonly answer: string; readonly port: number | undefined }> {
  const client = connect({ port, host: '127.0.0.1', localAddress, allowHalfOpen: true });
  await once(client, 'connect');
  const { localPort } = client;
  if (ends) client.end(text);
  else client.write(text);
  return { answer: await readAll(client), port: localPort };
}

async function readAll(socket: Socket): Promise<string> {
  let answer = '';
  for await (const chunk of socket.on('error', () => {})) answer += chunk;
  return answer;
}

const GET = 'GET / HTTP/1.0\r\n\r\n';
const bodyOf = (answer: string) => answer.split('\r\n\r\n')[1]?.trim();

/** Runs a program until the test ends. */
function run(command: string, args: readonly string[]): ChildProcess {
  const child = spawn(command, args, { stdio: 'ignore' });
  onTestFinished(async () => {
    if (child.exitCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'close');
  });
  return child;
}

async function untilListening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await new Promise((resolve) => {
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    });
    socket.destroy();
    if (isOpen) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('who wakes', () => {
  test('is who sends something, with wake_on: data; a scan is not', async () => {
    const [port, target] = [await freePort(), await freePort()];
    const { folder, rows, proxy } = await runFile(
      {
        services: {
          app: {
            ...{ command: [process.execPath, 'server.cjs'], env: { PORT: String(target) }, wake_on: 'data' },
            ports: [`127.0.0.1:${port}:${target}`],
          },
        },
      },
      { 'server.cjs': SERVER },
    );
    const scans = Array.from({ length: 20 }, async () => {
      const client = connect(port, '127.0.0.1');
      await once(client, 'connect');
      client.destroy();
    });
    await Promise.all(scans);
    const silent = connect(port, '127.0.0.1');
    const begunMs = performance.now();
    await once(silent.resume(), 'close');
    expect(performance.now() - begunMs).toBeGreaterThan(4_900);
    expect(existsSync(path.join(folder, 'started'))).toBe(false);
    expect(await rows()).toMatchObject([{ running: false, refused: { silent: 1 } }]);
    expect(proxy.log()).toContain('it sent nothing within 5000 ms');
    expect((await ask(port, 'question')).answer).toBe('got questionend');
    expect(await rows()).toMatchObject([{ running: true }]);
  }, 30_000);

  test('is who is on the wake list; others are served while the service is awake', async () => {
    const [port, target] = [await freePort(), await freePort()];
    const { rows, folder, explain } = await runFile(
      {
        services: {
          app: {
            ...{ command: [process.execPath, 'server.cjs'], env: { PORT: String(target), GREETS: '1' } },
            ...{ ports: [`127.0.0.1:${port}:${target}`], wake_list: [CLIENT] },
          },
        },
      },
      { 'server.cjs': SERVER },
    );
    expect((await ask(port, 'x', { localAddress: '127.0.0.1' })).answer).toBe('');
    expect(existsSync(path.join(folder, 'started'))).toBe(false);
    expect(await rows()).toMatchObject([{ running: false, refused: { 'wake-list': 1 } }]);
    const explanation = await explain('app');
    expect(explanation).toContain(`/tcp, of a client on its wake_list (${CLIENT})`);
    expect(explanation).toContain('1 refused (wake-list)');
    expect((await ask(port, 'x')).answer).toBe('hello\ngot xend');
    expect((await ask(port, 'x', { localAddress: '127.0.0.1' })).answer).toBe('hello\ngot xend');
  }, 30_000);
});

describe.skipIf(!existsSync(NGINX))('nginx as the service', () => {
  test.each(['v1', 'v2'])(
    'reads the client from a header of %s',
    async (version) => {
      const [port, target] = [await freePort(), await freePort()];
      const folder = await createFolder();
      const config = nginxConfig(
        folder,
        `listen 127.0.0.1:${target} proxy_protocol; location / { ${SHOWS_CLIENT} }`,
      );
      await writeFile(path.join(folder, 'nginx.conf'), config);
      await runFile({
        services: {
          web: {
            command: [NGINX, '-p', folder, '-c', path.join(folder, 'nginx.conf')],
            ports: [`127.0.0.1:${port}:${target}`],
            proxy_protocol: version,
          },
        },
      });
      // The second one finds the service awake.
      for (let turn = 0; turn < 2; turn++) {
        const { answer, port: clientPort } = await ask(port, GET, { ends: false });
        expect(bodyOf(answer)).toBe(`${CLIENT} ${clientPort}`);
      }
    },
    30_000,
  );
});

describe.skipIf(!existsSync(HAPROXY) || !existsSync(NGINX))('HAProxy', () => {
  test.each(['send-proxy', 'send-proxy-v2'])(
    'in front tells the client by %s, and the service hears of it',
    async (option) => {
      const [front, port, target] = [await freePort(), await freePort(), await freePort()];
      const folder = await createFolder();
      await mkdir(path.join(folder, 'nginx'));
      const server = `listen 127.0.0.1:${target} proxy_protocol; location / { ${SHOWS_CLIENT} }`;
      await writeFile(path.join(folder, 'nginx.conf'), nginxConfig(path.join(folder, 'nginx'), server));
      const haproxy = haproxyConfig({
        bind: `127.0.0.1:${front}`,
        server: `127.0.0.1:${port} ${option}`,
      });
      await writeFile(path.join(folder, 'haproxy.cfg'), haproxy);
      const { rows, proxy } = await runFile({
        trusted_proxies: ['127.0.0.1'],
        services: {
          web: {
            command: [NGINX, '-p', folder, '-c', path.join(folder, 'nginx.conf')],
            ports: [`127.0.0.1:${port}:${target}`],
            accept_proxy_protocol: true,
            proxy_protocol: 'v2',
            allow_list: [CLIENT],
          },
        },
      });
      run(HAPROXY, ['-db', '-f', path.join(folder, 'haproxy.cfg')]);
      await untilListening(front);
      for (let turn = 0; turn < 2; turn++) {
        const { answer, port: clientPort } = await ask(front, GET, { ends: false });
        expect(bodyOf(answer)).toBe(`${CLIENT} ${clientPort}`);
      }
      expect(proxy.log()).toContain(`for ${CLIENT}:`);
      // Around HAProxy, and with another client's address.
      expect((await ask(port, GET, { localAddress: '127.0.0.9' })).answer).toBe('');
      expect((await ask(port, GET, { localAddress: '127.0.0.1' })).answer).toBe('');
      expect((await ask(front, GET, { localAddress: '127.8.8.8' })).answer).toBe('');
      expect(await rows()).toMatchObject([{ refused: { 'untrusted-proxy': 1, 'bad-proxy-header': 1 } }]);
      expect(proxy.log()).toContain('the access list refuses');
    },
    30_000,
  );

  test('in front of a front door tells the client, and the web service hears of it', async () => {
    const [front, door, target] = [await freePort(), await freePort(), await freePort()];
    const folder = await createFolder();
    await mkdir(path.join(folder, 'nginx'));
    const server = `listen 127.0.0.1:${target} proxy_protocol; location / { ${SHOWS_CLIENT} }`;
    await writeFile(path.join(folder, 'nginx.conf'), nginxConfig(path.join(folder, 'nginx'), server));
    const haproxy = haproxyConfig({
      bind: `127.0.0.1:${front}`,
      server: `127.0.0.1:${door} send-proxy-v2`,
    });
    await writeFile(path.join(folder, 'haproxy.cfg'), haproxy);
    const { proxy, about } = await runFile({
      trusted_proxies: ['127.0.0.1'],
      http: { listen: `127.0.0.1:${door}`, accept_proxy_protocol: true },
      services: {
        web: {
          command: [NGINX, '-p', folder, '-c', path.join(folder, 'nginx.conf')],
          hosts: ['web.lan'],
          http_port: target,
          proxy_protocol: 'v2',
          allow_list: [CLIENT],
        },
      },
    });
    expect(proxy.log()).toContain('0 listeners, 1 front door, ');
    run(HAPROXY, ['-db', '-f', path.join(folder, 'haproxy.cfg')]);
    await untilListening(front);
    const request = 'GET / HTTP/1.1\r\nHost: web.lan\r\nConnection: close\r\n\r\n';
    for (let turn = 0; turn < 2; turn++) {
      const { answer, port: clientPort } = await ask(front, request, { ends: false });
      expect(answer).toContain(`\r\n${CLIENT} ${turn === 0 ? clientPort : ''}`);
    }
    // Around HAProxy, and with another client's address.
    expect((await ask(door, request, { localAddress: '127.0.0.9' })).answer).toBe('');
    expect((await ask(door, request, { localAddress: '127.0.0.1' })).answer).toBe('');
    expect((await ask(front, request, { localAddress: '127.8.8.8' })).answer).toBe('');
    for (const why of [
      'it comes from none of trusted_proxies',
      "its PROXY header can't be read",
      'the access list refuses',
    ])
      expect(proxy.log()).toContain(why);
    const refused = { 'untrusted-proxy': 1, 'bad-proxy-header': 1 };
    expect(await about()).toMatchObject({
      fronts: [{ address: '127.0.0.1', port: door, scheme: 'http', condition: 'bound', refused }],
    });
  }, 30_000);

  test.each(['v1', 'v2'])(
    'as the service reads headers of %s',
    async (version) => {
      const [port, target, behind] = [await freePort(), await freePort(), await freePort()];
      const folder = await createFolder();
      // What HAProxy has read it tells nginx in a header of its own.
      await mkdir(path.join(folder, 'nginx'));
      const server = `listen 127.0.0.1:${behind} proxy_protocol; location / { ${SHOWS_CLIENT} }`;
      await writeFile(path.join(folder, 'nginx.conf'), nginxConfig(path.join(folder, 'nginx'), server));
      const haproxy = haproxyConfig({
        bind: `127.0.0.1:${target} accept-proxy`,
        server: `127.0.0.1:${behind} send-proxy`,
      });
      await writeFile(path.join(folder, 'haproxy.cfg'), haproxy);
      run(NGINX, ['-p', folder, '-c', path.join(folder, 'nginx.conf')]);
      await untilListening(behind);
      await runFile({
        services: {
          front: {
            command: [HAPROXY, '-db', '-f', path.join(folder, 'haproxy.cfg')],
            ports: [`127.0.0.1:${port}:${target}`],
            proxy_protocol: version,
          },
        },
      });
      const { answer, port: clientPort } = await ask(port, GET, { ends: false });
      expect(bodyOf(answer)).toBe(`${CLIENT} ${clientPort}`);
    },
    30_000,
  );
});
