/** What may come between a container's start and its first answer, and must not cost the client that waits for it. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { type AppAnswer, nodeApp } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp, type TcpClient } from './support/tcp.ts';
import { openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';

interface Stage extends TestBed {
  readonly port: number;
  readonly name: string;
  readonly spec: ContainerSpec;
  readonly container: TestContainer;
  readonly proxy: ProxyProcess;
}

/** A stopped container, and a proxy whose file names it. */
async function openStage(
  { onTestFinished }: TestContext,
  spec: Partial<ContainerSpec>,
  fields: ServiceFields = {},
): Promise<Stage> {
  const bed = await openTestBed({ onTestFinished });
  const port = await freePort();
  const name = bed.scope.name('app');
  const whole = { ...spec, name };
  const container = await bed.scope.createContainer(whole);
  const proxy = await bed.startProxy({
    services: { app: { container: name, ports: [`${port}:80`], ...fields } },
  });
  return { ...bed, port, name, spec: whole, container, proxy };
}

/** A client that asks the moment it is connected; it goes with the test. */
async function askEarly({ port, atEnd }: Stage): Promise<TcpClient> {
  const client = await connectTcp(port);
  atEnd(() => client.destroy());
  await client.send('GET / HTTP/1.0\r\n\r\n');
  return client;
}

/** What the app answered; undefined where the client was closed without a byte. */
async function readAnswer(client: TcpClient): Promise<AppAnswer | undefined> {
  const [, body = ''] = String(await client.readAll()).split('\r\n\r\n');
  return body === '' ? undefined : (JSON.parse(body) as AppAnswer);
}

describe.concurrent('a client that waits for a slow start', () => {
  test('is served when somebody restarts the container meanwhile', async (context) => {
    const stage = await openStage(context, await nodeApp({ delayMs: 2_000 }));
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'start');
    await stage.container.restart();
    const { at: diedAt } = await stage.events.waitFor(stage.name, 'die');
    const answer = await readAnswer(client);
    expect(answer?.startedAt).toBeGreaterThan(diedAt);
  });

  test('is served when somebody replaces the container meanwhile', async (context) => {
    const stage = await openStage(context, await nodeApp({ delayMs: 2_000 }));
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'start');
    await stage.container.remove();
    const next = await stage.scope.createContainer(stage.spec);
    expect((await readAnswer(client))?.hostname).toBe(next.id.slice(0, 12));
  });

  test.for(['stop', 'kill'] as const)(
    'is served when somebody does a %s meanwhile: it is woken again',
    async (how, context) => {
      const stage = await openStage(context, await nodeApp({ delayMs: 2_000 }));
      const client = await askEarly(stage);
      await stage.events.waitFor(stage.name, 'start');
      await (how === 'stop' ? stage.container.stop(0) : stage.container.kill());
      expect((await readAnswer(client))?.hostname).toBe(stage.container.id.slice(0, 12));
      await stage.events.exactly(stage.name, 'start', 2);
    },
  );

  // Alone, since half a second counts.
  test.sequential('is closed at once, with the exit status in the log, when the container ends by itself', async (context) => {
    const stage = await openStage(context, { cmd: ['sh', '-c', 'sleep 0.3; exit 3'] });
    const client = await askEarly(stage);
    const { at } = await stage.events.waitFor(stage.name, 'die');
    expect(await readAnswer(client)).toBeUndefined();
    expect(Date.now() - at).toBeLessThan(500);
    const line = await stage.proxy.waitForLog('wake-failed');
    expect(line.msg).toContain('exit code 3');
  });
});

/** Asks the app itself, as most images do. */
const ASK_HEALTH = ['CMD-SHELL', 'wget -q -O /dev/null http://127.0.0.1/health'];

describe.concurrent('a health check', () => {
  test('that runs too late for the budget costs no client: the port counts until then', async (context) => {
    // Without an interval it runs 30 s after the start, which is the whole default budget.
    const healthcheck = { test: ASK_HEALTH, intervalMs: 0 };
    const stage = await openStage(context, { ...(await nodeApp({ delayMs: 500 })), healthcheck });
    const client = await askEarly(stage);
    const answer = await readAnswer(client);
    expect(answer?.hostname).toBe(stage.container.id.slice(0, 12));
    expect(Date.now() - (answer?.listeningAt ?? 0)).toBeLessThan(5_000);
    expect((await stage.proxy.waitForLog('health-late')).msg).toContain('30 s');
  });

  test('that says unhealthy first and healthy later serves the client that waits', async (context) => {
    const healthcheck = { test: ASK_HEALTH, intervalMs: 500, retries: 1 };
    const stage = await openStage(context, { ...(await nodeApp({ healthyAfterMs: 4_000 })), healthcheck });
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'health_status: unhealthy');
    const { listeningAt = 0, startedAt = 0 } = (await readAnswer(client)) ?? {};
    expect(listeningAt).toBeGreaterThan(0);
    expect(Date.now() - startedAt).toBeGreaterThanOrEqual(4_000);
    const lines = stage.proxy.logs().filter(({ event }) => event === 'unhealthy');
    expect(lines).toHaveLength(1);
  });

  test('that has not spoken yet keeps the container awake, although nobody waits any more', async (context) => {
    const healthcheck = { test: ASK_HEALTH, intervalMs: 1_000, retries: 30 };
    const app = await nodeApp({ healthyAfterMs: 5_500 });
    const stage = await openStage(
      context,
      { ...app, healthcheck },
      { start_timeout: '2s', idle_timeout: '1s' },
    );
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'start');
    client.destroy();
    const { at: diedAt } = await stage.events.waitFor(stage.name, 'die', { timeoutMs: 20_000 });
    const { at: healthyAt } = await stage.events.waitFor(stage.name, 'health_status: healthy');
    expect(diedAt - healthyAt).toBeGreaterThan(1_000);
    expect(diedAt - healthyAt).toBeLessThan(3_000);
  });
});
