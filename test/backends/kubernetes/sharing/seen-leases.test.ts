import { expect, test } from 'vitest';
import type { LeaseRecord } from '../../../../src/backends/kubernetes/sharing/lease-record.ts';
import { SeenLeases } from '../../../../src/backends/kubernetes/sharing/seen-leases.ts';
import { leaseRecord } from '../lease-builder.ts';

const NAME = 'lazy-proxy';

/** Whether the Lease has run out at each of these times. */
function expiry(leases: SeenLeases, timesMs: readonly number[]): readonly boolean[] {
  return timesMs.map((nowMs) => {
    const seen = leases.get(NAME);
    if (seen === undefined) throw new Error('there is no Lease');
    return leases.isExpired(seen, nowMs);
  });
}

test('a Lease runs out when it was not seen to be renewed for its duration', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 1_000);
  expect(expiry(leases, [1_000, 15_999, 16_000])).toEqual([false, false, true]);
});

test.each<readonly [string, Partial<LeaseRecord>, boolean]>([
  ['its holder has written a new time', { renewTime: '2026-04-01T12:00:05.000000Z' }, true],
  ['its holder has written a time before the last one', { renewTime: '2026-04-01T11:00:00.000000Z' }, true],
  ['another holder has it', { holder: 'b' }, true],
  ['somebody else has touched it', {}, false],
])('a Lease lives on: %s', (_, fields, isAlive) => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  expect(leases.see(leaseRecord({ ...fields, version: '101' }), 14_000)).toBe(true);
  expect(expiry(leases, [15_000])).toEqual([!isAlive]);
});

test.each(['100', '99', '9'])('version %s of a Lease is no news after version 100', (version) => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  expect(leases.see(leaseRecord({ version, holder: 'b' }), 1)).toBe(false);
  expect(leases.get(NAME)?.record.holder).toBe('a');
});

test('nothing runs out while nothing can be seen', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.blind(10_000);
  leases.blind(20_000);
  const seen = leases.get(NAME);
  expect(expiry(leases, [15_000, 1_000_000])).toEqual([false, false]);
  expect(seen && leases.expiresMs(seen)).toBeUndefined();
});

test('what lived before nothing could be seen gets its whole time afterwards', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.blind(10_000);
  leases.look(60_000);
  expect(expiry(leases, [74_999, 75_000])).toEqual([false, true]);
});

test('what had run out before nothing could be seen stays so', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.blind(15_000);
  leases.look(60_000);
  expect(expiry(leases, [60_000])).toEqual([true]);
});

test('to look without having been blind changes nothing', () => {
  const leases = new SeenLeases();
  leases.see(leaseRecord(), 0);
  leases.look(10_000);
  expect(expiry(leases, [15_000])).toEqual([true]);
});
