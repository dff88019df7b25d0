/** Containers of a rootful Podman, woken and put to sleep by the real program through the Docker API. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PrivatePodman, startPrivatePodman } from '../../scripts/private-podman.mjs';
import { systemClock } from '../../src/system/clock.ts';
import { freePort } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import { expectKept } from './support/kept.ts';
import { expectPastEvents } from './support/past-events.ts';
import { whyNoPodman } from './support/podman.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const obstacle = whyNoPodman();
if (obstacle !== undefined) {
  const ruler = '!'.repeat(80);
  console.warn(
    `${ruler}\nTHE PODMAN TESTS DO NOT RUN: they start a Podman of their own, and ${obstacle}.\n` +
      `To run them, as root: apt-get install --no-install-recommends podman netavark runc busybox-static\n${ruler}`,
  );
}

describe.skipIf(obstacle !== undefined)('on Podman', () => {
  let podman: PrivatePodman;
  beforeAll(async () => {
    podman = await startPrivatePodman();
  });
  afterAll(() => podman?.stop());

  interface Stage extends TestBed {
    readonly name: string;
    readonly port: number;
    readonly spec: ContainerSpec;
    readonly container: TestContainer;
    readonly proxy: ProxyProcess;
  }

  /** A sleeping web server, and a proxy that knows it by its labels. */
  async function openStage(
    options: { readonly fields?: ServiceFields; readonly spec?: Partial<ContainerSpec> } = {},
  ): Promise<Stage> {
    const bed = await openTestBed({ host: podman.host });
    const port = await freePort();
    const name = bed.scope.name('web');
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '10m', ...options.fields });
    const spec = { name, labels, cmd: httpdCommand(), ...options.spec };
    const container = await bed.scope.createContainer(spec);
    const proxy = await bed.startProxy();
    return { ...bed, name, port, spec, container, proxy };
  }

  async function expectAnswer(port: number): Promise<void> {
    expect(await get(port, { timeoutMs: 30_000 })).toMatchObject({ status: 200, body: 'hello' });
  }

  async function untilState({ proxy, name, port }: Stage, state: string): Promise<void> {
    const row = () => getStatus(proxy, { service: name, port });
    await waitUntil(async () => (await row())?.state === state, { what: `the state ${state}` });
  }

  test('a container with labels is woken by a request and stopped when it idles', async () => {
    const stage = await openStage({ fields: { idle_timeout: '1s' } });
    await expectAnswer(stage.port);
    await waitUntil(async () => (await stage.container.state()) === 'exited', { what: 'the stop' });
    await untilState(stage, 'stopped');
    await expectAnswer(stage.port);
    expect(stage.proxy.logs().filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
  });

  test('the order of Compose is taken from its labels, to wake and in reverse to sleep', async () => {
    const bed = await openTestBed({ host: podman.host });
    const [port, project] = [await freePort(), bed.scope.name('shop')];
    const create = (service: string, more: Readonly<Record<string, string>>) =>
      bed.scope.createContainer({
        ...{ name: `${project}-${service}-1`, cmd: httpdCommand() },
        labels: {
          'com.docker.compose.project': project,
          'com.docker.compose.service': service,
          'com.docker.compose.oneoff': 'False',
          ...more,
        },
      });
    const db = await create('db', {});
    const web = await create('web', {
      'com.docker.compose.depends_on': 'db:service_started:false',
      ...bed.labels({ ports: `${port}:80`, depends_on: 'compose', idle_timeout: '1s' }),
    });
    await bed.startProxy();
    await expectAnswer(port);
    const times = async (which: 'StartedAt' | 'FinishedAt') =>
      await Promise.all([db, web].map(async (one) => Date.parse((await one.inspect()).State[which] ?? '')));
    const [dbStarted = 0, webStarted = 0] = await times('StartedAt');
    expect(dbStarted).toBeLessThanOrEqual(webStarted);
    await waitUntil(async () => (await db.state()) === 'exited', { what: 'the database sleeps' });
    const [dbEnded = 0, webEnded = 0] = await times('FinishedAt');
    expect(webEnded).toBeLessThanOrEqual(dbEnded);
  });

  test('a container that is created later is woken by a request', async () => {
    const bed = await openTestBed({ host: podman.host });
    const port = await freePort();
    const name = bed.scope.name('later');
    const proxy = await bed.startProxy();
    const labels = bed.labels({ ports: `${port}:80` });
    await bed.scope.createContainer({ name, labels, cmd: httpdCommand() });
    await proxy.waitForLog((line) => line.event === 'listening' && line.service === name);
    await expectAnswer(port);
  });

  test('what is started, paused and stopped by hand is noticed', async () => {
    const stage = await openStage();
    await podman.run('start', stage.name);
    await untilState(stage, 'ready');
    await podman.run('pause', stage.name);
    await untilState(stage, 'paused');
    await expectAnswer(stage.port);
    await podman.run('stop', stage.name);
    await untilState(stage, 'stopped');
    await expectAnswer(stage.port);
  });

  test('a container that ends by itself is woken by the next client', async () => {
    const stage = await openStage();
    await expectAnswer(stage.port);
    await podman.run('exec', stage.name, 'sh', '-c', 'kill 1');
    await untilState(stage, 'stopped');
    await expectAnswer(stage.port);
  });

  test('a container that is removed is missing, and woken when it was created anew', async () => {
    const stage = await openStage();
    const { scope, startProxy } = stage;
    const port = await freePort();
    const services = { web: { container: stage.name, ports: [`${port}:80`] } };
    const proxy = await startProxy({ services, args: ['--no-labels'] });
    const named = { ...stage, name: 'web', port, proxy };
    await expectAnswer(port);
    await stage.container.stop();
    await untilState(named, 'stopped');
    await stage.container.remove();
    await untilState(named, 'missing');
    await scope.createContainer(stage.spec);
    await untilState(named, 'stopped');
    await expectAnswer(port);
  });

  test('what has happened is told when it is asked for', async () => {
    await expectPastEvents(await openTestBed({ host: podman.host }), podman.host);
  });

  test('a container that its stop would remove is never put to sleep', async () => {
    const bed = await openTestBed({ host: podman.host });
    await expectKept(bed);
  });

  test('a client that comes before the removal is told of waits for the container that takes its place', async () => {
    const { scope, spec, container, startProxy } = await openStage();
    // Podman takes a network's bridge away with its last container, and who dials then may be answered from elsewhere.
    await scope.runContainer({ ...spec, name: scope.name('neighbour') });
    const port = await freePort();
    const services = { web: { container: spec.name, ports: [`${port}:80`] } };
    await startProxy({ services, args: ['--no-labels'] });
    let last = container;
    for (let round = 1; round <= 4; round++) {
      await expectAnswer(port);
      await last.stop();
      // By its own command Podman tells of it a while later than by its API.
      expect(await podman.run('rm', last.name)).toMatchObject({ status: 0 });
      const answer = expectAnswer(port);
      await systemClock.sleep(1_000);
      last = await scope.createContainer(spec);
      await answer;
    }
  });

  test('a client waits until the health check says healthy', async () => {
    // Podman tells of a check when it begins.
    const check = ['CMD-SHELL', 'sleep 1 && wget -qO- http://127.0.0.1/'];
    const healthcheck = { test: check, intervalMs: 60_000 };
    const stage = await openStage({ spec: { healthcheck } });
    const client = await connectTcp(stage.port);
    await client.send('GET / HTTP/1.0\r\n\r\n');
    await untilState(stage, 'starting');
    await waitUntil(async () => (await stage.container.state()) === 'running');
    expect(client.socket.bytesRead).toBe(0);
    // Podman leaves the checks to systemd; where there is none, this is what its timer would do.
    const checked = await waitUntil(async () => {
      const { status, output } = await podman.run('healthcheck', 'run', stage.name);
      return status === 0 ? 'healthy' : console.warn(output);
    });
    expect(checked).toBe('healthy');
    expect((await client.readAll()).toString()).toContain('hello');
  });

  test('while the service is away awake containers are served, and afterwards sleeping ones are woken', async () => {
    const stage = await openStage();
    await expectAnswer(stage.port);
    await podman.killService();
    await stage.proxy.waitForLog('engine-lost');
    await expectAnswer(stage.port);
    await podman.run('stop', stage.name);
    await podman.startServiceAgain();
    await untilState(stage, 'stopped');
    await expectAnswer(stage.port);
  });
});
