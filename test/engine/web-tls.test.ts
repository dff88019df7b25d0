/** Containers behind front doors with TLS: what wakes them, what is held through, and certificates that are replaced meanwhile. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { expect, onTestFinished, test } from 'vitest';
import { makeCertificate } from '../support/certificates.ts';
import { freePorts } from '../support/free-ports.ts';
import { nodeImage } from './support/image.ts';
import { nginxImage, whyNoStandIns } from './support/stand-ins.ts';
import { openTestBed } from './support/test-bed.ts';

/** Answers with what it got, and how many requests before; echoes on a WebSocket's connection; drips until it is told to end. */
const APP = `
const { createHash } = require('node:crypto');
const dripping = new Set();
let posts = 0;
const server = require('node:http').createServer((request, response) => {
  if (request.url === '/drip') return void dripping.add(response.on('close', () => dripping.delete(response)));
  if (request.url === '/drip/end') {
    for (const each of dripping) each.end('end');
    return response.end(String(dripping.size));
  }
  const hash = createHash('sha256');
  request.on('data', (chunk) => hash.update(chunk)).on('end', () => {
    if (request.method === 'POST') posts++;
    response.end(JSON.stringify({ sha256: hash.digest('hex'), posts, url: request.url }));
  });
});
setInterval(() => { for (const each of dripping) each.write('drop '); }, 20);
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n');
  socket.on('error', () => {}).pipe(socket);
});
process.on('SIGTERM', () => process.exit(0));
setTimeout(() => server.listen(80), Number(process.env.DELAY_MS || 0));
`;

const closeOf = (socket: Socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()));

