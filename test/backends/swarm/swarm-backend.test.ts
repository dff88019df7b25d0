import { expect, onTestFinished, test } from 'vitest';
import { WakeError } from '../../../src/backends/backend.ts';
import type { OwnSystem } from '../../../src/backends/engine/network/own-container.ts';
import { readLabelledServices, type SwarmBackend } from '../../../src/backends/swarm/swarm-backend.ts';
import type { SwarmWorkload } from '../../../src/model/workload.ts';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createSwarmBackend } from '../../support/lone-backends.ts';
import { HOST, within } from '../docker/backend-fixture.ts';
import { RecordingSink } from '../recording-sink.ts';
import { containerIdOf, NODE, ScriptedSwarm, swarmId } from './scripted-swarm.ts';

const WEB: SwarmWorkload = { kind: 'swarm', service: 'web' };
const KEY = 'swarm/web';
const PREFIX = 'lazy-tcp-proxy';
const ENABLED = { [`${PREFIX}.enabled`]: 'true' };
const UP = ['running', 'running'] as const;
const replicas = (count: number) => ({ Mode: { Replicated: { Replicas: count } } });

interface Bench {
  readonly swarm: ScriptedSwarm;
  readonly backend: SwarmBackend;
  readonly sink: RecordingSink;
}

async function setUp(clock: Clock = systemClock, system: OwnSystem = HOST): Promise<Bench> {
  const swarm = await ScriptedSwarm.start();
  const backend = createSwarmBackend({
    ...{ socket: swarm.socketPath, env: {}, labels: true, labelPrefixes: [PREFIX], system },
    ...{ clock, logger: silentLogger },
  });
  onTestFinished(async () => {
    await backend.close();
    await swarm.close();
  });
  return { swarm, backend, sink: new RecordingSink() };
}

const state = (sink: RecordingSink) => sink.last(KEY)?.state;

test('a service is observed through its whole life', async () => {
  const { swarm, backend, sink } = await setUp();
  backend.watch(WEB);
  await backend.open(sink);
  expect(sink.last(KEY)).toMatchObject({ state: 'missing' });
  const web = swarm.create('web');
  await sink.until(() => state(sink) === 'stopped');
  expect(sink.last(KEY)).toMatchObject({ id: web.id, hosts: [], ports: { 'tcp/80': [] } });
  swarm.setTasks(web, ['preparing', 'running']);
  swarm.change(web, replicas(1));
  await sink.until(() => state(sink) === 'starting');
  swarm.setTasks(web, UP);
  await sink.until(() => state(sink) === 'running');
  expect(sink.last(KEY)?.ports).toEqual({ 'tcp/80': [{ host: '127.0.0.1', port: 8080 }] });
  swarm.setTasks(web, ['running', 'remove']);
  swarm.change(web, replicas(0));
  await sink.until(() => state(sink) === 'stopping');
  swarm.setTasks(web);
  await sink.until(() => state(sink) === 'stopped');
  swarm.remove(web);
  await sink.until(() => state(sink) === 'missing');
});

test('an engine that manages no swarm is quiet, until it does', async () => {
  const { swarm, backend, sink } = await setUp();
  swarm.isManager = false;
  backend.watch(WEB);
  await backend.open(sink);
  expect(sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
  expect(sink.last(KEY)).toMatchObject({ state: 'missing', detail: 'the engine is no swarm manager' });
  expect(sink.snapshots).toEqual([[]]);
  const woken = backend.wake(WEB, within(5_000));
  await expect(woken).rejects.toThrow(WakeError);
  await expect(woken).rejects.toThrow('the engine is no swarm manager');
  expect(swarm.requests.filter((request) => request.includes('/services'))).toEqual([]);
  swarm.isManager = true;
  swarm.create('web', { Labels: ENABLED });
  swarm.write({
    Type: 'node',
    Action: 'update',
    Actor: { ID: NODE, Attributes: { 'state.new': 'ready' } },
  });
  await sink.until(() => state(sink) === 'stopped');
  expect(sink.snapshots.at(-1)).toEqual([{ ref: { kind: 'swarm', name: 'web' }, labels: ENABLED }]);
});

test('an engine that may not be asked for its swarm counts as one without', async () => {
  const { swarm, backend, sink } = await setUp();
  swarm.tellsInfo = false;
  backend.watch(WEB);
  await backend.open(sink);
  expect(sink.reachability).toEqual([{ reachable: true, reason: undefined }]);
  expect(sink.last(KEY)?.state).toBe('missing');
});

test('an engine that leaves its swarm is noticed by the next question', async () => {
  const { swarm, backend, sink } = await setUp();
  swarm.create('web');
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'stopped');
  swarm.isManager = false;
  await backend.recheck();
  expect(sink.last(KEY)).toMatchObject({ state: 'missing', detail: 'the engine is no swarm manager' });
});

