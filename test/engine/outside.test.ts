/** What others do to a container behind the proxy's back. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { type AppAnswer, type AppOptions, httpdCommand, nodeApp } from './support/apps.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import { busyboxImage } from './support/image.ts';
import { expectKept } from './support/kept.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp, type TcpClient } from './support/tcp.ts';
import { getStatus, openTestBed, type ServiceFields, type TestBed, writeConfig } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const SERVICE = 'app';

interface Stage extends TestBed {
  readonly port: number;
  readonly name: string;
  readonly container: TestContainer;
  readonly proxy: ProxyProcess;
}

/** A stopped container, by default busybox's httpd, and a proxy whose file names it. */
async function openStage(
  { onTestFinished }: TestContext,
  spec: Partial<ContainerSpec> = { cmd: httpdCommand() },
  fields: ServiceFields = {},
): Promise<Stage> {
  const bed = await openTestBed({ onTestFinished });
  const port = await freePort();
  const name = bed.scope.name('app');
  const container = await bed.scope.createContainer({ ...spec, name });
  const proxy = await bed.startProxy({
    services: { [SERVICE]: { container: name, ports: [`${port}:80`], ...fields } },
  });
  return { ...bed, port, name, container, proxy };
}

/** Resolves when the status shows the service in that state. */
async function waitForState({ proxy, port }: Stage, state: string): Promise<void> {
  const isThere = async () => (await getStatus(proxy, { service: SERVICE, port }))?.state === state;
  await waitUntil(isThere, { what: `the state "${state}" in the status` });
}

/** A client that asks the moment it is connected; it goes with the test. */
async function askEarly({ port, atEnd }: Pick<Stage, 'port' | 'atEnd'>): Promise<TcpClient> {
  const client = await connectTcp(port);
  atEnd(() => client.destroy());
  await client.send('GET / HTTP/1.0\r\n\r\n');
  return client;
}

describe('a paused container', () => {
  test('is unpaused by the next client', async (context) => {
    const stage = await openStage(context);
    await get(stage.port);
    await stage.container.pause();
    await waitForState(stage, 'paused');
    expect(await get(stage.port)).toMatchObject({ status: 200, body: 'hello' });
    await stage.events.exactly(stage.name, 'unpause', 1);
  });

  test('is unpaused for those who wait when it was paused in the middle of its start', async (context) => {
    // It listens late: once it answers, it is no longer in its start.
    const stage = await openStage(context, await nodeApp({ delayMs: 500 }));
    const client = await askEarly(stage);
    // The engine lets it wait for the start that is under way, and pauses before anybody can look.
    const isPaused = () =>
      stage.container.pause().then(
        () => true,
        () => false,
      );
    await waitUntil(isPaused, { everyMs: 1, what: 'the pause' });
    expect(String(await client.readAll())).toContain(stage.container.id.slice(0, 12));
    await stage.events.exactly(stage.name, 'unpause', 1);
  });

  test('is unpaused by the first client when it was paused before the proxy began', async (context) => {
    const bed = await openTestBed(context);
    const port = await freePort();
    const name = bed.scope.name('app');
    const container = await bed.scope.runContainer({ name, cmd: httpdCommand() });
    await container.pause();
    await bed.startProxy({ services: { [SERVICE]: { container: name, ports: [`${port}:80`] } } });
    expect((await get(port)).body).toBe('hello');
  });
});

describe.concurrent('a container killed during its start', () => {
  test('closes its client when the budget is over', async (context) => {
    const stage = await openStage(context, await nodeApp({ delayMs: 10_000 }), { start_timeout: '3s' });
    const startMs = performance.now();
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'start');
    await stage.container.kill();
    expect((await client.readAll()).length).toBe(0);
    const waitedMs = performance.now() - startMs;
    expect(waitedMs).toBeGreaterThan(2_900);
    expect(waitedMs).toBeLessThan(4_000);
  });

  test('is woken again for the client that waits', async (context) => {
    const stage = await openStage(context, await nodeApp({ delayMs: 500 }));
    const client = await askEarly(stage);
    await stage.events.waitFor(stage.name, 'start');
    await stage.container.kill();
    expect(String(await client.readAll())).toContain(stage.container.id.slice(0, 12));
    const { at: diedAt } = await stage.events.waitFor(stage.name, 'die');
    const { at: startedAt } = await stage.events.waitFor(stage.name, 'start', { nth: 2 });
    // Whoever stopped it is given a moment to start it again.
    expect(startedAt - diedAt).toBeGreaterThan(450);
  });
});

