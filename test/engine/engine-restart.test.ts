/** The engine's daemon dies and comes back while the proxy runs; live-restore keeps its containers alive meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivateEngine, startPrivateEngine } from '../../scripts/private-engine.mjs';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import { whyNoPrivateEngine } from './support/private-engine.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';
import { startWebhookReceiver } from './support/webhook-receiver.ts';

const SERVICE = 'web';
/** Everything works again so soon after the engine has come back. */
const MAX_RECOVERY_MS = 5_000;
const LONG_ABSENCE_MS = 4_000;

/** The usual server, after `commands` of the shell. */
function serveAfter(commands: string): readonly string[] {
  const [shell = '', flag = '', script, ...rest] = httpdCommand();
  return [shell, flag, `${commands} ${script}`, ...rest];
}

/** Where a wake is when the engine is killed. */
const PHASES: readonly (readonly [string, Partial<ContainerSpec>, 'asked for' | 'running'])[] = [
  ['is being started', { cmd: serveAfter('sleep 1;') }, 'asked for'],
  ['has been started, and its port is not there yet', { cmd: serveAfter('sleep 2;') }, 'running'],
];

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
  async function openStage(spec: Partial<ContainerSpec> = {}, fields: ServiceFields = {}): Promise<Stage> {
    const bed = await openTestBed({ host: engine.host });
    const port = await freePort();
    const name = bed.scope.name('web');
    const container = await bed.scope.createContainer({ cmd: httpdCommand(), ...spec, name });
    const services = {
      [SERVICE]: { container: name, ports: [`${port}:80`], start_timeout: '30s', ...fields },
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

  test.each(PHASES)('a client is served when the container %s', async (_, spec, state) => {
    const stage = await openStage(spec);
    const { proxy, events, container, port } = stage;
    const served = get(port, { timeoutMs: 40_000 });
    await (state === 'running' ? events.waitFor(container.name, 'start') : proxy.waitForLog('wake'));
    await withoutEngine(stage, async () => {
      expect(proxy.logs().filter(({ event }) => event === 'awake')).toEqual([]);
    });
    expect((await served).body).toBe('hello');
    await proxy.waitForLog('engine-reached');
    await proxy.waitForLog('awake');
  });

  test('a container whose health check the engine goes on with, or forgets, is served then, or after its next sleep', async () => {
    const healthcheck = { test: ['CMD', 'test', '-e', '/well'], intervalMs: 500, retries: 1 };
    const spec = { cmd: serveAfter('(sleep 1; touch /well) &'), healthcheck };
    const stage = await openStage(spec, { start_timeout: '3s', idle_timeout: '1s' });
    const { proxy, events, container, port } = stage;
    const served = get(port).catch(() => undefined);
    await events.waitFor(container.name, 'start');
    await withoutEngine(stage, async () => {});
    // Docker 20.10 checks no more what ran when it was killed.
    if ((await served) === undefined) {
      const { msg } = await proxy.waitForLog('wake-failed');
      expect(msg).toContain('its health check has not passed yet');
    }
    await proxy.waitForLog('asleep', { from: proxy.logs().length });
    expect((await get(port)).body).toBe('hello');
  });

  test('a container that is being put to sleep is slept and woken as before', async () => {
    // The engine waits for it, and kills it in the end.
    const cmd = httpdCommand().map((part) => part.replace("trap 'exit 0' TERM", "trap '' TERM"));
    const stage = await openStage({ cmd, stopTimeoutSecs: 2 }, { idle_timeout: '1s' });
    const { proxy, container, port } = stage;
    expect((await get(port)).body).toBe('hello');
    await proxy.waitForLog('sleep');
    await withoutEngine(stage, async () => {});
    await waitUntil(async () => (await container.state()) === 'exited', {
      what: 'the end of the container',
      timeoutMs: 20_000,
    });
    expect((await get(port)).body).toBe('hello');
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
