import { expect, onTestFinished, test } from 'vitest';
import { WakeError } from '../../../src/backends/backend.ts';
import { createKubernetesBackend } from '../../../src/backends/kubernetes/kubernetes-backend.ts';
import type { LabelPrefixes } from '../../../src/model/label-names.ts';
import {
  type Bench,
  createApp,
  DB,
  ENABLED,
  KEY,
  OPTIONS,
  PATCH,
  POLITELY,
  REPLICAS,
  SCALE,
  setPods,
  setUp,
  setUpOpen,
  wanted,
  within,
} from './backend-fixture.ts';
import { ClusterSink } from './cluster-sink.ts';

test('a wake takes one patch, from 0 to the count that was remembered', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0, annotations: { [REPLICAS]: '3' } });
  const { resourceVersion } = api.get('deployments', 'shop/db')?.metadata ?? {};
  await backend.wake(DB, within(5_000));
  expect(sink.last(KEY)?.state).toBe('starting');
  const patches = api.requests.filter(({ line }) => PATCH.test(line));
  expect(patches).toEqual([
    expect.objectContaining({
      line: 'PATCH /apis/apps/v1/namespaces/shop/deployments/db/scale?fieldManager=lazy-proxy&force=true',
      body: {
        apiVersion: 'autoscaling/v1',
        kind: 'Scale',
        metadata: { name: 'db', namespace: 'shop', resourceVersion },
        spec: { replicas: 3 },
      },
    }),
  ]);
  expect(wanted(api)).toBe(3);
  setPods(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
});

test.each([
  ['nothing', {}],
  ['no number', { [REPLICAS]: 'many' }],
  ['0', { [REPLICAS]: '0' }],
])('a wake scales to 1 where %s was remembered', async (_, annotations) => {
  const { api, backend } = await setUpOpen({ replicas: 0, annotations });
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(1);
});

test('a wake scales to what scale says, whatever was remembered, and leaves what runs', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0, annotations: { [REPLICAS]: '1' } });
  await backend.wake({ ...DB, scale: 3 }, within(5_000));
  expect(wanted(api)).toBe(3);
  await backend.wake({ ...DB, scale: 5 }, within(5_000));
  expect(wanted(api)).toBe(3);
});

test('many wakes at once scale once', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0, annotations: { [REPLICAS]: '2' } });
  const before = api.get('deployments', 'shop/db')?.metadata.generation;
  await Promise.all(Array.from({ length: 20 }, () => backend.wake(DB, within(5_000))));
  expect(wanted(api)).toBe(2);
  expect(api.get('deployments', 'shop/db')?.metadata.generation).toBe(before + 1);
});

test('a wake of a workload that is awake asks for nothing', async () => {
  const { api, backend } = await setUpOpen({ replicas: 2 });
  await backend.wake(DB, within(5_000));
  expect(api.count(PATCH)).toBe(0);
});

test('a stateful set is woken and put to sleep alike', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 2, resource: 'statefulsets' });
  const workload = { ...DB, resource: 'statefulset' } as const;
  backend.watch(workload);
  await backend.open(sink);
  await sink.until(() => sink.views.at(-1)?.isSleeper === true);
  await backend.sleep(workload, POLITELY);
  expect(api.get('statefulsets', 'shop/db')?.spec.replicas).toBe(0);
  await backend.wake(workload, within(5_000));
  expect(api.get('statefulsets', 'shop/db')?.spec.replicas).toBe(2);
});

test('a wake after a change that is not known yet reads the workload, and tries again', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  api.scripts.before(SCALE, () => {
    api.change('deployments', 'shop/db', ({ metadata }) => {
      metadata.annotations = { [REPLICAS]: '2' };
    });
  });
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(2);
  expect(api.count(SCALE)).toBe(2);
});

test('a wake adopts what somebody else has scaled meanwhile', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0, annotations: { [REPLICAS]: '3' } });
  api.watches.tellEvents('silent');
  api.scripts.before(SCALE, () => {
    api.scale('deployments', 'shop/db', { replicas: 5, manager: 'kubectl' });
  });
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(5);
  expect(sink.last(KEY)?.state).toBe('starting');
  expect(api.count(SCALE)).toBe(1);
});

