/** Hubs, and the dependants that run while they run. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { type AppAnswer, httpdCommand, localApp } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import type { ContainerSpec, TestContainer } from './support/container.ts';
import { get, getJson } from './support/http.ts';
import { runCli } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type TestBed, writeConfig } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });

/** Stopped containers, by their short names. */
function createAll({ scope }: TestBed, shorts: readonly string[]): Promise<TestContainer[]> {
  return Promise.all(
    shorts.map((short) => scope.createContainer({ name: scope.name(short), cmd: httpdCommand() })),
  );
}

describe.concurrent('a hub', () => {
  test('wakes its dependants, holds them beyond their own idle timeout, and stops them with itself', async (context) => {
    const bed = await open(context);
    const { events, scope } = bed;
    const [hubPort = 0, nodePort = 0] = await freePorts(2);
    // One is a service itself, the other one is in no file and has no labels.
    const [hub, node, stray] = [scope.name('hub'), scope.name('node'), scope.name('stray')];
    await createAll(bed, ['hub', 'node', 'stray']);
    await bed.startProxy({
      services: {
        [hub]: { ports: [`${hubPort}:80`], idle_timeout: '2s', dependants: [node, stray] },
        [node]: { ports: [`${nodePort}:80`], idle_timeout: '0s' },
      },
    });
    expect((await get(hubPort)).body).toBe('hello');
    for (const name of [node, stray]) await events.waitFor(name, 'start');
    // For itself the node would stop as soon as this connection has ended.
    await get(nodePort);
    const hubDied = await events.waitFor(hub, 'die');
    for (const name of [node, stray]) {
      expect((await events.waitFor(name, 'die')).at).toBeGreaterThanOrEqual(hubDied.at);
      await events.exactly(name, 'start', 1);
    }
  });

  test('takes its dependants along when it is started and stopped by somebody else', async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const [hub, node] = await createAll(bed, ['hub', 'node']);
    if (hub === undefined || node === undefined) throw new Error('two containers were asked for');
    await bed.startProxy({ services: { [hub.name]: { ports: [`${port}:80`], dependants: [node.name] } } });
    await hub.start();
    await bed.events.waitFor(node.name, 'start');
    await hub.stop();
    await bed.events.waitFor(node.name, 'die');
  });

  test('leaves a dependant to another hub that still runs', async (context) => {
    const bed = await open(context);
    const { events, scope } = bed;
    const [firstPort = 0, secondPort = 0] = await freePorts(2);
    const [first, second, node] = [scope.name('first'), scope.name('second'), scope.name('node')];
    await createAll(bed, ['first', 'second', 'node']);
    const proxy = await bed.startProxy({
      services: {
        [first]: { ports: [`${firstPort}:80`], idle_timeout: '1s', dependants: [node] },
        [second]: { ports: [`${secondPort}:80`], idle_timeout: '1s', dependants: [node] },
      },
    });
    const held = await connectTcp(secondPort);
    bed.atEnd(() => held.destroy());
    await events.waitFor(second, 'start');
    const from = proxy.logs().length;
    await get(firstPort);
    await proxy.waitForLog((line) => line.event === 'asleep' && line.service === first, { from });
    // Were the node told to stop with the first hub, this would have it started again.
    await get(firstPort);
    held.destroy();
    await events.waitFor(second, 'die');
    await events.waitFor(node, 'die');
    await events.exactly(node, 'start', 1);
  });
});

test('a cycle of dependants is refused by validate, with its place', async ({ onTestFinished }) => {
  const services = {
    a: { ports: ['9000:80'], dependants: ['b'] },
    b: { ports: ['9001:80'], dependants: ['a'] },
  };
  const files = await createConfigFolder(writeConfig(services));
  onTestFinished(() => files.remove());
  const { status, stdout } = await runCli(['validate', files.configFile]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/lazy-proxy\.yaml:\d+:\d+ error .*a → b → a|lazy-proxy\.yaml:\d+:\d+ error .*cycle/);
});

test.each([
  ['its dependant', true],
  ['which nobody names', false],
])('a container that uses the network of another one, %s, is woken again and again', async (_, isNamed) => {
  const bed = await openTestBed();
  const port = await freePort();
  const [vpn, app] = [bed.scope.name('vpn'), bed.scope.name('app')];
  const owner = await bed.scope.createContainer({ name: vpn, cmd: httpdCommand({ port: 81 }) });
  await bed.scope.createContainer({ name: app, cmd: httpdCommand(), networkMode: `container:${vpn}` });
  const dependants = isNamed ? [vpn] : [];
  await bed.startProxy({
    services: { [app]: { ports: [`${port}:80`], idle_timeout: '0s', dependants } },
  });
  for (let round = 1; round <= 8; round++) {
    expect((await get(port, { timeoutMs: 30_000 })).body).toBe('hello');
    await bed.events.waitFor(app, 'die', { nth: round });
    if (!isNamed) await owner.stop();
    // Every other time the next client comes while the owner of the network is just being stopped.
    else if (round % 2 === 0) await waitUntil(async () => (await owner.state()) === 'exited');
  }
});

