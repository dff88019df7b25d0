import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { connect, createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { MadeCertificates } from '../../../../src/relay/tls/authority/made-certificates.ts';
import {
  makeAuthority,
  makeKey,
  makeLeaf,
  readConstraints,
} from '../../../../src/relay/tls/authority/make-certificate.ts';
import { systemClock } from '../../../../src/system/clock.ts';
import { silentLogger } from '../../../../src/system/log/logger.ts';
import { StateFolder } from '../../../../src/system/state/state-folder.ts';
import { formatAuthority, parseAuthority } from '../../../../src/system/tls/authority-pem.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

const DAY_MS = 86_400_000;
const run = promisify(execFile);

interface Bed {
  readonly made: MadeCertificates;
  readonly clock: FakeClock;
  readonly told: readonly string[];
  readonly dir: string;
  /** What devices have to trust of the authority that is kept. */
  kept(): Promise<string>;
}

async function makePlace(): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'authority-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** What a start of the proxy does. */
async function start(
  dir: string,
  domains: readonly string[],
  { nowMs = systemClock.nowMs() } = {},
): Promise<Bed> {
  const state = await StateFolder.open(dir, { isNamed: true, clock: systemClock, logger: silentLogger });
  onTestFinished(() => state.close());
  const [clock, told] = [new FakeClock(), [] as string[]];
  clock.jump(nowMs - clock.nowMs());
  const tell = ({ severity, message }: { readonly severity: string; readonly message: string }) =>
    told.push(`${severity} ${message}`);
  const made = new MadeCertificates({ clock, state, tell });
  await made.setDomains(domains);
  // As the end of the proxy does.
  await state.close();
  const kept = async () => rootOf(await readFile(path.join(dir, 'authority.pem'), 'utf8'));
  return { made, clock, told, dir, kept };
}

function rootOf(text: string): string {
  const read = parseAuthority(text);
  if (typeof read === 'string') throw new Error(read);
  return String(read.root);
}

/** Who a TLS client that trusts `ca` finds there; why it leaves, otherwise. */
async function greet(
  context: SecureContext | undefined,
  { servername, ca }: { readonly servername: string; readonly ca: string },
): Promise<X509Certificate | string> {
  const server = createServer({ SNICallback: (_name, done) => done(null, context) });
  server
    .on('secureConnection', (socket: TLSSocket) => socket.on('error', () => {}))
    .on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({ port, host: '127.0.0.1', servername, ca });
  try {
    await once(client, 'secureConnect');
    return client.getPeerX509Certificate() ?? 'none';
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `${code}: ${message}`;
  } finally {
    client.destroy();
    server.close();
  }
}

let outside: X509Certificate;
let authority: ReturnType<typeof makeAuthority>;
beforeAll(() => {
  const nowMs = systemClock.nowMs();
  authority = makeAuthority({ domains: ['home.arpa'], nowMs });
  outside = makeLeaf({ names: ['bank.example'], key: makeKey(), issuer: authority, nowMs });
});

test('an authority vouches for what is in its domains, to openssl and to Node', async () => {
  const { made, kept, dir, told } = await start(await makePlace(), ['home.arpa', 'lan']);
  const ca = await kept();
  await writeFile(path.join(dir, 'ca.pem'), ca);
  for (const servername of ['wiki.home.arpa', 'home.arpa', 'a_b.c.lan', 'xn--bcher-kva.lan']) {
    const leaf = await greet(made.ofHost(servername), { servername, ca });
    if (typeof leaf === 'string') throw new Error(`${servername}: ${leaf}`);
    expect(leaf.subjectAltName).toBe(`DNS:${servername}`);
    await writeFile(path.join(dir, 'leaf.pem'), String(leaf));
    const args = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', servername];
    const files = ['-CAfile', 'ca.pem', '-untrusted', 'authority.pem', 'leaf.pem'];
    expect((await run('openssl', ['verify', ...args, ...files], { cwd: dir })).stdout).toMatch(/: OK\n$/);
    const days = (Date.parse(leaf.validTo) - Date.parse(leaf.validFrom)) / DAY_MS;
    expect(days).toBeGreaterThan(30);
    expect(days).toBeLessThan(397);
  }
  expect(told).toEqual([
    `info made a certificate authority for home.arpa, lan; devices have to trust its certificate, which "lazy-proxy ca" prints`,
  ]);
});

test('an authority is refused by openssl and by Node for what is outside of its domains', async () => {
  const dir = await makePlace();
  await writeFile(path.join(dir, 'ca.pem'), String(authority.root));
  await writeFile(path.join(dir, 'issuer.pem'), String(authority.cert));
  await writeFile(path.join(dir, 'leaf.pem'), String(outside));
  const args = [
    'verify',
    '-verify_hostname',
    'bank.example',
    '-CAfile',
    'ca.pem',
    '-untrusted',
    'issuer.pem',
  ];
  const verifying = run('openssl', [...args, 'leaf.pem'], { cwd: dir });
  await expect(verifying).rejects.toThrow(/permitted subtree violation/);
  const key = makeKey();
  const nowMs = systemClock.nowMs();
  const contextOf = (names: readonly string[]) => {
    const cert = `${makeLeaf({ names, key, issuer: authority, nowMs })}${authority.cert}`;
    return createSecureContext({ cert, key: key.export({ type: 'pkcs8', format: 'pem' }) });
  };
  const ca = String(authority.root);
  for (const servername of ['bank.example', 'myhome.arpa', 'arpa'])
    expect(await greet(contextOf([servername]), { servername, ca })).toMatch(/permitted subtree violation/);
  expect(await greet(contextOf(['a.home.arpa']), { servername: 'a.home.arpa', ca })).toBeInstanceOf(
    X509Certificate,
  );
});

test('no certificate is made for what is outside of the domains, or is no name', async () => {
  const { made } = await start(await makePlace(), ['home.arpa']);
  const names = ['bank.example', 'home.arpa.example', 'myhome.arpa', 'arpa', '', '127.0.0.1'];
  const wrong = [
    'a\0.home.arpa',
    '.home.arpa',
    'a..home.arpa',
    'a b.home.arpa',
    `${'a'.repeat(64)}.home.arpa`,
  ];
  const long = `${'a.'.repeat(125)}home.arpa`;
  for (const name of [...names, ...wrong, long]) expect(made.ofHost(name), name).toBeUndefined();
});

test('an authority stays the same from start to start, and the certificates it has made stay good', async () => {
  const first = await start(await makePlace(), ['home.arpa']);
  const ca = await first.kept();
  const { mode } = await stat(path.join(first.dir, 'authority.pem'));
  expect(mode & 0o777).toBe(0o600);
  const second = await start(first.dir, ['home.arpa']);
  expect(await second.kept()).toBe(ca);
  expect(second.told).toEqual([]);
  const servername = 'wiki.home.arpa';
  for (const { made } of [first, second])
    expect(await greet(made.ofHost(servername), { servername, ca })).toBeInstanceOf(X509Certificate);
});

test('another domain needs another authority, and the one from before is put aside', async () => {
  const first = await start(await makePlace(), ['home.arpa', 'lan']);
  const ca = await first.kept();
  const fewer = await start(first.dir, ['home.arpa']);
  expect(fewer.told).toEqual([
    'warning the certificate authority may still vouch for lan: where devices should no longer trust it for that, remove authority.pem in state_dir, and have another one made',
  ]);
  // What is below a domain is in it.
  expect((await start(first.dir, ['nas.home.arpa'])).told.join()).toContain(
    'may still vouch for home.arpa, lan',
  );
  expect(await fewer.kept()).toBe(ca);
  const more = await start(first.dir, ['home.arpa', 'internal']);
  expect(more.told).toEqual([
    `warning made a new certificate authority for home.arpa, internal because the one from before can't vouch for internal; what was there is authority.pem.old now; devices have to trust its certificate, which "lazy-proxy ca" prints`,
  ]);
  expect(await more.kept()).not.toBe(ca);
  const old = path.join(first.dir, 'authority.pem.old');
  expect(rootOf(await readFile(old, 'utf8'))).toBe(ca);
  expect((await stat(old)).mode & 0o777).toBe(0o600);
});

test('an authority that has ended is replaced, and one that begins later is not: the clock is wrong', async () => {
  const first = await start(await makePlace(), ['lan']);
  const ca = await first.kept();
  const nowMs = systemClock.nowMs();
  expect((await start(first.dir, ['lan'], { nowMs: nowMs - 3_000 * DAY_MS })).told).toEqual([]);
  const late = await start(first.dir, ['lan'], { nowMs: nowMs + 3_651 * DAY_MS });
  expect(late.told.join()).toContain(
    'made a new certificate authority for lan because the one from before ended on',
  );
  expect(await late.kept()).not.toBe(ca);
});

test('a long life of the proxy renews certificates in time, and the authority, too', async () => {
  const { made, clock } = await start(await makePlace(), ['lan']);
  const first = made.ofHost('a.lan');
  expect(made.ofHost('a.lan')).toBe(first);
  await clock.advance(59 * DAY_MS);
  expect(made.ofHost('a.lan')).toBe(first);
  await clock.advance(2 * DAY_MS);
  expect(made.ofHost('a.lan')).not.toBe(first);
  expect(made.isFor(['lan'])).toBe(true);
  expect(made.findFaults()).toEqual([]);
  await clock.advance(3_580 * DAY_MS);
  expect(made.findFaults()).toEqual([
    {
      severity: 'warning',
      message: expect.stringMatching(/authority for lan: the certificate expires soon/),
    },
  ]);
  await clock.advance(20 * DAY_MS);
  expect(made.isFor(['lan'])).toBe(false);
});

test('names that clients invent push out each other, and cost nothing that lasts, and little at a time', async () => {
  const { made, clock } = await start(await makePlace(), ['lan']);
  const known = made.ofHost('wiki.lan');
  const invent = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => made.ofInventedHost(`x${from + index}.lan`));
  const first = invent(0, 64);
  expect(first).not.toContain(undefined);
  // From now on one is made each 100 ms, and those that were made are there.
  expect(invent(64, 10)).toEqual(Array.from({ length: 10 }, () => undefined));
  expect(invent(0, 64)).toEqual(first);
  await clock.advance(100);
  expect(invent(64, 2).map((context) => context !== undefined)).toEqual([true, false]);
  await clock.advance(6_400);
  expect(invent(65, 70).filter((context) => context !== undefined)).toHaveLength(64);
  expect(made.ofInventedHost('x0.lan')).toBeUndefined();
  // What the configuration has is not in their way.
  expect(made.ofHost('wiki.lan')).toBe(known);
  expect(made.ofHost('blog.lan')).toBeDefined();
});