test('a wake whose answer is lost is not made twice', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  const before = api.get('deployments', 'shop/db')?.metadata.generation;
  api.scripts.loseAnswer(SCALE, 1);
  await backend.wake(DB, within(5_000));
  expect(api.get('deployments', 'shop/db')?.metadata.generation).toBe(before + 1);
});

test('a wake goes on while the API server is overloaded', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  api.scripts.refuse(SCALE, { status: 429, message: 'too many requests', times: 2 });
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(1);
});

test('a wake waits as long as an overloaded API server asks for, the next wake and sleep, too, and says so', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0 });
  const relent = api.scripts.refuse(SCALE, { status: 429, message: 'too many requests', retryAfter: '2' });
  const beganMs = performance.now();
  await expect(backend.wake(DB, within(500))).rejects.toThrow();
  expect(api.count(SCALE)).toBe(1);
  const told = sink.observations.flatMap(({ observation }) => observation.hindrance ?? []);
  expect(told).toEqual(['the API server did not do it yet (429): too many requests, and asked to wait 2 s']);
  expect(sink.last(KEY)?.hindrance).toBeUndefined();
  relent();
  await backend.wake(DB, within(5_000));
  expect(performance.now() - beganMs).toBeGreaterThan(1_950);
  expect(wanted(api)).toBe(1);
  api.scripts.refuse(/^PATCH/, { status: 429, message: 'too many requests', retryAfter: '20', times: 1 });
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow('too many requests');
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow('the API server asked to wait 20 s more');
});

test('a wake while the API server is away is served after its return', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0 });
  await api.goAway();
  await sink.until(() => sink.reachability.at(-1) !== true);
  const waking = backend.wake(DB, within(10_000));
  await api.comeBack();
  await waking;
  expect(wanted(api)).toBe(1);
});

test('a wake goes on while the API server has come back and refuses everybody', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0 });
  await api.goAway();
  await sink.until(() => sink.reachability.at(-1) !== true);
  const allow = api.scripts.forbid('patch deployments/scale');
  const waking = backend.wake(DB, within(10_000));
  await api.comeBack();
  await api.requested(SCALE);
  allow();
  await waking;
  expect(wanted(api)).toBe(1);
});

test('a wake that waits for the API server ends with its signal', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  await api.goAway();
  const controller = new AbortController();
  const waking = backend.wake(DB, controller);
  controller.abort(new Error('nobody waits any more'));
  await expect(waking).rejects.toThrow('nobody waits any more');
});

test('a wake that is refused names verb, resource and namespace', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  api.scripts.forbid('patch deployments/scale');
  const waking = backend.wake(DB, within(5_000));
  await expect(waking).rejects.toThrow(WakeError);
  await expect(waking).rejects.toThrow(
    /^cannot scale deployment shop\/db up: .*patch resource "deployments\/scale".* in the namespace "shop"/,
  );
});

test('a wake of a workload that does not exist says so', async () => {
  const { backend } = await setUpOpen({ replicas: 0 });
  const waking = backend.wake({ ...DB, name: 'nobody' }, within(5_000));
  await expect(waking).rejects.toThrow('deployment shop/nobody does not exist');
});

test('a wake of a workload whose deletion is not known yet is refused', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0 });
  api.watches.tellEvents('silent');
  api.remove('deployments', 'shop/db');
  await expect(backend.wake(DB, within(5_000))).rejects.toThrow(WakeError);
  api.watches.tellEvents('faithful');
  api.expireVersions();
  api.watches.end();
  await sink.untilState(KEY, 'missing');
});

test('a sleep remembers the count, scales to 0, and is stopping until no endpoint is ready', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 3 });
  await backend.sleep(DB, POLITELY);
  expect(sink.last(KEY)?.state).toBe('stopping');
  expect(wanted(api)).toBe(0);
  expect(api.get('deployments', 'shop/db')?.metadata.annotations[REPLICAS]).toBe('3');
  setPods(api, { pods: ['ready'], currentReplicas: 0 });
  createApp(api, { replicas: 0, name: 'mark', annotations: ENABLED });
  await sink.until(() => sink.snapshots.at(-1)?.length === 1);
  expect(sink.last(KEY)?.state).toBe('stopping');
  setPods(api, { pods: ['unready'] });
  await sink.untilState(KEY, 'stopped');
  expect(api.requests.filter(({ line }) => PATCH.test(line)).map(({ line }) => line)).toEqual([
    'PATCH /apis/apps/v1/namespaces/shop/deployments/db?fieldManager=lazy-proxy',
    'PATCH /apis/apps/v1/namespaces/shop/deployments/db/scale?fieldManager=lazy-proxy&force=true',
  ]);
});

