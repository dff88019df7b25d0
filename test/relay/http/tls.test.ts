import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as requestTls } from 'node:https';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect as connectTls, createSecureContext } from 'node:tls';
import { text } from 'node:stream/consumers';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CertificateStore } from '../../../src/relay/tls/certificate-store.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { greetingOf } from '../../support/tls-greeting.ts';
import { WebBed } from './web-bed.ts';

let folder: string;
const fileOf = (name: string, kind: 'crt' | 'key') => path.join(folder, `${name}.${kind}`);
const filesOf = (name: string) => ({ cert: fileOf(name, 'crt'), key: fileOf(name, 'key') });

/** A certificate of its own for these names. */
function makeCertificate(name: string, hosts: readonly string[]): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30'];
  const names = `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')}`;
  const files = ['-keyout', fileOf(name, 'key'), '-out', fileOf(name, 'crt')];
  const subject = ['-subj', `/CN=${name}`, '-addext', names];
  execFileSync('openssl', ['req', '-x509', ...key, ...files, ...subject], { stdio: 'ignore' });
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'web-tls-'));
  makeCertificate('wiki', ['wiki.test', 'unserved.test']);
  makeCertificate('others', ['*.test']);
  makeCertificate('new', ['wiki.test']);
});
afterAll(() => rm(folder, { recursive: true }));

