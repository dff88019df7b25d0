import { expect, test } from 'vitest';
import { observeWorkload, type WorkloadView } from '../../../src/backends/kubernetes/observe-workload.ts';
import type { ServiceRecord, SliceRecord } from '../../../src/backends/kubernetes/service-record.ts';
import type { WorkloadRecord } from '../../../src/backends/kubernetes/workload-record.ts';
import type { KubernetesWorkload } from '../../../src/model/workload.ts';

const DB: KubernetesWorkload = {
  kind: 'kubernetes',
  resource: 'deployment',
  namespace: 'shop',
  name: 'db',
  service: 'db-svc',
  upstream: 'endpoints',
};
const ASLEEP: WorkloadRecord = {
  resource: 'deployment',
  namespace: 'shop',
  name: 'db',
  resourceVersion: '7',
  replicas: 0,
  replicasManagers: [],
  isObserved: true,
  currentReplicas: 0,
  readyReplicas: 0,
  trouble: undefined,
  generation: 1,
  losesVolumes: false,
  labels: {},
  annotations: {},
};
const AWAKE: WorkloadRecord = { ...ASLEEP, replicas: 1, currentReplicas: 1 };
const SERVICE: ServiceRecord = {
  hasSelector: true,
  ports: [{ name: '', protocol: 'TCP', port: 80, targetName: undefined }],
};
const HEADLESS: ServiceRecord = { ...SERVICE, hasSelector: false };

type Pod = {
  readonly isReady: boolean;
  readonly pod?: string;
  readonly isTerminating?: boolean;
  readonly isServing?: boolean;
};

function slices(...pods: readonly Pod[]): readonly SliceRecord[] {
  const endpoints = pods.map(({ isReady, pod, isTerminating = false, isServing = isReady }) => ({
    ...{ addresses: ['10.0.0.1'], isReady, pod, isTerminating, isServing },
  }));
  return [{ name: 'db-1', service: 'db-svc', ports: [{ name: '', protocol: 'TCP', port: 8080 }], endpoints }];
}

function observe(view: Partial<WorkloadView>) {
  const known = { workload: DB, record: AWAKE, service: SERVICE, slices: slices() };
  return observeWorkload({ ...known, clusterDomain: 'cluster.local', ...view });
}

test.each([
  ['nothing is left', ASLEEP, slices(), 'stopped'],
  ['it has no slice at all', ASLEEP, [], 'stopped'],
  ['its controller has not looked yet', { ...ASLEEP, isObserved: false }, slices(), 'stopping'],
  ['a pod is left', { ...ASLEEP, currentReplicas: 1 }, slices(), 'stopping'],
  ['an endpoint is still ready', ASLEEP, slices({ isReady: true }), 'stopping'],
  ['an endpoint is left', ASLEEP, slices({ isReady: false, pod: 'db-5d9c7-x2xq9' }), 'stopping'],
  [
    'its pod terminates',
    ASLEEP,
    slices({ isReady: false, pod: 'db-5d9c7-x2xq9', isTerminating: true, isServing: true }),
    'stopped',
  ],
  [
    'its pod terminates, and its controller still counts another',
    { ...ASLEEP, currentReplicas: 1 },
    slices({ isReady: false, pod: 'db-5d9c7-x2xq9', isTerminating: true }),
    'stopping',
  ],
  ['an endpoint without a pod is not ready', ASLEEP, slices({ isReady: false }), 'stopped'],
  [
    'a pod of a stateful set terminates',
    { ...ASLEEP, resource: 'statefulset' },
    slices({ isReady: false, pod: 'db-0', isTerminating: true }),
    'stopping',
  ],
  [
    'another one of the same Service runs',
    ASLEEP,
    slices({ isReady: true, pod: 'db-canary-5d9c7-x2xq9' }),
    'stopped',
  ],
  [
    'the name of its pod is cut',
    { ...ASLEEP, name: 'd'.repeat(60) },
    slices({ isReady: false, pod: `${'d'.repeat(58)}x2xq9` }),
    'stopping',
  ],
  [
    'a pod of a stateful set is left',
    { ...ASLEEP, resource: 'statefulset' },
    slices({ isReady: false, pod: 'db-0' }),
    'stopping',
  ],
  [
    'a pod of another stateful set runs',
    { ...ASLEEP, resource: 'statefulset' },
    slices({ isReady: false, pod: 'db-copy-0' }),
    'stopped',
  ],
] as const)('a workload scaled to 0 is observed when %s', (_, record, endpoints, state) => {
  expect(observe({ record, slices: endpoints }).state).toBe(state);
});

test.each([
  ['starting when no pod has an endpoint', slices(), 'starting'],
  ['starting when its pod is not ready', slices({ isReady: false }), 'starting'],
  ['running when one of its pods is ready', slices({ isReady: false }, { isReady: true }), 'running'],
] as const)('a workload with replicas is %s', (_, endpoints, state) => {
  expect(observe({ slices: endpoints }).state).toBe(state);
});

