/** Services of a real swarm, woken and put to sleep by the real program. */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import type { ServiceAnswer } from '../../src/status/api/answers.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { APP_SCRIPT } from './support/app-script.ts';
import { type AppAnswer, type AppOptions, localApp } from './support/apps.ts';
import { SCOPE_LABEL } from './support/engine.ts';
import { get, getJson } from './support/http.ts';
import { nodeImage } from './support/image.ts';
import { whyNoPrivateEngine } from './support/private-engine.ts';
import type { ProxyProcess } from './support/proxy.ts';
import {
  createService,
  removeServices,
  type ServiceSpec,
  type SwarmEngine,
  startSwarmEngine,
  type TestService,
} from './support/swarm.ts';
import { expectSteeredByCommands } from './support/steer-by-command.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed, writeConfig } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** A first byte comes at most so long after the app could have answered: tasks have no events. */
const MAX_WAKE_DELAY_MS = 400;

const ROOT = path.resolve(import.meta.dirname, '../..');

const obstacle = whyNoPrivateEngine();
if (obstacle !== undefined) {
  const ruler = '!'.repeat(80);
  console.warn(
    `${ruler}\nTHE SWARM TESTS DO NOT RUN: they start an engine of their own, and ${obstacle}.\n${ruler}`,
  );
}

