import { describe, expect, test } from 'vitest';
import {
  countIn,
  countOut,
  createClientCounts,
  hashAddress,
  hashSocketAddress,
  readHoldings,
} from '../../../src/relay/access/client-counts.ts';
import { toSocketAddress } from '../../../src/relay/native/socket-address.ts';

test.each(['10.0.0.5', '::ffff:10.0.0.5', '2001:db8:1:2::6', '::1'])(
  'both threads take %s for the same client',
  (host) => {
    const bytes = toSocketAddress({ host, port: 5 })?.bytes ?? new Uint8Array(0);
    expect(hashSocketAddress(bytes, 7)).toBe(hashAddress(host, 7));
  },
);

test.each([
  ['10.0.0.5', '::ffff:10.0.0.5'],
  ['2001:db8:1:2::6', '2001:db8:1:2:3:4:5:6'],
  ['fe80::1%eth0', 'fe80::2'],
])('%s and %s are one client', (first, second) => {
  expect(hashAddress(first, 7)).toBe(hashAddress(second, 7));
});

test.each([
  ['10.0.0.5', '10.0.0.6'],
  // Only the whole prefix makes it an address of IPv4.
  ['10.0.0.5', '2001:db8::ffff:a00:5'],
  ['2001:db8:1:2::6', '2001:db8:1:3::6'],
])('%s and %s are two clients', (first, second) => {
  expect(hashAddress(first, 7)).not.toBe(hashAddress(second, 7));
});

describe('ClientCounts', () => {
  test('tell what a service, an address and both together hold, and by how many it is shared', () => {
    const counts = createClientCounts(7);
    const [a, b] = [hashAddress('10.0.0.1', 7), hashAddress('10.0.0.2', 7)];
    countIn(counts, { service: 1, hash: a, cost: 2 });
    countIn(counts, { service: 1, hash: b, cost: 1 });
    countIn(counts, { service: 2, hash: a, cost: 2 });
    expect(readHoldings(counts, { service: 1, hash: a })).toEqual({
      ...{ service: 3, address: 4, pair: 2 },
      ...{ services: 2, addresses: 2, addressesOfService: 2 },
    });
    countOut(counts, { service: 1, hash: a, cost: 2 });
    countOut(counts, { service: 1, hash: b, cost: 1 });
    // Who comes now is one of them.
    expect(readHoldings(counts, { service: 1, hash: b })).toEqual({
      ...{ service: 0, address: 0, pair: 0 },
      ...{ services: 2, addresses: 2, addressesOfService: 1 },
    });
  });
});