test('sleep() remembers the replicas, wake() restores them, and the rest of the spec stays', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web', { ...replicas(3), Labels: ENABLED });
  swarm.setTasks(web, UP, UP, UP);
  backend.watch(WEB);
  await backend.open(sink);
  const before = web.spec;
  await backend.sleep(WEB);
  expect(web.spec).toEqual({
    ...before,
    ...replicas(0),
    Labels: { ...ENABLED, [`${PREFIX}.replicas`]: '3' },
  });
  expect(state(sink)).toBe('stopping');
  await backend.wake(WEB, within(5_000));
  expect(web.spec).toMatchObject({ ...replicas(3), Extra: { kept: 'as it is' } });
  // What the proxy writes is no label of the user's.
  expect(sink.snapshots.at(-1)).toEqual([{ ref: { kind: 'swarm', name: 'web' }, labels: ENABLED }]);
});

test('three replicas that slept under the old prefix wake as three, and are remembered under the first', async () => {
  const { swarm, backend, sink } = await setUp();
  backend.setLabelOptions({ labels: true, labelPrefixes: ['new', PREFIX] });
  const web = swarm.create('web', { ...replicas(0), Labels: { ...ENABLED, [`${PREFIX}.replicas`]: '3' } });
  backend.watch(WEB);
  await backend.open(sink);
  await backend.wake(WEB, within(5_000));
  expect(web.spec).toMatchObject(replicas(3));
  swarm.change(web, replicas(4));
  await backend.sleep(WEB);
  // Not the count of before, in case that an earlier version wakes it.
  const remembered = { 'new.replicas': '4', [`${PREFIX}.replicas`]: '4' };
  expect(web.spec).toMatchObject({ ...replicas(0), Labels: { ...ENABLED, ...remembered } });
  expect(sink.snapshots).toHaveLength(1);
  expect(sink.snapshots.at(-1)).toEqual([{ ref: { kind: 'swarm', name: 'web' }, labels: ENABLED }]);
});

test.each([
  ['without a label', {}, 1],
  ['with a number of the user', { [`${PREFIX}.replicas`]: '2' }, 2],
  ['with nonsense', { [`${PREFIX}.replicas`]: 'many' }, 1],
])('wake() of a service %s scales it up', async (_, labels, count) => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web', { Labels: labels });
  await backend.open(sink);
  backend.watch(WEB);
  await backend.wake(WEB, within(5_000));
  expect(web.spec.Mode).toEqual(replicas(count).Mode);
});

test('wake() gives a service the replicas that its scale says, whatever is remembered, and leaves what runs', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web', { ...replicas(0), Labels: { [`${PREFIX}.replicas`]: '1' } });
  const scaled = { ...WEB, scale: 3 };
  backend.watch(scaled);
  await backend.open(sink);
  await backend.wake(scaled, within(5_000));
  expect(web.spec).toMatchObject(replicas(3));
  await backend.wake({ ...WEB, scale: 5 }, within(5_000));
  expect(web.spec).toMatchObject(replicas(3));
});

