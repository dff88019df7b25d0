import { describe, expect, test } from 'vitest';
import { readAnnotatedWorkloads } from '../../../src/backends/kubernetes/annotated-workloads.ts';
import type { LabelPrefixes } from '../../../src/model/label-names.ts';
import { workloadRefName } from '../../../src/model/workload.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { settle } from '../../support/fake-clock.ts';
import { createApp, DB, ENABLED, KEY, REPLICAS, setUp } from './backend-fixture.ts';

const WEB = 'kubernetes/deployment/shop/web';

test('workloads take part by label or by annotation, with their annotations', async () => {
  const { api, backend, sink } = await setUp();
  const ports = { 'lazy-tcp-proxy.ports': '80:80' };
  createApp(api, { replicas: 0, annotations: { ...ENABLED, ...ports } });
  createApp(api, { replicas: 0, name: 'web', labels: ENABLED, annotations: ports });
  createApp(api, { replicas: 0, name: 'other', annotations: ports });
  await backend.open(sink);
  expect(sink.labels()).toEqual({ [KEY]: { ...ENABLED, ...ports }, [WEB]: { ...ENABLED, ...ports } });
});

test('settings come from annotations only, which also beat the label', async () => {
  const { api, backend, sink } = await setUp();
  const labels = { ...ENABLED, 'lazy-tcp-proxy.ports': '80:80' };
  createApp(api, { replicas: 0, labels, annotations: { 'lazy-tcp-proxy.enabled': 'false' } });
  await backend.open(sink);
  expect(sink.labels()).toEqual({ [KEY]: { 'lazy-tcp-proxy.enabled': 'false' } });
});

test('another annotation tells a new snapshot, and a changed status none', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  await backend.open(sink);
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  const ports = { 'lazy-tcp-proxy.ports': '80:80' };
  api.change('deployments', 'shop/db', ({ metadata }) => Object.assign(metadata.annotations, ports));
  await sink.until(() => sink.snapshots.length > 1);
  expect(sink.labels()).toEqual({ [KEY]: { ...ENABLED, ...ports } });
  expect(sink.snapshots).toHaveLength(2);
});

test('the remembered count of replicas is no setting', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: { ...ENABLED, [REPLICAS]: '3' } });
  await backend.open(sink);
  expect(sink.labels()).toEqual({ [KEY]: ENABLED });
});

test('a workload that is removed, or opts out, leaves the snapshot', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  createApp(api, { replicas: 0, name: 'web', annotations: ENABLED });
  await backend.open(sink);
  api.remove('deployments', 'shop/db');
  await sink.until(() => sink.snapshots.at(-1)?.length === 1);
  api.change('deployments', 'shop/web', ({ metadata }) => {
    metadata.annotations = {};
  });
  await sink.until(() => sink.snapshots.at(-1)?.length === 0);
});

test('another prefix, and none at all, count from the next moment on', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  createApp(api, { replicas: 0, name: 'web', annotations: { 'mine.enabled': 'true' } });
  await backend.open(sink);
  backend.setLabelOptions({ labels: true, labelPrefixes: ['mine'] });
  expect(Object.keys(sink.labels())).toEqual([WEB]);
  backend.setLabelOptions({ labels: false, labelPrefixes: ['mine'] });
  expect(sink.snapshots.at(-1)).toEqual([]);
});

test('labels are narrowed by a selector where only labelled workloads are discovered', async () => {
  const { api, backend, sink } = await setUp({ discover: 'labelled' });
  createApp(api, { replicas: 0, annotations: ENABLED });
  createApp(api, { replicas: 0, name: 'web', labels: ENABLED });
  await backend.open(sink);
  expect(Object.keys(sink.labels())).toEqual([WEB]);
  expect(api.count(/\/deployments\?labelSelector=lazy-tcp-proxy.enabled=true&/)).toBeGreaterThan(0);
});