test('names outside of the domains stand in a certificate that nobody vouches for, and only alone', async () => {
  const { made, kept } = await start(await makePlace(), ['lan']);
  const ca = await kept();
  const issued = await greet(made.ofNames(['cache.lan', 'cache', 'lan', 'localhost', 'Ns/x']), {
    servername: 'lan',
    ca,
  });
  expect(issued).toMatchObject({ subjectAltName: 'DNS:cache.lan, DNS:lan' });
  const alone = made.ofNames(['cache', 'localhost', 'Ns/x']);
  expect(await greet(alone, { servername: 'cache', ca })).toMatch(/^DEPTH_ZERO_SELF_SIGNED_CERT/);
});

const BROKEN: readonly (readonly [string, (file: string) => Promise<unknown>])[] = [
  ['a folder', (file) => mkdir(path.join(file, 'sub'), { recursive: true })],
  ['a pipe that nobody writes into', (file) => run('mkfifo', [file])],
  ['an empty file', (file) => writeFile(file, '')],
  ['a large file', (file) => writeFile(file, 'x'.repeat(100_000))],
  ['a file of something else', (file) => writeFile(file, Buffer.alloc(4_096, 0xff))],
  [
    'another key',
    async (file) => {
      const key = makeKey().export({ type: 'pkcs8', format: 'pem' });
      await writeFile(file, `${key}${authority.cert}${authority.root}`);
    },
  ],
  [
    'the certificate of a server',
    async (file) => {
      const key = makeKey();
      const leaf = makeLeaf({ names: ['a.home.arpa'], key, nowMs: systemClock.nowMs() });
      await writeFile(file, formatAuthority({ ...authority, cert: leaf, key }));
    },
  ],
];

