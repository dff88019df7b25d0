import { expect, test } from 'vitest';
import { chooseHosts, sharedNetworkOwner } from '../../../../src/backends/engine/network/addresses.ts';
import type { InspectedEndpoint } from '../../../../src/backends/engine/engine-shapes.ts';

function container(networkMode: string, networks: Record<string, InspectedEndpoint | null>) {
  return { Id: 'c1', HostConfig: { NetworkMode: networkMode }, NetworkSettings: { Networks: networks } };
}

test.each([
  ['the only address', container('n1', { n1: { IPAddress: '10.0.0.2' } }), ['10.0.0.2']],
  [
    'user-defined networks before the default bridge',
    container('bridge', { bridge: { IPAddress: '10.0.0.2' }, web: { IPAddress: '10.1.0.2' } }),
    ['10.1.0.2', '10.0.0.2'],
  ],
  [
    'IPv4 before IPv6',
    container('a', {
      a: { IPAddress: '10.0.0.2', GlobalIPv6Address: 'fd00::2' },
      b: { IPAddress: '10.1.0.2', GlobalIPv6Address: '' },
    }),
    ['10.0.0.2', '10.1.0.2', 'fd00::2'],
  ],
  ['IPv6 alone', container('six', { six: { IPAddress: '', GlobalIPv6Address: 'fd00::2' } }), ['fd00::2']],
  [
    'both loopbacks on the host network',
    container('host', { host: { IPAddress: '' } }),
    ['127.0.0.1', '::1'],
  ],
  ['nothing without a network', container('none', { none: { IPAddress: '' } }), []],
  ['nothing where an endpoint is null', container('n1', { n1: null }), []],
  ['nothing where the engine tells no networks', { Id: 'c1' }, []],
])('chooseHosts gives %s', (_, inspected, expected) => {
  expect(chooseHosts(inspected)).toEqual(expected);
});

test('chooseHosts prefers a network that the proxy is on, by name or id', () => {
  const inspected = container('a', {
    a: { NetworkID: 'id-a', IPAddress: '10.0.0.2' },
    bridge: { NetworkID: 'id-bridge', IPAddress: '10.1.0.2', GlobalIPv6Address: 'fd00::2' },
  });
  const byId = chooseHosts(inspected, { ownNetworks: new Set(['id-bridge']) });
  expect(byId).toEqual(['10.1.0.2', 'fd00::2', '10.0.0.2']);
  expect(chooseHosts(inspected, { ownNetworks: new Set(['bridge']) })).toEqual(byId);
});

test('sharedNetworkOwner names the container whose network is shared', () => {
  expect(sharedNetworkOwner(container('container:c2', {}))).toBe('c2');
  expect(sharedNetworkOwner(container('bridge', {}))).toBeUndefined();
});
