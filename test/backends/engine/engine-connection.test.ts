import { expect, onTestFinished, test, vi } from 'vitest';
import { DockerBackend } from '../../../src/backends/docker/docker-backend.ts';
import { EngineConnection } from '../../../src/backends/engine/engine-connection.ts';
import { SwarmBackend } from '../../../src/backends/swarm/swarm-backend.ts';
import type { Workload } from '../../../src/model/workload.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { networkId } from '../../support/engine-answers.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { ScriptedEngine } from '../../support/scripted-engine.ts';
import { DB } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';
import { NODE, swarmId } from '../swarm/scripted-swarm.ts';

const WEB: Workload = { kind: 'swarm', service: 'web' };
const STREAM = /^GET \/events(?!.*until=)/;
const SERVICES = /^GET \/services$/;

/** An engine with a container and a service at rest on one network, and a proxy in a container of its own. */
async function setUp() {
  const engine = await ScriptedEngine.start();
  const proxy = engine.create('proxy', { status: 'running', networkMode: 'bridge' });
  engine.create('db', { status: 'exited' });
  const service = {
    ID: swarmId('service1'),
    Version: { Index: 1 },
    Spec: {
      ...{ Name: 'web', Labels: {}, Mode: { Replicated: { Replicas: 0 } } },
      TaskTemplate: { Networks: [{ Target: networkId('n1') }] },
    },
  };
  engine.answer(/^GET \/info/, { Swarm: { NodeID: NODE, ControlAvailable: true } });
  engine.answer(/^GET \/tasks/, []);
  engine.answer(/^GET \/services\/service1/, service);
  engine.answer(/^GET \/networks\//, {
    Id: networkId('n1'),
    Name: 'n1',
    Driver: 'overlay',
    Attachable: true,
  });
  const cgroup = `1:cpu:/docker/${proxy.id}\n`;
  const system = {
    readFile: async (path: string) => {
      if (path === '/proc/self/cgroup') return cgroup;
      throw new Error('there is no such file');
    },
    hostname: () => 'proxy',
  };
  const logger = createRecordingLogger();
  const parts = { clock: systemClock, logger, labels: true, labelPrefixes: ['p'] } as const;
  const connection = new EngineConnection({ ...parts, socket: engine.socketPath, env: {}, system });
  const shared = { ...parts, engine: connection };
  const docker = { backend: new DockerBackend(shared), sink: new RecordingSink() };
  const swarm = { backend: new SwarmBackend(shared), sink: new RecordingSink() };
  onTestFinished(async () => {
    await Promise.all([docker.backend.close(), swarm.backend.close()]);
    await engine.close();
  });
  return { engine, proxy, docker, swarm, service };
}

type Bench = Awaited<ReturnType<typeof setUp>>;

async function openBoth({ engine, docker, swarm, service }: Bench): Promise<void> {
  engine.answer(SERVICES, [service]);
  docker.backend.watch(DB);
  swarm.backend.watch(WEB);
  await Promise.all([docker.backend.open(docker.sink), swarm.backend.open(swarm.sink)]);
}

function until(isTrue: () => boolean): Promise<unknown> {
  return vi.waitUntil(isTrue, { timeout: 5_000, interval: 5 });
}

test('containers and services of one engine are heard of through one event stream', async () => {
  const bench = await setUp();
  const { engine, docker, swarm, service } = bench;
  await openBoth(bench);
  await engine.quiet();
  expect(engine.count(STREAM)).toBe(1);
  const told = docker.sink.observations.length;
  engine.emit(engine.create('db2'), 'start');
  engine.write(
    `${JSON.stringify({
      ...{ Type: 'service', Action: 'update' },
      Actor: {
        ID: service.ID,
        Attributes: { name: 'web', 'replicas.old': '0', 'replicas.new': '1' },
      },
    })}\n`,
  );
  await until(() => swarm.sink.starts.length > 0 && docker.sink.starts.length > 0);
  expect(swarm.sink.starts).toEqual([{ kind: 'swarm', name: 'web' }]);
  expect(docker.sink.starts).toEqual([{ kind: 'docker', name: 'db2' }]);
  expect(docker.sink.observations.length).toBe(told);
});

test.each(['docker', 'swarm'] as const)(
  'a network that a container and a service share is joined once, and left when neither needs it (%s first)',
  async (first) => {
    const bench = await setUp();
    const { engine, proxy, docker, swarm } = bench;
    await openBoth(bench);
    await until(() => proxy.joined.size === 1);
    await engine.quiet();
    expect(engine.count(/\/connect$/)).toBe(1);
    if (first === 'docker') docker.backend.unwatch(DB);
    else swarm.backend.unwatch(WEB);
    await engine.quiet();
    expect([...proxy.joined.keys()]).toEqual(['n1']);
    expect(engine.count(/\/disconnect$/)).toBe(0);
    if (first === 'docker') swarm.backend.unwatch(WEB);
    else docker.backend.unwatch(DB);
    await until(() => proxy.joined.size === 0);
    expect(engine.count(/\/disconnect$/)).toBe(1);
  },
);

