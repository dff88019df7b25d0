/** Web services of the built program: local processes behind hosts and HTTP ports. */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { hashSync } from 'bcryptjs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePorts } from '../../support/free-ports.ts';
import { startProgram } from '../../support/start-program.ts';
import { createFolder } from './folder.ts';

/** Notes each start and each request in a file, and answers with what it got; `/slow` after half a second. */
const APP = `
  const { appendFileSync } = require('node:fs');
  const [port, name, delay = 0] = process.argv.slice(2);
  appendFileSync('events', name + ' started\\n');
  const server = require('node:http').createServer((request, response) => {
    let length = 0;
    request.on('data', (chunk) => (length += chunk.length)).on('end', () => {
      appendFileSync('events', name + ' got ' + request.method + ' ' + request.url + ' ' + length + '\\n');
      const answer = () => response.end(JSON.stringify({ name, length, headers: request.headers }));
      if (request.url === '/slow') setTimeout(answer, 500);
      else answer();
    });
  });
  setTimeout(() => server.listen(Number(port), '127.0.0.1'), Number(delay));
`;

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Ask {
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly agent?: Agent;
}

function ask({ port, host = 'x', body, headers, agent, ...rest }: Ask): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', ...rest, headers: { Host: host, ...headers } };
    request({ ...options, agent: agent ?? false }, (answer) => {
      const { statusCode: status = 0, headers: got } = answer;
      text(answer).then((read) => resolve({ status, headers: got, body: read }), reject);
    })
      .on('error', reject)
      .end(body);
  });
}

const BROWSER = { Accept: 'text/html,application/xhtml+xml', 'Sec-Fetch-Mode': 'navigate' };

/** The program with these services, whose ports follow those of its own: door, HTTP port, status. */
async function startWeb(services: (ports: readonly number[]) => Readonly<Record<string, object>>) {
  const ports = await freePorts(6);
  const [door = 0, own = 0, status = 0] = ports;
  const folder = await createFolder({ 'app.cjs': APP, events: '' });
  const entries = Object.entries(services(ports)).map(([name, fields]) => [name, { cwd: folder, ...fields }]);
  const file = {
    http: { listen: `127.0.0.1:${door}` },
    ...{ status: { listen: `127.0.0.1:${status}` }, docker: { labels: false } },
    services: Object.fromEntries(entries),
  };
  await writeFile(path.join(folder, 'lazy-proxy.yaml'), JSON.stringify(file));
  const program = await startProgram({ cwd: folder });
  const events = async () => (await readFile(path.join(folder, 'events'), 'utf8')).trim().split('\n');
  return { program, events, door, own, status };
}

const app = (port: number | undefined, name: string, delayMs = 0) => ({
  command: [process.execPath, 'app.cjs', String(port), name, String(delayMs)],
});

