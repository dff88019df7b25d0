import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createKubernetesBackend } from '../../../src/backends/kubernetes/kubernetes-backend.ts';
import { Reachability } from '../../../src/backends/kubernetes/reachability.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import {
  createApp,
  DB,
  ENABLED,
  KEY,
  OPTIONS,
  setPods,
  setUp,
  setUpOpen,
  within,
} from './backend-fixture.ts';
import { ClusterSink } from './cluster-sink.ts';

const SYNCED = { kind: 'synced' } as const;
const DOWN = { kind: 'failed', reason: 'no answer', by: 'silence' } as const;

function forbidden(reason: string) {
  return { kind: 'failed', reason, by: 'refusal' } as const;
}

/** What is told while `act` happens, after two parts were in sync. */
function tell(act: (reachability: Reachability) => void): readonly (true | string)[] {
  const told: (true | string)[] = [];
  const reachability = new Reachability((reachable, reason = '') => told.push(reachable || reason));
  reachability.set('a', SYNCED);
  reachability.set('b', SYNCED);
  act(reachability);
  return told;
}

test('Reachability tells nothing before it begins, and then how it is', () => {
  expect(tell(() => {})).toEqual([]);
  expect(tell((parts) => parts.begin())).toEqual([true]);
});

test('Reachability tells a failure of the whole server once, and its return when all is in sync', () => {
  const told = tell((parts) => {
    parts.begin();
    parts.set('a', DOWN);
    parts.set('b', { ...DOWN, reason: 'connect ECONNREFUSED' });
    parts.set('a', SYNCED);
    parts.set('b', SYNCED);
  });
  expect(told).toEqual([true, 'no answer', true]);
});

test('Reachability tells every refusal, and what remains of them', () => {
  const told = tell((parts) => {
    parts.set('a', forbidden('cannot list a'));
    parts.set('b', forbidden('cannot list b'));
    parts.begin();
    parts.set('a', SYNCED);
  });
  expect(told).toEqual(['cannot list a; cannot list b', 'cannot list b']);
});

test('Reachability waits for a new part before it tells that all is well', () => {
  const told = tell((parts) => {
    parts.set('a', DOWN);
    parts.begin();
    parts.set('c', { kind: 'pending' });
    parts.set('a', SYNCED);
    expect(parts.isReachable).toBe(false);
    parts.remove('c');
  });
  expect(told).toEqual(['no answer', true]);
});

test('what was last known stands while the API server is away', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1, annotations: ENABLED });
  await api.goAway();
  await sink.until(() => sink.reachability.length === 2);
  expect(sink.reachability[1]).toMatch(/ECONNREFUSED|socket hang up|broke|ended/);
  api.remove('endpointslices', 'shop/db-1');
  await api.comeBack();
  await sink.untilState(KEY, 'starting');
  await sink.until(() => sink.reachability.at(-1) === true);
  expect(sink.states(KEY)).toEqual(['running', 'starting']);
  expect(sink.snapshots).toHaveLength(1);
});

test('a deletion while the API server is away is seen after its return', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1, annotations: ENABLED });
  await api.goAway();
  api.remove('deployments', 'shop/db');
  api.expireVersions();
  await api.comeBack();
  await sink.untilState(KEY, 'missing');
  await sink.until(() => sink.snapshots.at(-1)?.length === 0);
});

test('a backend that is opened while the API server is away looks as soon as it is back', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  backend.watch(DB);
  await api.goAway();
  await backend.open(sink);
  expect(sink.reachability).toEqual([expect.stringContaining('ECONNREFUSED')]);
  expect(sink.observations).toEqual([]);
  expect(sink.snapshots).toEqual([]);
  await api.comeBack();
  await sink.untilState(KEY, 'stopped');
  await sink.until(() => sink.snapshots.length === 1 && sink.reachability.at(-1) === true);
});

