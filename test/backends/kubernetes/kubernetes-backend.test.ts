import { expect, test } from 'vitest';
import { UNKNOWN } from '../../../src/model/running/observation.ts';
import {
  CALLS,
  createApp,
  DB,
  ENABLED,
  KEY,
  setEndpoints,
  setPods,
  setUp,
  setUpOpen,
} from './backend-fixture.ts';

test('a workload is observed through its whole life', async () => {
  const { api, backend, sink } = await setUp();
  expect(backend.watch(DB)).toBe(UNKNOWN);
  await backend.open(sink);
  expect(sink.last(KEY)).toMatchObject({ state: 'missing', detail: 'deployment shop/db does not exist' });

  createApp(api, { replicas: 0 });
  await sink.untilState(KEY, 'stopped');
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  await sink.untilState(KEY, 'starting');
  setPods(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
  const endpoints = [{ host: '10.0.0.1', port: 8080 }];
  expect(sink.last(KEY)).toEqual({
    state: 'running',
    id: 'shop/db',
    // Its generation, beside when it was made.
    run: expect.stringMatching(/^\d+-2$/),
    hosts: ['10.0.0.1'],
    ports: { 'tcp/80': endpoints, 'tcp/http': endpoints },
    portsOf: 'Service shop/db',
    health: 'none',
  });
  api.scale('deployments', 'shop/db', { replicas: 0, manager: 'kubectl' });
  await sink.untilState(KEY, 'stopping');
  setPods(api, { pods: ['unready'] });
  setPods(api, { pods: [] });
  await sink.untilState(KEY, 'stopped');
  expect(sink.states(KEY).slice(-2)).toEqual(['stopping', 'stopped']);
  api.remove('deployments', 'shop/db');
  await sink.untilState(KEY, 'missing');
});

test('everything is known when open() resolves', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 1, annotations: ENABLED });
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)?.state).toBe('running');
  expect(sink.labels()).toEqual({ [KEY]: ENABLED });
  expect(sink.reachability).toEqual([true]);
});

test('watch() tells at once what is known, and asks for nothing', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0 });
  await backend.open(sink);
  const asked = api.count(CALLS);
  expect(backend.watch(DB).state).toBe('stopped');
  expect(backend.watch({ ...DB, name: 'nobody' }).state).toBe('missing');
  expect(api.count(CALLS)).toBe(asked);
});

test('a workload that is awake is used without a call', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 1 });
  const asked = api.count(CALLS);
  backend.setInUse(DB, { inUse: true });
  expect(backend.watch(DB).state).toBe('running');
  setEndpoints(api, { pods: ['ready', 'ready'] });
  await sink.until(() => sink.last(KEY)?.hosts.length === 2);
  expect(api.count(CALLS)).toBe(asked);
});

test('nothing is told of a workload that is not watched any more', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 0 });
  backend.unwatch(DB);
  const told = sink.observations.length;
  api.scale('deployments', 'shop/db', { replicas: 1, manager: 'kubectl' });
  await sink.until(() => sink.starts.length === 1);
  expect(sink.observations).toHaveLength(told);
});

test('stateful sets are told apart from deployments of the same name', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 0, resource: 'statefulsets', annotations: ENABLED });
  const workload = { ...DB, resource: 'statefulset' } as const;
  backend.watch(workload);
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last('kubernetes/statefulset/shop/db')?.state).toBe('stopped');
  expect(sink.last(KEY)?.state).toBe('missing');
  expect(Object.keys(sink.labels())).toEqual(['kubernetes/statefulset/shop/db']);
});

test('a pod that is not ready for a while is told as starting, never as stopped', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1 });
  setPods(api, { pods: ['unready'] });
  await sink.untilState(KEY, 'starting');
  setPods(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
  expect(sink.states(KEY)).toEqual(['running', 'starting', 'running']);
});

test('an EndpointSlice may have no endpoints at all, or be gone', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1 });
  setEndpoints(api, { pods: [] });
  await sink.untilState(KEY, 'starting');
  setEndpoints(api, { pods: ['ready'] });
  await sink.untilState(KEY, 'running');
  api.remove('endpointslices', 'shop/db-1');
  await sink.untilState(KEY, 'starting');
});

test('a workload is reached at the addresses of both families', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1 });
  api.put('endpointslices', {
    metadata: { namespace: 'shop', name: 'db-2', labels: { 'kubernetes.io/service-name': 'db' } },
    addressType: 'IPv6',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints: [{ addresses: ['fd00::1'], conditions: { ready: true } }],
  });
  await sink.until(() => sink.last(KEY)?.hosts.length === 2);
  expect(sink.last(KEY)?.ports?.['tcp/http']).toEqual([
    { host: '10.0.0.1', port: 8080 },
    { host: 'fd00::1', port: 8080 },
  ]);
});

test('a workload whose upstream is its Service is reached at the name of that', async () => {
  const { api, backend, sink } = await setUp({ clusterDomain: 'example.org' });
  createApp(api, { replicas: 1 });
  await backend.open(sink);
  const host = 'db.shop.svc.example.org';
  expect(backend.watch({ ...DB, upstream: 'service' })).toMatchObject({
    state: 'running',
    hosts: [host],
    ports: { 'tcp/80': [{ host, port: 80 }] },
  });
});

test('another Service counts as soon as the workload is watched with it', async () => {
  const { api, backend, sink } = await setUpOpen({ replicas: 1 });
  expect(backend.watch({ ...DB, service: 'other' }).problem).toBe('Service shop/other does not exist');
  api.put('services', {
    metadata: { namespace: 'shop', name: 'other' },
    spec: { selector: { app: 'db' }, ports: [{ port: 90 }] },
  });
  await sink.until(() => Object.hasOwn(sink.last(KEY)?.ports ?? {}, 'tcp/90'));
  expect(sink.last(KEY)?.problem).toBeUndefined();
});

test('a Service that is missing is the problem until it is there', async () => {
  const { api, backend, sink } = await setUp();
  createApp(api, { replicas: 1 });
  api.remove('services', 'shop/db');
  backend.watch(DB);
  await backend.open(sink);
  expect(sink.last(KEY)).toMatchObject({ state: 'running', problem: 'Service shop/db does not exist' });
  createApp(api, { replicas: 1 });
  await sink.until(() => sink.last(KEY)?.problem === undefined);
});

test('a Service without a selector is the problem', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1 });
  api.change('services', 'shop/db', (service) => {
    service.spec.selector = null;
  });
  await sink.until(() => sink.last(KEY)?.problem !== undefined);
  expect(sink.last(KEY)?.problem).toMatch(/^Service shop\/db has no selector/);
});

test('a port that the Service does not have is not among the ports', async () => {
  const { sink } = await setUpOpen({ replicas: 1 });
  expect(Object.keys(sink.last(KEY)?.ports ?? {})).toEqual(['tcp/80', 'tcp/http']);
});

test('a start is told of any workload, once, and of none that ran before', async () => {
  const { api, sink } = await setUpOpen({ replicas: 1 });
  createApp(api, { replicas: 0, name: 'web' });
  api.scale('deployments', 'shop/web', { replicas: 2, manager: 'kubectl' });
  api.scale('deployments', 'shop/web', { replicas: 3, manager: 'kubectl' });
  createApp(api, { replicas: 0, name: 'mark' });
  api.scale('deployments', 'shop/mark', { replicas: 1, manager: 'kubectl' });
  await sink.until(() => sink.starts.includes('kubernetes/deployment/shop/mark'));
  expect(sink.starts).toEqual(['kubernetes/deployment/shop/web', 'kubernetes/deployment/shop/mark']);
});
