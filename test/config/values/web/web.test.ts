import { describe, expect, test } from 'vitest';
import { parseDomains, parseHosts, parseTraefikHosts } from '../../../../src/config/values/web/hosts.ts';
import { faultsOf, type Reading } from '../../../../src/config/values/parsed.ts';
import { parseFrontListen, parseTargetPort } from '../../../../src/config/values/ports.ts';
import {
  formatWakePaths,
  parseApiKeys,
  parseCertificates,
  parseTls,
  parseUsers,
  parseWaitingPage,
  parseWakePaths,
} from '../../../../src/config/values/web/web.ts';

const HASH = `$2y$12$${'aZ0./'.repeat(11).slice(0, 53)}`;

function resultOf(reading: Reading<unknown>): unknown {
  return reading.ok
    ? reading.value
    : faultsOf(reading).map(({ path, message }) => `${path.join('.')}: ${message}`);
}

function messageOf(reading: Reading<unknown>): string {
  return reading.ok
    ? 'accepted'
    : faultsOf(reading)
        .map(({ message }) => message)
        .join('\n');
}

describe('hosts', () => {
  test.each([
    [['wiki.home.arpa'], ['wiki.home.arpa']],
    [['Wiki.HOME.arpa.'], ['wiki.home.arpa']],
    [['bücher.example'], ['xn--bcher-kva.example']],
    [['*.Bücher.example'], ['*.xn--bcher-kva.example']],
    [
      ['localhost', 'my_host.lan'],
      ['localhost', 'my_host.lan'],
    ],
    [
      ['*.lan', 'b.lan', '*.b.lan', 'a.lan'],
      ['b.lan', 'a.lan', '*.b.lan', '*.lan'],
    ],
    [[], []],
  ])('reads %j', (raw, expected) => {
    expect(resultOf(parseHosts(raw))).toEqual(expected);
  });

  test.each([
    ['*', '; http_ports gives a service a port of its own'],
    ['*.*.lan', '; a wildcard stands in front of a dot, and once'],
    ['wiki.*.lan', '; a wildcard stands in front of a dot, and once'],
    ['*lan', '; a wildcard stands in front of a dot, and once'],
    ['http://wiki.lan/', '; write "wiki.lan"'],
    ['wiki.lan:80', '; write "wiki.lan"'],
    ['*.wiki.lan/path', '; write "*.wiki.lan"'],
    ['192.168.1.5', '; clients that come by an address find a service by its own port: http_ports'],
    ['::1', '; clients that come by an address find a service by its own port: http_ports'],
    ['[::1]', '; clients that come by an address find a service by its own port: http_ports'],
    ['a..b', ''],
    ['-a.lan', ''],
    ['', ''],
    [`${'a'.repeat(64)}.lan`, ''],
    [`${'a.'.repeat(127)}lan`, ''],
    [80, ''],
  ])('refuses %j', (raw, remedy) => {
    expect(messageOf(parseHosts([raw]))).toMatch(
      / is not a host name such as wiki\.home\.arpa or "\*\.home\.arpa"/,
    );
    expect(messageOf(parseHosts([raw]))).toContain(remedy);
  });

  test('refuses a host twice, however it is written', () => {
    expect(resultOf(parseHosts(['a.lan', 'b.lan', 'A.lan.']))).toEqual(['2: "a.lan" is in the list already']);
  });

  test('takes no wildcard for a domain whose certificates the proxy makes', () => {
    expect(resultOf(parseDomains(['Home.arpa']))).toEqual(['home.arpa']);
    expect(messageOf(parseDomains(['*.home.arpa']))).toBe(
      '"*.home.arpa" is not a domain such as home.arpa; write "home.arpa", which stands for all names below it, too',
    );
  });

  test('reads hosts for Traefik', () => {
    expect(resultOf(parseTraefikHosts(['Wiki.lan:9001']))).toEqual([{ host: 'wiki.lan', port: 9001 }]);
    expect(resultOf(parseTraefikHosts(''))).toEqual([]);
    for (const raw of ['wiki.lan', 'wiki.lan:0', 'wiki.lan:65536', ':80'])
      expect(messageOf(parseTraefikHosts([raw]))).toMatch(/is not host:port such as/);
  });
});

describe('logins', () => {
  test.each([[[`anna:${HASH}`]], [`anna:${HASH}`]])('reads users: %j', (raw) => {
    expect(resultOf(parseUsers(raw))).toEqual([{ user: 'anna', hash: HASH }]);
  });

  test.each(['$2a$04$', '$2b$10$', '$2y$16$'])('takes a hash that begins with %s', (start) => {
    expect(parseUsers([`a:${start}${'a'.repeat(53)}`]).ok).toBe(true);
  });

  test('takes nobody, and a list of keys', () => {
    expect([parseUsers(''), parseUsers([]), parseApiKeys('')].map(resultOf)).toEqual([[], [], []]);
    expect(resultOf(parseApiKeys(['a', 'b,c']))).toEqual(['a', 'b,c']);
    expect(resultOf(parseApiKeys('a'))).toEqual(['a']);
  });

  test.each([
    [
      'anna:s3cret',
      'the password of "anna" is not a bcrypt hash ($2y$12$… with 60 characters); htpasswd -nbBC 12 anna',
    ],
    ['anna:$apr1$s3cret$abcdefghijklmnopqrstuv', 'the password of "anna" is not a bcrypt hash'],
    [`anna:${HASH.replaceAll('$', '$$$$')}`, 'write each $ once here; $$ is for Compose files'],
    [`anna:${HASH.replace('12', '31')}`, 'the password of "anna" has the cost 31, which is not from 4 to 16'],
    [`anna:${HASH.replace('12', '03')}`, 'has the cost 3, which is not from 4 to 16'],
    ['s3cret', 'what is given is not user:hash'],
    [':s3cret', 'what is given is not user:hash'],
    ['an\na:s3cret', 'the name of the user holds a control character'],
    [5, 'what is given is not user:hash'],
  ])('refuses the user %j and shows no password', (raw, message) => {
    expect(messageOf(parseUsers([raw]))).toContain(message);
    expect(messageOf(parseUsers([raw]))).not.toMatch(/s3cret|aZ0/);
  });

  test.each(['s3cret key', '', 'schlüssel', '***', 7])('refuses the key %j and does not show it', (raw) => {
    expect(messageOf(parseApiKeys([raw]))).toMatch(/what is given is not a key|stands for a key/);
    expect(messageOf(parseApiKeys([raw]))).not.toMatch(/s3cret|schl/);
  });
});