test('a workload of the file is followed by itself where it has no label', async () => {
  const { api, backend, sink } = await setUp({ discover: 'labelled' });
  createApp(api, { replicas: 0 });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)?.state).toBe('stopped');
  expect(sink.labels()).toEqual({});
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  await sink.untilState(KEY, 'starting');
  api.remove('deployments', 'shop/db');
  await sink.untilState(KEY, 'missing');
  createApp(api, { replicas: 0, labels: ENABLED });
  await sink.untilState(KEY, 'stopped');
});

test('a workload that is not watched any more is not followed either', async () => {
  const { api, backend, sink } = await setUp({ discover: 'labelled' });
  createApp(api, { replicas: 0 });
  backend.watch(DB);
  await backend.open(sink);
  expect(api.watches.count('deployments')).toBe(2);
  backend.unwatch(DB);
  while (api.watches.count('deployments') > 1) await settle();
  createApp(api, { replicas: 0, name: 'web', labels: ENABLED });
  await sink.until(() => Object.hasOwn(sink.labels(), WEB));
});

test('a watched workload that loses its label is followed on', async () => {
  const { api, backend, sink } = await setUp({ discover: 'labelled' });
  createApp(api, { replicas: 0, labels: ENABLED });
  backend.watch(DB);
  await backend.open(sink);
  api.change('deployments', 'shop/db', ({ metadata }) => {
    metadata.labels = {};
  });
  await sink.until(() => sink.snapshots.at(-1)?.length === 0);
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  await sink.untilState(KEY, 'starting');
  expect(sink.states(KEY)).toEqual(['stopped', 'starting']);
});

test('another prefix lists labelled workloads anew', async () => {
  const { api, backend, sink } = await setUp({ discover: 'labelled' });
  createApp(api, { replicas: 0, labels: ENABLED });
  createApp(api, { replicas: 0, name: 'web', labels: { 'mine.enabled': 'true' } });
  backend.watch(DB);
  await backend.open(sink);
  backend.setLabelOptions({ labels: true, labelPrefixes: ['mine'] });
  await sink.until(() => Object.hasOwn(sink.labels(), WEB));
  expect(sink.snapshots).toHaveLength(2);
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  await sink.untilState(KEY, 'starting');
  expect(sink.states(KEY)).toEqual(['stopped', 'starting']);
});

const BOTH: LabelPrefixes = ['lazy-proxy', 'lazy-tcp-proxy'];
const NEW = { 'lazy-proxy.enabled': 'true' };

test('of two prefixes no remembered count is a setting', async () => {
  const { api, backend, sink } = await setUp({ labelPrefixes: BOTH });
  createApp(api, { replicas: 0, annotations: { ...ENABLED, [REPLICAS]: '3', 'lazy-proxy.replicas': '2' } });
  createApp(api, { replicas: 0, name: 'web', annotations: NEW });
  await backend.open(sink);
  expect(sink.labels()).toEqual({ [KEY]: ENABLED, [WEB]: NEW });
});

test('two prefixes cost no second list where all is listed', async () => {
  const { api, backend, sink } = await setUp({ labelPrefixes: BOTH });
  createApp(api, { replicas: 0, annotations: ENABLED });
  await backend.open(sink);
  expect(api.watches.count('deployments')).toBe(1);
  expect(api.watches.count('statefulsets')).toBe(1);
});