test('a sleep remembers nothing anew where the count is the same', async () => {
  const { api, backend } = await setUpOpen({ replicas: 3, annotations: { [REPLICAS]: '3' } });
  await backend.sleep(DB, POLITELY);
  expect(api.count(PATCH)).toBe(1);
});

test('a sleep remembers under the prefix that stands', async () => {
  const { api, backend } = await setUpOpen({ replicas: 3 });
  backend.setLabelOptions({ labels: true, labelPrefixes: ['mine'] });
  await backend.sleep(DB, POLITELY);
  expect(api.get('deployments', 'shop/db')?.metadata.annotations).toEqual({ 'mine.replicas': '3' });
});

test('three replicas that slept under the old prefix wake as three, and are remembered under the first', async () => {
  const labelPrefixes: LabelPrefixes = ['lazy-proxy', 'lazy-tcp-proxy'];
  const { api, backend, sink } = await setUpOpen(
    { replicas: 0, annotations: { [REPLICAS]: '3' } },
    { labelPrefixes },
  );
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(3);
  api.scale('deployments', 'shop/db', { replicas: 4, manager: 'kubectl' });
  setPods(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
  await backend.sleep(DB, POLITELY);
  expect(wanted(api)).toBe(0);
  // Not the count of before, in case that an earlier version wakes it.
  expect(api.get('deployments', 'shop/db')?.metadata.annotations).toEqual({
    'lazy-proxy.replicas': '4',
    [REPLICAS]: '4',
  });
});

test('a sleep of a workload at 0, or of one that is not there, asks for nothing', async () => {
  const { api, backend } = await setUpOpen({ replicas: 0 });
  await backend.sleep(DB, POLITELY);
  await backend.sleep({ ...DB, name: 'nobody' }, POLITELY);
  expect(api.count(PATCH)).toBe(0);
});

test('a sleep never undoes a change that is not known yet', async () => {
  const { api, backend } = await setUpOpen({ replicas: 1, annotations: { [REPLICAS]: '1' } });
  api.scripts.before(SCALE, () => {
    api.scale('deployments', 'shop/db', { replicas: 4, manager: 'kubectl' });
  });
  await backend.sleep(DB, POLITELY);
  expect(wanted(api)).toBe(0);
  expect(api.get('deployments', 'shop/db')?.metadata.annotations[REPLICAS]).toBe('4');
});

test('a sleep remembers what somebody else has scaled to meanwhile', async () => {
  const { api, backend } = await setUpOpen({ replicas: 1 });
  api.scripts.before(PATCH, () => {
    api.scale('deployments', 'shop/db', { replicas: 4, manager: 'kubectl' });
  });
  await backend.sleep(DB, POLITELY);
  expect(wanted(api)).toBe(0);
  expect(api.get('deployments', 'shop/db')?.metadata.annotations[REPLICAS]).toBe('4');
});

test('a sleep of a workload whose deletion is not known yet succeeds', async () => {
  const { api, backend } = await setUpOpen({ replicas: 1 });
  api.watches.tellEvents('silent');
  api.remove('deployments', 'shop/db');
  await backend.sleep(DB, POLITELY);
  expect(api.count(PATCH)).toBe(1);
});

test('a sleep gives up where each of its tries meets another change', async () => {
  const { api, backend } = await setUpOpen({ replicas: 1 });
  api.scripts.refuse(SCALE, { status: 409, reason: 'Conflict', message: 'the object has been modified' });
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow(/shop\/db to 0: .*has been modified/);
  expect(api.count(SCALE)).toBe(5);
});

test('a sleep fails at once while the API server is away', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 1 });
  const refuse = api.scripts.drop(/./);
  api.watches.drop('deployments');
  await sink.until(() => sink.reachability.at(-1) !== true);
  onTestFinished(api.scripts.hang(/./));
  refuse();
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow('the API server does not answer');
  expect(api.count(PATCH)).toBe(0);
});