describe.skipIf(obstacle !== undefined)('on a real swarm', () => {
  let swarm: SwarmEngine;
  beforeAll(async () => {
    swarm = await startSwarmEngine();
  });
  afterAll(() => swarm?.stop());

  async function openBed({ onTestFinished }: TestContext): Promise<TestBed> {
    const bed = await openTestBed({ host: swarm.engine.host, onTestFinished });
    onTestFinished(() => removeServices(swarm.docker, bed.scope.prefix));
    return bed;
  }

  /** A sleeping service whose port 80 is published on this node, and whose labels opt in. */
  async function createApp(
    bed: TestBed,
    options: {
      readonly fields: ServiceFields;
      readonly app?: AppOptions;
      readonly spec?: Partial<ServiceSpec>;
    },
  ): Promise<TestService> {
    const { fields, app, spec } = options;
    const name = spec?.name ?? bed.scope.name('app');
    const ports = [{ target: 80, published: await freePort() }];
    const labels = bed.labels(fields);
    const image = await nodeImage(swarm.engine.host);
    const { env } = localApp(app ?? {});
    const cmd = ['node', '-e', APP_SCRIPT];
    return createService(swarm.docker, { ports, labels, image, cmd, env, ...spec, name });
  }

  async function listening(proxy: ProxyProcess, name: string): Promise<void> {
    await proxy.waitForLog((line) => line.event === 'listening' && line.service === name);
  }

  async function wake(port: number): Promise<AppAnswer & { readonly delayMs: number }> {
    const { body, firstByteAt } = await get(port, { timeoutMs: 30_000 });
    const answer = JSON.parse(body) as AppAnswer;
    return { ...answer, delayMs: firstByteAt - answer.listeningAt };
  }

  async function untilReplicas(service: TestService, replicas: number): Promise<void> {
    await waitUntil(async () => (await service.replicas()) === replicas, {
      what: `${replicas} replicas`,
    });
  }

  const stateOf = async (proxy: ProxyProcess, service: string, port: number) =>
    (await getStatus(proxy, { service, port }))?.state;

  test('an engine that becomes a swarm manager is noticed', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const name = bed.scope.name('app');
    const services = { app: { swarm_service: name, ports: [`${port}:80`] } };
    const proxy = await bed.startProxy({ services });
    expect(await stateOf(proxy, 'app', port)).toBe('missing');
    expect(proxy.logs().filter(({ level }) => level === 'error')).toEqual([]);
    await swarm.init();
    await createApp(bed, { fields: {} });
    await waitUntil(async () => (await stateOf(proxy, 'app', port)) === 'stopped', { what: 'the service' });
    await wake(port);
  });

  test.concurrent('services behind one port are told apart by the hosts of their labels', async (context) => {
    const bed = await openBed(context);
    const door = await freePort();
    const fields = { http_port: 80, idle_timeout: '1s' };
    const create = (name: string, hosts: string) =>
      createApp(bed, { fields: { ...fields, hosts }, spec: { name: bed.scope.name(name) } });
    const wiki = await create('wiki', 'wiki.test, *.wiki.test');
    const blog = await create('blog', 'blog.test');
    await bed.startProxy({ config: `http: { listen: "127.0.0.1:${door}" }` });
    const ask = (host: string) => get(door, { headers: { host }, timeoutMs: 30_000 });
    expect((await ask('other.test')).status).toBe(404);
    expect((await ask('a.wiki.test')).status).toBe(200);
    expect([await wiki.replicas(), await blog.replicas()]).toEqual([1, 0]);
    await untilReplicas(wiki, 0);
  });

  test('a sleeping service is woken by a request and scaled to 0 when it idles', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, { fields: { ports: `${port}:80`, idle_timeout: '1s' } });
    const proxy = await bed.startProxy();
    expect((await wake(port)).delayMs).toBeLessThan(MAX_WAKE_DELAY_MS);
    expect(await service.replicas()).toBe(1);
    await untilReplicas(service, 0);
    await service.gone();
    await waitUntil(async () => (await stateOf(proxy, service.name, port)) === 'stopped');
    await wake(port);
  });

  test('the API tells the stack that a service belongs to', async (context) => {
    const bed = await openBed(context);
    const labels = {
      ...bed.labels({ ports: `${await freePort()}:80` }),
      'com.docker.stack.namespace': 'shop',
    };
    const { name } = await createApp(bed, { fields: {}, spec: { labels } });
    const proxy = await bed.startProxy();
    await listening(proxy, name);
    const ask = async () => {
      const services = await getJson<readonly ServiceAnswer[]>(`${proxy.statusUrl}/api/services`);
      return services.find((service) => service.name === name);
    };
    await waitUntil(async () => (await ask())?.state === 'stopped');
    expect((await ask())?.project).toBe('shop');
  });

  test.concurrent('the commands wake, hold and release a service, explain it, and put it to sleep', async (context) => {
    const bed = await openBed(context);
    const [port, token] = [await freePort(), 'a-token-of-this-test'];
    const service = await createApp(bed, { fields: { ports: `${port}:80`, idle_timeout: '1s' } });
    const proxy = await bed.startProxy({ env: { LAZY_PROXY_TOKEN: token } });
    await listening(proxy, service.name);
    await expectSteeredByCommands({
      ...{ proxy, token, service: service.name, port },
      isUp: async () => (await service.replicas()) === 1,
    });
  });

  test.concurrent('three replicas are three again after the next wake, and share the clients', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, {
      fields: { ports: `${port}:80`, idle_timeout: '1s' },
      spec: { replicas: 3, ports: [{ target: 80 }] },
    });
    await bed.startProxy();
    await untilReplicas(service, 0);
    expect(await service.labels()).toMatchObject({ [`${bed.scope.prefix}.replicas`]: '3' });
    await service.gone();
    const askAll = async () => {
      const answers = await Promise.all(Array.from({ length: 6 }, () => wake(port)));
      return new Set(answers.map(({ hostname }) => hostname)).size;
    };
    await waitUntil(async () => (await askAll()) === 3, { everyMs: 200, what: 'answers of all three' });
    expect(await service.replicas()).toBe(3);
  });

  test.concurrent('three replicas that sleep while the prefix changes are three again, and none has a label of its own', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const { prefix } = bed.scope;
    const service = await createApp(bed, {
      fields: { ports: `${port}:80`, idle_timeout: '1s' },
      spec: { replicas: 3, ports: [{ target: 80 }] },
    });
    const before = await bed.startProxy();
    await untilReplicas(service, 0);
    await service.gone();
    expect(await service.labels()).toMatchObject({ [`${prefix}.replicas`]: '3' });
    await before.stop();
    const after = await bed.startProxy({ args: ['--label-prefix', `${prefix}-new, ${prefix}`] });
    await wake(port);
    expect(await service.replicas()).toBe(3);
    await untilReplicas(service, 0);
    expect(await service.labels()).toMatchObject({
      [`${prefix}-new.replicas`]: '3',
      [`${prefix}.replicas`]: '3',
    });
    expect(after.logs().filter(({ event }) => event === 'problem')).toEqual([]);
  });

  test.concurrent('a service wakes with the replicas that its scale says, where one was remembered, from the next wake on', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, {
      fields: {},
      spec: { replicas: 1, ports: [{ target: 80 }] },
    });
    const write = (scale: number) =>
      writeConfig({
        app: { swarm_service: service.name, ports: [`${port}:80`], idle_timeout: '1s', scale },
      });
    const proxy = await bed.startProxy({ config: write(3) });
    await untilReplicas(service, 0);
    expect(await service.labels()).toMatchObject({ [`${bed.scope.prefix}.replicas`]: '1' });
    await service.gone();
    const client = await connectTcp(port);
    await client.send('GET / HTTP/1.0\r\n\r\n');
    await untilReplicas(service, 3);
    const from = proxy.logs().length;
    await proxy.edit(write(2));
    expect((await proxy.waitForLog('reload', { from })).msg).toContain('app changed: scale');
    expect(await service.replicas()).toBe(3);
    client.destroy();
    await untilReplicas(service, 0);
    await service.gone();
    await wake(port);
    expect(await service.replicas()).toBe(2);
  });

  test.concurrent('a manual service is neither scaled up for a client nor down when it idles', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const fields = { ports: `${port}:80`, idle_timeout: '1s', availability: 'manual' };
    const service = await createApp(bed, { fields });
    const proxy = await bed.startProxy();
    await listening(proxy, service.name);
    const refused = await connectTcp(port);
    expect(await refused.closed).toBe('end');
    expect(await service.replicas()).toBe(0);
    await service.scale(1);
    await waitUntil(async () => (await stateOf(proxy, service.name, port)) === 'ready');
    await wake(port);
    // Nothing tells that nothing happens.
    await sleep(2_500);
    expect(await service.replicas()).toBe(1);
  });

  test.concurrent('a service that somebody else has scaled up is adopted', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, { fields: { ports: `${port}:80`, idle_timeout: '2s' } });
    const proxy = await bed.startProxy();
    await listening(proxy, service.name);
    await service.scale(1);
    await waitUntil(async () => (await stateOf(proxy, service.name, port)) === 'ready');
    const scaledAt = performance.now();
    await untilReplicas(service, 0);
    expect(performance.now() - scaledAt).toBeGreaterThan(1_500);
  });

  test.concurrent('a service that somebody else has scaled down is woken by the next client', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, { fields: { ports: `${port}:80`, idle_timeout: '10m' } });
    const proxy = await bed.startProxy();
    await wake(port);
    await service.scale(0);
    await waitUntil(async () => (await stateOf(proxy, service.name, port)) !== 'ready');
    await wake(port);
  });

  test.concurrent('a client that arrives while a service is being scaled down is served', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, {
      fields: { ports: `${port}:80`, idle_timeout: '1s' },
      app: { stopDelayMs: 1_500 },
    });
    const proxy = await bed.startProxy();
    const first = await wake(port);
    await proxy.waitForLog('sleep');
    await untilReplicas(service, 0);
    expect((await wake(port)).hostname).not.toBe(first.hostname);
  });

  test.concurrent.for([
    ['none', {}, {}],
    ['on-failure', {}, {}],
    ['any', { maxRestarts: 1 }, { exitAfterMs: 4_000 }],
  ] as const)(
    'a service whose app has ended, with restart condition %s, is woken by the next client',
    async ([restartCondition, more, app], context) => {
      const bed = await openBed(context);
      const port = await freePort();
      const service = await createApp(bed, {
        fields: { ports: `${port}:80`, start_timeout: '15s' },
        app,
        spec: { restartCondition, replicas: 2, ports: [{ target: 80 }], ...more },
      });
      const proxy = await bed.startProxy();
      const seen = new Set<string>();
      for (let round = 1; round <= 3; round++) {
        seen.add((await wake(port)).hostname);
        const end = async () => {
          // Also those that were started meanwhile.
          for (const id of await service.containers())
            await swarm.docker
              .getContainer(id)
              .kill({ signal: 'SIGTERM' })
              .catch(() => {});
          return (await stateOf(proxy, service.name, port)) === 'stopped';
        };
        await waitUntil(end, { timeoutMs: 20_000, everyMs: 200, what: 'its end' });
      }
      await wake(port);
      expect(seen.size).toBe(3);
      expect(await service.replicas()).toBe(2);
    },
  );

  test.concurrent.for([
    ['no node takes it', { constraints: ['node.labels.disk == none'] }, /no suitable node/],
    [
      'there is no such image',
      { image: 'lazy-proxy.invalid/none:1' },
      /No such image: lazy-proxy\.invalid\/none:1/i,
    ],
  ] as const)('a service that does not start because %s says so', async ([, spec, why], context) => {
    const bed = await openBed(context);
    const port = await freePort();
    await createApp(bed, { fields: { ports: `${port}:80`, start_timeout: '5s' }, spec });
    const proxy = await bed.startProxy();
    await expect(get(port, { timeoutMs: 20_000 })).rejects.toThrow();
    await proxy.waitForLog(({ event, msg }) => event === 'wake-failed' && why.test(msg));
  });

  test.concurrent('a client waits for the health check of a task', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const app = { healthyAfterMs: 1_500 };
    const script = 'fetch("http://127.0.0.1/health").then(({ ok }) => process.exit(ok ? 0 : 1))';
    const test = ['CMD', 'node', '-e', script];
    await createApp(bed, {
      fields: { ports: `${port}:80` },
      app,
      spec: { healthcheck: { test, intervalMs: 300 } },
    });
    await bed.startProxy();
    expect((await wake(port)).delayMs).toBeGreaterThan(1_000);
  });

  test.concurrent('a service that is removed is missing, and woken as soon as it was created anew', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const old = await createApp(bed, { fields: {} });
    const services = { app: { swarm_service: old.name, ports: [`${port}:80`] } };
    const proxy = await bed.startProxy({ services });
    await wake(port);
    await old.remove();
    await waitUntil(async () => (await stateOf(proxy, 'app', port)) === 'missing');
    await old.gone();
    await createApp(bed, { fields: {} });
    await waitUntil(async () => (await stateOf(proxy, 'app', port)) === 'stopped');
    await wake(port);
  });

  test.concurrent('a client of a port that is not published is refused with a clear error', async (context) => {
    const bed = await openBed(context);
    const [port = 0, other = 0] = await freePorts(2);
    const service = await createApp(bed, { fields: { ports: `${port}:80,${other}:81` } });
    const proxy = await bed.startProxy();
    await listening(proxy, service.name);
    await waitUntil(async () => (await stateOf(proxy, service.name, other)) === 'stopped');
    const client = await connectTcp(other);
    await client.closed;
    const row = await getStatus(proxy, { service: service.name, port: other });
    expect(row?.error).toBe('there is no target port tcp/81; there is tcp/80');
    expect(await service.replicas()).toBe(0);
  });

  test.concurrent('a global service that opts in is refused with a clear error', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, { fields: { ports: `${port}:80` }, spec: { isGlobal: true } });
    const proxy = await bed.startProxy();
    await listening(proxy, service.name);
    const row = () => getStatus(proxy, { service: service.name, port });
    await waitUntil(async () => (await row())?.error?.includes('only replicated services can be scaled'));
  });

  describe.concurrent.each(['vip', 'dnsrr'] as const)(
    'beside a service with endpoint mode %s',
    (endpointMode) => {
      test('a proxy in a container joins its overlay network, wakes it, and leaves', async (context) => {
        const bed = await openBed(context);
        const network = bed.scope.name('net');
        await swarm.docker.createNetwork({
          ...{ Name: network, Driver: 'overlay', Attachable: true },
          Labels: { [SCOPE_LABEL]: bed.scope.prefix },
        });
        const service = await createApp(bed, {
          fields: { ports: '9000:80', idle_timeout: '1s' },
          spec: { networks: [network], endpointMode, ports: [] },
        });
        const proxy = await bed.scope.runContainer({
          name: bed.scope.name('proxy'),
          image: await nodeImage(swarm.engine.host),
          cmd: ['node', '/app/dist/main.js', 'run', '--label-prefix', bed.scope.prefix],
          binds: [`${ROOT}:/app:ro`, `${swarm.engine.socketPath}:/var/run/docker.sock`],
        });
        const logged = (text: string) =>
          waitUntil(async () => (await proxy.logs()).includes(text), { what: `"${text}" in the log` });
        await logged(`joined network ${network} for ${service.name}`);
        const [address] = await proxy.addresses();
        const { body } = await get(`http://${address}:9000/`, { timeoutMs: 30_000 });
        expect(JSON.parse(body)).toMatchObject({ path: '/' });
        await untilReplicas(service, 0);
        await service.gone();
        await service.remove();
        await logged(`left network ${network}`);
      });
    },
  );

  test('a service works again after its manager has restarted', async (context) => {
    const bed = await openBed(context);
    const port = await freePort();
    const service = await createApp(bed, { fields: { ports: `${port}:80`, idle_timeout: '3s' } });
    const proxy = await bed.startProxy();
    await wake(port);
    await swarm.engine.killDaemon('SIGTERM');
    await proxy.waitForLog('engine-lost');
    await swarm.engine.startDaemonAgain();
    await wake(port);
    await untilReplicas(service, 0);
  });
});
