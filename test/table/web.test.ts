import { describe, expect, test } from 'vitest';
import { formatProblem } from '../../src/model/problem.ts';
import { NO_WEB } from '../../src/model/web.ts';
import type { ServiceTable } from '../../src/model/table.ts';
import { labelsOf, PREFIX, serviceOf, tableOf } from '../support/builders.ts';

const HASH = `$2y$04$${'a'.repeat(53)}`;
const DOORS = 'http: {listen: "80", https: ["443", "127.0.0.1:8443"]}';
const problemsOf = ({ problems }: ServiceTable) => problems.map(formatProblem);
const webOf = (fields: string) =>
  serviceOf(tableOf({ text: `${DOORS}\nservices: {a: {${fields}}}` }), 'a').web;

describe('front doors', () => {
  test('stand where the settings say, with what they share', () => {
    const text =
      'http: {listen: "80", https: "[::1]:443", redirect: true, self_signed_domains: [lan], certificates: [{cert: /a, key: /b}]}';
    const { fronts, frontPolicy } = tableOf({ text });
    expect(fronts).toEqual([
      { address: '', port: 80, tls: false },
      { address: '::1', port: 443, tls: true },
    ]);
    expect(frontPolicy).toEqual({
      certificates: [{ cert: '/a', key: '/b' }],
      selfSignedDomains: ['lan'],
      redirect: true,
      acceptProxyProtocol: false,
    });
  });

  test('come before listeners of labels, and after who listens there already', () => {
    const labelled = [labelsOf('a', { ports: '80:80' })];
    const text = 'http: {listen: "80"}';
    const fresh = tableOf({ text, labelled });
    expect(fresh.fronts).toHaveLength(1);
    expect(serviceOf(fresh, 'a').listeners).toEqual([]);
    expect(problemsOf(fresh)[0]).toBe(
      `container a, label ${PREFIX}.ports error ports: "a" can't listen on tcp *:80: the front door of http.listen (lazy-proxy.yaml:1:16) does already`,
    );
    const before = tableOf({ labelled });
    const holders = new Map([['tcp/*:80', 'a']]);
    const later = tableOf({ text, labelled, holders, before });
    expect(later.fronts).toEqual([]);
    expect(serviceOf(later, 'a').listeners).toHaveLength(1);
    expect(problemsOf(later)).toEqual([
      `lazy-proxy.yaml:1:16 error http.listen: the front door can't listen on tcp *:80: "a" has it; it is taken over once free`,
    ]);
  });

  test('stay open beside a service that comes later', () => {
    const before = tableOf({ text: 'http: {listen: "80"}' });
    const labelled = [labelsOf('a', { ports: '127.0.0.1:80:80' })];
    expect(tableOf({ text: 'http: {listen: "80"}', labelled, before }).fronts).toHaveLength(1);
  });

  test('leave the place of the status server to it', () => {
    const table = tableOf({ text: 'http: {listen: "80"}', flags: { statusPort: 80 } });
    expect(table.fronts).toEqual([]);
    expect(problemsOf(table)[0]).toContain("can't listen on tcp *:80: the status server does already");
  });
});

describe('hosts', () => {
  test('belong to the file before labels, then to the older workload', () => {
    const young = { ...labelsOf('a', { hosts: 'x.lan,y.lan' }), createdMs: 2 };
    const old = { ...labelsOf('b', { hosts: 'y.lan,z.lan', 'tls-hosts': 'z.lan' }), createdMs: 1 };
    const table = tableOf({ text: `${DOORS}\nservices: {f: {hosts: [x.lan]}}`, labelled: [young, old] });
    expect(['f', 'a', 'b'].map((name) => serviceOf(table, name).web.hosts)).toEqual([
      ['x.lan'],
      [],
      ['y.lan', 'z.lan'],
    ]);
    expect(problemsOf(table)).toEqual([
      `container a, label ${PREFIX}.hosts error hosts: "x.lan" can't lead to "a": "f" has it; it is taken over once free`,
      `container a, label ${PREFIX}.hosts error hosts: "y.lan" can't lead to "a": "b" has it; it is taken over once free`,
    ]);
  });

  test('stay with the service that has them', () => {
    const old = { ...labelsOf('b', { hosts: 'x.lan' }), createdMs: 1 };
    const young = { ...labelsOf('a', { hosts: 'x.lan' }), createdMs: 2 };
    const before = tableOf({ text: DOORS, labelled: [young] });
    const table = tableOf({ text: DOORS, labelled: [old, young], before });
    expect([serviceOf(table, 'a').web.hosts, serviceOf(table, 'b').web.hosts]).toEqual([['x.lan'], []]);
  });

  test('in the clear and passed through are one name', () => {
    const table = tableOf({
      text: `${DOORS}\nservices: {a: {hosts: [x.lan]}}`,
      labelled: [labelsOf('b', { 'tls-hosts': 'x.lan' })],
    });
    expect(serviceOf(table, 'b').web.tlsHosts).toEqual([]);
  });

  test('by label warn where there is no door at which they could be named', () => {
    expect(problemsOf(tableOf({ labelled: [labelsOf('a', { hosts: 'x.lan' })] }))).toEqual([
      `container a, label ${PREFIX}.hosts warning hosts: leads nowhere without front doors, but for what GET /traefik and GET /caddy tell; set http.listen, http.https or both`,
    ]);
  });

  test.each([
    ['hosts: [x.lan]', undefined],
    ['hosts: [x.lan], http_port: 3000, ports: ["1:81"]', 3000],
    ['hosts: [x.lan], ports: ["1:3000"]', 3000],
    ['hosts: [x.lan], http_ports: ["1:3000", "2:3000"]', 3000],
    ['hosts: [x.lan], ports: ["1:1", "2:2"]', undefined],
    ['ports: ["1:3000"], waiting_page: off', undefined],
  ])('%s leads to port %s', (fields, port) => {
    expect(webOf(fields).port).toBe(port);
  });
});

