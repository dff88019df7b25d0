import { expect, test } from 'vitest';
import type { LeaseRecord } from '../../../../src/backends/kubernetes/sharing/lease-record.ts';
import { SeenLeases } from '../../../../src/backends/kubernetes/sharing/seen-leases.ts';
import { decideElection } from '../../../../src/backends/kubernetes/sharing/sleeper-election.ts';
import { leaseRecord } from '../lease-builder.ts';

test.each<readonly [string, LeaseRecord | undefined, number, object]>([
  ['there is no Lease', undefined, 0, { kind: 'create' }],
  ['it is ours', leaseRecord({ holder: 'me' }), 1_000, { kind: 'renew' }],
  ['it is ours and has run out', leaseRecord({ holder: 'me' }), 99_000, { kind: 'renew' }],
  ['it was given back', leaseRecord({ holder: undefined }), 0, { kind: 'take' }],
  ['another has it', leaseRecord(), 14_999, { kind: 'wait', holder: 'a', untilMs: 15_000 }],
  ['another has had it', leaseRecord(), 15_000, { kind: 'take' }],
  ['another has it for longer', leaseRecord({ durationMs: 60_000 }), 15_000, { kind: 'wait' }],
])('decideElection tells what to do when %s', (_, record, nowMs, step) => {
  const leases = new SeenLeases();
  if (record !== undefined) leases.see(record, 0);
  const seen = leases.get('lazy-proxy');
  expect(decideElection(seen, { identity: 'me', leases, nowMs })).toMatchObject(step);
});

test('decideElection waits without end while nothing can be seen', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.blind(1_000);
  const step = decideElection(leases.get('lazy-proxy'), { identity: 'me', leases, nowMs: 99_000 });
  expect(step).toEqual({ kind: 'wait', holder: 'a', untilMs: undefined });
});