describe('wake paths', () => {
  test.each([
    [['/'], ['/']],
    [[], ['/']],
    [['!/metrics'], ['!/metrics', '/']],
    [['/app'], ['/app', '!/']],
    [
      ['/a', '!/a/b', '/'],
      ['!/a/b', '/a', '/'],
    ],
    [
      ['! /x', ' /y '],
      ['!/x', '/y', '!/'],
    ],
  ])('reads %j', (raw, expected) => {
    const parsed = parseWakePaths(raw);
    expect(parsed.ok && formatWakePaths(parsed.value)).toEqual(expected);
    expect(parsed.ok && resultOf(parseWakePaths(expected))).toEqual(parsed.ok && parsed.value);
  });

  test.each([
    ['metrics', '; write "/metrics"'],
    ['!metrics', '; write "!/metrics"'],
    ['/a?b', ''],
    ['/a b', ''],
    ['!', ''],
    [3, ''],
  ])('refuses %j', (raw, remedy) => {
    expect(messageOf(parseWakePaths([raw]))).toMatch(/is not the begin of a path such as/);
    expect(messageOf(parseWakePaths([raw]))).toContain(remedy);
  });

  test('refuses a path twice', () => {
    expect(messageOf(parseWakePaths(['/a', '!/a']))).toBe('"/a" is in the list already');
  });
});

describe('pages and certificates', () => {
  test.each([
    ['auto', { kind: 'auto' }],
    ['off', { kind: 'off' }],
    [false, { kind: 'off' }],
    ['waiting.html', { kind: 'file', path: 'waiting.html' }],
    ['/etc/page', { kind: 'file', path: '/etc/page' }],
  ])('reads the waiting page %j', (raw, expected) => {
    expect(resultOf(parseWaitingPage(raw, {}))).toEqual(expected);
  });

  test.each(['atuo', '', 'https://example.com/page.html', true, 3])('refuses the waiting page %j', (raw) => {
    expect(parseWaitingPage(raw, {}).ok).toBe(false);
  });

  test.each([
    [true, { kind: 'self-signed' }],
    [false, 'off'],
    ['false', 'off'],
    [
      { cert: 'a.pem', key: 'b.pem' },
      { kind: 'files', cert: 'a.pem', key: 'b.pem' },
    ],
  ])('reads tls: %j', (raw, expected) => {
    expect(resultOf(parseTls(raw))).toEqual(expected);
  });

  test.each([
    ['true', '; write true, without quotes'],
    [3, '3 is not true, false or a mapping'],
    [{ cert: '', key: 'b.pem' }, 'what is given is not the path of a PEM file'],
    [{ cert: 'a', key: '-----BEGIN PRIVATE KEY-----\ns3cret' }, 'write the path of the file'],
    ['-----BEGIN PRIVATE KEY-----s3cret', 'what is given is not true, false'],
  ])('refuses tls: %j and shows no key', (raw, message) => {
    expect(messageOf(parseTls(raw))).toContain(message);
    expect(messageOf(parseTls(raw))).not.toContain('s3cret');
  });

  test('reads certificates, and says which one is wrong', () => {
    const good = { cert: 'a', key: 'b' };
    expect(resultOf(parseCertificates([good, good]))).toEqual([good, good]);
    expect(resultOf(parseCertificates([good, { cert: 'a', key: 5 }]))).toEqual([
      '1.key: 5 is not the path of a PEM file',
    ]);
  });
});

describe('ports of the web', () => {
  test.each([
    ['80', [{ address: '', port: 80 }]],
    [80, [{ address: '', port: 80 }]],
    [
      ['127.0.0.1:80', '[::1]:81'],
      [
        { address: '127.0.0.1', port: 80 },
        { address: '::1', port: 81 },
      ],
    ],
    [[], []],
  ])('reads where a front door listens: %j', (raw, expected) => {
    expect(resultOf(parseFrontListen(raw))).toEqual(expected);
  });

  test.each([
    ['http', ': "http" is not [address:]port such as "0.0.0.0:80"'],
    [['80', 'x'], '1: "x" is not [address:]port such as "0.0.0.0:80"'],
    ['localhost:80', ': "localhost:80": "localhost" is not an IP address; write "127.0.0.1:80"'],
  ])('refuses the front door %j', (raw, expected) => {
    expect(resultOf(parseFrontListen(raw))).toEqual([expected]);
  });

  test('takes a target port by its number, and in Kubernetes by its name', () => {
    expect([parseTargetPort(80), parseTargetPort('http', { portNames: true })].map(resultOf)).toEqual([
      80,
      'http',
    ]);
    expect(messageOf(parseTargetPort('80'))).toMatch(/; write 80, without quotes$/);
    expect(messageOf(parseTargetPort('http'))).toMatch(/for Kubernetes workloads only$/);
    expect(messageOf(parseTargetPort(0))).toBe('0 is not a port from 1 to 65535');
  });
});