describe.concurrent('a container that somebody else controls', () => {
  test('is woken by the next client when it was stopped', async (context) => {
    const stage = await openStage(context);
    await get(stage.port);
    await stage.container.stop();
    expect((await get(stage.port)).body).toBe('hello');
    await stage.events.exactly(stage.name, 'start', 2);
  });

  test('is stopped a full idle timeout after it was started', async (context) => {
    const stage = await openStage(context, { cmd: httpdCommand() }, { idle_timeout: '2s' });
    await stage.container.start();
    const { at: startedAt } = await stage.events.waitFor(stage.name, 'start');
    const { at: diedAt } = await stage.events.waitFor(stage.name, 'die');
    expect(diedAt - startedAt).toBeGreaterThan(2_000);
    expect(diedAt - startedAt).toBeLessThan(3_000);
  });

  test('is stopped a full idle timeout after the proxy began when it ran before', async (context) => {
    const bed = await openTestBed(context);
    const port = await freePort();
    const name = bed.scope.name('app');
    await bed.scope.runContainer({ name, cmd: httpdCommand() });
    const proxy = await bed.startProxy({
      services: { [SERVICE]: { container: name, ports: [`${port}:80`], idle_timeout: '2s' } },
    });
    const readyAt = Date.parse((await proxy.waitForLog('ready')).time);
    const { at: diedAt } = await bed.events.waitFor(name, 'die');
    // The container is seen a moment before the proxy calls itself ready.
    expect(diedAt - readyAt).toBeGreaterThan(1_500);
    expect(diedAt - readyAt).toBeLessThan(3_000);
  });

  test('answers the next client when it is being restarted', async (context) => {
    const stage = await openStage(context, await nodeApp({ delayMs: 300 }));
    const before = await getJson<AppAnswer>(stage.port);
    const restarted = stage.container.restart();
    await stage.events.waitFor(stage.name, 'die');
    const after = await getJson<AppAnswer>(stage.port);
    await restarted;
    expect(after.startedAt).toBeGreaterThan(before.startedAt);
    await stage.events.exactly(stage.name, 'start', 2);
  });
});

describe.concurrent('a container that goes away', () => {
  test('answers a client that waits when it reappears', async (context) => {
    const stage = await openStage(context);
    await get(stage.port);
    await stage.container.remove();
    await waitForState(stage, 'missing');
    const client = await askEarly(stage);
    await waitUntil(
      async () => (await getStatus(stage.proxy, { service: SERVICE, port: stage.port }))?.active_conns === 1,
    );
    await stage.scope.createContainer({ name: stage.name, cmd: httpdCommand({ body: 'again' }) });
    expect(String(await client.readAll())).toContain('again');
  });

  test('closes a client when it does not reappear within the budget', async (context) => {
    const stage = await openStage(context, { cmd: httpdCommand() }, { start_timeout: '1s' });
    await stage.container.remove();
    await waitForState(stage, 'missing');
    const startMs = performance.now();
    const client = await askEarly(stage);
    expect((await client.readAll()).length).toBe(0);
    const waitedMs = performance.now() - startMs;
    expect(waitedMs).toBeGreaterThan(900);
    expect(waitedMs).toBeLessThan(2_000);
  });

  test('is used again when it gets its old name back', async (context) => {
    const stage = await openStage(context);
    await stage.container.rename(stage.scope.name('other'));
    await waitForState(stage, 'missing');
    await stage.container.rename(stage.name);
    expect((await get(stage.port)).body).toBe('hello');
  });

  test('is served under its new name when its labels made it a service', async (context) => {
    const bed = await openTestBed(context);
    const port = await freePort();
    const labels = bed.labels({ ports: `${port}:80` });
    const container = await bed.scope.createContainer({
      name: bed.scope.name('old'),
      labels,
      cmd: httpdCommand(),
    });
    const proxy = await bed.startProxy();
    const service = bed.scope.name('new');
    await container.rename(service);
    await waitUntil(() => getStatus(proxy, { service, port }), { what: 'the new name in the status' });
    expect((await get(port)).body).toBe('hello');
  });
});