test('a sleep before the backend is open fails at once', async () => {
  const { backend } = await setUp();
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow('does not answer');
});

test('a sleep leaves a workload awake that a client of another proxy uses', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 1 });
  const other = createKubernetesBackend({ ...OPTIONS, access: api.access, identity: 'b' });
  onTestFinished(() => other.close());
  other.setInUse(DB, { inUse: true });
  await other.open(new ClusterSink());
  await sink.until(() => sink.views.at(-1)?.heldElsewhere.has(KEY) === true);
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow(/^cannot scale deployment shop\/db to 0: /);
  expect(wanted(api)).toBe(1);
  await backend.sleep(DB, { ...POLITELY, evenInUse: true });
  expect(wanted(api)).toBe(0);
});

test('a sleep that is refused says why', async () => {
  const { api, backend } = await setUpOpen({ replicas: 1 });
  api.scripts.forbid('patch deployments');
  await expect(backend.sleep(DB, POLITELY)).rejects.toThrow(
    /^cannot scale deployment shop\/db to 0: .*patch resource "deployments" .*namespace "shop"/,
  );
  expect(wanted(api)).toBe(1);
});

test('three replicas before a sleep are three after the next wake', async () => {
  const { api, backend } = await setUpOpen({ replicas: 3 });
  await backend.sleep(DB, POLITELY);
  await backend.wake(DB, within(5_000));
  expect(wanted(api)).toBe(3);
});

/** We sleep, and a GitOps tool sets the replicas back. */
async function sleepAndUndo(
  { api, backend, sink }: Bench,
  options: { readonly manager?: string; readonly subresource?: 'scale' } = {},
): Promise<void> {
  const { manager = 'argocd-controller', ...how } = options;
  await backend.sleep(DB, POLITELY);
  await sink.until(() => sink.last(KEY)?.state === 'stopping');
  const starts = sink.starts.length;
  api.scale('deployments', 'shop/db', { replicas: 2, manager, ...how });
  setPods(api, { pods: ['ready'] });
  await sink.until(() => sink.starts.length > starts && sink.last(KEY)?.state === 'running');
}

test('who keeps scaling a workload up through its scale is named', async () => {
  const bench = await setUpOpen({ replicas: 2 });
  for (const _ of [1, 2]) await sleepAndUndo(bench, { manager: 'keda-operator', subresource: 'scale' });
  await bench.sink.until(() => bench.sink.views.at(-1)?.heldElsewhere.has(KEY) === true);
  expect(bench.logger.lines.find(({ fields }) => fields.event === 'contested')?.message).toMatch(
    /^keda-operator sets replicas of deployment shop\/db back to 2/,
  );
});

test('a workload that something else keeps scaling up is left to it, and told once', async () => {
  const bench = await setUpOpen({ replicas: 2 });
  const { api, sink, logger } = bench;
  await sleepAndUndo(bench);
  expect(sink.views.at(-1)?.heldElsewhere.size).toBe(0);
  await sleepAndUndo(bench);
  await sink.until(() => sink.views.at(-1)?.heldElsewhere.has(KEY) === true);
  const warnings = logger.lines.filter(({ fields }) => fields.event === 'contested');
  expect(warnings.map(({ level, message }) => [level, message])).toEqual([
    ['warn', expect.stringMatching(/^argocd-controller sets replicas of deployment shop\/db back to 2/)],
  ]);
  api.scale('deployments', 'shop/db', { replicas: 0, manager: 'kubectl' });
  await sink.until(() => sink.views.at(-1)?.heldElsewhere.size === 0);
  api.scale('deployments', 'shop/db', { replicas: 2, manager: 'kubectl' });
  await sleepAndUndo(bench);
  await sleepAndUndo(bench);
  await sink.until(() => sink.views.at(-1)?.heldElsewhere.has(KEY) === true);
  expect(logger.lines.filter(({ fields }) => fields.event === 'contested')).toHaveLength(1);
});