test('wake() of a service whose tasks have ended for good makes new ones, once', async () => {
  const { swarm, backend, sink } = await setUp();
  const TaskTemplate = { RestartPolicy: { Condition: 'none' }, ForceUpdate: 4 };
  const web = swarm.create('web', { ...replicas(2), TaskTemplate });
  const ended = { ServiceID: web.id, DesiredState: 'shutdown', Spec: { ForceUpdate: 4 } };
  const Status = { State: 'failed', Err: 'task: non-zero exit (3)' };
  web.tasks = [1, 2].map((Slot) => ({ ...ended, ID: swarmId(`old${Slot}`), Slot, Status }));
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'stopped');
  expect(sink.last(KEY)?.detail).toBe('task: non-zero exit (3)');
  await backend.wake(WEB, within(5_000));
  expect(web.spec).toMatchObject({ ...replicas(2), TaskTemplate: { ...TaskTemplate, ForceUpdate: 5 } });
  expect(state(sink)).toBe('starting');
  await backend.wake(WEB, within(5_000));
  expect(web.spec.TaskTemplate?.ForceUpdate).toBe(5);
});

test('a service is looked at again until its swarm knows that the container of a task has ended', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web', { ...replicas(1), TaskTemplate: { RestartPolicy: { Condition: 'none' } } });
  swarm.setTasks(web, UP);
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'running');
  const Attributes = { 'com.docker.swarm.service.name': 'web' };
  const looks = () => swarm.count(/^GET \/tasks\?/);
  const before = looks();
  swarm.write({ Type: 'container', Action: 'die', Actor: { ID: containerIdOf(0), Attributes } });
  await sink.until(() => looks() > before + 1);
  expect(state(sink)).toBe('running');
  swarm.setTasks(web, ['complete', 'shutdown']);
  await sink.until(() => state(sink) === 'stopped');
});

test('a list that arrives late does not win over events that came meanwhile', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web', { Labels: ENABLED });
  const old = swarm.create('old', { Labels: ENABLED });
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'stopped');
  const release = swarm.delayNext(/^GET \/tasks$/);
  const Attributes = { 'availability.new': 'active' };
  swarm.write({ Type: 'node', Action: 'update', Actor: { ID: NODE, Attributes } });
  await expect.poll(() => swarm.count(/^GET \/tasks$/)).toBe(2);
  swarm.setTasks(web, UP);
  swarm.change(web, { ...replicas(1), Labels: { ...ENABLED, [`${PREFIX}.ports`]: '1:80' } });
  swarm.remove(old);
  swarm.create('new', { Labels: ENABLED });
  await sink.until(() => state(sink) === 'running');
  await sink.until(() => namesOf(sink.snapshots.at(-1)).includes('new'));
  const [told, before] = [sink.observations.length, sink.snapshots.length];
  release();
  // The list is followed by a look at everything.
  await sink.until(() => sink.observations.length > told);
  await backend.recheck();
  expect(sink.observations.slice(told).map(({ observation }) => observation.state)).not.toContain('stopped');
  for (const snapshot of sink.snapshots.slice(before - 1)) {
    expect(namesOf(snapshot)).toEqual(['new', 'web']);
    expect(snapshot.find(({ ref }) => ref.name === 'web')?.labels).toHaveProperty([`${PREFIX}.ports`]);
  }
});

const namesOf = (snapshot: RecordingSink['snapshots'][number] = []) =>
  snapshot.map(({ ref }) => ref.name).sort();

test('wake() goes on when somebody else changes the service in between', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web');
  await backend.open(sink);
  backend.watch(WEB);
  let conflicts = 2;
  swarm.beforeUpdate = () => {
    if (conflicts-- > 0) web.version += 1;
  };
  await backend.wake(WEB, within(5_000));
  expect(web.spec).toMatchObject(replicas(1));
  expect(swarm.count(/^POST/)).toBe(3);
});

test('wake() gives up when the service changes every time, and at once when it did not change', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web');
  await backend.open(sink);
  swarm.beforeUpdate = () => {
    web.version += 1;
  };
  await expect(backend.wake(WEB, within(5_000))).rejects.toThrow(WakeError);
  expect(swarm.count(/^POST/)).toBe(5);
  await expect(backend.wake({ kind: 'swarm', service: 'nobody' }, within(5_000))).rejects.toThrow(
    'cannot start swarm service "nobody": it does not exist',
  );
});