test.each(BROKEN)(
  '%s in the place of the authority is put aside, and another one is made',
  async (_what, breakIt) => {
    const dir = await makePlace();
    await breakIt(path.join(dir, 'authority.pem'));
    const { told, made, kept } = await start(dir, ['home.arpa']);
    expect(told).toEqual([
      expect.stringMatching(
        /^warning made a new certificate authority for home\.arpa because authority\.pem in state_dir can't be used: .*; what was there is authority\.pem\.broken now/,
      ),
    ]);
    expect(told.join()).not.toContain('PRIVATE');
    const servername = 'a.home.arpa';
    const ca = await kept();
    expect(await greet(made.ofHost(servername), { servername, ca })).toBeInstanceOf(X509Certificate);
    await stat(path.join(dir, 'authority.pem.broken'));
  },
);

test('an authority that is cut anywhere is put aside', async () => {
  const whole = formatAuthority(authority);
  // The last line feed is nothing to miss.
  const lengths = Array.from({ length: whole.length - 1 }, (_, length) => length);
  expect(lengths.filter((length) => typeof parseAuthority(whole.slice(0, length)) !== 'string')).toEqual([]);
  expect(parseAuthority(whole.trimEnd())).toMatchObject({ root: expect.any(X509Certificate) });
});

test('what is stolen with the key is limited for clients, too, that ignore the limits of a root', () => {
  const { cert, root, key } = authority;
  expect([readConstraints(cert), readConstraints(root)]).toEqual([['home.arpa'], ['home.arpa']]);
  expect(cert.checkIssued(root)).toBe(true);
  expect([cert, root].map((one) => one.checkPrivateKey(key))).toEqual([true, false]);
  expect(formatAuthority(authority).match(/PRIVATE KEY-----\n\w/g)).toHaveLength(1);
});

