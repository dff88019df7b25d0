import { expect, test } from 'vitest';
import type { ManagedFields } from '../../../src/backends/kubernetes/api/api-shapes.ts';
import { isAtLeast, selectWorkload } from '../../../src/backends/kubernetes/workload-record.ts';

const METADATA = { namespace: 'shop', name: 'db', resourceVersion: '7', generation: 3 };

test('selectWorkload keeps what tells how many pods there are and should be', () => {
  const object = {
    metadata: METADATA,
    spec: { replicas: 2, template: { spec: { terminationGracePeriodSeconds: 30 } } },
    status: { observedGeneration: 3, replicas: 2, readyReplicas: 1 },
  };
  expect(selectWorkload('deployment', object)).toEqual({
    resource: 'deployment',
    namespace: 'shop',
    name: 'db',
    resourceVersion: '7',
    replicas: 2,
    replicasManagers: [],
    isObserved: true,
    currentReplicas: 2,
    readyReplicas: 1,
    graceMs: 30_000,
    trouble: undefined,
    generation: 3,
    losesVolumes: false,
    labels: {},
    annotations: {},
  });
});

test.each([
  [{ whenScaled: 'Delete' }, [{}], true],
  [{ whenScaled: 'Retain' }, [{}], false],
  [{}, [{}], false],
  [null, [{}], false],
  // There are no volumes to lose.
  [{ whenScaled: 'Delete' }, [], false],
] as const)(
  'selectWorkload with retention %j and claims %j tells %s',
  (policy, volumeClaimTemplates, loses) => {
    const spec = { persistentVolumeClaimRetentionPolicy: policy, volumeClaimTemplates };
    expect(selectWorkload('statefulset', { metadata: METADATA, spec }).losesVolumes).toBe(loses);
  },
);

test('selectWorkload takes what is unset as the API means it', () => {
  const record = selectWorkload('statefulset', { metadata: METADATA });
  expect(record).toMatchObject({ replicas: 1, isObserved: false, currentReplicas: 0, readyReplicas: 0 });
});

test('selectWorkload finds everybody who owns the replicas', () => {
  const owns = { 'f:spec': { 'f:replicas': {} } };
  const managedFields: readonly ManagedFields[] = [
    { manager: 'kubectl', fieldsV1: { 'f:spec': { 'f:template': {} } } },
    { manager: 'argocd-controller', operation: 'Apply', fieldsV1: owns },
    { manager: 'lazy-proxy', operation: 'Update', subresource: 'scale', fieldsV1: owns },
    { manager: 'kube-controller-manager', subresource: 'status' },
  ];
  const record = selectWorkload('deployment', { metadata: { ...METADATA, managedFields } });
  expect(record.replicasManagers).toEqual(['argocd-controller', 'lazy-proxy']);
});

test.each([
  ['a label', { 'lazy-tcp-proxy.enabled': 'true' }, { 'lazy-tcp-proxy.ports': '80:80' }],
  ['an annotation', {}, { 'lazy-tcp-proxy.enabled': 'true', 'lazy-tcp-proxy.ports': '80:80' }],
])('selectWorkload keeps the annotations of a workload that opts in by %s', (_, labels, annotations) => {
  const bulky = { 'kubectl.kubernetes.io/last-applied-configuration': '{"whole":"manifest"}' };
  const metadata = {
    ...METADATA,
    labels: { app: 'db', ...labels },
    annotations: { ...annotations, ...bulky },
  };
  const record = selectWorkload('deployment', { metadata });
  expect(record.labels).toEqual(labels);
  expect(record.annotations).toEqual(annotations);
});

test('selectWorkload keeps only the remembered replicas of a workload that takes no part', () => {
  const annotations = { 'lazy-tcp-proxy.replicas': '3', 'example.com/owner': 'shop' };
  const metadata = { ...METADATA, labels: { app: 'db' }, annotations };
  const record = selectWorkload('deployment', { metadata });
  expect(record).toMatchObject({ labels: {}, annotations: { 'lazy-tcp-proxy.replicas': '3' } });
});

test.each([
  ['7', '7', true],
  ['8', '7', true],
  ['7', '8', false],
  ['10', '9', true],
  ['9', '10', false],
])('isAtLeast compares resource versions as numbers: %s against %s', (a, b, expected) => {
  expect(isAtLeast(a, b)).toBe(expected);
});
