import { SocketAddress } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  addressBytes,
  decodeAddress,
  encodeAddress,
} from '../../../../src/relay/native/datagrams/datagram-address.ts';

const port = fc.integer({ min: 0, max: 65_535 });
/** Many zeros, as addresses have them. */
const group = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }));

describe('socket addresses', () => {
  test('are read as they were written, for IPv4', () => {
    fc.assert(
      fc.property(fc.ipV4(), port, (address, number) => {
        const words = encodeAddress({ address, port: number }) ?? new Uint32Array();
        expect(decodeAddress(words)).toEqual({ address, port: number });
        expect(addressBytes(words)).toBe(16);
      }),
    );
  });

  test('are read as they were written, and as Node writes them, for IPv6', () => {
    const groups = fc.array(group, { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(groups, port, (values, number) => {
        // An address of one link only, whose link is unknown, has its own test.
        if ((values[0] ?? 0) >> 6 === 0xfe80 >> 6) return;
        const address = values.map((value) => value.toString(16)).join(':');
        const words = encodeAddress({ address, port: number }) ?? new Uint32Array();
        const usual = new SocketAddress({ address, family: 'ipv6' }).address;
        expect(decodeAddress(words)).toEqual({ address: usual, port: number });
        expect(addressBytes(words)).toBe(28);
      }),
    );
  });

  test.each(['::', '::1', '::ffff:10.0.0.1', '2001:db8::1:0:0:1'])(
    'are read as node:dgram writes %s',
    (address) => {
      expect(decodeAddress(encodeAddress({ address, port: 53 }) ?? new Uint32Array()).address).toBe(address);
    },
  );

  test('have the port in the order of the network, and the address behind it', () => {
    const bytes = new Uint8Array(
      encodeAddress({ address: '10.1.2.3', port: 0x1234 })?.buffer ?? new ArrayBuffer(),
    );
    expect([...bytes.subarray(0, 8)]).toEqual([2, 0, 0x12, 0x34, 10, 1, 2, 3]);
  });

  test('can not be written for an interface that is not there', () => {
    expect(encodeAddress({ address: 'fe80::1%no-such-if', port: 53 })).toBeUndefined();
  });
});
