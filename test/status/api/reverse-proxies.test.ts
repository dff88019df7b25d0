/** `/traefik` and `/caddy` on the status port: who may read them, and by which name they lead here. */
import { expect, test } from 'vitest';
import { startApiProxy } from '../../support/api-proxy.ts';
import { freePort } from '../../support/free-ports.ts';

const SERVER = { command: '[sleep, "60"]' };

async function start({ status = '', traefik = '' } = {}) {
  const port = await freePort();
  const services = `  wiki: { command: ${SERVER.command}, ports: ["127.0.0.1:${port}:80"], hosts: [wiki.lan] }\n`;
  const started = await startApiProxy(services, { status, settings: traefik });
  return { ...started, servicePort: port };
}

test('leads to the name by which Traefik has asked', async () => {
  const { ask, servicePort } = await start();
  for (const [host, expected] of [
    ['lazy-proxy:8080', 'lazy-proxy'],
    ['Proxy.home.arpa', 'proxy.home.arpa'],
    ['[::1]:8080', '[::1]'],
  ] as const) {
    const { status, json } = await ask('/traefik', { headers: { host } });
    expect([status, JSON.stringify(json)]).toEqual([
      200,
      expect.stringContaining(`http://${expected}:${servicePort}`),
    ]);
  }
});

test('leads to the name that the file says', async () => {
  const { ask } = await start({
    traefik: 'traefik: { proxy_host: 10.0.0.5, entrypoint: "", cert_resolver: le }\n',
  });
  const { json } = await ask('/traefik');
  expect(json).toMatchObject({
    http: {
      routers: {
        [`wiki-lan-${(await ask('/traefik')).body.match(/10\.0\.0\.5:(\d+)/)?.[1]}-router`]: {
          rule: 'Host(`wiki.lan`)',
          tls: { certResolver: 'le' },
        },
      },
    },
  });
  expect(JSON.stringify(json)).not.toContain('entryPoints');
});

test.each(['/traefik', '/caddy'])('%s asks for the token where reading does', async (path) => {
  const { ask } = await start({ status: ', token: s3cret, protect: true' });
  expect((await ask(path)).status).toBe(401);
  expect((await ask(path, { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
  expect((await ask(path, { headers: { authorization: 'Bearer s3cret' } })).status).toBe(200);
});

test.each(['/traefik', '/caddy'])('%s can be read only', async (path) => {
  const { ask } = await start({ status: ', token: s3cret' });
  const { status, headers } = await ask(path, {
    method: 'POST',
    headers: { authorization: 'Bearer s3cret' },
  });
  expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
});

test('takes where Caddy listens, how it reaches the proxy, and how often it asks', async () => {
  const { ask, port, servicePort } = await start();
  const path = '/caddy?listen=%3A80&listen=[::1]:8081&proxy_host=lazy.lan&poll=10s';
  const { json } = await ask(path, { headers: { authorization: 'Bearer whatever' } });
  expect(json).toMatchObject({
    admin: { config: { load: { url: `http://127.0.0.1:${port}${path}` }, load_delay: '10s' } },
    apps: {
      http: {
        servers: {
          'lazy-proxy': {
            listen: [':80', '[::1]:8081'],
            routes: [{ handle: [{ upstreams: [{ dial: `lazy.lan:${servicePort}` }] }] }, {}],
          },
        },
      },
    },
  });
});

test.each([
  ['/caddy?listen=80', 'listen: "80" is not [address]:port such as ":443"'],
  ['/caddy?listen=%7Benv.HOME%7D:80', 'listen: "{env.HOME}:80" is not [address]:port such as ":443"'],
  ['/caddy?tls=on', 'tls: "on" is not off'],
  ['/caddy?poll=0s', 'poll: "0s" is not a time such as 10s or 1m'],
  ['/caddy?proxy_host=a:80', 'proxy_host: "a:80" is not a host name or address'],
  ['/caddy?proxy_host=%7Ba%7D', 'proxy_host: "{a}" is not a host name or address'],
])('refuses %s', async (path, detail) => {
  const { ask } = await start();
  expect(await ask(path)).toMatchObject({ status: 400, json: { detail } });
});
