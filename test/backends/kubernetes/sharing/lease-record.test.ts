import { expect, test } from 'vitest';
import type { Lease } from '../../../../src/backends/kubernetes/api/api-shapes.ts';
import {
  freeElectionLease,
  heldElectionLease,
  holds,
  readLease,
  replicaLease,
  replicaLeaseName,
} from '../../../../src/backends/kubernetes/sharing/lease-record.ts';
import { leaseRecord } from '../lease-builder.ts';

const NOW_MS = Date.UTC(2026, 3, 1, 12, 0, 0, 7);
const OPTIONS = { identity: 'me', durationMs: 15_000, nowMs: NOW_MS };

test('readLease reads what replicaLease writes', () => {
  const lease = replicaLease({ ...OPTIONS, inUse: ['b', 'a'] });
  expect(readLease(lease)).toMatchObject({
    name: 'lazy-proxy-me',
    holder: 'me',
    durationMs: 15_000,
    renewTime: '2026-04-01T12:00:00.007000Z',
    isReplica: true,
    inUseText: '["a","b"]',
  });
});

test.each<readonly [string, Lease['spec']]>([
  ['has no spec', undefined],
  ['has nothing in it', {}],
  ['was given back by another program', { holderIdentity: '' }],
])('readLease finds no holder in a Lease that %s', (_, spec) => {
  const lease: Lease = { metadata: { name: 'lazy-proxy' }, ...(spec && { spec }) };
  expect(readLease(lease)).toMatchObject({ holder: undefined, durationMs: 15_000, transitions: 0 });
});

test('a replica that uses too many workloads to name says that it uses all', () => {
  const inUse = Array.from({ length: 8_000 }, (_, index) => `kubernetes/deployment/shop/app-${index}`);
  const { inUseText } = readLease(replicaLease({ ...OPTIONS, inUse }));
  expect(inUseText).toBe('["*"]');
  expect(holds(inUseText, 'kubernetes/deployment/shop/db')).toBe(true);
});

test.each([
  ['proxy-7f9c-x2', 'lazy-proxy-proxy-7f9c-x2'],
  ['My_Machine.local', 'lazy-proxy-my-machine-local'],
  ['a--', 'lazy-proxy-a'],
  ['x'.repeat(300), `lazy-proxy-${'x'.repeat(242)}`],
])('replicaLeaseName makes an object name of %s', (identity, name) => {
  expect(replicaLeaseName(identity)).toBe(name);
});

test('heldElectionLease begins with no transition', () => {
  const { metadata, spec } = heldElectionLease(undefined, OPTIONS);
  expect(metadata).not.toHaveProperty('resourceVersion');
  expect(spec).toEqual({
    holderIdentity: 'me',
    leaseDurationSeconds: 15,
    acquireTime: '2026-04-01T12:00:00.007000Z',
    renewTime: '2026-04-01T12:00:00.007000Z',
    leaseTransitions: 0,
  });
});

test.each([
  ['renewed', leaseRecord({ holder: 'me', transitions: 3 }), 3, '2026-04-01T11:00:00.000000Z'],
  ['taken from another', leaseRecord({ transitions: 3 }), 4, '2026-04-01T12:00:00.007000Z'],
  ['taken from nobody', leaseRecord({ holder: undefined }), 1, '2026-04-01T12:00:00.007000Z'],
])('heldElectionLease counts transitions when it is %s', (_, before, leaseTransitions, acquireTime) => {
  const { metadata, spec } = heldElectionLease(before, OPTIONS);
  expect(metadata.resourceVersion).toBe('100');
  expect(spec).toMatchObject({ leaseTransitions, acquireTime });
});

test('freeElectionLease leaves no holder, and changes nothing that has changed since', () => {
  const { metadata, spec } = freeElectionLease(leaseRecord(), { nowMs: NOW_MS });
  expect(metadata.resourceVersion).toBe('100');
  expect(spec).toMatchObject({ holderIdentity: null, leaseDurationSeconds: 1 });
});