test('a container and a service of the same name need their networks each for itself', async () => {
  const bench = await setUp();
  const { engine, proxy, docker, swarm } = bench;
  const namesake = { kind: 'docker', container: 'web' } as const;
  engine.create('web', { status: 'exited' });
  docker.backend.watch(namesake);
  await openBoth(bench);
  docker.backend.unwatch(DB);
  await until(() => proxy.joined.size === 1);
  await engine.quiet();
  docker.backend.unwatch(namesake);
  await engine.quiet();
  expect([...proxy.joined.keys()]).toEqual(['n1']);
  swarm.backend.unwatch(WEB);
  await until(() => proxy.joined.size === 0);
});

test('a network that an earlier version joined for services is left when nobody needs it', async () => {
  const bench = await setUp();
  bench.proxy.joined.set('n1', { DriverOpts: { 'lazy-proxy.joined': 'swarm' } });
  await bench.docker.backend.open(bench.docker.sink);
  await until(() => bench.proxy.joined.size === 0);
});

test('a list that is refused to one of both is asked for again, and the other one works meanwhile', async () => {
  const bench = await setUp();
  const { engine, docker, swarm } = bench;
  const relent = engine.refuse(SERVICES, { status: 403, message: 'not allowed' });
  await openBoth(bench);
  expect(swarm.sink.reachability).toEqual([{ reachable: false, reason: 'not allowed' }]);
  expect(docker.sink.last('docker/db')?.state).toBe('stopped');
  relent();
  await until(() => swarm.sink.last('swarm/web')?.state === 'stopped');
  expect(swarm.sink.reachability.map(({ reachable }) => reachable)).toEqual([false, true]);
  expect(docker.sink.reachability.map(({ reachable }) => reachable)).toEqual([true]);
  expect(engine.count(STREAM)).toBe(1);
});

test('who follows an engine that is away is told so at once, though nobody asks the engine again', async () => {
  const { engine, docker, swarm } = await setUp();
  engine.refuse(STREAM, { status: 500, message: 'not today' });
  await docker.backend.open(docker.sink);
  const asked = engine.count(STREAM);
  await swarm.backend.open(swarm.sink);
  expect(swarm.sink.reachability).toEqual([{ reachable: false, reason: 'not today' }]);
  expect(engine.count(STREAM)).toBe(asked);
});

test('the stream is asked for the events of the last two seconds, too', async () => {
  const bench = await setUp();
  const beforeMs = systemClock.nowMs();
  await openBoth(bench);
  const [, since = ''] =
    /since=(\d+)/.exec(bench.engine.requests.find((line) => STREAM.test(line)) ?? '') ?? [];
  expect(beforeMs - Number(since) * 1_000).toBeGreaterThanOrEqual(1_900);
});

test('the proxy does not look at its own networks for events of another container', async () => {
  const bench = await setUp();
  const { engine, proxy } = bench;
  const own = new RegExp(`^GET /containers/${proxy.id}/json`);
  await openBoth(bench);
  await until(() => proxy.joined.size === 1);
  await engine.quiet();
  engine.forget();
  const other = engine.create('other', { status: 'running' });
  engine.attach(other, 'n1');
  engine.detach(other, 'n1');
  await engine.quiet();
  expect(engine.count(own)).toBe(0);
});

test('services that are served only later are heard of through the stream that stands', async () => {
  const bench = await setUp();
  const { engine, docker, swarm, service } = bench;
  engine.answer(SERVICES, [service]);
  await docker.backend.open(docker.sink);
  expect(engine.count(SERVICES)).toBe(0);
  swarm.backend.watch(WEB);
  await swarm.backend.open(swarm.sink);
  expect(swarm.sink.last('swarm/web')?.state).toBe('stopped');
  expect(engine.count(STREAM)).toBe(1);
  expect(engine.count(/^GET \/containers\/json/)).toBe(1);
});

test('a stream that ends is renewed once for both, and both look again', async () => {
  const bench = await setUp();
  const { engine, docker, swarm } = bench;
  await openBoth(bench);
  engine.forget();
  engine.endEvents();
  for (const { sink } of [docker, swarm]) {
    await until(() => sink.reachability.length === 3);
    expect(sink.reachability.map(({ reachable }) => reachable)).toEqual([true, false, true]);
  }
  await engine.quiet();
  expect(engine.count(STREAM)).toBe(1);
  expect(engine.count(/^GET \/containers\/json/)).toBe(1);
  expect(engine.count(SERVICES)).toBe(1);
});

test('one of both that closes leaves the other one as it is', async () => {
  const bench = await setUp();
  const { engine, docker, swarm } = bench;
  await openBoth(bench);
  await swarm.backend.close();
  engine.emit(engine.create('db2'), 'start');
  await until(() => docker.sink.starts.length > 0);
  expect(swarm.sink.starts).toEqual([]);
  expect(docker.sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
});
