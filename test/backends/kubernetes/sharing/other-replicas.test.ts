import { expect, test } from 'vitest';
import type { LeaseRecord } from '../../../../src/backends/kubernetes/sharing/lease-record.ts';
import {
  forgottenRecords,
  heldByOthers,
  nextExpiryMs,
  type Viewpoint,
  whyAwake,
} from '../../../../src/backends/kubernetes/sharing/other-replicas.ts';
import { SeenLeases } from '../../../../src/backends/kubernetes/sharing/seen-leases.ts';
import { leaseRecord, replicaRecord } from '../lease-builder.ts';

const OWN = replicaRecord('me', { inUseText: '["own"]' });
const A = replicaRecord('a', { inUseText: '["db","web"]' });
const B = replicaRecord('b', { inUseText: '["db","mail"]' });

/** From where all these were seen at 0. */
function viewpoint(records: readonly LeaseRecord[], nowMs = 0): Viewpoint {
  const leases = new SeenLeases();
  for (const record of records) leases.see(record, 0);
  return { leases, ownName: OWN.name, nowMs };
}

test.each<readonly [string, readonly LeaseRecord[], number, readonly string[]]>([
  ['there are no others', [OWN, leaseRecord()], 0, []],
  ['two use the same one', [OWN, A, B], 0, ['db', 'mail', 'web']],
  ['one has died', [A, replicaRecord('b', { inUseText: '["mail"]', durationMs: 60_000 })], 15_000, ['mail']],
  ['a record says nonsense', [replicaRecord('a', { inUseText: '{"db"' }), B], 0, ['db', 'mail']],
  ['a record is no list of keys', [replicaRecord('a', { inUseText: '[1,{},"db"]' })], 0, ['db']],
  ['a record says nothing', [replicaRecord('a')], 0, []],
  ['a Lease that is no record says something', [leaseRecord({ inUseText: '["db"]' })], 0, []],
])('heldByOthers tells what is held when %s', (_, records, nowMs, held) => {
  expect([...heldByOthers(viewpoint(records, nowMs))].sort()).toEqual(held);
});

test('nextExpiryMs tells when the first that still lives may die', () => {
  const longer = replicaRecord('b', { durationMs: 60_000 });
  expect(nextExpiryMs(viewpoint([OWN]))).toBeUndefined();
  expect(nextExpiryMs(viewpoint([OWN, A, longer], 1_000))).toBe(15_000);
  expect(nextExpiryMs(viewpoint([OWN, A, longer], 15_000))).toBe(60_000);
});

test('forgottenRecords names others alone, and only after their time', () => {
  const forgottenMs = 150_000;
  const records = [OWN, A, leaseRecord()];
  expect(forgottenRecords(viewpoint(records, 149_999), { forgottenMs })).toEqual([]);
  expect(forgottenRecords(viewpoint(records, 150_000), { forgottenMs })).toEqual([A]);
});

const ELECTED = leaseRecord({ holder: 'me' });
const USED_BY_A = 'it is used by clients of a, another replica of the proxy';

test.each<readonly [string, readonly LeaseRecord[], number, string | undefined]>([
  ['nobody else is there', [ELECTED, OWN], 0, undefined],
  ['another uses it', [ELECTED, OWN, A], 0, USED_BY_A],
  ['another uses others', [ELECTED, replicaRecord('a', { inUseText: '["web"]' })], 0, undefined],
  ['another uses more than it can name', [ELECTED, replicaRecord('a', { inUseText: '["*"]' })], 0, USED_BY_A],
  ['only we use it', [ELECTED, { ...OWN, inUseText: '["db"]' }], 0, undefined],
  ['another used it and died', [ELECTED, A], 15_000, undefined],
  ['another seemed dead and has just renewed', [ELECTED, { ...A, renewTime: 'now' }], 15_000, USED_BY_A],
  ['another is the sleeper', [leaseRecord(), OWN], 0, expect.stringMatching(/^a, another replica/)],
  ['nobody is the sleeper', [leaseRecord({ holder: undefined })], 0, expect.stringMatching(/^no replica/)],
  ['the Lease is gone', [OWN], 0, expect.stringMatching(/^no replica/)],
])('whyAwake tells why a workload must stay awake when %s', (_, fresh, nowMs, reason) => {
  const options = { ...viewpoint([ELECTED, OWN, A], nowMs), fresh, identity: 'me' };
  expect(whyAwake('db', options)).toEqual(reason);
});

test('whyAwake counts the use of a replica that was never seen before', () => {
  const options = { ...viewpoint([ELECTED], 99_000), fresh: [ELECTED, A], identity: 'me' };
  expect(whyAwake('db', options)).toBe(USED_BY_A);
});