describe('a web door with TLS', () => {
  let bed: WebBed;
  let takesProxyHeaders: boolean;
  let session: ClientHttp2Session | undefined;
  beforeEach(async () => {
    takesProxyHeaders = false;
    const store = new CertificateStore({ clock: systemClock, onBad: () => {} });
    store.set([filesOf('wiki')]);
    const bare = createSecureContext();
    const app = (request: IncomingMessage, response: ServerResponse) => {
      if (request.url === '/hang') return;
      if (request.url === '/trailers') {
        response.writeHead(200, { Trailer: 'X-Sum', 'Set-Cookie': ['a=1', 'b=2'] });
        response.addTrailers({ 'X-Sum': '42' });
        response.end('body');
        return;
      }
      void text(request).then((body) =>
        response.end(JSON.stringify({ url: request.url, length: body.length, ...request.headers })),
      );
    };
    bed = await WebBed.open([{ host: 'wiki', app: (request, response) => void app(request, response) }], {
      door: {
        offerTls: () => ({ context: bare, find: (host) => store.find(host)?.secure }),
        // As at every front door: it reads the greeting before TLS does.
        findPass: () => undefined,
        isTrusted: () => takesProxyHeaders,
        takesProxyHeaders: () => takesProxyHeaders,
      },
    });
  });
  afterEach(() => {
    session?.destroy();
    session = undefined;
    bed.close();
  });

  const openSession = (servername = 'wiki.test') => {
    session = connectHttp2(`https://${servername}:${bed.port}`, {
      createConnection: () =>
        connectTls({ port: bed.port, servername, rejectUnauthorized: false, ALPNProtocols: ['h2'] }),
    });
    session.on('error', () => {});
    return session;
  };
  const ask = async (headers: Record<string, string | string[]>, body?: string) => {
    const stream = openSessionOnce().request(headers);
    stream.on('error', () => {});
    stream.end(body);
    const [answer] = await new Promise<readonly [Record<string, unknown>]>((resolve, reject) => {
      stream.once('response', (got) => resolve([got]));
      stream.once('close', () => reject(new Error(`closed with ${stream.rstCode}`)));
    });
    return { status: answer[':status'], headers: answer, body: await text(stream) };
  };
  const openSessionOnce = () => session ?? openSession();

  test('turns away who names no server, or speaks no TLS, before or later', async () => {
    const turnedAway = (socket: Socket) =>
      new Promise((resolve) => {
        socket
          .on('error', () => {})
          .once('close', () => resolve('turned away'))
          .resume();
      });
    const options = { port: bed.port, host: '127.0.0.1', rejectUnauthorized: false };
    expect(await turnedAway(connectTls(options))).toBe('turned away');
    const plain = connect(bed.port, '127.0.0.1');
    plain.write('GET / HTTP/1.1\r\n\r\n');
    expect(await turnedAway(plain)).toBe('turned away');
    const raw = connect(bed.port, '127.0.0.1');
    const client = connectTls({ ...options, socket: raw, servername: 'wiki.test' });
    client.on('error', () => {});
    await once(client, 'secureConnect');
    raw.write('this is no record');
    expect(await turnedAway(raw)).toBe('turned away');
    await expect.poll(() => bed.door.connections).toBe(0);
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('serves HTTP/1 inside of it', async () => {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { port: bed.port, servername: 'wiki.test', rejectUnauthorized: false, agent: false };
      requestTls({ ...options, path: '/a', headers: { Host: 'wiki.test' } }, resolve)
        .on('error', reject)
        .end();
    });
    expect(JSON.parse(await text(answer))).toMatchObject({ url: '/a', 'x-forwarded-proto': 'https' });
  });

  test.each([
    ['before it begins', '', 0],
    ['within its greeting', '', 40],
    ['behind its greeting', '', undefined],
    ['behind a PROXY header', 'PROXY TCP4 203.0.113.9 198.51.100.1 4242 443\r\n', 0],
    ['within its greeting, behind a PROXY header', 'PROXY TCP4 203.0.113.9 198.51.100.1 4242 443\r\n', 40],
    ['behind its greeting and a PROXY header', 'PROXY TCP4 203.0.113.9 198.51.100.1 4242 443\r\n', undefined],
  ])('lets go at once of a client that ends %s', async (_, header, length) => {
    takesProxyHeaders = header !== '';
    const raw = await bed.connect();
    raw.on('error', () => {}).resume();
    const greeting = (await greetingOf('wiki.test')).subarray(0, length);
    raw.end(Buffer.concat([Buffer.from(header), greeting]));
    await expect.poll(() => raw.closed).toBe(true);
    await expect.poll(() => bed.door.connections).toBe(0);
  });

  test('lets an address begin no more than so many handshakes at a time', async () => {
    const waiting = await Promise.all(Array.from({ length: 64 }, () => bed.connect()));
    await expect.poll(() => bed.door.connections).toBe(64);
    // It may be reset as soon as it is connected.
    const late = await bed.connect().catch(() => undefined);
    await expect.poll(() => late?.closed ?? true).toBe(true);
    expect(bed.door.connections).toBe(64);
    waiting[0]?.resetAndDestroy();
    await expect.poll(() => bed.door.connections).toBe(63);
    expect(await ask({ ':path': '/', ':authority': 'wiki.test' })).toMatchObject({ status: 200 });
    // Who has agreed takes no such place any more.
    waiting.push(await bed.connect());
    await expect.poll(() => bed.door.connections).toBe(65);
    for (const socket of waiting) socket.destroy();
  });

  test('serves HTTP/2, several requests on one connection', async () => {
    const answers = await Promise.all([
      ask({ ':path': '/1', ':authority': 'wiki.test', cookie: ['a=1', 'b=2'] }),
      ask({ ':path': '/2', ':authority': 'wiki.test', ':method': 'POST' }, 'x'.repeat(300_000)),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(JSON.parse(answers[0]?.body ?? '')).toMatchObject({
      ...{ url: '/1', host: 'wiki.test', cookie: 'a=1; b=2', 'x-forwarded-proto': 'https' },
    });
    expect(JSON.parse(answers[1]?.body ?? '')).toMatchObject({ url: '/2', length: 300_000 });
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
  });

  test('hands on several headers of a name, and trailers, by HTTP/2', async () => {
    const stream = openSession().request({ ':path': '/trailers', ':authority': 'wiki.test' });
    const trailers = new Promise((resolve) => stream.once('trailers', resolve));
    const answer = new Promise((resolve) => stream.once('response', resolve));
    stream.end();
    stream.resume();
    expect(await answer).toMatchObject({ ':status': 200, 'set-cookie': ['a=1', 'b=2'] });
    expect(await trailers).toMatchObject({ 'x-sum': '42' });
  });

  test('answers 421 for a host that is unknown, and wakes nothing', async () => {
    openSession('unserved.test');
    expect(await ask({ ':path': '/', ':authority': 'unserved.test' })).toMatchObject({ status: 421 });
    expect(bed.service('wiki').dials).toBe(0);
  });

  test('gets no further than the greeting for a name without a certificate, or without one', async () => {
    for (const servername of ['stranger.test', '']) {
      const socket = connectTls({ port: bed.port, servername, rejectUnauthorized: false });
      const error = await new Promise<Error & { code?: string }>((resolve) => socket.once('error', resolve));
      expect(error.code ?? error.message).toMatch(/HANDSHAKE_FAILURE|ECONNRESET|UNRECOGNIZED/);
    }
    expect(bed.service('wiki').dials).toBe(0);
    await expect.poll(() => bed.door.connections).toBe(0);
  });

  test('gives a request of HTTP/2 up when its client does, and goes on with the others', async () => {
    const stream = openSession().request({ ':path': '/hang', ':authority': 'wiki.test' });
    stream.on('error', () => {});
    stream.end();
    await expect.poll(() => bed.service('wiki').connections).toBe(1);
    stream.close(8);
    await expect.poll(() => bed.service('wiki').leases).toBe(0);
    expect(await ask({ ':path': '/', ':authority': 'wiki.test' })).toMatchObject({ status: 200 });
  });

  test('refuses a host header that names another host than the authority', async () => {
    expect(await ask({ ':path': '/', ':authority': 'wiki.test', host: 'blog.test' })).toMatchObject({
      status: 400,
    });
  });

  test('ends HTTP/2 connections when it is closed, after their requests', async () => {
    expect(await ask({ ':path': '/', ':authority': 'wiki.test' })).toMatchObject({ status: 200 });
    bed.door.close();
    await expect.poll(() => bed.drains).toBe(1);
  });
});

describe('CertificateStore', () => {
  test('finds the certificate of a name, exact before wildcard', () => {
    const store = new CertificateStore({ clock: systemClock, onBad: () => {} });
    store.set([filesOf('others'), filesOf('wiki')]);
    const [exact, other] = [store.find('wiki.test'), store.find('blog.test')];
    expect(exact).toBeDefined();
    expect(other).toBeDefined();
    expect(other).not.toBe(exact);
    // As clients see it, a wildcard stands for one label.
    for (const host of ['test', 'a.blog.test']) expect(store.find(host), host).toBeUndefined();
  });

  test('uses replaced files within a second, and keeps what it has where they are broken', async () => {
    const bad: string[] = [];
    let nowMs = 0;
    const store = new CertificateStore({
      clock: { nowMs: () => systemClock.nowMs(), monotonicMs: () => nowMs },
      onBad: ({ message }) => bad.push(message),
    });
    await cp(fileOf('wiki', 'crt'), fileOf('live', 'crt'));
    await cp(fileOf('wiki', 'key'), fileOf('live', 'key'));
    store.set([filesOf('live')]);
    const first = store.find('wiki.test');
    await cp(fileOf('new', 'crt'), fileOf('live', 'crt'));
    nowMs += 1_000;
    expect(store.find('wiki.test')).toBe(first);
    expect(bad).toEqual([expect.stringContaining('the one from before stays in use')]);
    await cp(fileOf('new', 'key'), fileOf('live', 'key'));
    nowMs += 1_000;
    const second = store.find('wiki.test');
    expect(second).toBeDefined();
    expect(second).not.toBe(first);
    await writeFile(fileOf('live', 'crt'), 'no certificate');
    nowMs += 1_000;
    expect(store.find('wiki.test')).toBe(second);
    nowMs += 1_000;
    store.find('wiki.test');
    expect(bad).toHaveLength(2);
    expect(store.findFaults()).toEqual([
      { severity: 'error', message: expect.stringContaining('the one from before stays in use') },
    ]);
  });

  test('uses one that has expired, or soon will, and tells of it', () => {
    const dayMs = 24 * 3_600_000;
    const toldAfter = (days: number) => {
      const bad: string[] = [];
      const clock = { nowMs: () => systemClock.nowMs() + days * dayMs, monotonicMs: () => 0 };
      const store = new CertificateStore({
        clock,
        onBad: ({ severity, message }) => bad.push(`${severity} ${message}`),
      });
      store.set([filesOf('wiki')]);
      expect(store.find('wiki.test')).toBeDefined();
      return bad.map((line) => line.replace(/until .*/, 'until …'));
    };
    const which = `certificate ${fileOf('wiki', 'crt')}`;
    expect(toldAfter(0)).toEqual([]);
    expect(toldAfter(20)).toEqual([`warning ${which}: the certificate expires soon: it is good until …`]);
    expect(toldAfter(31)).toEqual([`error ${which}: the certificate has expired: it was good until …`]);
  });
});