test('a workload that runs is told with its addresses and ports', () => {
  const endpoints = [{ host: '10.0.0.1', port: 8080 }];
  expect(observe({ slices: slices({ isReady: true }) })).toEqual({
    state: 'running',
    id: 'shop/db',
    run: '0-1',
    hosts: ['10.0.0.1'],
    ports: { 'tcp/80': endpoints },
    portsOf: 'Service shop/db-svc',
    health: 'none',
  });
});

test('a workload whose upstream is its Service is told with the name of that', () => {
  const workload = { ...DB, upstream: 'service' } as const;
  const host = 'db-svc.shop.svc.example.org';
  expect(
    observe({ workload, slices: slices({ isReady: true }), clusterDomain: 'example.org' }),
  ).toMatchObject({
    state: 'running',
    hosts: [host],
    ports: { 'tcp/80': [{ host, port: 80 }] },
  });
  expect(observe({ workload }).hosts).toEqual([]);
});

test.each([
  ['serves', true, 'stopping'],
  ['does not serve', false, 'stopped'],
] as const)(
  'a pod that terminates and %s counts where the Service is connected to',
  (_, isServing, state) => {
    const workload = { ...DB, upstream: 'service' } as const;
    const left = slices({ isReady: false, pod: 'db-5d9c7-x2xq9', isTerminating: true, isServing });
    expect(observe({ workload, record: ASLEEP, slices: left }).state).toBe(state);
  },
);

test('a workload that sleeps is told with its ports, and no endpoint', () => {
  expect(observe({ record: ASLEEP })).toEqual({
    state: 'stopped',
    id: 'shop/db',
    hosts: [],
    ports: { 'tcp/80': [] },
    portsOf: 'Service shop/db-svc',
    health: 'none',
    detail: 'scaled to 0',
  });
});

test('a workload that is not there is missing, and named', () => {
  expect(observe({ record: undefined })).toEqual({
    state: 'missing',
    id: '',
    hosts: [],
    health: 'none',
    detail: 'deployment shop/db does not exist',
  });
});

test.each([
  ['no pod is ready', AWAKE, 'starting'],
  ['a pod is ready', { ...AWAKE, readyReplicas: 1 }, 'running'],
  ['it sleeps', ASLEEP, 'stopped'],
  ['it goes to sleep', { ...ASLEEP, currentReplicas: 1 }, 'stopping'],
] as const)('a workload without its Service names that as the problem while %s', (_, record, state) => {
  expect(observe({ record, service: undefined, slices: [] })).toMatchObject({
    state,
    hosts: [],
    ports: {},
    problem: 'Service shop/db-svc does not exist',
  });
});

test('a Service without a selector is the problem, and its endpoints are nobody’s', () => {
  const observation = observe({ record: ASLEEP, service: HEADLESS, slices: slices({ isReady: true }) });
  expect(observation).toMatchObject({ state: 'stopped', hosts: [], ports: { 'tcp/80': [] } });
  expect(observation.problem).toMatch(/^Service shop\/db-svc has no selector/);
});

test.each([
  ['starting', AWAKE, slices(), 'no pod is ready, 1 of 1 are there'],
  [
    'starting and its controller says why it can not',
    { ...AWAKE, trouble: 'pods are forbidden' },
    [],
    'pods are forbidden',
  ],
  [
    'stopping and a pod is left',
    ASLEEP,
    slices({ isReady: false, pod: 'db-5d9c7-x2xq9' }),
    'it waits for the end of pod db-5d9c7-x2xq9',
  ],
  [
    'stopping and its controller counts pods',
    { ...ASLEEP, currentReplicas: 2 },
    [],
    'it waits for the end of its pods, 2 are left',
  ],
  [
    'stopping and its controller has not looked yet',
    { ...ASLEEP, isObserved: false },
    [],
    'its controller has not scaled it down yet',
  ],
  ['running', AWAKE, slices({ isReady: true }), undefined],
] as const)('a workload that is %s says what it waits for', (_, record, endpoints, detail) => {
  expect(observe({ record, slices: endpoints }).detail).toBe(detail);
});

test('a workload whose pods have none of the names that its Service leads to says so', () => {
  const ports = [{ name: '', protocol: 'TCP', port: 80, targetName: 'web' }] as const;
  const service = { ...SERVICE, ports };
  const ready = slices({ isReady: true });
  const portless = ready.map((slice) => ({ ...slice, ports: [] }));
  expect(observe({ service, slices: portless }).detail).toBe(
    'no ready pod has the port "web" to which Service shop/db-svc leads',
  );
  expect(observe({ service, slices: ready }).detail).toBeUndefined();
});