describe('where only labelled workloads are discovered, under two prefixes', () => {
  const setUpBoth = () => setUp({ discover: 'labelled', labelPrefixes: BOTH });

  test('workloads with either label take part, and those with both once', async () => {
    const { api, backend, sink } = await setUpBoth();
    createApp(api, { replicas: 0, labels: ENABLED });
    createApp(api, { replicas: 0, name: 'web', labels: NEW });
    createApp(api, { replicas: 0, name: 'twice', labels: { ...NEW, ...ENABLED } });
    createApp(api, { replicas: 0, name: 'none' });
    await backend.open(sink);
    expect(api.watches.count('deployments')).toBe(2);
    expect(sink.snapshots.at(-1)?.map(({ ref, labels }) => [workloadRefName(ref), labels])).toEqual([
      ['shop/db', ENABLED],
      ['shop/twice', { ...NEW, ...ENABLED }],
      ['shop/web', NEW],
    ]);
  });

  test('a change of a workload with both labels is told once', async () => {
    const { api, backend, sink } = await setUpBoth();
    createApp(api, { replicas: 0, labels: { ...NEW, ...ENABLED } });
    createApp(api, { replicas: 0, name: 'web', labels: ENABLED });
    backend.watch(DB);
    await backend.open(sink);
    api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
    api.scale('deployments', 'shop/web', { replicas: 1, manager: 'kubectl' });
    await sink.until(() => sink.starts.some((key) => key === WEB));
    expect(sink.starts).toEqual([KEY, WEB]);
    expect(sink.states(KEY)).toEqual(['stopped', 'starting']);
  });

  test('a workload that loses one of its labels stays, and goes with the other', async () => {
    const { api, backend, sink } = await setUpBoth();
    createApp(api, { replicas: 0, labels: { ...NEW, ...ENABLED } });
    await backend.open(sink);
    const relabel = (labels: Readonly<Record<string, string>>) =>
      api.change('deployments', 'shop/db', ({ metadata }) => Object.assign(metadata, { labels }));
    relabel(ENABLED);
    await sink.until(() => sink.snapshots.length === 2);
    relabel({});
    await sink.until(() => sink.snapshots.length === 3);
    expect(sink.snapshots.map((snapshot) => snapshot.map(({ labels }) => labels))).toEqual([
      [{ ...NEW, ...ENABLED }],
      [ENABLED],
      [],
    ]);
  });

  test('a prefix more after a reload has its own list', async () => {
    const { api, backend, sink } = await setUp({ discover: 'labelled', labelPrefixes: ['lazy-proxy'] });
    createApp(api, { replicas: 0, labels: ENABLED });
    await backend.open(sink);
    expect(sink.labels()).toEqual({});
    backend.setLabelOptions({ labels: true, labelPrefixes: BOTH });
    await sink.until(() => Object.hasOwn(sink.labels(), KEY));
    while (api.watches.count('deployments') !== 2) await settle();
  });

  test('readAnnotatedWorkloads() reads each once', async () => {
    const { api } = await setUp();
    createApp(api, { replicas: 0, labels: { ...NEW, ...ENABLED } });
    createApp(api, { replicas: 0, resource: 'statefulsets', labels: ENABLED });
    const options = { labels: true, labelPrefixes: BOTH, namespaces: ['shop'], timeoutMs: 1_000 } as const;
    const read = await readAnnotatedWorkloads({
      ...{ ...options, env: {}, access: api.access, clock: systemClock, discover: 'labelled' },
    });
    expect(read).toHaveLength(2);
  });
});

test('readAnnotatedWorkloads() reads the annotations once', async () => {
  const { api } = await setUp();
  createApp(api, { replicas: 0, annotations: ENABLED });
  createApp(api, { replicas: 0, resource: 'statefulsets', labels: ENABLED });
  const { access } = api;
  const options = {
    labels: true,
    labelPrefixes: ['lazy-tcp-proxy'],
    namespaces: ['shop'],
    timeoutMs: 1_000,
  } as const;
  const query = { ...options, env: {}, access, clock: systemClock };
  const all = await readAnnotatedWorkloads({ ...query, discover: 'all' });
  expect(all.map(({ ref }) => ref)).toEqual([
    { kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'db' },
    { kind: 'kubernetes', resource: 'statefulset', namespace: 'shop', name: 'db' },
  ]);
  expect(await readAnnotatedWorkloads({ ...query, discover: 'labelled' })).toHaveLength(1);
});

test('readAnnotatedWorkloads() fails when no answer comes', async () => {
  const { api } = await setUp();
  const release = api.scripts.hang(/./);
  const options = { labels: true, labelPrefixes: ['lazy-tcp-proxy'], namespaces: [], timeoutMs: 50 } as const;
  const reading = readAnnotatedWorkloads({
    ...{ ...options, env: {}, access: api.access, clock: systemClock, discover: 'all' },
  });
  await expect(reading).rejects.toThrow(/did not answer within 0.05 s/);
  release();
});
