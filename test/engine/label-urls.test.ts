/** Where the URLs of labels may lead, and those of the file. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { get, getJson } from './support/http.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** A server on the loopback of the machine, as an engine without TLS would be, and what it was asked. */
async function startInternalServer({ onTestFinished }: TestContext) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    request.resume();
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { asked, base: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

test('the webhook of a label does not reach the loopback of the machine, until docker.label_urls says so', async (context) => {
  const bed = await openTestBed(context);
  const internal = await startInternalServer(context);
  const port = await freePort();
  await bed.scope.createContainer({
    name: bed.scope.name('evil'),
    cmd: httpdCommand({ body: 'up' }),
    labels: bed.labels({
      ports: [`${port}:80`],
      webhook_url: `${internal.base}/containers/prod/stop?token=secret`,
    }),
  });
  const proxy = await bed.startProxy({ services: {} });
  expect((await get(port)).body).toBe('up');
  const { msg } = await proxy.waitForLog('webhook-failed');
  const { host } = new URL(internal.base);
  expect(msg).toMatch(/^webhook (container_started|tcp_conn_start) of \S+-evil to /);
  const early = await proxy.waitForLog('problem');
  expect(early.msg).toMatch(
    /-evil, label \S+\.webhook-url: webhook-url: the URL of a label may not lead to /,
  );
  expect(msg).toContain(
    ` to ${host} failed: the URL of a label may not lead to 127.0.0.1 (loopback), unless docker.label_urls allows it`,
  );
  expect(internal.asked).toEqual([]);
  const from = proxy.logs().length;
  await proxy.edit(JSON.stringify({ docker: { label_urls: ['127.0.0.0/8'] }, services: {} }));
  await proxy.waitForLog(({ event }) => event === 'reload', { from });
  expect((await get(port)).body).toBe('up');
  const what = 'a post';
  await waitUntil(() => internal.asked.length > 0, { what });
  expect(internal.asked[0]).toBe('POST /containers/prod/stop?token=secret');
});

test('the health check of a label reaches its container, and not the loopback of the machine', async (context) => {
  const bed = await openTestBed(context);
  const internal = await startInternalServer(context);
  const [good, evil] = [await freePort(), await freePort()];
  const create = (short: string, port: number, url: string) =>
    bed.scope.createContainer({
      name: bed.scope.name(short),
      cmd: httpdCommand({ body: short }),
      labels: bed.labels({ ports: [`${port}:80`], http_healthcheck: url, start_timeout: '3s' }),
    });
  await create('good', good, 'http://{{container}}:80/');
  await create('evil', evil, `http://localhost:${new URL(internal.base).port}/info?x=secret`);
  const proxy = await bed.startProxy();
  // Before anybody has asked.
  const whose = `container ${bed.scope.name('evil')}, label ${bed.scope.prefix}.http-healthcheck`;
  expect((await proxy.waitForLog('problem')).msg).toContain(
    `${whose}: http-healthcheck: the URL of a label may not lead to localhost (loopback)`,
  );
  expect(await getJson(`${proxy.statusUrl}/problems`)).toHaveLength(1);
  expect((await get(good)).body).toBe('good');
  await expect(get(evil)).rejects.toThrow();
  const row = await getStatus(proxy, { service: bed.scope.name('evil'), port: evil });
  expect(row?.error).toMatch(/\/info: the URL of a label may not lead to (127\.0\.0\.1|::1) \(loopback\)/);
  expect(JSON.stringify(row)).not.toContain('secret');
  expect(internal.asked).toEqual([]);
});

test('the URLs of the file lead wherever they say, also for a container with labels', async (context) => {
  const bed = await openTestBed(context);
  const internal = await startInternalServer(context);
  const port = await freePort();
  const container = bed.scope.name('free');
  await bed.scope.createContainer({
    name: container,
    cmd: httpdCommand({ body: 'up' }),
    labels: bed.labels({}),
  });
  const urls = { webhook_url: `${internal.base}/hook`, http_healthcheck: `${internal.base}/health` };
  await bed.startProxy({ services: { free: { container, ports: [`${port}:80`], ...urls } } });
  expect((await get(port)).body).toBe('up');
  await waitUntil(() => internal.asked.includes('POST /hook'), { what: 'a post' });
  expect(internal.asked).toContain('GET /health');
});

test('a mistyped URL of a label shows no secret in log, /problems and status', async (context) => {
  const bed = await openTestBed(context);
  const port = await freePort();
  await bed.scope.createContainer({
    name: bed.scope.name('mistyped'),
    cmd: httpdCommand({ body: 'up' }),
    labels: bed.labels({ ports: [`${port}:80`], webhook_url: 'htps://user:T0KEN@hooks.example.com/T0KEN' }),
  });
  const proxy = await bed.startProxy();
  const { msg } = await proxy.waitForLog('problem');
  expect(msg).toContain('"htps://hooks.example.com/…" is not an http:// or https:// URL');
  const told = await Promise.all(
    ['/problems', '/status'].map((path) => getJson<unknown>(`${proxy.statusUrl}${path}`)),
  );
  expect(JSON.stringify([proxy.logs(), told])).not.toContain('T0KEN');
});

/** The machine's address on a new bridge that no container is on: the bridge has no link. */
async function bridgeWithoutContainers(bed: TestBed, family: 4 | 6): Promise<string> {
  // As the kernel and the log write it: without leading zeros.
  const group = Number.parseInt(bed.scope.prefix.slice(-4), 16).toString(16);
  const ipv6 = `fd00:${group}:1::`;
  const name = bed.scope.name('empty');
  const network = await bed.scope.createNetwork({ name, ...(family === 6 && { ipv6Subnet: `${ipv6}/64` }) });
  const { IPAM } = await bed.scope.docker.getNetwork(network.id).inspect();
  const gateways = (IPAM?.Config ?? []).map(({ Gateway }) => Gateway ?? '');
  const ipv4 = gateways.find((one) => one.includes('.'))?.replace(/\/.*$/, '');
  const address = family === 6 ? `${ipv6}1` : (ipv4 ?? '');
  const told = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  // What makes the address easy to miss.
  expect(told.map((one) => one.address)).not.toContain(address);
  return address;
}

test.each([
  { family: 4, url: (address: string, port: number) => `http://${address}:${port}` },
  { family: 6, url: (address: string, port: number) => `http://[${address}]:${port}` },
] as const)(
  'a label reaches neither status server nor own listeners through a bridge without containers, IPv$family',
  async ({ family, url }) => {
    const bed = await openTestBed();
    const address = await bridgeWithoutContainers(bed, family);
    const [statusPort = 0, asking = 0, looping = 0] = await freePorts(3);
    const create = (short: string, fields: ServiceFields) =>
      bed.scope.createContainer({
        name: bed.scope.name(short),
        cmd: httpdCommand({ body: short }),
        labels: bed.labels({ start_timeout: '3s', ...fields }),
      });
    const http_healthcheck = `${url(address, statusPort)}/health`;
    await create('asks', { ports: [`${asking}:80`], http_healthcheck });
    await create('loops', { ports: [`${looping}:80`], webhook_url: `${url(address, looping)}/x` });
    const proxy = await bed.startProxy({ env: { STATUS_PORT: String(statusPort) } });
    expect((await get(looping)).body).toBe('loops');
    const failed = await proxy.waitForLog('webhook-failed');
    expect(failed.msg).toMatch(/is the proxy's own listener of service .*, whose webhook would never end$/);
    await expect(get(asking)).rejects.toThrow();
    const told = proxy.waitForLog(
      ({ event, msg }) => event === 'unserved' && msg.includes('the status server'),
    );
    expect((await told).msg).toContain(`the URL of a label may not lead to ${address} (the status server)`);
    // One client, one wake, its end: nothing has come round.
    expect(proxy.logs().filter(({ event }) => event === 'accepted').length).toBeLessThan(5);
  },
);