describe.concurrent('what a service depends on', () => {
  /** The containers of a Compose project as Compose makes them, by the names of their services. */
  async function createProject(
    { scope }: TestBed,
    services: Readonly<
      Record<string, { readonly needs?: string; readonly options?: Partial<ContainerSpec> }>
    >,
  ): Promise<Readonly<Record<string, TestContainer>>> {
    const project = scope.name('shop');
    const made = Object.entries(services).map(async ([service, { needs = '', options = {} }]) => {
      const labels = {
        'com.docker.compose.project': project,
        'com.docker.compose.service': service,
        'com.docker.compose.container-number': '1',
        'com.docker.compose.oneoff': 'False',
        'com.docker.compose.depends_on': needs,
        ...options.labels,
      };
      const name = `${project}-${service}-1`;
      return [
        service,
        await scope.createContainer({ cmd: httpdCommand(), ...options, name, labels }),
      ] as const;
    });
    return Object.fromEntries(await Promise.all(made));
  }

  test('is woken in the order of Compose, though it has not opted in, and sleeps in reverse', async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const { web, app, db } = await createProject(bed, {
      web: {
        needs: 'app:service_started:false',
        options: { labels: bed.labels({ ports: `${port}:80`, depends_on: 'compose', idle_timeout: '1s' }) },
      },
      app: { needs: 'db:service_healthy:true' },
      // The first result of its check is bad.
      db: {
        options: {
          healthcheck: {
            ...{ test: ['CMD-SHELL', 'test -e /tmp/up || { touch /tmp/up; exit 1; }'] },
            ...{ intervalMs: 200, retries: 20 },
          },
        },
      },
    });
    if (web === undefined || app === undefined || db === undefined) throw new Error('three were asked for');
    const { events } = bed;
    await bed.startProxy();
    expect((await get(port)).body).toBe('hello');
    const started = await Promise.all([db, app, web].map(({ name }) => events.waitFor(name, 'start')));
    expect(started.map(({ at }) => at)).toEqual(started.map(({ at }) => at).toSorted((a, b) => a - b));
    const healthy = await events.waitFor(db.name, 'health_status: healthy');
    expect(events.of(app.name, 'start')[0]?.at).toBeGreaterThanOrEqual(healthy.at);
    const died = await Promise.all([web, app, db].map(({ name }) => events.waitFor(name, 'die')));
    expect(died.map(({ at }) => at)).toEqual(died.map(({ at }) => at).toSorted((a, b) => a - b));
    for (const { name } of [web, app, db]) await events.exactly(name, 'start', 1);
  });

  test('may be a process that a container needs: it is ready before, and ends after it', async (context) => {
    const bed = await open(context);
    const [port = 0, own = 0, helper = 0] = await freePorts(3);
    const web = bed.scope.name('web');
    const container = await bed.scope.createContainer({ name: web, cmd: httpdCommand() });
    const { command, env } = localApp({ port: helper });
    const proxy = await bed.startProxy({
      services: {
        [web]: { ports: [`${port}:80`], depends_on: { helper: 'healthy' }, idle_timeout: '1s' },
        helper: { command, env, ports: [`${own}:${helper}`] },
      },
    });
    expect((await get(port)).body).toBe('hello');
    const from = proxy.logs().length;
    const { listeningAt } = await getJson<AppAnswer>(`http://127.0.0.1:${helper}/`);
    expect(listeningAt).toBeLessThanOrEqual(Date.parse(await container.startedAt()));
    await proxy.waitForLog(({ event, service }) => event === 'asleep' && service === 'helper', { from });
    expect(await container.state()).toBe('exited');
    await expect(get(helper)).rejects.toThrow();
  });

  test('fails the wake of who needs it to be completed, where it ends with another exit status', async (context) => {
    const bed = await open(context);
    const { scope } = bed;
    const port = await freePort();
    const [web, job] = [scope.name('web'), scope.name('job')];
    await scope.createContainer({ name: web, cmd: httpdCommand() });
    await scope.createContainer({ name: job, cmd: ['sh', '-c', 'echo no such table; exit 3'] });
    const proxy = await bed.startProxy({
      services: { [web]: { ports: [`${port}:80`], depends_on: { [job]: 'completed' } } },
    });
    await expect(get(port)).rejects.toThrow();
    const { msg } = await proxy.waitForLog((line) => line.event === 'wake-failed' && line.service === web);
    expect(msg).toContain(`${job} was not completed: exit code 3`);
    expect(bed.events.of(web, 'start')).toEqual([]);
    await bed.events.waitFor(job, 'die');
  });
});
