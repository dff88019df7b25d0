/** What Caddy makes of it is in test/cli/program/reverse-proxies.test.ts. */
import { expect, test } from 'vitest';
import { renderCaddy } from '../../../../src/status/api/providers/caddy.ts';
import { listOutsideRoutes } from '../../../../src/status/api/providers/outside-routes.ts';
import { tableOf } from '../../../support/builders.ts';

const CONTEXT = { proxyHost: 'lazy-proxy', listen: [':443'], automaticHttps: true };
const NOT_FOUND = { handle: [{ handler: 'static_response', status_code: 404 }], terminal: true };

function routesOf(text: string, context: Partial<Parameters<typeof renderCaddy>[1]> = {}) {
  const { http } = listOutsideRoutes(tableOf({ text }), { traefik: false });
  return renderCaddy(http, { ...CONTEXT, ...context });
}

test('leads the hosts of all services to the front door, and knows no other host', () => {
  const text = `
http: { listen: "80" }
services:
  wiki: { hosts: [wiki.lan] }
  photos: { hosts: ["*.photos.lan", photos.lan], ports: ["9001:80"], traefik_hosts: ["for-traefik.lan:9001"] }
  git: { tls_hosts: [git.lan] }
`;
  const handle = [{ handler: 'reverse_proxy', upstreams: [{ dial: 'lazy-proxy:80' }] }];
  expect(routesOf(text)).toEqual({
    apps: {
      http: {
        servers: {
          'lazy-proxy': {
            listen: [':443'],
            routes: [
              { match: [{ host: ['photos.lan', 'wiki.lan'] }], handle, terminal: true },
              { match: [{ host: ['*.photos.lan'] }], handle, terminal: true },
              NOT_FOUND,
            ],
          },
        },
      },
    },
  });
});

test('speaks TLS by the name of the host to a front door that has nothing else', () => {
  const text =
    'http: { https: "8443", self_signed_domains: [lan] }\nservices: { wiki: { hosts: [wiki.lan] } }';
  const [route] = routesOf(text).apps.http.servers['lazy-proxy'].routes;
  expect(route?.handle).toEqual([
    {
      handler: 'reverse_proxy',
      upstreams: [{ dial: 'lazy-proxy:8443' }],
      transport: { protocol: 'http', tls: { server_name: '{http.request.host}' } },
    },
  ]);
});

test('is a server without routes when there is nothing to tell', () => {
  expect(routesOf('services: {}').apps.http.servers['lazy-proxy'].routes).toEqual([NOT_FOUND]);
});

test('has Caddy ask again with what it has shown', () => {
  const again = { url: 'http://lazy-proxy:8080/caddy?poll=5s', every: '5s', authorization: 'Bearer x' };
  expect(routesOf('services: {}', { again }).admin).toEqual({
    config: {
      load: { module: 'http', method: 'GET', url: again.url, header: { Authorization: ['Bearer x'] } },
      load_delay: '5s',
    },
  });
});
