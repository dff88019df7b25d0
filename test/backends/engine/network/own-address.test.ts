import { describe, expect, test } from 'vitest';
import type { InspectedNetwork } from '../../../../src/backends/engine/engine-shapes.ts';
import { findFreeAddress, isSameAddress } from '../../../../src/backends/engine/network/free-address.ts';
import {
  listConfiguredAddresses,
  pickAddresses,
} from '../../../../src/backends/engine/network/own-address.ts';

test.each([
  ['10.0.0.0/24', 'top', [], '10.0.0.254'],
  ['10.0.0.0/24', 'bottom', [], '10.0.0.1'],
  ['10.0.0.77/24', 'bottom', ['10.0.0.1', '10.0.0.2/24', ''], '10.0.0.3'],
  ['10.0.0.0/30', 'top', ['10.0.0.1', '10.0.0.2'], undefined],
  ['10.0.0.0/32', 'top', [], undefined],
  ['fd00:1::/64', 'top', ['fd00:1::ffff:ffff:ffff:fffe'], 'fd00:1::ffff:ffff:ffff:fffd'],
  ['fd00:1::/64', 'bottom', ['fd00:1:0:0::1', '10.0.0.1'], 'fd00:1::2'],
  ['', 'top', [], undefined],
  ['nonsense', 'top', [], undefined],
] as const)('of %s from the %s, without %j, the free address is %s', (range, from, taken, free) => {
  expect(findFreeAddress({ range, from }, taken)).toBe(free);
});

test.each([
  ['fd00:1::2', 'fd00:1:0:0:0:0:0:2', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['', '', false],
])('%s and %s are the same address: %s', (a, b, same) => {
  expect(isSameAddress(a, b)).toBe(same);
});

describe('pickAddresses', () => {
  const bridge: InspectedNetwork = {
    Driver: 'bridge',
    IPAM: {
      Config: [
        { Subnet: '10.0.0.0/24', Gateway: '10.0.0.1', AuxiliaryAddresses: { router: '10.0.0.254' } },
        { Subnet: 'fd00:1::/64' },
      ],
    },
    Containers: { c1: { IPv4Address: '10.0.0.253/24', IPv6Address: '' } },
  };

  test('leaves out whatever anybody has, in the family in which addresses are configured', () => {
    const chosen = pickAddresses(bridge, { configured: ['10.0.0.252'], avoid: ['10.0.0.251'] });
    expect(chosen).toEqual({ IPv4Address: '10.0.0.250' });
  });

  test('asks for both families where both are configured', () => {
    const chosen = pickAddresses(bridge, { configured: ['10.0.0.2', 'fd00:1::2'], avoid: [] });
    expect(chosen).toEqual({ IPv4Address: '10.0.0.252', IPv6Address: 'fd00:1::ffff:ffff:ffff:fffe' });
  });

  test('begins at the bottom of the range that is handed out where others share the wire', () => {
    const Config = [{ Subnet: '10.0.0.0/24', IPRange: '10.0.0.64/28', Gateway: '10.0.0.65' }];
    const lan = { Driver: 'macvlan', IPAM: { Config } };
    const chosen = pickAddresses(lan, { configured: ['10.0.0.66'], avoid: [] });
    expect(chosen).toEqual({ IPv4Address: '10.0.0.67' });
  });

  test.each([{}, { IPAM: {} }, { IPAM: { Config: null } }, { IPAM: { Config: [{ Subnet: '' }] } }])(
    'leaves the choice to the engine where %j says nothing of subnets',
    (network) => {
      expect(pickAddresses(network, { configured: ['10.0.0.2'], avoid: [] })).toBeUndefined();
    },
  );
});

test('addresses count on the network on which they are configured', () => {
  const Networks = {
    n1: { NetworkID: '', IPAMConfig: { IPv4Address: '10.0.0.2', IPv6Address: '' } },
    n2: { NetworkID: 'two', IPAMConfig: { IPv6Address: 'fd00::2' } },
    n3: null,
    n4: { IPAMConfig: null },
  };
  const container = { NetworkSettings: { Networks } };
  expect(listConfiguredAddresses(container, { name: 'n1', id: 'one' })).toEqual(['10.0.0.2']);
  expect(listConfiguredAddresses(container, { name: 'other', id: 'two' })).toEqual(['fd00::2']);
  expect(listConfiguredAddresses(container, { name: 'n4', id: undefined })).toEqual([]);
});
