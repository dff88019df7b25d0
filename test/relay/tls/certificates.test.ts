import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { NO_WEB } from '../../../src/model/web.ts';
import type { Service } from '../../../src/model/service.ts';
import type { AuthorityState } from '../../../src/relay/tls/authority/authority.ts';
import { Certificates } from '../../../src/relay/tls/certificates.ts';
import { makeCertificate } from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';

type Secured = Pick<Service, 'name' | 'tls' | 'web'>;

const CACHE: Secured = { name: 'cache', tls: { kind: 'self-signed' }, web: NO_WEB };
const WIKI: Secured = { name: 'wiki', tls: undefined, web: { ...NO_WEB, hosts: ['wiki.lan', '*.wiki.lan'] } };

/** Nothing is kept. */
const FORGETFUL: AuthorityState = {
  lack: 'state_dir is off',
  read: async () => undefined,
  write: () => Promise.reject(new Error('off')),
  setAside: () => Promise.reject(new Error('off')),
  closeToOthers: async () => false,
};

describe('certificates that are made', () => {
  let domains: readonly string[];
  let files: readonly { readonly cert: string; readonly key: string }[];
  let services: readonly Secured[];
  let told: string[];

  beforeEach(() => {
    [domains, files, services, told] = [['lan'], [], [CACHE, WIKI], []];
  });

  const open = () => {
    const certificates = new Certificates({
      ...{ clock: new FakeClock(), state: FORGETFUL },
      policy: () => ({ certificates: files, selfSignedDomains: domains }),
      services: () => services,
      ownerOf: (host) => (host.endsWith('wiki.lan') ? 'wiki' : undefined),
      tell: ({ message }) => told.push(message),
    });
    onTestFinished(() => certificates.close());
    return certificates;
  };
  const hostsAt = (host: string) =>
    host.endsWith('wiki.lan') || host === 'wiki.example' ? [...WIKI.web.hosts, 'wiki.example'] : undefined;

  test('are there for hosts that a service has, in the domains, and for no others', async () => {
    const certificates = open();
    const { find } = certificates.ofFront(hostsAt);
    expect(await find?.('a.wiki.lan')).toBeDefined();
    for (const host of ['other.lan', 'wiki.example', 'lan']) expect(await find?.(host), host).toBeUndefined();
    expect(['wiki.lan', 'wiki.example'].map((host) => certificates.covers(host))).toEqual([true, false]);
    expect(told).toHaveLength(1);
  });

  test('stand behind those of files', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'certificates-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const made = makeCertificate({ host: 'wiki.lan' });
    const pair = { cert: path.join(folder, 'cert.pem'), key: path.join(folder, 'key.pem') };
    await writeFile(pair.cert, made.cert);
    await writeFile(pair.key, made.key);
    files = [pair];
    services = [{ ...WIKI, web: { ...NO_WEB, hosts: ['wiki.lan', 'wiki.example', '*.example'] } }];
    const certificates = open();
    const { find } = certificates.ofFront(() => WIKI.web.hosts);
    const ofFile = find?.('wiki.lan');
    expect(await find?.('a.wiki.lan')).not.toBe(ofFile);
    // What is in files is there at once.
    expect(ofFile).not.toBeInstanceOf(Promise);
    // As `lazy-proxy explain` tells it.
    const untilMs = Date.parse(new X509Certificate(made.cert).validTo);
    expect(
      ['wiki.lan', '*.wiki.lan', 'wiki.example', '*.example'].map((host) => certificates.describe(host)),
    ).toEqual([
      { kind: 'file', path: pair.cert, untilMs },
      { kind: 'self-signed' },
      { kind: 'none' },
      { kind: 'none' },
    ]);
    expect(certificates.names()).toEqual(['wiki.lan']);
    files = [pair, { ...pair, key: pair.cert }];
    expect(certificates.names()).toBeUndefined();
  });

  test('follow the domains: a service gets another one when these change', async () => {
    const certificates = open();
    const before = await certificates.ofService(CACHE);
    expect(await certificates.ofService(CACHE)).toMatchObject({ context: before?.context });
    expect(before?.find?.('nas.lan')).not.toBe(before?.context);
    // That is the host of another service; or in no domain.
    for (const host of ['a.wiki.lan', 'nas.internal']) expect(before?.find?.(host)).toBe(before?.context);
    domains = ['lan', 'internal'];
    certificates.follow();
    const after = await certificates.ofService(CACHE);
    expect(after?.context).not.toBe(before?.context);
    expect(after?.find?.('nas.internal')).not.toBe(after?.context);
    expect(told).toEqual([
      expect.stringMatching(/^made a certificate authority for lan; .* can't be kept: state_dir is off$/),
      expect.stringMatching(/^made a certificate authority for lan, internal; /),
    ]);
    domains = [];
    const alone = await certificates.ofService(CACHE);
    expect(alone?.find?.('nas.lan')).toBe(alone?.context);
    expect(certificates.findFaults()).toEqual([]);
  });

  test('are made once, however many clients wait for the first one', async () => {
    const certificates = open();
    const { find } = certificates.ofFront(hostsAt);
    const all = await Promise.all(Array.from({ length: 20 }, () => find?.('wiki.lan')));
    expect(new Set(all).size).toBe(1);
    expect(told).toHaveLength(1);
  });
});
