/** The engine's daemon dies and comes back while the proxy runs; live-restore keeps its containers alive meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../../scripts/private-engine.mjs';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import type { TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import { whyNoPrivateEngine } from './support/private-engine.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';
import { startWebhookReceiver } from './support/webhook-receiver.ts';

const SERVICE = 'web';
/** Everything works again so soon after the engine has come back. */
const MAX_RECOVERY_MS = 5_000;
const LONG_ABSENCE_MS = 4_000;

const obstacle = whyNoPrivateEngine();
if (obstacle !== undefined) {
  const ruler = '!'.repeat(80);
  console.warn(
    `${ruler}\nTHE ENGINE RESTART TESTS DO NOT RUN: they start an engine of their own, and ${obstacle}.\n${ruler}`,
  );
}

describe.skipIf(obstacle !== undefined)('while the engine is away', () => {
  let engine: PrivateEngine;
  beforeAll(async () => {
    engine = await startPrivateEngine({ liveRestore: true });
  });
  afterAll(() => engine?.stop());

  interface Stage extends TestBed {
    readonly port: number;
    readonly container: TestContainer;
    readonly proxy: ProxyProcess;
  }

  /** A stopped container on the engine that will go away, and a proxy whose file names it. */
  async function openStage(): Promise<Stage> {
    const bed = await openTestBed({ host: engine.host });
    const port = await freePort();
    const container = await bed.scope.createContainer({ name: bed.scope.name('web'), cmd: httpdCommand() });
    const services = {
      [SERVICE]: { container: container.name, ports: [`${port}:80`], start_timeout: '30s' },
    };
    const proxy = await bed.startProxy({ services });
    // Before it has looked at the container, there is nothing that a client could wake.
    await proxy.waitForLog('asleep');
    return { ...bed, port, container, proxy };
  }

  /** Takes the engine away until `task` has ended; returns when it was back, by `performance.now()`. */
  async function withoutEngine({ proxy }: Stage, task: () => Promise<unknown>): Promise<number> {
    await engine.killDaemon();
    try {
      await proxy.waitForLog('engine-lost');
      await task();
    } finally {
      await engine.startDaemonAgain();
    }
    return performance.now();
  }

  test('webhooks are told that it is lost and back, and of a start that fails', async (context) => {
    const receiver = await startWebhookReceiver();
    context.onTestFinished(() => receiver.close());
    const bed = await openTestBed({ host: engine.host });
    const [port, badPort] = [await freePort(), await freePort()];
    const container = await bed.scope.createContainer({ name: bed.scope.name('web'), cmd: httpdCommand() });
    const bad = await bed.scope.createContainer({ name: bed.scope.name('bad'), cmd: ['false'] });
    const services = {
      [SERVICE]: { container: container.name, ports: [`${port}:80`] },
      bad: { container: bad.name, ports: [`${badPort}:80`], start_timeout: '3s' },
    };
    const proxy = await bed.startProxy({
      config: JSON.stringify({ webhooks: [{ url: receiver.url, secret: 's3cret' }], services }),
    });
    await proxy.waitForLog('asleep');
    expect((await get(port)).body).toBe('hello');
    await expect(get(badPort)).rejects.toThrow();
    await waitUntil(() => receiver.of('wake_failed').length > 0, { what: 'the failed wake' });
    expect(receiver.of('wake_failed')[0]).toMatchObject({
      service: 'bad',
      container_id: bad.id.slice(0, 12),
      container_name: bad.name,
      reason: expect.stringContaining('exit code 1'),
      cause: expect.stringContaining('for 127.0.0.1:'),
    });
    await withoutEngine({ ...bed, port, container, proxy }, async () => {
      await waitUntil(() => receiver.of('engine_lost').length > 0, { what: 'the lost engine' });
    });
    await waitUntil(() => receiver.of('engine_back').length > 0, { what: 'the engine that is back' });
    expect(receiver.of('engine_lost')).toEqual([
      {
        ...{ event: 'engine_lost', engine: 'docker', reason: expect.any(String) },
        timestamp: expect.stringMatching(/^\d{4}-/),
      },
    ]);
    expect(receiver.of('engine_back')).toEqual([
      {
        ...{ event: 'engine_back', engine: 'docker', duration_ms: expect.any(Number) },
        timestamp: expect.stringMatching(/^\d{4}-/),
      },
    ]);
    expect(receiver.of('container_started')[0]).toMatchObject({ service: SERVICE });
  });

  test('connections to an awake service are served', async () => {
    const stage = await openStage();
    await get(stage.port);
    const kept = await connectTcp(stage.port);
    await withoutEngine(stage, async () => {
      for (let count = 0; count < 10; count++) expect((await get(stage.port)).body).toBe('hello');
      await kept.send('GET / HTTP/1.0\r\n\r\n');
      expect(String(await kept.readAll())).toContain('hello');
      kept.destroy();
    });
    // Nobody took it for stopped meanwhile.
    expect(stage.proxy.logs().filter(({ event }) => event === 'wake')).toHaveLength(1);
  });

  test('a client that wakes a service waits, and is served within 5 s of the return', async () => {
    const stage = await openStage();
    let served = Promise.resolve(0);
    const backMs = await withoutEngine(stage, async () => {
      served = get(stage.port, { timeoutMs: 30_000 }).then(({ body }) => {
        expect(body).toBe('hello');
        return performance.now();
      });
      await stage.proxy.waitForLog('wake');
      // So long that the proxy looks for the engine as seldom as it ever does.
      await sleep(LONG_ABSENCE_MS);
    });
    expect((await served) - backMs).toBeLessThan(MAX_RECOVERY_MS);
  });

  test('a container that stopped unseen is noticed within 5 s of the return, and woken by the next client', async () => {
    const stage = await openStage();
    await get(stage.port);
    const { State } = await stage.container.inspect();
    const backMs = await withoutEngine(stage, async () => {
      process.kill(State.Pid, 'SIGKILL');
    });
    const row = () => getStatus(stage.proxy, { service: SERVICE, port: stage.port });
    await waitUntil(async () => (await row())?.state === 'stopped', { what: 'the stop in the status' });
    expect(performance.now() - backMs).toBeLessThan(MAX_RECOVERY_MS);
    expect((await get(stage.port)).body).toBe('hello');
  });

  test('a container made after the return is used within 5 s of it', async () => {
    const stage = await openStage();
    const port = await freePort();
    const name = stage.scope.name('new');
    const backMs = await withoutEngine(stage, async () => {});
    await stage.scope.createContainer({
      name,
      labels: stage.labels({ ports: `${port}:80` }),
      cmd: httpdCommand(),
    });
    await waitUntil(() => getStatus(stage.proxy, { service: name, port }), {
      what: 'the new service in the status',
    });
    expect((await get(port)).body).toBe('hello');
    expect(performance.now() - backMs).toBeLessThan(MAX_RECOVERY_MS);
  });
});
