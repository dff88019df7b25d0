import { describe, expect, test } from 'vitest';
import { listOutsideRoutes } from '../../../../src/status/api/providers/outside-routes.ts';
import { renderTraefik, type TraefikRouter } from '../../../../src/status/api/providers/traefik.ts';
import { labelsOf, tableOf } from '../../../support/builders.ts';

const CONTEXT = { proxyHost: 'lazy-proxy', entryPoint: 'websecure', certResolver: 'myresolver' };

function render(text: string, context: Partial<typeof CONTEXT> = {}) {
  return renderTraefik(listOutsideRoutes(tableOf({ text }), { traefik: true }), { ...CONTEXT, ...context });
}

/** The rules, by the address that they lead to. */
function rulesOf({ http, tcp }: ReturnType<typeof render>): readonly string[] {
  const of = (routers: Readonly<Record<string, TraefikRouter>>, services: Readonly<Record<string, object>>) =>
    Object.values(routers).map(({ rule, service }) => {
      const [, where] = /"(?:url|address)":"([^"]+)"/.exec(JSON.stringify(services[service])) ?? [];
      return `${rule} -> ${where}`;
    });
  return [...of(http?.routers ?? {}, http?.services ?? {}), ...of(tcp?.routers ?? {}, tcp?.services ?? {})];
}

