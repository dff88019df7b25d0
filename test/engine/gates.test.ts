/** What a container has to pass after a cold start before anything is sent to it. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { type AppAnswer, type AppOptions, httpdCommand, nodeApp } from './support/apps.ts';
import type { ContainerSpec } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** From the engine's event to the first byte that the client gets, or to its end. */
const MAX_EVENT_DELAY_MS = 100;
const HEALTHY = 'health_status: healthy';
const UNHEALTHY = 'health_status: unhealthy';

interface Stage extends TestBed {
  readonly port: number;
  readonly name: string;
  readonly proxy: ProxyProcess;
}

/** A stopped container, and a proxy whose file names it. */
async function openStage(
  bed: TestBed,
  { spec, fields = {} }: { readonly spec: Partial<ContainerSpec>; readonly fields?: ServiceFields },
): Promise<Stage> {
  const port = await freePort();
  const name = bed.scope.name('gated');
  await bed.scope.createContainer({ name, ...spec });
  const proxy = await bed.startProxy({
    services: { gated: { container: name, ports: [`${port}:80`], ...fields } },
  });
  return { ...bed, port, name, proxy };
}

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });

describe.concurrent('with http_healthcheck', () => {
  const fields = { http_healthcheck: 'http://{{container}}:80/health' };

  test('a client gets its first answer only after the app is healthy, however early it listens', async (context) => {
    const spec = await nodeApp({ healthyAfterMs: 2_000 });
    const { port } = await openStage(await open(context), { spec, fields });
    const { body, firstByteAt } = await get(port);
    const { startedAt, listeningAt, checks } = JSON.parse(body) as AppAnswer;
    expect(firstByteAt - startedAt).toBeGreaterThanOrEqual(2_000);
    expect(listeningAt - startedAt).toBeLessThan(1_500);
    // It was asked before and told to come again.
    expect(checks).toBeGreaterThan(1);
  });

  test('a ready app is never checked again for a new connection', async (context) => {
    const { port } = await openStage(await open(context), { spec: await nodeApp(), fields });
    const first = await getJson<AppAnswer>(port);
    for (let left = 10; left > 0; left--) await get(port);
    const { checks, pid } = await getJson<AppAnswer>(port);
    expect({ checks, pid }).toEqual({ checks: first.checks, pid: first.pid });
  });
});

/** Where a HEALTHCHECK can be declared; each returns a container that turns healthy at `/health`. */
const DECLARATIONS: Readonly<
  Record<string, (bed: TestBed, app: AppOptions) => Promise<Partial<ContainerSpec>>>
> = {
  async container(_bed, app) {
    const test = ['CMD-SHELL', 'wget -q -O /dev/null http://127.0.0.1/health'];
    return { ...(await nodeApp(app)), healthcheck: { test, intervalMs: 1_000, retries: 30 } };
  },
  async image({ scope }, app) {
    const spec = await nodeApp(app);
    const check = '--interval=1s --retries=30 CMD wget -q -O /dev/null http://127.0.0.1/health';
    return {
      ...spec,
      image: await scope.createImage({ from: spec.image, changes: [`HEALTHCHECK ${check}`] }),
    };
  },
};

describe.each(Object.entries(DECLARATIONS))('with a HEALTHCHECK declared in the %s', (_, declare) => {
  test('forwarding begins within 100 ms of the event that the container is healthy', async (context) => {
    const bed = await open(context);
    const { port, name, events } = await openStage(bed, {
      spec: await declare(bed, { healthyAfterMs: 2_500 }),
    });
    const { firstByteAt } = await get(port, { timeoutMs: 20_000 });
    const { at } = await events.waitFor(name, HEALTHY);
    expect(firstByteAt - at).toBeGreaterThan(-5);
    expect(firstByteAt - at).toBeLessThan(MAX_EVENT_DELAY_MS);
  });
});

test('a client is closed at the end of the budget, with the reason, when the container stays unhealthy', async (context) => {
  const healthcheck = { test: ['CMD', 'false'], intervalMs: 1_000, retries: 1 };
  const spec = { cmd: httpdCommand(), healthcheck };
  const fields = { start_timeout: '4s' };
  const { port, name, events, proxy } = await openStage(await open(context), { spec, fields });
  const startMs = performance.now();
  const client = await connectTcp(port);
  await client.closed;
  expect(performance.now() - startMs).toBeGreaterThan(3_900);
  client.destroy();
  await events.exactly(name, UNHEALTHY, 1);
  expect(await proxy.waitForLog('wake-failed')).toMatchObject({
    msg: expect.stringContaining('unhealthy'),
  });
});

test('without a health check the connection that proves the port is the one the client gets', async (context) => {
  const bed = await open(context);
  const port = await freePort();
  const name = bed.scope.name('dialled');
  const container = await bed.scope.createContainer({
    name,
    ...(await nodeApp({ mode: 'echo', delayMs: 500 })),
  });
  await bed.startProxy({ services: { dialled: { container: name, ports: [`${port}:80`] } } });
  const client = await connectTcp(port);
  await client.send('hello');
  client.endSending();
  expect(String(await client.readAll())).toBe('hello');
  client.destroy();
  const lines = await waitUntil(() => container.logs(), { what: 'the end of the connection' });
  expect(lines).toBe('got 5 bytes, end\n');
});