test('a scan wakes nothing, a POST arrives once, a WebSocket is held through, and certificates change under a download', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'lazy-proxy-web-tls-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const files = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
  /** As most programs do that get new ones. */
  const replaceCertificate = async () => {
    const made = makeCertificate({ host: 'web.test' });
    for (const kind of ['key', 'cert'] as const) {
      await writeFile(`${files[kind]}.new`, made[kind]);
      await rename(`${files[kind]}.new`, files[kind]);
    }
  };
  await replaceCertificate();
  const bed = await openTestBed();
  const [plain = 0, secure = 0] = await freePorts(2);
  const [web, guarded, git] = ['web', 'guarded', 'git'].map((name) => bed.scope.name(name)) as [
    string,
    string,
    string,
  ];
  const app = { image: await nodeImage(), cmd: ['node', '-e', APP] };
  await bed.scope.createContainer({ ...app, name: web, env: { DELAY_MS: '700' } });
  await bed.scope.createContainer({ ...app, name: guarded });
  const services: Record<string, object> = {
    web: { container: web, hosts: ['web.test'], http_port: 80, idle_timeout: '1s' },
    guarded: {
      container: guarded,
      hosts: ['guarded.test'],
      http_port: 80,
      api_key: ['k1'],
      idle_timeout: '1s',
    },
  };
  const hasNginx = whyNoStandIns() === undefined;
  if (hasNginx) {
    const own = makeCertificate({ host: 'git.test' });
    for (const kind of ['key', 'cert'] as const)
      await writeFile(path.join(folder, `git-${kind}.pem`), own[kind]);
    const server =
      'listen 8443 ssl; ssl_certificate /tls/git-cert.pem; ssl_certificate_key /tls/git-key.pem; location / { return 200 "git $ssl_protocol"; }';
    await bed.scope.createContainer({
      ...{
        name: git,
        image: await nginxImage(server),
        cmd: ['nginx', '-g', 'daemon off;'],
        binds: [`${folder}:/tls:ro`],
      },
    });
    services['git'] = { container: git, tls_hosts: ['git.test'], https_port: 8443 };
  }
  await bed.startProxy({
    config: JSON.stringify({
      http: { listen: `127.0.0.1:${plain}`, https: `127.0.0.1:${secure}`, certificates: [files] },
      services,
    }),
  });
  const greet = (servername: string) =>
    connectTls({ port: secure, host: '127.0.0.1', servername, rejectUnauthorized: false });
  const ask = (options: RequestOptions) =>
    request({
      ...{ port: secure, host: '127.0.0.1', servername: 'web.test', rejectUnauthorized: false, agent: false },
      ...{ ...options, headers: { host: 'web.test', ...options.headers } },
    });
  const answerTo = async (options: RequestOptions): Promise<IncomingMessage> => {
    const [answer] = await once(ask(options).end(), 'response');
    return answer;
  };

  // What scanners send.
  const scans = [
    ...[
      '',
      'GET / HTTP/1.0\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n',
      `\0\x01${'\xff'.repeat(600)}`,
    ],
    ...[
      'SSH-2.0-x\r\n',
      'CONNECT web.test:80 HTTP/1.1\r\nHost: web.test\r\n\r\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ],
    'GET / HTTP/1.1\r\nHost: guarded.test\r\n\r\n',
  ];
  const ends = [plain, secure].flatMap((port) =>
    scans.map(async (bytes) => {
      const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
      socket.resume().end(bytes, 'latin1');
      await closeOf(socket);
    }),
  );
  for (const servername of ['', 'stranger.test', 'guarded.test']) {
    const socket = greet(servername).on('error', () => {});
    ends.push(closeOf(socket));
  }
  await Promise.all(ends);
  expect([web, guarded, git].flatMap((name) => bed.events.of(name, 'start'))).toEqual([]);

  // In chunks, only when it is asked for, and while the service starts.
  const body = randomBytes(2_000_000);
  const post = ask({
    method: 'POST',
    path: '/form',
    headers: { expect: '100-continue', 'transfer-encoding': 'chunked' },
  });
  post.flushHeaders();
  await once(post, 'continue');
  post.write(body.subarray(0, 1_000_000));
  post.end(body.subarray(1_000_000));
  const [posted] = (await once(post, 'response')) as [IncomingMessage];
  const sha256 = createHash('sha256').update(body).digest('hex');
  expect(JSON.parse(await text(posted))).toEqual({ sha256, posts: 1, url: '/form' });

  // A WebSocket outlives the idle time; the other service's wake and sleep are the clock.
  const upgrade = ask({ headers: { connection: 'Upgrade', upgrade: 'websocket' } }).end();
  const [, socket] = (await once(upgrade, 'upgrade')) as [IncomingMessage, TLSSocket];
  const slept = bed.events.waitFor(guarded, 'die');
  const served = await new Promise<number>((resolve, reject) => {
    const headers = { host: 'guarded.test', 'x-api-key': 'k1' };
    ask({ headers })
      .on('response', (answer) => resolve(answer.resume().statusCode ?? 0))
      .on('error', reject)
      .end();
  });
  expect(served).toBe(200);
  await slept;
  socket.write('still there');
  expect(String((await once(socket, 'data'))[0])).toBe('still there');
  expect(bed.events.of(web, 'die')).toEqual([]);

  // A download goes on, and whoever comes a second later gets the new certificate.
  const download = await answerTo({ path: '/drip' });
  socket.destroy();
  const printOf = async () => {
    const client = greet('web.test');
    await once(client, 'secureConnect');
    const { fingerprint256 } = client.getPeerCertificate();
    client.destroy();
    return fingerprint256;
  };
  const before = await printOf();
  await replaceCertificate();
  await expect.poll(printOf, { timeout: 1_000, interval: 50 }).not.toBe(before);
  await answerTo({ path: '/drip/end' }).then((answer) => answer.resume());
  expect(await text(download)).toMatch(/^(drop )+end$/);
  await bed.events.waitFor(web, 'die');

  if (!hasNginx) return;
  const client = greet('git.test');
  await once(client, 'secureConnect');
  expect(client.getPeerCertificate().subject.CN).toBe('git.test');
  client.write('GET / HTTP/1.0\r\n\r\n');
  expect(await text(client)).toMatch(/git TLSv1\.[23]$/);
  await bed.events.exactly(git, 'start', 1);
});