describe.concurrent('a container that is renamed while it is used', () => {
  /** Labels make it a service of its name. */
  async function openLabelled(context: TestContext, app: AppOptions) {
    const bed = await openTestBed(context);
    const port = await freePort();
    const labels = bed.labels({ ports: `${port}:80`, idle_timeout: '1s' });
    const name = bed.scope.name('old');
    const container = await bed.scope.createContainer({ name, labels, ...(await nodeApp(app)) });
    const proxy = await bed.startProxy();
    const newName = bed.scope.name('new');
    return { ...bed, port, name, newName, container, proxy };
  }

  test('is not stopped under its connection, but when that has ended', async (context) => {
    const { port, container, events, newName, proxy, atEnd } = await openLabelled(context, { mode: 'echo' });
    const client = await connectTcp(port);
    atEnd(() => client.destroy());
    await client.send('a');
    await client.readAtLeast(1);
    await container.rename(newName);
    await waitUntil(() => getStatus(proxy, { service: newName, port }), { what: 'the new name' });
    await expect(events.waitFor(newName, 'kill', { timeoutMs: 4_000 })).rejects.toThrow('did not tell');
    await client.send('b');
    expect(String(await client.readAtLeast(1))).toBe('b');
    client.destroy();
    await events.waitFor(newName, 'kill');
  });

  test('serves a client that waits for its start', async (context) => {
    const stage = await openLabelled(context, { delayMs: 2_000 });
    const { container, events, name, newName } = stage;
    const client = await askEarly(stage);
    await events.waitFor(name, 'start');
    await container.rename(newName);
    expect(String(await client.readAll())).toContain(container.id.slice(0, 12));
    expect(events.of(name, 'start').length + events.of(newName, 'start').length).toBe(1);
  });

  test('keeps the client who comes the moment after, until it has its name back', async (context) => {
    const stage = await openStage(context);
    await waitForState(stage, 'stopped');
    await stage.container.rename(stage.scope.name('other'));
    const client = await askEarly(stage);
    await waitForState(stage, 'missing');
    await stage.container.rename(stage.name);
    expect(String(await client.readAll())).toContain('hello');
  });

  test('is not stopped under its connection when the file follows later', async (context) => {
    const stage = await openStage(context, await nodeApp({ mode: 'echo' }), { idle_timeout: '1s' });
    const client = await connectTcp(stage.port);
    stage.atEnd(() => client.destroy());
    await client.send('a');
    await client.readAtLeast(1);
    const newName = stage.scope.name('new');
    await stage.container.rename(newName);
    await waitForState(stage, 'missing');
    const service = { container: newName, ports: [`${stage.port}:80`], idle_timeout: '1s' };
    await stage.proxy.edit(writeConfig({ other: service }));
    await waitUntil(() => getStatus(stage.proxy, { service: 'other', port: stage.port }));
    await expect(stage.events.waitFor(newName, 'kill', { timeoutMs: 4_000 })).rejects.toThrow('did not tell');
    await client.send('b');
    expect(String(await client.readAtLeast(1))).toBe('b');
  });
});

