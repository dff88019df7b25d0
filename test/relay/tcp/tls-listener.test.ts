import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls, createSecureContext, type TLSSocket } from 'node:tls';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compileAccessList } from '../../../src/relay/access/access-list.ts';
import { writeProxyHeader } from '../../../src/relay/access/proxy-protocol.ts';
import { HANDSHAKE_MS } from '../../../src/relay/tcp/entrance.ts';
import type { OfferTls } from '../../../src/relay/tls/tls-offer.ts';
import { type TcpBinding, TcpListener } from '../../../src/relay/tcp/tcp-listener.ts';
import type { TcpRelay } from '../../../src/relay/tcp/tcp-relay.ts';
import { aListener } from '../../support/builders.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { createRelay, RELAY_KINDS } from '../../support/relays.ts';
import { collect, receive, Sockets, type TestServer } from '../../support/sockets.ts';
import { greetingOf } from '../../support/tls-greeting.ts';

let files: { readonly cert: string; readonly key: string };
beforeAll(() => {
  files = makeCertificate({ host: 'cache.test' });
});

describe.each(RELAY_KINDS)('a listener at which TLS ends, with a %s relay', (kind) => {
  let relay: TcpRelay;
  let sockets: Sockets;
  let upstream: TestServer;
  let clock: FakeClock;
  let listener: TcpListener;
  let port: number;
  let told: string[];
  let tracked: string[];
  let connects: number;
  let offer: OfferTls;

  beforeEach(async () => {
    relay = await createRelay(kind);
    sockets = new Sockets();
    upstream = await sockets.listen();
    clock = new FakeClock();
    [told, tracked, connects] = [[], [], 0];
    const context = createSecureContext(files);
    offer = () => ({ context });
    port = await freePort();
  });
  afterEach(async () => {
    listener.destroy();
    await expect.poll(() => listener.activeConnections).toBe(0);
    relay.close();
    await sockets.close();
    expect(clock.pending).toBe(0);
  });

  const open = async (overrides: Partial<TcpBinding> = {}) => {
    listener = new TcpListener({
      spec: aListener({ address: '127.0.0.1', port }),
      binding: {
        ...{ service: 'cache', targetPort: 6379, keepAliveMs: 60_000, tls: () => offer() },
        access: compileAccessList({ allowList: [], blockList: [] }),
        track: ({ endpoint }) => {
          tracked.push(endpoint);
          return () => tracked.push('ended');
        },
        connect: async () => {
          connects++;
          return { socket: await sockets.connect(upstream.port), release() {} };
        },
        ...overrides,
      },
      ...{ relay, clock, logger: createRecordingLogger(), onRefused: () => {}, onDrained: () => {} },
      onUnserved: (_client, { error }) => told.push((error as Error).message),
    });
    await listener.open();
  };
  // Below TLS, a socket that is reset may never say that it is closed: so it is not owned.
  const secure = async (socket?: Socket): Promise<TLSSocket> => {
    const raw = socket ?? connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const options = { socket: raw, servername: 'cache.test', ca: files.cert, allowHalfOpen: true };
    const client = connectTls(options);
    sockets.own(client);
    await once(client, 'secureConnect');
    return client;
  };
  const pair = async (): Promise<{ readonly client: TLSSocket; readonly far: Socket }> => {
    const index = upstream.sockets.length;
    const client = await secure();
    return { client, far: await upstream.socket(index) };
  };

  test('gives the service what was inside, and answers inside', async () => {
    await open();
    const { client, far } = await pair();
    far.pipe(far);
    const sent = Buffer.alloc(3_000_000, 'lazy');
    client.end(sent);
    expect((await text(client)).length).toBe(sent.length);
    await expect.poll(() => listener.activeConnections).toBe(0);
    expect(listener.readTotals()).toMatchObject({ accepted: 1, up: 3_000_000, down: 3_000_000 });
    expect(tracked).toEqual([expect.any(String), 'ended']);
  });

  test('passes the end of one direction on alone', async () => {
    await open();
    const { client, far } = await pair();
    far.resume();
    client.end('question');
    await once(far, 'end');
    far.end('answer');
    expect(await text(client)).toBe('answer');
  });

  test('ends the clients direction first where the service does so', async () => {
    await open();
    const { client, far } = await pair();
    const [got, late] = [collect(client), collect(far)];
    far.end('greeting');
    expect(String(await got)).toBe('greeting');
    client.end('late');
    expect(String(await late)).toBe('late');
  });

  test('resets the service where the client breaks off, and the client where the service does', async () => {
    await open();
    const raw = connect({ port, host: '127.0.0.1' });
    const first = { client: await secure(raw), far: await upstream.socket(0) };
    const broken = once(first.far, 'error');
    first.client.write('x');
    await once(first.far, 'data');
    raw.resetAndDestroy();
    expect(await broken).toMatchObject([{ code: 'ECONNRESET' }]);
    const second = await pair();
    second.client.write('x');
    await once(second.far, 'data');
    const gone = once(second.client.resume(), 'error');
    second.far.resetAndDestroy();
    expect(await gone).toMatchObject([{ code: 'ECONNRESET' }]);
    await expect.poll(() => listener.activeConnections).toBe(0);
  });

  test('wakes nothing for who speaks no TLS, or leaves during the handshake', async () => {
    await open();
    const plain = await sockets.connect(port);
    plain.write('GET / HTTP/1.1\r\n\r\n');
    await receive(plain);
    const scan = await sockets.connect(port);
    scan.end();
    await receive(scan);
    await expect.poll(() => listener.activeConnections).toBe(0);
    expect([connects, tracked, listener.readTotals().accepted]).toEqual([0, [], 0]);
    expect(listener.refusals).toMatchObject({ 'no-tls': expect.any(Number) });
    expect(told[0]).toBe('no TLS with it: it speaks plain HTTP');
  });

  test.each([
    ['before it begins', 0],
    ['within its greeting', 40],
    ['behind its greeting', undefined],
  ])('lets go at once of who ends %s to agree on TLS, also behind a PROXY header', async (_, length) => {
    const greeting = (await greetingOf('cache.test')).subarray(0, length);
    for (const header of ['', 'PROXY TCP4 203.0.113.9 198.51.100.1 4242 443\r\n']) {
      await open(header === '' ? {} : { proxies: { includes: () => true } });
      const raw = await sockets.connect(port);
      raw.resume().end(Buffer.concat([Buffer.from(header), greeting]));
      await expect.poll(() => raw.closed).toBe(true);
      await expect.poll(() => listener.activeConnections).toBe(0);
      listener.destroy();
    }
    expect(connects).toBe(0);
  });

  test('closes who takes too long for the handshake', async () => {
    await open();
    const slow = await sockets.connect(port);
    slow.write(Buffer.from([22, 3, 1]));
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(HANDSHAKE_MS);
    await receive(slow);
    expect(listener.refusals).toEqual({ 'no-tls': 1 });
    expect(connects).toBe(0);
  });

  test('bounds how many agree on TLS at a time', async () => {
    await open();
    const crowd = Array.from({ length: 520 }, () => connect({ port, host: '127.0.0.1' }));
    for (const socket of crowd) sockets.own(socket);
    await expect.poll(() => listener.refusals, { timeout: 5_000 }).toEqual({ handshakes: 8 });
    for (const socket of crowd) socket.destroy();
    await expect.poll(() => listener.activeConnections).toBe(0);
    const { client, far } = await pair();
    client.end('in');
    expect(await text(far)).toBe('in');
    far.end();
  });

  test('closes a client rather than serve it without a certificate', async () => {
    offer = () => undefined;
    await open();
    const client = await sockets.connect(port);
    await receive(client);
    expect([connects, listener.refusals]).toEqual([0, { 'no-certificate': 1 }]);
  });

  test('uses another certificate for the next client, and goes on with those that are there', async () => {
    await open();
    const before = await pair();
    files = makeCertificate({ host: 'cache.test' });
    const context = createSecureContext(files);
    offer = () => ({ context });
    const after = await pair();
    expect(after.client.getPeerX509Certificate()?.fingerprint256).not.toBe(
      before.client.getPeerX509Certificate()?.fingerprint256,
    );
    before.client.end('still there');
    expect(await text(before.far)).toBe('still there');
    for (const { far } of [before, after]) far.end();
  });

  test('gives a client the certificate of the name that it asks for, and the other one where it asks for none', async () => {
    const named = createSecureContext(makeCertificate({ host: 'nas.test' }));
    const context = createSecureContext(files);
    offer = () => ({ context, find: async (name) => (name === 'nas.test' ? named : undefined) });
    await open();
    const namesOf = async (servername?: string) => {
      const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
      const client = connectTls({ ...options, ...(servername !== undefined && { servername }) });
      sockets.own(client);
      await once(client, 'secureConnect');
      client.end();
      return client.getPeerX509Certificate()?.subjectAltName;
    };
    expect(await namesOf('NAS.test.')).toBe('DNS:nas.test');
    for (const name of ['other.test', undefined]) expect(await namesOf(name)).toBe('DNS:cache.test');
  });

  test('ends a connection on which TLS is broken later', async () => {
    await open();
    const raw = connect({ port, host: '127.0.0.1' });
    sockets.own(raw);
    const client = await secure(raw);
    const far = await upstream.socket(0);
    // It is reset, as the client is.
    for (const socket of [raw, client, far.resume()]) socket.on('error', () => {});
    raw.write('this is no record');
    await expect.poll(() => far.destroyed).toBe(true);
    await expect.poll(() => listener.activeConnections).toBe(0);
  });

  test('reads the header of a proxy in front before TLS, and writes one before what was inside', async () => {
    await open({ proxies: { includes: () => true }, proxyProtocol: 'v1' });
    const raw = await sockets.connect(port);
    raw.write(
      writeProxyHeader('v2', {
        source: { host: '203.0.113.7', port: 4242 },
        destination: { host: '198.51.100.2', port: 443 },
        protocol: 'tcp',
      }),
    );
    const client = await secure(raw);
    client.end('hello');
    const far = await upstream.socket(0);
    expect(await text(far)).toBe('PROXY TCP4 203.0.113.7 198.51.100.2 4242 443\r\nhello');
    expect(tracked[0]).toBe('203.0.113.7:4242');
    far.end();
  });

  test('lets in clients that have no more to say when they are let in, with wake_on: data', async () => {
    await open({ wakeOn: 'data', refusal: () => undefined });
    const { client, far } = await pair();
    client.end('first');
    expect(await text(far)).toBe('first');
    far.end();
  });

  test('ends the handshakes under way when it is closed', async () => {
    await open();
    const client = await sockets.connect(port);
    await expect.poll(() => listener.activeConnections).toBe(1);
    listener.close();
    await receive(client);
    expect(listener.activeConnections).toBe(0);
  });

  test('serves openssl s_client', async () => {
    await open();
    void upstream.socket(0).then((far) => far.pipe(far));
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'cache.test', '-quiet'];
    const child = spawn('openssl', [...args, '-no_ign_eof'], { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.write('ping\n');
    const [answer] = await once(child.stdout, 'data');
    child.stdin.end();
    expect(String(answer)).toBe('ping\n');
    await once(child, 'close');
    await expect.poll(() => listener.activeConnections).toBe(0);
  });

  test('refuses what is older than TLS 1.2', async () => {
    await open();
    const args = ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'];
    const failed = await new Promise((resolve) => {
      execFile('openssl', args, (error) => resolve(error !== null)).stdin?.end();
    });
    expect([failed, connects]).toEqual([true, 0]);
  });
});