describe("what Traefik's provider reads", () => {
  test('is what lazy-tcp-proxy documents for traefik-hosts and traefik-tcp-hosts', () => {
    const text = `
services:
  whoami: { ports: ["9001:80"], traefik_hosts: ["whoami.localhost:9001"] }
  mongo: { ports: ["27015:27017"], traefik_tcp_hosts: ["mongo.example.com:27015"] }
`;
    expect(render(text)).toEqual({
      http: {
        routers: {
          'whoami-localhost-9001-router': {
            rule: 'Host(`whoami.localhost`)',
            service: 'whoami-localhost-9001-service',
            entryPoints: ['websecure'],
            tls: { certResolver: 'myresolver' },
          },
        },
        services: {
          'whoami-localhost-9001-service': {
            loadBalancer: { servers: [{ url: 'http://lazy-proxy:9001' }] },
          },
        },
      },
      tcp: {
        routers: {
          'mongo-example-com-27015-router': {
            rule: 'HostSNI(`mongo.example.com`)',
            service: 'mongo-example-com-27015-service',
            entryPoints: ['websecure'],
            tls: { certResolver: 'myresolver' },
          },
        },
        services: {
          'mongo-example-com-27015-service': {
            loadBalancer: { servers: [{ address: 'lazy-proxy:27015' }] },
          },
        },
      },
    });
  });

  test('leaves entry point and resolver out where they are empty, and keeps TLS where the name is told by it', () => {
    const text = `
services:
  a: { ports: ["9001:80"], traefik_hosts: ["a.lan:9001"], traefik_tcp_hosts: ["b.lan:9001"] }
`;
    const { http, tcp } = render(text, { entryPoint: '', certResolver: '' });
    expect(http?.routers).toEqual({
      'a-lan-9001-router': { rule: 'Host(`a.lan`)', service: 'a-lan-9001-service' },
    });
    expect(tcp?.routers).toEqual({
      'b-lan-9001-router': { rule: 'HostSNI(`b.lan`)', service: 'b-lan-9001-service', tls: {} },
    });
  });

  test('is an empty mapping when there is nothing to tell', () => {
    expect(render('services: {}')).toEqual({});
    expect(render('services: { a: { ports: ["1:1"] } }')).toEqual({});
  });

  test.each([
    ['the front door', 'http: { listen: "80" }', '', 'Host(`a.lan`) -> http://lazy-proxy:80'],
    [
      'the plain one of two',
      'http: { https: "443", listen: ["127.0.0.1:81", "82"], self_signed_domains: [lan] }',
      '',
      'Host(`a.lan`) -> http://lazy-proxy:82',
    ],
    [
      'the one with TLS, undecrypted, where there is no other',
      'http: { https: "443", self_signed_domains: [lan] }',
      '',
      'HostSNI(`a.lan`) -> lazy-proxy:443',
    ],
    [
      'its HTTP port, where there is no front door',
      '',
      ', ports: ["91:80"], http_ports: ["92:80"]',
      'Host(`a.lan`) -> http://lazy-proxy:92',
    ],
    [
      'its TCP port, where there is no other',
      '',
      ', ports: ["91:80"]',
      'Host(`a.lan`) -> http://lazy-proxy:91',
    ],
  ])('leads a host to %s', (_, settings, more, expected) => {
    expect(rulesOf(render(`${settings}\nservices: { a: { hosts: [a.lan]${more} } }`))).toEqual([expected]);
  });

  test('passes TLS through that ends behind it', () => {
    const text = `
http: { https: "443" }
services:
  git: { tls_hosts: [git.lan, "*.git.lan"] }
  cache: { ports: ["6379:6379"], tls: true, traefik_tcp_hosts: ["cache.lan:6379"] }
`;
    const { tcp } = render(text);
    expect(Object.values(tcp?.routers ?? {}).map(({ rule, tls }) => [rule, tls])).toEqual([
      ['HostSNI(`cache.lan`)', { passthrough: true }],
      ['HostSNI(`git.lan`)', { passthrough: true }],
      ['HostSNIRegexp(`^.+\\.git\\.lan$`)', { passthrough: true }],
    ]);
  });

  test('has exact names above wildcards, longer wildcards above shorter ones, and asks certificates for them', () => {
    const text =
      'http: { listen: "80" }\nservices: { a: { hosts: ["*.lan", "*.very.long.name.lan", a.lan, b.very.long.name.lan] } }';
    const routers = Object.values(render(text).http?.routers ?? {});
    // Traefik takes the length of the rule where there is no priority.
    const byPriority = routers.toSorted(
      (a, b) => (b.priority ?? b.rule.length) - (a.priority ?? a.rule.length),
    );
    expect(byPriority.map(({ rule, tls }) => [rule, tls?.domains])).toEqual([
      ['Host(`b.very.long.name.lan`)', undefined],
      ['HostRegexp(`^.+\\.very\\.long\\.name\\.lan$`)', [{ main: '*.very.long.name.lan' }]],
      ['Host(`a.lan`)', undefined],
      ['HostRegexp(`^.+\\.lan$`)', [{ main: '*.lan' }]],
    ]);
  });

  test('gives names of their own to hosts that differ in signs alone', () => {
    const text = `
http: { listen: "80" }
services: { a: { hosts: [a-b.lan, a.b.lan, "*.b.lan", any.b.lan] } }
`;
    const { http } = render(text);
    expect(Object.keys(http?.routers ?? {})).toEqual([
      'a-b-lan-80-router',
      'a-b-lan-80-2-router',
      'any-b-lan-80-router',
      'any-b-lan-80-2-router',
    ]);
    expect(Object.values(http?.routers ?? {}).map(({ service }) => http?.services[service])).not.toContain(
      undefined,
    );
  });

  test('makes rules of nothing that is no name, whoever let it in', () => {
    const hosts = ['a`) || Host(`b', 'a.lan`', '*', '', 'a lan', '{{a}}', '../a', 'A.lan'];
    const table = tableOf({ text: 'http: { listen: "80" }\nservices: { a: { hosts: [a.lan] } }' });
    const [entry] = [...table.entries.values()];
    if (entry === undefined) throw new Error('there is no service');
    const hostile = { ...entry.service, web: { ...entry.service.web, hosts } };
    const entries = new Map([['a', { ...entry, service: hostile }]]);
    expect(listOutsideRoutes({ ...table, entries }, { traefik: true })).toEqual({ http: [], sni: [] });
  });

  test('leaves out ports that the service does not listen on', () => {
    const text = `
services:
  a: { ports: ["9001:80"], udp_ports: ["53:53"], traefik_hosts: ["a.lan:9002", "b.lan:53", "c.lan:9001"] }
  b: { ports: ["9002:80"] }
`;
    expect(rulesOf(render(text))).toEqual(['Host(`c.lan`) -> http://lazy-proxy:9001']);
  });

  test('tells an IPv6 address in brackets', () => {
    const text = 'http: { listen: "80" }\nservices: { a: { hosts: [a.lan] } }';
    expect(rulesOf(render(text, { proxyHost: 'fd00::1' }))).toEqual(['Host(`a.lan`) -> http://[fd00::1]:80']);
  });

  test('lets no label take a host of the file', () => {
    const thief = labelsOf('thief', {
      ports: '9009:80',
      'traefik-hosts': 'wiki.lan:9009,shop.lan:9009,own.lan:9009',
    });
    const text = `
http: { listen: "80" }
services:
  wiki: { hosts: [wiki.lan] }
  zzz: { ports: ["9001:80"], traefik_hosts: ["shop.lan:9001"] }
`;
    const routes = listOutsideRoutes(tableOf({ text, labelled: [thief] }), { traefik: true });
    expect(routes.http.map(({ host, port }) => `${host}:${port}`)).toEqual([
      'own.lan:9009',
      'shop.lan:9001',
      'wiki.lan:80',
    ]);
  });
});