describe('a container that crashes at once', () => {
  test('closes its clients within their budget', async (context) => {
    const stage = await openStage(context, { cmd: ['false'] }, { start_timeout: '3s' });
    const startMs = performance.now();
    const client = await askEarly(stage);
    expect((await client.readAll()).length).toBe(0);
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  test('is started after 1 s, then 2 s, however many clients come', async (context) => {
    const stage = await openStage(context, { cmd: ['false'] }, { start_timeout: '10s' });
    let crowding = true;
    const crowd = Array.from({ length: 10 }, async () => {
      while (crowding) await askEarly(stage).then((client) => client.closed);
    });
    const starts = [];
    for (const nth of [1, 2, 3]) starts.push(await stage.events.waitFor(stage.name, 'start', { nth }));
    crowding = false;
    const [first = 0, second = 0, third = 0] = starts.map(({ at }) => at);
    expect(second - first).toBeGreaterThan(1_000);
    expect(third - second).toBeGreaterThan(2_000);
    await stage.proxy.stop('SIGKILL');
    await Promise.all(crowd);
  });
});

test('a container that is killed for its memory cuts its clients, and is woken for the next one', async (context) => {
  const stage = await openStage(context, { ...(await nodeApp()), memoryBytes: 128 * 1024 * 1024 });
  const { port, proxy, scope } = stage;
  const { MemoryLimit } = await scope.docker.info();
  context.skip(!MemoryLimit, 'the engine can not limit memory');
  await get(port);
  const isServed = (path: string) =>
    get(`http://127.0.0.1:${port}${path}`).then(
      () => true,
      () => false,
    );
  const traffic = Array.from({ length: 10 }, () => isServed('/?ms=20000'));
  await waitUntil(
    async () => (await getStatus(proxy, { service: SERVICE, port }))?.active_conns === traffic.length,
    { what: 'the traffic' },
  );
  const eaten = isServed('/eat');
  expect((await proxy.waitForLog('stopped')).msg).toContain('killed, out of memory');
  expect(await Promise.all([...traffic, eaten])).toEqual(Array(traffic.length + 1).fill(false));
  expect(await isServed('/')).toBe(true);
});

describe.concurrent('a sleeping container that has lost', () => {
  /** Whoever comes is closed in time, with this reason in the log; once it is there again, the next client is served. */
  async function expectRefused(stage: Stage, reason: RegExp, mend: () => Promise<unknown>): Promise<void> {
    expect((await (await askEarly(stage)).readAll()).length).toBe(0);
    expect((await stage.proxy.waitForLog('wake-failed')).msg).toMatch(reason);
    await mend();
    expect((await get(stage.port)).body).toBe('hello');
  }

  test('its network is served once there is one of that name again', async (context) => {
    const bed = await openTestBed(context);
    const network = await bed.scope.createNetwork({ name: bed.scope.name('net') });
    const spec = { cmd: httpdCommand(), networks: [network.name] };
    const stage = await openStage(context, spec, { start_timeout: '5s' });
    await network.remove();
    await expectRefused(stage, /network .* not found/, () => bed.scope.createNetwork({ name: network.name }));
  });

  test('the folder of its volume is served once that is there again', async (context) => {
    const bed = await openTestBed(context);
    const folder = await mkdtemp(path.join(tmpdir(), 'lpt-volume-'));
    bed.atEnd(() => rm(folder, { recursive: true, force: true }));
    const Name = bed.scope.name('data');
    await bed.scope.docker.createVolume({ Name, DriverOpts: { type: 'none', o: 'bind', device: folder } });
    const spec = { cmd: httpdCommand(), binds: [`${Name}:/data`] };
    const stage = await openStage(context, spec, { start_timeout: '5s' });
    await rm(folder, { recursive: true });
    await expectRefused(stage, /no such file or directory/, () => mkdir(folder));
  });

  test('its image is served as before', async (context) => {
    const bed = await openTestBed(context);
    const image = await bed.scope.createImage({ from: await busyboxImage(), changes: ['ENV A=b'] });
    const stage = await openStage(context, { cmd: httpdCommand(), image });
    await bed.scope.docker.getImage(image).remove({ force: true });
    expect((await get(stage.port)).body).toBe('hello');
  });
});

test('a container that its stop would remove is never put to sleep', async (context) => {
  await expectKept(await openTestBed(context));
});

describe.concurrent('a container that uses the network of another one', () => {
  test.for(['stop', 'restart'] as const)(
    'is started again for the next client after a %s of that one',
    async (how, context) => {
      const bed = await openTestBed(context);
      const port = await freePort();
      const [vpn, app] = [bed.scope.name('vpn'), bed.scope.name('app')];
      const owner = await bed.scope.createContainer({ name: vpn, cmd: ['sleep', '1000'] });
      const user = { name: app, cmd: httpdCommand(), networkMode: `container:${vpn}` };
      await bed.scope.createContainer(user);
      const services = { [SERVICE]: { container: app, ports: [`${port}:80`], idle_timeout: '10m' } };
      const proxy = await bed.startProxy({ services });
      expect((await get(port)).body).toBe('hello');
      await (how === 'stop' ? owner.stop(0) : owner.restart());
      const line = await proxy.waitForLog('unreachable');
      expect(line.msg).toContain(`it lost its network when the container "${vpn}" stopped`);
      expect((await get(port)).body).toBe('hello');
      await bed.events.exactly(app, 'start', 2);
      await bed.events.exactly(vpn, 'start', 2);
    },
  );

  test('is put to sleep when nobody comes after the end of that one', async (context) => {
    const bed = await openTestBed(context);
    const port = await freePort();
    const [vpn, app] = [bed.scope.name('vpn'), bed.scope.name('app')];
    const owner = await bed.scope.createContainer({ name: vpn, cmd: ['sleep', '1000'] });
    await bed.scope.createContainer({ name: app, cmd: httpdCommand(), networkMode: `container:${vpn}` });
    const services = { [SERVICE]: { container: app, ports: [`${port}:80`], idle_timeout: '3s' } };
    const proxy = await bed.startProxy({ services });
    await get(port);
    await owner.stop(0);
    await proxy.waitForLog('unreachable');
    await bed.events.waitFor(app, 'die');
    await bed.events.exactly(vpn, 'start', 1);
  });
});
