import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../../src/config/file.ts';
import { formatProblem } from '../../../src/model/problem.ts';

const parse = createFileParser();
const HASH = `$2y$04$${'a'.repeat(53)}`;
const problemsOf = (text: string) => parse({ text, file: 'f' }).problems.map(formatProblem);
const messagesOf = (...lines: readonly string[]) =>
  problemsOf(lines.join('\n')).map((line) => line.replace(/^f:\d+:\d+ /, ''));

describe('checkWeb', () => {
  test('accepts what the documentation shows', () => {
    expect(
      messagesOf(
        'http: {listen: "80", https: "443", certificates: [{cert: /c, key: /k}], redirect: true}',
        'services:',
        '  wiki: {hosts: [wiki.home.arpa, "*.wiki.home.arpa"], http_port: 3000, wake_paths: ["/", "!/metrics"]}',
        `  docs: {hosts: [docs.home.arpa], basic_auth: ["anna:${HASH}"], waiting_page: off}`,
        '  git: {tls_hosts: [git.example.com], https_port: 8443, ports: ["2222:22"]}',
      ),
    ).toEqual([]);
  });

  test('has nothing against TLS at any port', () => {
    expect(
      messagesOf(
        'services:',
        '  b: {ports: ["1:1"], tls: true}',
        '  c: {http_ports: ["2:2"], tls: {cert: /c, key: /k}}',
        '  d: {ports: ["3:3"], tls: true, api_key: [k]}',
      ),
    ).toEqual([]);
  });

  test.each([
    ['com', true],
    ['arpa', true],
    ['co.uk', true],
    ['home.arpa', false],
    ['lan', false],
    ['internal', false],
    ['example.co.uk', false],
    ['nas.co', false],
  ])('says of the domain %s that others have names there: %s', (domain, isPublic) => {
    const found = messagesOf(
      `http: {https: "443", self_signed_domains: [home.arpa, ${domain}]}`,
      'services: {}',
    );
    const message = `warning http.self_signed_domains[1]: other people have names below "${domain}", for which the proxy's authority could vouch, too; name a domain of your own, such as home.arpa or home.example.com`;
    expect(found).toEqual(isPublic ? [message] : []);
  });

  test('refuses domains that are none, each with what would be right', () => {
    const http = 'http: {https: "443", self_signed_domains: ["*.home.arpa", 10.0.0.1, "nas:8443"]}';
    expect(messagesOf(http, 'services: {}').filter((line) => line.startsWith('error'))).toEqual([
      'error http.self_signed_domains[0]: "*.home.arpa" is not a domain such as home.arpa; write "home.arpa", which stands for all names below it, too',
      'error http.self_signed_domains[1]: "10.0.0.1" is not a domain such as home.arpa',
      'error http.self_signed_domains[2]: "nas:8443" is not a domain such as home.arpa',
    ]);
  });

  test('warns of hosts for which no certificate is made', () => {
    const doors = 'http: {https: "443", self_signed_domains: [home.arpa]}';
    const services = ['services:', '  a: {hosts: [a.home.arpa, "*.home.arpa", b.lan, "*.arpa"]}'];
    expect(messagesOf(doors, ...services)).toEqual([
      'warning hosts: no certificate is made for b.lan, *.arpa, outside of http.self_signed_domains, so nobody gets that over HTTPS',
    ]);
    const withFiles = doors.replace('}', ', certificates: [{cert: /c, key: /k}]}');
    expect(messagesOf(withFiles, ...services)).toEqual([]);
  });

  test('refuses a host that leads to two services', () => {
    expect(
      problemsOf(
        ['http: {listen: "80"}', 'services:', '  a: {hosts: [x.lan]}', '  b: {hosts: [y.lan, X.lan]}'].join(
          '\n',
        ),
      ),
    ).toEqual(['f:4:14 error hosts: "x.lan" leads to service "a" already (f:3:14)']);
  });

  test('tells of a host twice in a list, at its entry', () => {
    expect(problemsOf('http: {listen: "80"}\nservices: {a: {hosts: [x.lan, x.lan]}}')).toEqual([
      'f:2:31 error hosts[1]: "x.lan" is in the list already',
    ]);
  });

  test.each([
    ['udp_ports: ["53:53"]', "can't guard udp_ports: datagrams carry no login; give the one or the other"],
    [
      'tls_hosts: [y.lan]',
      "can't guard tls_hosts: TLS that is passed through hides it; give the one or the other",
    ],
  ])('refuses a login beside %s', (beside, message) => {
    expect(
      messagesOf(
        'http: {https: "443", certificates: [{cert: a, key: b}]}',
        `services: {a: {api_key: [k], ports: ["1:1"], ${beside}}}`,
      ),
    ).toEqual([`error api_key: ${message}`]);
  });

  test.each([
    [
      'services: {a: {hosts: [x.lan]}}',
      'hosts: leads nowhere without front doors, but for what GET /traefik and GET /caddy tell; set http.listen, http.https or both',
    ],
    [
      'http: {listen: "80"}\nservices: {a: {tls_hosts: [x.lan]}}',
      'tls_hosts: has no effect without a front door for TLS; set http.https',
    ],
    [
      'http: {listen: "80"}\nservices: {a: {command: [x], hosts: [x.lan]}}',
      "hosts: it isn't known which port of the process serves these hosts: 80 is used; set http_port",
    ],
    [
      'http: {listen: "80"}\nservices: {a: {ports: ["1:1", "2:2"], hosts: [x.lan]}}',
      "hosts: it isn't known which port of the workload serves these hosts: the only one that it offers itself is used, if it is one, else 80; set http_port",
    ],
    [
      'http: {https: "443"}\nservices: {a: {hosts: [x.lan]}}',
      'http.https: has no certificate, so only tls_hosts can be served there; set http.certificates or http.self_signed_domains',
    ],
    ['http: {listen: "80", redirect: true}', 'http.redirect: has no effect without http.https'],
    ['http: {certificates: [{cert: a, key: b}]}', 'http.certificates: has no effect without http.https'],
  ])('warns: %s', (text, message) => {
    expect(messagesOf(text)).toEqual([`warning ${message}`]);
  });

  test.each([
    [
      'http: {listen: "80", https: "80", certificates: [{cert: a, key: b}]}',
      /^error http\.https: a front door can't listen on tcp \*:80: the front door of http\.listen \(f:1:16\) does already$/,
    ],
    [
      'http: {listen: "8080"}',
      /^error http\.listen: a front door can't listen on tcp \*:8080: the status server does already/,
    ],
    [
      'http: {listen: "80"}\nservices: {a: {ports: ["127.0.0.1:80:80"]}}',
      /^error ports\[0\]: "127\.0\.0\.1:80:80" listens on tcp 127\.0\.0\.1:80, which the front door of http\.listen \(f:1:16\) does already$/,
    ],
    [
      'services: {a: {ports: ["80:80"], http_ports: ["80:81"]}}',
      /^error http_ports\[0\]: "80:81" listens on tcp \*:80, which this service does already/,
    ],
  ])('finds who is in the way of whom: %s', (text, message) => {
    expect(messagesOf(text)).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    ['services: {a: {ports: ["1:1"], tls: {cert: a}}}', 'tls.key: is missing; write both, cert and key'],
    [
      'services: {a: {ports: ["1:1"], tls: {cert: a, key: b, ca: c}}}',
      'tls.ca: unknown key; known are cert, key',
    ],
    [
      'http: {https: "443", self_signed_domains: [lan], certificates: [{cert: a}]}',
      'http.certificates[0].key: is missing',
    ],
    ['http: {listen: "80", tls: true}', 'http.tls: belongs to a service, not to http'],
    ['http: {listen: "80", redirekt: true}', 'http.redirekt: unknown key; did you mean "redirect"?'],
    ['http: "80"', 'http: "80" is not a mapping; write http: {listen: "80"}'],
    ['http: {listen: {port: 80}}', 'http.listen: a mapping is not [address:]port such as "0.0.0.0:80"'],
    ['state_dir: data', 'state_dir: "data" is not an absolute path such as /var/lib/lazy-proxy, or off'],
    [
      'services: {a: {ports: ["1:1"], tls: }}',
      'tls: has no value; write true, false or a mapping such as {cert: /certs/db.pem, key: /certs/db-key.pem}, or remove the key',
    ],
  ])('refuses a wrong form: %s', (text, message) => {
    expect(messagesOf(text)).toEqual([`error ${message}`]);
  });

  test('takes the name of a port in Kubernetes, though another service may not', () => {
    const lines = ['http: {listen: "80"}', 'services:'];
    const services = [
      'a: {container: a, hosts: [a.lan], http_port: http}',
      'b: {deployment: b, hosts: [b.lan], http_port: http}',
    ];
    for (const ordered of [services, services.toReversed()])
      expect(messagesOf(...lines, ...ordered.map((service) => `  ${service}`))).toEqual([
        `error http_port: "http" is not a port from 1 to 65535; a port's name can be used for Kubernetes workloads only`,
      ]);
  });

  test('places relative paths in the folder of the file', () => {
    const text = [
      'http: {https: "443", certificates: [{cert: c.pem, key: /k.pem}]}',
      'services: {a: {ports: ["1:1"], tls: {cert: c.pem, key: k.pem}}, b: {hosts: [x.lan], waiting_page: w.html}}',
    ].join('\n');
    const { config } = parse({ text, file: 'f', folder: '/etc/lp' });
    expect(config?.settings['http.certificates']?.value).toEqual([{ cert: '/etc/lp/c.pem', key: '/k.pem' }]);
    expect(config?.services.map(({ draft }) => [draft.tls?.value, draft.waiting_page?.value])).toEqual([
      [{ kind: 'files', cert: '/etc/lp/c.pem', key: '/etc/lp/k.pem' }, undefined],
      [undefined, { kind: 'file', path: '/etc/lp/w.html' }],
    ]);
  });

  test('shows no secret of a value of the wrong form', () => {
    for (const field of ['basic_auth', 'api_key'])
      for (const value of ['s3cret', '{s3cret: s3cret}', '[[s3cret]]', '[s3cret s3cret]', '{a: "s3cret"}']) {
        const text = `services: {a: {ports: ["1:1"], ${field}: ${value}}}`;
        expect(problemsOf(text).join('\n'), text).not.toContain('s3cret');
      }
  });
});