describe('what a service asks of HTTP', () => {
  test('of labels get no certificate outside of the domains, and that is told', () => {
    const text = 'http: {https: "443", self_signed_domains: [home.arpa]}';
    const labelled = [labelsOf('a', { hosts: 'a.home.arpa,bank.example' })];
    expect(problemsOf(tableOf({ text, labelled }))).toEqual([
      `container a, label ${PREFIX}.hosts warning hosts: no certificate is made for bank.example, outside of http.self_signed_domains, so nobody gets that over HTTPS`,
    ]);
  });

  test('is shared by all services that ask for nothing', () => {
    expect(webOf('ports: ["1:1"]')).toBe(NO_WEB);
    expect(tableOf({ labelled: [labelsOf('a', { ports: '1:1' })] }).entries.get('a')?.service.web).toBe(
      NO_WEB,
    );
  });

  test('comes from the file before the label before the defaults', () => {
    const table = tableOf({
      text: `${DOORS}\ndefaults: {waiting_page: off, blocked: 403}\nservices: {a: {hosts: [f.lan]}}`,
      labelled: [labelsOf('a', { hosts: 'l.lan', 'wake-paths': '/x' })],
    });
    expect(serviceOf(table, 'a').web).toMatchObject({
      hosts: ['f.lan'],
      waitingPage: { kind: 'off' },
      blocked: '403',
      wakePaths: [
        { prefix: '/x', mayWake: true },
        { prefix: '/', mayWake: false },
      ],
    });
  });

  test('lets a file turn off what a label asks for', () => {
    const table = tableOf({
      text: 'services: {a: {tls: false, basic_auth: []}}',
      labelled: [labelsOf('a', { ports: '1:1', tls: 'true', 'basic-auth': `a:${HASH}` })],
    });
    expect(serviceOf(table, 'a')).toMatchObject({ tls: undefined, listeners: [{ port: 1 }] });
    expect(serviceOf(table, 'a').listeners[0]?.mode).toBeUndefined();
  });

  test.each(['basic-auth', 'api-key'])('makes the ports beside %s listeners of HTTP', (login) => {
    const text = login === 'api-key' ? 'k' : `a:${HASH}`;
    const table = tableOf({
      labelled: [labelsOf('a', { ports: '1:80', 'http-ports': '2:80', [login]: text })],
    });
    expect(serviceOf(table, 'a').listeners).toEqual([
      { protocol: 'tcp', address: '', port: 1, targetPort: 80, mode: 'http', isOfPorts: true },
      { protocol: 'tcp', address: '', port: 2, targetPort: 80, mode: 'http' },
    ]);
  });

  test('refuses a service whose file opens what the login of its labels does not guard', () => {
    const table = tableOf({
      text: 'services: {a: {udp_ports: ["53:53"]}}',
      labelled: [labelsOf('a', { 'api-key': 'k' })],
    });
    expect(table.entries.size).toBe(0);
    expect(problemsOf(table)).toEqual([
      `container a, label ${PREFIX}.api-key error api_key: can't guard udp_ports: datagrams carry no login; give the one or the other; until then "a" is refused as a whole`,
    ]);
  });
});