test('a service that is changed by somebody else is told, and its start', async () => {
  const { swarm, backend, sink } = await setUp();
  const web = swarm.create('web');
  backend.watch(WEB);
  await backend.open(sink);
  const started: string[] = [];
  Object.assign(sink, { started: (ref: { readonly name: string }) => started.push(ref.name) });
  swarm.setTasks(web, UP);
  swarm.change(web, replicas(1));
  await sink.until(() => state(sink) === 'running');
  expect(started).toEqual(['web']);
});

test('a service at rest is known from the list alone, and nothing more is asked', async () => {
  const clock = new FakeClock();
  const { swarm, backend, sink } = await setUp(clock);
  swarm.create('web');
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'stopped');
  const asked = swarm.requests.length;
  expect(swarm.count(/^GET \/services\/|filters=.*"service":\[/)).toBe(0);
  await clock.advance(60_000);
  expect(swarm.requests.length).toBe(asked);
  expect(clock.pending).toBe(0);
});

test('a service on its way is looked at every 100 ms at first, and no more when it has arrived', async () => {
  const clock = new FakeClock();
  const { swarm, backend, sink } = await setUp(clock);
  const web = swarm.create('web', replicas(1));
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => state(sink) === 'starting');
  // The other one looks after an event stream that says nothing while something is awake.
  expect(clock.delaysMs).toEqual([100, 60_000]);
  swarm.setTasks(web, UP);
  await clock.advance(100);
  await sink.until(() => state(sink) === 'running');
  expect(clock.delaysMs).toEqual([59_900]);
});

test.each([
  ['global', { Global: {} }],
  ['a job', { ReplicatedJob: {} }],
])('a service that is %s says that it cannot be scaled', async (name, mode) => {
  const { swarm, backend, sink } = await setUp();
  swarm.create('web', { Mode: mode });
  backend.watch(WEB);
  await backend.open(sink);
  await sink.until(() => sink.last(KEY)?.problem !== undefined);
  const problem = `only replicated services can be scaled, and this one is ${name}`;
  expect(sink.last(KEY)).toMatchObject({ state: 'missing', problem });
  await expect(backend.wake(WEB, within(5_000))).rejects.toThrow(problem);
});

test('readLabelledServices() lists once, and nothing where there is no manager', async () => {
  const { swarm } = await setUp();
  swarm.create('web', { Labels: ENABLED });
  swarm.create('other');
  const query = { socket: swarm.socketPath, env: {}, clock: systemClock, timeoutMs: 2_000 };
  const read = () => readLabelledServices({ ...query, labels: true, labelPrefixes: [PREFIX] });
  expect(await read()).toEqual([{ ref: { kind: 'swarm', name: 'web' }, labels: ENABLED }]);
  swarm.isManager = false;
  expect(await read()).toEqual([]);
});

test('the service that the proxy itself runs in is told, and never put to sleep', async () => {
  const id = containerIdOf(7);
  const readFile = async (path: string) => {
    if (path === '/proc/self/cgroup') return `0::/docker/${id}\n`;
    throw new Error('there is no such file');
  };
  const { swarm, backend, sink } = await setUp(systemClock, { readFile, hostname: () => 'host' });
  const web = swarm.create('web', replicas(1));
  swarm.setTasks(web, UP);
  const Labels = { 'com.docker.swarm.service.id': web.id, 'com.docker.swarm.service.name': 'web' };
  const own = { Id: id, Name: '/web.1.x', State: { Running: true }, Config: { Labels } };
  swarm.containers.set(id, own);
  backend.watch(WEB);
  await backend.open(sink);
  expect(sink.owns.at(-1)).toContainEqual({ kind: 'swarm', name: 'web' });
  await expect(backend.sleep(WEB)).rejects.toThrow('the proxy itself runs in it');
  expect(swarm.count(/^POST /)).toBe(0);
});