describe('web services', () => {
  test('share one port by host, and each sleeps by itself while a connection stays open', async () => {
    const { program, events, door, status } = await startWeb((ports) => ({
      wiki: { ...app(ports[3], 'wiki'), hosts: ['wiki.test'], http_port: ports[3], idle_timeout: '1s' },
      blog: { ...app(ports[4], 'blog'), hosts: ['*.blog.test'], http_port: ports[4], idle_timeout: '1s' },
    }));
    expect(program.log()).toContain('ready: 2 services, 0 listeners, 1 front door, status on');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const blog = await ask({ port: door, host: 'a.blog.test', agent });
    expect(JSON.parse(blog.body)).toMatchObject({ name: 'blog' });
    const from = program.log().length;
    // The connection that blog was asked by is used for wiki, and stays open.
    for (;;) {
      const wiki = await ask({ port: door, host: 'wiki.test', agent });
      expect(JSON.parse(wiki.body)).toMatchObject({ name: 'wiki', headers: { host: 'wiki.test' } });
      if (program.log().slice(from).includes('blog is asleep')) break;
    }
    expect(program.linesWith('wiki is asleep after')).toEqual([]);
    await program.logged('wiki is asleep after');
    expect((await events()).filter((line) => line.endsWith('started')).toSorted()).toEqual([
      'blog started',
      'wiki started',
    ]);
    const rows = JSON.parse((await ask({ port: status, path: '/status' })).body);
    expect(rows).toMatchObject([
      { service: 'blog', listen_port: door, relay: 'http', running: false },
      { service: 'wiki', listen_port: door, relay: 'http', running: false },
    ]);
    const { body: metrics } = await ask({ port: status, path: '/metrics' });
    expect(metrics).toMatch(/lazy_proxy_\w*connections\w*_total\{[^}]*service="wiki"[^}]*\} [1-9]/);
  });

  test('a scan of the port wakes nothing', async () => {
    const { events, door } = await startWeb((ports) => ({
      wiki: { ...app(ports[3], 'wiki'), hosts: ['wiki.test'], http_port: ports[3] },
    }));
    const statuses = await Promise.all([
      ask({ port: door, host: '127.0.0.1' }),
      ask({ port: door, host: 'other.test' }),
      ask({ port: door, host: 'wiki.test', path: '/.lazy-proxy/state' }),
      ask({ port: door, host: 'wiki.test', path: '/.lazy-proxy/wait?to=/' }),
    ]).then((answers) => answers.map(({ status }) => status));
    expect(statuses).toEqual([404, 404, 200, 503]);
    expect(await events()).toEqual(['']);
  });

  test('are not woken, and their clients not held up, by many who send a head byte by byte', async () => {
    const { events, program, door } = await startWeb((ports) => ({
      wiki: { ...app(ports[3], 'wiki', 1_500), hosts: ['wiki.test'], http_port: ports[3] },
      blog: { ...app(ports[4], 'blog'), hosts: ['blog.test'], http_port: ports[4] },
    }));
    const slow = Array.from({ length: 200 }, () => connect(door, '127.0.0.1').on('error', () => {}));
    const writeAll = (text: string) => {
      for (const client of slow) client.write(text);
    };
    await Promise.all(slow.map((client) => once(client, 'connect')));
    writeAll('GET / HTTP/1.1\r\nHost: blog.test\r\nX-Slow: ');
    const timer = setInterval(() => writeAll('x'), 50);
    const end = () => {
      clearInterval(timer);
      for (const client of slow) client.destroy();
    };
    onTestFinished(end);
    expect(JSON.parse((await ask({ port: door, host: 'wiki.test' })).body)).toMatchObject({ name: 'wiki' });
    expect(await events()).toEqual(['wiki started', 'wiki got GET / 0']);
    expect(slow.filter(({ destroyed }) => destroyed).length).toBe(0);
    expect(program.linesWith('WARN')).toEqual([]);
    end();
    expect(JSON.parse((await ask({ port: door, host: 'blog.test' })).body)).toMatchObject({ name: 'blog' });
  });

  test('hold a POST while they wake, which arrives once and whole', async () => {
    const { events, door } = await startWeb((ports) => ({
      wiki: { ...app(ports[3], 'wiki', 1_500), hosts: ['wiki.test'], http_port: ports[3] },
    }));
    const body = 'x'.repeat(1_000_000);
    const answer = await ask({ port: door, host: 'wiki.test', method: 'POST', path: '/form', body });
    expect(JSON.parse(answer.body)).toMatchObject({ length: body.length });
    expect(await events()).toEqual(['wiki started', `wiki got POST /form ${body.length}`]);
  });

  test('show browsers a page while they wake, and keep awake what it waits for', async () => {
    const { door, program } = await startWeb((ports) => ({
      wiki: {
        ...app(ports[3], 'wiki', 1_500),
        ...{ hosts: ['wiki.test'], http_port: ports[3], idle_timeout: 0 },
      },
    }));
    const page = await ask({ port: door, host: 'wiki.test', path: '/a?b=<c>', headers: BROWSER });
    expect(page).toMatchObject({ status: 503, headers: { 'retry-after': '3' } });
    expect(page.body).toContain('wiki is waking up');
    expect(page.body).not.toContain('<c>');
    expect(Buffer.byteLength(page.body)).toBeLessThan(10_240);
    const state = () => ask({ port: door, host: 'wiki.test', path: '/.lazy-proxy/state' });
    await expect.poll(async () => JSON.parse((await state()).body).state).toBe('ready');
    const back = await ask({ port: door, host: 'wiki.test', path: '/.lazy-proxy/wait?to=%2Fa%3Fb' });
    expect(back).toMatchObject({ status: 303, headers: { location: '/a?b' } });
    expect(program.linesWith('wiki is going to sleep')).toEqual([]);
    expect((await ask({ port: door, host: 'wiki.test', headers: BROWSER })).status).toBe(200);
    await program.logged('wiki is asleep after');
  });

  test('tell a browser why they did not wake, on a page that does not reload itself', async () => {
    const { door, program } = await startWeb((ports) => ({
      wiki: {
        command: ['/bin/sh', '-c', 'echo secret output; exit 3'],
        ...{ hosts: ['wiki.test'], http_port: ports[3], start_timeout: '2s' },
      },
    }));
    const page = await ask({ port: door, host: 'wiki.test', headers: BROWSER });
    expect(page.status).toBe(503);
    expect(page.body).toContain('wiki did not wake up');
    expect(page.body).toContain('exit code 3');
    expect(page.body).not.toContain('http-equiv="refresh"');
    expect(page.body).not.toContain('secret output');
    const wakes = program.linesWith('is waking').length;
    const again = await ask({ port: door, host: 'wiki.test', path: '/.lazy-proxy/wait?to=%2F' });
    expect(again.body).toContain('did not wake up');
    expect(program.linesWith('is waking')).toHaveLength(wakes);
    const plain = await ask({ port: door, host: 'wiki.test' });
    expect(plain).toMatchObject({ status: 503, headers: { 'content-type': 'text/plain; charset=utf-8' } });
    expect(plain.body).toContain('wiki did not wake');
  });

  test('ask for a login before they wake, on a port of their own, and keep it to themselves', async () => {
    const { events, own } = await startWeb((ports) => ({
      docs: {
        ...app(ports[3], 'docs'),
        ...{ ports: [`127.0.0.1:${ports[1]}:${ports[3]}`], basic_auth: [`anna:${hashSync('secret', 6)}`] },
      },
    }));
    const login = (password: string) => ({
      Authorization: `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`,
    });
    expect((await ask({ port: own })).status).toBe(401);
    expect((await ask({ port: own, headers: login('wrong') })).status).toBe(401);
    expect(await events()).toEqual(['']);
    const answer = await ask({ port: own, host: 'any.host', headers: login('secret') });
    const { name, headers } = JSON.parse(answer.body);
    expect(name).toBe('docs');
    expect(headers).toMatchObject({ host: 'any.host', 'x-forwarded-for': '127.0.0.1' });
    expect(headers).not.toHaveProperty('authorization');
  });

  test('finish what is under way when the program ends, and close idle connections', async () => {
    const { door, program } = await startWeb((ports) => ({
      wiki: { ...app(ports[3], 'wiki'), hosts: ['wiki.test'], http_port: ports[3] },
    }));
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    await ask({ port: door, host: 'wiki.test', agent });
    const slow = ask({ port: door, host: 'wiki.test', path: '/slow' });
    await ask({ port: door, host: 'wiki.test', agent });
    program.child.kill('SIGTERM');
    const answer = await slow;
    expect(answer).toMatchObject({ status: 200, headers: { connection: 'close' } });
    await program.logged('lazy-proxy has ended');
    expect(program.log()).not.toContain('connections are still open');
  });
});