test('a resource that may not be listed is named, and the rest works', async () => {
  const { api, backend, sink, logger } = await setUp({ namespaces: ['shop'] });
  createApp(api, { replicas: 0, annotations: ENABLED });
  api.scripts.forbid('list statefulsets');
  backend.watch(DB);
  await backend.open(sink);
  const words = /list resource "statefulsets".* in the namespace "shop"/;
  expect(sink.reachability).toEqual([expect.stringMatching(words)]);
  expect(sink.last(KEY)?.state).toBe('stopped');
  expect(Object.keys(sink.labels())).toEqual([KEY]);
  await backend.wake(DB, within(5_000));
  setPods(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
  const errors = logger.lines.filter(({ level }) => level === 'error');
  expect(errors.map(({ message }) => message)).toEqual([expect.stringMatching(words)]);
});

test('what may be listed is told when the API server comes back with less than all', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  api.scripts.forbid('list statefulsets');
  await api.goAway();
  await backend.open(sink);
  await api.comeBack();
  await sink.until(() => sink.snapshots.length > 0);
  expect(Object.keys(sink.labels())).toEqual([KEY]);
});

test('a right that is granted later is used', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0 });
  const grant = api.scripts.forbid('list services');
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)).toBeUndefined();
  grant();
  await sink.untilState(KEY, 'stopped');
  await sink.until(() => sink.reachability.at(-1) === true);
});

test('only the namespaces that are named are looked at', async () => {
  const { api, backend, sink } = await setUp({ namespaces: ['shop', 'bank'] });
  api.put('namespaces', { metadata: { name: 'bank' } });
  createApp(api, { replicas: 0 });
  await backend.open(sink);
  expect(sink.reachability).toEqual([true]);
  expect(backend.watch(DB).state).toBe('stopped');
  expect(backend.watch({ ...DB, namespace: 'other' })).toMatchObject({
    state: 'missing',
    detail: 'deployment other/db: namespace "other" is not among those watched',
  });
});

test('a namespace that does not exist is named until something is in it', async () => {
  const { api, backend, sink } = await setUp({ namespaces: ['shop'] });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.reachability).toEqual(['namespace "shop" does not exist']);
  expect(sink.last(KEY)?.state).toBe('missing');
  createApp(api, { replicas: 0 });
  await sink.untilState(KEY, 'stopped');
  await sink.until(() => sink.reachability.at(-1) === true);
});

test('a namespace that was made later is found by a recheck', async () => {
  const { api, backend, sink } = await setUp({ namespaces: ['shop'] });
  await backend.open(sink);
  api.put('namespaces', { metadata: { name: 'shop' } });
  await backend.recheck();
  expect(sink.reachability.at(-1)).toBe(true);
});

test('a namespace that may not be asked for is taken for granted', async () => {
  const { api, backend, sink, logger } = await setUp({ namespaces: ['shop'] });
  api.scripts.forbid('get namespaces');
  await backend.open(sink);
  expect(sink.reachability).toEqual([true]);
  expect(logger.lines.filter(({ level }) => level === 'error' || level === 'warn')).toEqual([]);
});

test('a wrong token is told', async () => {
  const { api, backend, sink } = await setUp();
  const { server } = api;
  api.requireToken('right');
  const access = { server, namespace: 'shop', authorize: async () => ({}) };
  const { backend: stranger } = await setUp({ access });
  await stranger.open(sink);
  expect(sink.reachability).toEqual([expect.stringMatching(/does not accept the credentials/)]);
  await backend.close();
});

test('a cluster whose kubeconfig comes later is found', async () => {
  const { api } = await setUp();
  const folder = await mkdtemp(join(tmpdir(), 'kubernetes-backend-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'config');
  const clock = new FakeClock();
  const backend = createKubernetesBackend({ ...OPTIONS, env: { KUBECONFIG: path }, clock });
  onTestFinished(() => backend.close());
  const sink = new ClusterSink();
  createApp(api, { replicas: 0 });
  backend.watch(DB);
  await backend.open(sink);
  await clock.advance(1_000);
  while (clock.pending === 0) await settle();
  expect(sink.reachability).toEqual([expect.stringContaining(path)]);
  const cluster = { clusters: [{ name: 'c', cluster: { server: api.server } }] };
  const context = { contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }], 'current-context': 'x' };
  const users = { users: [{ name: 'u', user: { token: 't' } }] };
  await writeFile(
    path,
    JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...cluster, ...context, ...users }),
  );
  await clock.advance(2_000);
  await sink.untilState(KEY, 'stopped');
});
