import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeCertificate } from '../support/certificates.ts';
import { type ValidateFormat, validate } from '../../src/cli/validate.ts';

const GOOD = 'services:\n  a: {ports: ["80:80", "90-92:1-3"]}\n  b: {}\n  c: {udp_ports: ["53:53"]}\n';
const BAD = 'services:\n  a:\n    ports: ["80:http"]\n    cwd: /x\n';

async function run(
  files: Readonly<Record<string, string | Error>>,
  options: {
    readonly args?: readonly string[];
    readonly format?: ValidateFormat;
    readonly env?: Readonly<Record<string, string>>;
    readonly nowMs?: number;
  } = {},
): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const code = await validate(options.args ?? Object.keys(files), {
    format: options.format ?? 'text',
    stdout: (line) => lines.push(line),
    env: options.env ?? {},
    ...(options.nowMs !== undefined && { nowMs: options.nowMs }),
    cwd: '/w',
    readFile: async (path) => {
      const content =
        files[path.replace(/^\/w\//, '')] ?? Object.assign(new Error('no such file'), { code: 'ENOENT' });
      if (content instanceof Error) throw content;
      return content;
    },
  });
  return { code, lines };
}

describe('validate', () => {
  test('says one line of a good file', async () => {
    expect(await run({ 'lazy-proxy.yaml': GOOD })).toEqual({
      code: 0,
      lines: ['lazy-proxy.yaml: ok, 3 services, 5 listeners'],
    });
  });

  test('shows each problem with its line and a caret', async () => {
    expect(await run({ 'lazy-proxy.yaml': BAD })).toEqual({
      code: 1,
      lines: [
        `lazy-proxy.yaml:3:13 error ports[0]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
        '      ports: ["80:http"]',
        '              ^',
        'lazy-proxy.yaml:4:5 warning cwd: has no effect without command',
        '      cwd: /x',
        '      ^',
      ],
    });
  });

  test('shows no value of a mistyped key, which may be a token', async () => {
    const { lines } = await run({ 'a.yaml': 'status:\n  tokne: q4mN8xW2\nservices: {}\n' });
    expect(lines).toEqual([
      'a.yaml:2:3 error status.tokne: unknown key; did you mean "token"?',
      '    tokne: ********',
      '    ^',
    ]);
  });

  describe('of files that the configuration names', () => {
    const { cert, key } = makeCertificate();
    const text = [
      'http: {https: "443", certificates: [{cert: certs/home.pem, key: certs/home-key.pem}]}',
      'services:',
      '  cache: {ports: ["6379:6379"], tls: {cert: /w/cache.pem, key: certs/home-key.pem}}',
      '  wiki: {hosts: [wiki.lan], waiting_page: page.html}',
    ].join('\n');
    const named = { 'a.yaml': text, 'certs/home.pem': cert, 'certs/home-key.pem': key, 'cache.pem': cert };

    test('says nothing where all are right', async () => {
      expect(await run({ ...named, 'page.html': '<p>' }, { args: ['a.yaml'] })).toEqual({
        code: 0,
        lines: ['a.yaml: ok, 2 services, 1 listener'],
      });
    });

    test('warns of what is not there, since the file may be for another machine', async () => {
      const { code, lines } = await run(named, { args: ['a.yaml'] });
      expect(code).toBe(0);
      expect(lines[0]).toBe(
        "a.yaml:4:43 warning waiting_page: /w/page.html can't be looked at here, so nobody knows whether it is right: no such file",
      );
    });

    test('refuses a certificate that has another key, or has expired', async () => {
      const other = makeCertificate().key;
      const mixed = { ...named, 'page.html': '<p>', 'certs/home-key.pem': other };
      const { code, lines } = await run(mixed, { args: ['a.yaml'] });
      expect(code).toBe(1);
      expect(lines.filter((line) => line.includes(' error '))).toEqual([
        'a.yaml:1:37 error http.certificates[0]: /w/certs/home-key.pem: the key belongs to another certificate',
        'a.yaml:3:38 error tls: /w/certs/home-key.pem: the key belongs to another certificate',
      ]);
      const late = await run(
        { ...named, 'page.html': '<p>' },
        { args: ['a.yaml'], nowMs: Date.now() + 40 * 24 * 3_600_000 },
      );
      expect(late.code).toBe(1);
      expect(late.lines[0]).toMatch(
        /^a\.yaml:1:37 error http\.certificates\[0\]: \/w\/certs\/home\.pem: the certificate has expired: it was good until /,
      );
    });
  });

  describe('of the hosts that certificates are for', () => {
    const [lan, all, other] = ['wiki.lan', '*.wiki.lan', 'home.arpa'].map((host) =>
      makeCertificate({ host }),
    );
    const file = (
      files: Readonly<Record<string, ReturnType<typeof makeCertificate> | undefined>>,
      more = '',
    ) => ({
      'a.yaml': [
        `http:\n  https: "443"${more}\n  certificates:`,
        ...Object.keys(files).map((name) => `    - { cert: ${name}.pem, key: ${name}.key }`),
        'services:',
        '  wiki: { hosts: [wiki.lan, "*.wiki.lan", a.b.wiki.lan, home.arpa] }',
      ].join('\n'),
      ...Object.fromEntries(
        Object.entries(files).flatMap(([name, { cert, key } = { cert: '', key: '' }]) => [
          [`${name}.pem`, cert],
          [`${name}.key`, key],
        ]),
      ),
    });
    const warningsOf = async (files: Readonly<Record<string, string>>) => {
      const { lines } = await run(files, { args: ['a.yaml'] });
      return lines.filter((line) => line.includes('warning') || line.includes('error'));
    };

    test('warns of a host that none of them is for, nor is made for', async () => {
      expect(await warningsOf(file({ lan, all }))).toEqual([
        'a.yaml:7:18 warning hosts: none of http.certificates is for a.b.wiki.lan, home.arpa, so nobody gets that over HTTPS; they are for wiki.lan, *.wiki.lan: add one, or a domain of your own to http.self_signed_domains',
      ]);
      expect(await warningsOf(file({ lan, all }, '\n  self_signed_domains: [home.arpa]'))).toEqual([
        'a.yaml:8:18 warning hosts: none of http.certificates is for a.b.wiki.lan, and none is made outside of http.self_signed_domains, so nobody gets that over HTTPS; they are for wiki.lan, *.wiki.lan: add one, or a domain of your own to http.self_signed_domains',
      ]);
      expect(await warningsOf(file({ other }, '\n  self_signed_domains: [wiki.lan]'))).toEqual([]);
    });

    test('says nothing of it where one of them cannot be read, and names that one', async () => {
      const files = Object.fromEntries(
        Object.entries(file({ lan, all })).filter(([name]) => name !== 'all.key'),
      );
      expect(await warningsOf(files)).toEqual([
        "a.yaml:5:7 warning http.certificates[1]: /w/all.key can't be looked at here, so nobody knows whether it is right: no such file",
      ]);
      expect(await warningsOf({ ...files, 'all.key': 'x' })).toEqual([
        expect.stringContaining(
          'a.yaml:5:7 error http.certificates[1]: /w/all.key: the key is no PEM private key',
        ),
      ]);
    });
  });

  test('goes by LAZY_PROXY_BACKEND and the file, not by where it runs', async () => {
    const bare = 'services: {shop/db: {ports: ["80:http"]}}';
    const pod = { KUBERNETES_SERVICE_HOST: '10.0.0.1' };
    const codeOf = async (text: string, env: Readonly<Record<string, string>>) =>
      (await run({ 'a.yaml': text }, { env })).code;
    expect(await codeOf(bare, pod)).toBe(1);
    expect(await codeOf(bare, { LAZY_PROXY_BACKEND: 'kubernetes' })).toBe(0);
    expect(await codeOf(`{backend: kubernetes, ${bare}}`, {})).toBe(0);
  });

  test('takes warnings for good', async () => {
    const { code, lines } = await run({ 'a.yaml': 'services: {a: {cwd: /x}}' });
    expect(code).toBe(0);
    expect(lines.at(-1)).toBe('a.yaml: ok, 1 service, 0 listeners');
  });

  test('exits with 2 when a file can not be read, whatever the others are', async () => {
    const { code, lines } = await run(
      { 'bad.yaml': BAD, dir: new Error('it is a folder, not a file') },
      { args: ['bad.yaml', 'gone.yaml', 'dir'] },
    );
    expect(code).toBe(2);
    expect(lines.slice(-2)).toEqual([
      'gone.yaml:1:1 error the file does not exist',
      "dir:1:1 error can't be read: it is a folder, not a file",
    ]);
  });

  test('writes annotations that a message can not break out of', async () => {
    const { lines } = await run(
      { 'a,b.yaml': 'services: {a: {ports: ["1%2\\n::x"]}}' },
      { format: 'github' },
    );
    expect(lines).toEqual([
      '::error file=a%2Cb.yaml,line=1,col=24::ports[0]: "1%252\\n::x" is not [address:]listen:target',
    ]);
  });

  test('writes JSON', async () => {
    const { lines } = await run(
      { 'a.yaml': GOOD, 'b.yaml': 'services: {a: {ports: [1]}}' },
      { format: 'json' },
    );
    expect(JSON.parse(lines.join('\n'))).toEqual({
      files: [
        { file: 'a.yaml', ok: true, services: 3, listeners: 5, problems: [] },
        {
          file: 'b.yaml',
          ok: false,
          services: 0,
          listeners: 0,
          problems: [
            {
              code: 'invalid-port',
              severity: 'error',
              message: 'ports[0]: 1 is not [address:]listen:target; write "1:1"',
              line: 1,
              column: 24,
            },
          ],
        },
      ],
    });
  });

  test('searches as run does when no file is given', async () => {
    const files = { 'lazy-proxy.yaml': GOOD, '/etc/lazy-proxy/lazy-proxy.yaml': BAD, '/c.yaml': GOOD };
    const search = (present: Readonly<Record<string, string>>, env: Readonly<Record<string, string>>) =>
      run(present, { args: [], env });
    expect((await search(files, {})).lines).toEqual(['lazy-proxy.yaml: ok, 3 services, 5 listeners']);
    expect((await search(files, { CONFIG_PATH: '/c.yaml' })).lines).toEqual([
      '/c.yaml: ok, 3 services, 5 listeners',
    ]);
    expect((await search({ '/etc/lazy-proxy/lazy-proxy.yaml': BAD }, {})).code).toBe(1);
    expect((await search({ '/etc/lazy-tcp-proxy/config.yaml': BAD }, {})).code).toBe(1);
    const both = { '/etc/lazy-tcp-proxy/config.yaml': BAD, '/etc/lazy-proxy/lazy-proxy.yaml': GOOD };
    expect((await search(both, {})).code).toBe(0);
    expect((await search(files, { LAZY_PROXY_CONFIG: '/gone.yaml' })).code).toBe(2);
    expect((await search(files, { CONFIG_PATH: '/gone.yaml' })).code).toBe(2);
    expect(await search({}, {})).toEqual({
      code: 2,
      lines: [
        'lazy-proxy.yaml:1:1 error no file is given, and none is found at lazy-proxy.yaml, /etc/lazy-proxy/lazy-proxy.yaml, /etc/lazy-tcp-proxy/config.yaml',
      ],
    });
  });

  test('reads from the disk', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'validate-'));
    try {
      writeFileSync(join(folder, 'x.yaml'), GOOD);
      const lines: string[] = [];
      const code = await validate(['x.yaml'], {
        format: 'text',
        stdout: (line) => lines.push(line),
        cwd: folder,
      });
      expect({ code, lines }).toEqual({ code: 0, lines: ['x.yaml: ok, 3 services, 5 listeners'] });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