test('an authority that others could read is closed to them, and that is told', async () => {
  const { dir, kept } = await start(await makePlace(), ['lan']);
  const ca = await kept();
  const file = path.join(dir, 'authority.pem');
  await chmod(file, 0o644);
  const { told } = await start(dir, ['lan']);
  expect(told).toEqual([
    'warning authority.pem in state_dir could be read by others until now: if one of them may have its key, remove it, and have devices forget this authority',
  ]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await kept()).toBe(ca);
});

test('an authority that can not be kept is made all the same, and that is told and stays a fault', async () => {
  const dir = await makePlace();
  const other = await StateFolder.open(dir, { isNamed: true, clock: systemClock, logger: silentLogger });
  onTestFinished(() => other.close());
  const { told, made } = await start(dir, ['lan']);
  const lack = `state_dir ${dir} is in use by another proxy`;
  expect(told).toEqual([
    `warning made a certificate authority for lan; devices have to trust it after each start, since it can't be kept: ${lack}`,
  ]);
  expect(made.findFaults()).toEqual([
    {
      severity: 'warning',
      message: `the certificate authority for lan is another one after each start, and devices have to trust it anew: ${lack}`,
    },
  ]);
  expect(made.ofHost('a.lan')).toBeDefined();
  await expect(stat(path.join(dir, 'authority.pem'))).rejects.toThrow('ENOENT');
});
