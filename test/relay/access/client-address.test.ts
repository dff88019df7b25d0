import { describe, expect, test } from 'vitest';
import { formatEndpoint, plainAddress } from '../../../src/relay/access/client-address.ts';

describe('client address', () => {
  test.each([
    ['10.0.0.5', '10.0.0.5'],
    ['::ffff:10.0.0.5', '10.0.0.5'],
    ['::1', '::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:0:1', '::ffff:0:1'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
  ])('shows %s as %s', (address, plain) => {
    expect(plainAddress(address)).toBe(plain);
  });

  test.each([
    ['10.0.0.5', 4242, '10.0.0.5:4242'],
    ['2001:db8::1', 4242, '[2001:db8::1]:4242'],
  ])('joins %s and %i to %s', (address, port, endpoint) => {
    expect(formatEndpoint(address, port)).toBe(endpoint);
  });
});
