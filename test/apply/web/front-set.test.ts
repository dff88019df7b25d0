import { EventEmitter, once } from 'node:events';
import { request } from 'node:http';
import { request as requestTls } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { connect as connectTls, createSecureContext, createServer as createTls } from 'node:tls';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bindWeb } from '../../../src/apply/web/bind-web.ts';
import { createPassListener } from '../../../src/apply/service-listener.ts';
import { FrontSet } from '../../../src/apply/web/front-set.ts';
import type { Service } from '../../../src/model/service.ts';
import { DEFAULT_REST } from '../../../src/model/running/sleep.ts';
import { DEFAULT_FRONT_POLICY, type FrontDoor, NO_WEB } from '../../../src/model/web.ts';
import { openWeb, type Web } from '../../../src/relay/http/open-web.ts';
import { compileAddressSet } from '../../../src/relay/access/access-list.ts';
import { UdpBudget } from '../../../src/relay/udp/udp-budget.ts';
import { LogLimiter } from '../../../src/system/log/log-limiter.ts';
import { createStreamRelay } from '../../../src/relay/tcp/stream-relay.ts';
import type { Certificates } from '../../../src/relay/tls/certificates.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { Bench } from '../../lifecycle/bench.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { aService } from '../../support/builders.ts';
import { RUNNING } from '../../support/fake-backend.ts';
import { settle } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-ports.ts';

describe('FrontSet', () => {
  let bench: Bench;
  let web: Web;
  let fronts: FrontSet;
  let front: FrontDoor;
  let served: Record<string, boolean>;
  let isTrusted: boolean;
  let certificates: Pick<Certificates, 'ofFront' | 'covers' | 'follow'>;

  beforeEach(async () => {
    bench = new Bench();
    served = {};
    isTrusted = false;
    const { clock, lifecycle } = bench;
    const relay = createStreamRelay();
    web = openWeb({
      ...{ clock, relay, tune: relay.tune, join: relay.join, isTrusted: () => isTrusted },
      ...{ onRefused: () => {}, onUnserved: () => {}, onBadTheme: () => {}, onBadCertificate: () => {} },
    });
    fronts = new FrontSet({
      ...{ loadWeb: async () => web, clock, logger: silentLogger },
      loadCertificates: async () => certificates as unknown as Certificates,
      bind: (service) => bindWeb(service, { lifecycle }),
      createPass: (spec, service, onDrained) =>
        createPassListener(spec, {
          ...{ relay, clock, lifecycle, service, onDrained, logger: silentLogger },
          ...{ trustedProxies: compileAddressSet([]), trackerOf: () => undefined },
          ...{
            limiter: new LogLimiter(clock, 1_000),
            udpBudget: new UdpBudget({ maxQueuedBytes: 1_000_000, descriptors: undefined }),
          },
        }),
      onServed: (name, { isServed }) => {
        served[name] = isServed;
      },
    });
    front = { address: '127.0.0.1', port: await freePort(), tls: false };
  });
  afterEach(async () => {
    fronts.destroy();
    web.close();
    expect(await bench.close()).toBe(0);
  });

  /** A service whose server answers with its name. */
  const start = async (name: string, hosts: readonly string[]): Promise<Service> => {
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\nConnection: close\r\n\r\n${name}`;
    const { port } = await bench.sockets.listen((socket) => {
      socket.once('data', () => socket.end(answer));
    });
    const service = aService({ name, listeners: [], web: { ...NO_WEB, hosts, port } });
    bench.add(service, RUNNING);
    return service;
  };
  const ask = (host: string) =>
    new Promise<string>((resolve, reject) => {
      const options = { port: front.port, host: '127.0.0.1', headers: { host }, agent: false } as const;
      request(options, (answer) => {
        text(answer).then((body) => resolve(`${answer.statusCode} ${body.split('\n')[0]}`), reject);
      })
        .on('error', reject)
        .end();
    });
  const open = async () => {
    fronts.open(front);
    await fronts.settled();
  };

  test('tells by which hosts it leads to a service, and how', async () => {
    const service = await start('wiki', ['wiki.home.arpa']);
    const passed = { ...service, web: { ...service.web, tlsHosts: ['git.home.arpa'] } };
    const secure = { ...front, port: await freePort(), tls: true };
    for (const door of [front, secure]) fronts.open(door);
    fronts.setRoutes(passed);
    const spec = { protocol: 'tcp', address: '127.0.0.1', targetPort: 80 } as const;
    const at = ({ port }: FrontDoor) => fronts.webAt({ ...spec, port }, passed);
    expect(at(front)).toEqual({ scheme: 'http', hosts: ['wiki.home.arpa'] });
    expect(at(secure)).toEqual({ scheme: 'https', hosts: ['wiki.home.arpa', 'git.home.arpa'] });
    expect(fronts.webAt({ ...spec, port: 1 }, passed)).toBeUndefined();
  });

  test('leads each host to its service, and says that it is served', async () => {
    const [wiki, blog] = [await start('wiki', ['wiki.lan']), await start('blog', ['*.lan'])];
    fronts.setRoutes(wiki);
    expect(served).toEqual({ wiki: false });
    await open();
    fronts.setRoutes(blog);
    expect(served).toEqual({ wiki: true, blog: true });
    expect(await Promise.all(['wiki.lan', 'a.lan', 'lan'].map(ask))).toEqual([
      ...['200 wiki', '200 blog', '404 404 Not Found'],
    ]);
    const [spec] = fronts.specsOf(wiki);
    expect(spec).toMatchObject({ port: front.port, targetPort: wiki.web.port, mode: 'http' });
    if (spec !== undefined) expect(fronts.readTotals(spec, wiki)).toMatchObject({ accepted: 1, down: 4 });
  });

  test('ends a request that carries nothing, where idle connections do not keep a service awake', async () => {
    const requests = new EventEmitter();
    const { port } = await bench.sockets.listen((socket) => socket.on('data', () => requests.emit('one')));
    const service = aService({
      ...{ name: 'wiki', listeners: [], rest: { ...DEFAULT_REST, idleWhen: 'no_traffic' } },
      web: { ...NO_WEB, hosts: ['wiki.lan'], port },
    });
    bench.backend.automate({ clock: bench.clock, wakeMs: 20, sleepMs: 300 });
    const controller = bench.add(service, RUNNING);
    fronts.setRoutes(service);
    await open();
    const asked = once(requests, 'one');
    const answer = ask('wiki.lan').catch((error: Error) => error.message);
    await asked;
    // One look that finds the request, and one that finds that it has carried nothing since.
    await bench.clock.advance(2 * service.idleTimeoutMs);
    expect(await answer).toBe('socket hang up');
    await bench.clock.advance(300);
    expect(controller.state.kind).toBe('stopped');
  });

  test('passes TLS for tls_hosts through undecrypted, and all else is served there', async () => {
    const [own, other] = ['git.lan', 'front.lan'].map((host) => makeCertificate({ host }));
    if (own === undefined || other === undefined) throw new Error('there are no certificates');
    const server = createTls({ ...own, ALPNProtocols: ['h2'] }, (socket) => socket.end('from git'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const git = aService({
      ...{ name: 'git', listeners: [] },
      web: { ...NO_WEB, tlsHosts: ['git.lan', '*.git.lan'], httpsPort: port },
    });
    bench.add(git, RUNNING);
    front = { ...front, tls: true };
    fronts.setRoutes(git);
    const front443 = createSecureContext(other);
    certificates = {
      ofFront: (hostsAt) => ({
        context: createSecureContext(),
        find: (host) => (hostsAt(host)?.includes('front.lan') ? front443 : undefined),
      }),
      covers: (host) => host === 'front.lan',
      follow: () => {},
    };
    fronts.setRoutes(await start('wiki', ['front.lan']));
    await open();
    expect(served).toEqual({ git: true, wiki: true });
    const greet = async (servername: string) => {
      const options = { port: front.port, host: '127.0.0.1', servername, rejectUnauthorized: false };
      const socket = connectTls(options);
      const failed = once(socket, 'error').then(([error]) => String(error));
      failed.catch(() => {});
      return Promise.race([failed, text(socket)]);
    };
    expect(await greet('git.lan')).toBe('from git');
    expect(await greet('a.git.lan')).toBe('from git');
    const answer = await new Promise<string>((resolve, reject) => {
      const options = { port: front.port, host: '127.0.0.1', servername: 'front.lan', agent: false };
      const headers = { host: 'front.lan' };
      requestTls({ ...options, headers, rejectUnauthorized: false }, (got) => resolve(text(got)))
        .on('error', reject)
        .end();
    });
    expect(answer).toBe('wiki');
    for (const name of ['stranger.lan', '']) expect(await greet(name)).toMatch(/Error/);
    const [spec] = fronts.specsOf(git);
    if (spec === undefined) throw new Error('there is no front door');
    expect(spec).toMatchObject({ port: front.port, targetPort: port });
    await expect
      .poll(() => fronts.readTotals(spec, git))
      .toMatchObject({ accepted: 2, down: expect.any(Number) });
    await expect.poll(() => fronts.status(spec, git).activeConnections).toBe(0);
    fronts.clearRoutes(git);
    expect(await greet('git.lan')).toMatch(/Error/);
    server.close();
  });

  test('takes each client from a PROXY header, and tells services of it that get their connections as they are', async () => {
    isTrusted = true;
    const told: string[] = [];
    const { port } = await bench.sockets.listen((socket) =>
      socket.once('data', (data: Buffer) => {
        told.push(data.toString('latin1').split('\r\n', 1)[0] ?? '');
        socket.end();
      }),
    );
    const git = aService({
      ...{ name: 'git', listeners: [], proxyProtocol: 'v1', blockList: ['203.0.113.8'] },
      web: { ...NO_WEB, tlsHosts: ['git.lan'], httpsPort: port },
    });
    bench.add(git, RUNNING);
    fronts.setPolicy({ ...DEFAULT_FRONT_POLICY, acceptProxyProtocol: true });
    fronts.setRoutes(git);
    const context = createSecureContext(makeCertificate({ host: 'front.lan' }));
    certificates = {
      ofFront: () => ({ context, find: () => context }),
      ...{ covers: () => true, follow: () => {} },
    };
    fronts.setRoutes(await start('wiki', ['front.lan']));
    front = { ...front, tls: true };
    await open();
    const begin = async (host: string) => {
      const socket = await bench.sockets.connect(front.port);
      socket.write(`PROXY TCP4 ${host} 198.51.100.1 4242 443\r\n`);
      return socket;
    };
    const greet = async (host: string) => {
      const raw = await begin(host);
      connectTls({ socket: raw, servername: 'git.lan' }).on('error', () => {});
      await once(raw, 'close');
    };
    await greet('203.0.113.9');
    await greet('203.0.113.8');
    expect(told).toEqual(['PROXY TCP4 203.0.113.9 198.51.100.1 4242 443']);
    const [spec] = fronts.specsOf(git);
    expect(spec && fronts.status(spec, git).blocked).toBe(1);
    const inside = connectTls({
      ...{ socket: await begin('203.0.113.9'), servername: 'front.lan', rejectUnauthorized: false },
    });
    inside.write('GET / HTTP/1.1\r\nHost: front.lan\r\nConnection: close\r\n\r\n');
    expect(await text(inside)).toMatch(/wiki$/);
    isTrusted = false;
    expect(await text(await begin('203.0.113.9'))).toBe('');
    const refused = { 'untrusted-proxy': 1 };
    expect(fronts.list()).toMatchObject([{ front, condition: 'bound', error: undefined, refused }]);
    await fronts.drain();
  });

  test('sends plain HTTP to HTTPS where the host has a certificate, while a door for that is bound', async () => {
    const context = createSecureContext(makeCertificate({ host: 'wiki.lan' }));
    const covers = (host: string) => host === 'wiki.lan';
    certificates = { ofFront: () => ({ context }), covers, follow: () => {} };
    fronts.setPolicy({ ...DEFAULT_FRONT_POLICY, redirect: true });
    fronts.setRoutes(await start('wiki', ['wiki.lan']));
    fronts.setRoutes(await start('blog', ['blog.lan']));
    await open();
    expect(await ask('wiki.lan')).toBe('200 wiki');
    const secure: FrontDoor = { ...front, port: await freePort(), tls: true };
    fronts.open(secure);
    await fronts.settled();
    const options = {
      ...{ port: front.port, host: '127.0.0.1', agent: false },
      headers: { host: 'wiki.lan' },
    };
    const [answer] = await once(request({ ...options, path: '/a?b=c', method: 'PUT' }).end(), 'response');
    answer.resume();
    const location = `https://wiki.lan:${secure.port}/a?b=c`;
    expect(answer).toMatchObject({ statusCode: 308, headers: { location } });
    expect(await ask('blog.lan')).toBe('200 blog');
    fronts.close(secure);
    expect(await ask('wiki.lan')).toBe('200 wiki');
  });

  test('moves a host to another service, whichever change comes first', async () => {
    const [wiki, blog] = [await start('wiki', ['wiki.lan']), await start('blog', ['wiki.lan'])];
    fronts.setRoutes(wiki);
    await open();
    fronts.setRoutes(blog);
    fronts.clearRoutes(wiki);
    expect(await ask('wiki.lan')).toBe('200 blog');
    expect(served).toEqual({ wiki: false, blog: true });
    fronts.setRoutes({ ...blog, web: { ...blog.web, hosts: ['blog.lan'] } });
    expect(await ask('wiki.lan')).toMatch(/^404/);
    expect(await ask('blog.lan')).toBe('200 blog');
  });

  test('tells why it is not bound, and tries again until it is', async () => {
    const wiki = await start('wiki', ['wiki.lan']);
    const other = createServer().listen(front.port, front.address);
    await once(other, 'listening');
    fronts.setRoutes(wiki);
    await open();
    const [spec] = fronts.specsOf(wiki);
    if (spec === undefined) throw new Error('there is no front door');
    expect(fronts.status(spec, wiki)).toMatchObject({ condition: 'failed', error: expect.any(String) });
    expect(served).toEqual({ wiki: false });
    other.close();
    await once(other, 'close');
    await bench.clock.advance(5_000);
    while (fronts.status(spec, wiki).condition !== 'bound') await settle();
    expect(served).toEqual({ wiki: true });
    expect(await ask('wiki.lan')).toBe('200 wiki');
  });

  test('gives the port back when it is closed, and nobody is served then', async () => {
    const wiki = await start('wiki', ['wiki.lan']);
    fronts.setRoutes(wiki);
    await open();
    fronts.close(front);
    expect(served).toEqual({ wiki: false });
    await fronts.drain();
    await expect(ask('wiki.lan')).rejects.toThrow('ECONNREFUSED');
  });
});
