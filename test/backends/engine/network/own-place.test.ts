import { expect, test } from 'vitest';
import type { InspectedContainer, InspectedEndpoint } from '../../../../src/backends/engine/engine-shapes.ts';
import { describePlace } from '../../../../src/backends/engine/network/own-place.ts';

const MARKED = { 'lazy-proxy.joined': 'true' };

function container(mode: string, networks: Record<string, InspectedEndpoint | null>): InspectedContainer {
  return { Id: 'own', HostConfig: { NetworkMode: mode }, NetworkSettings: { Networks: networks } };
}

test('describePlace tells the networks, and which of them the proxy joined itself', () => {
  const own = container('a', { a: { NetworkID: '1' }, b: { NetworkID: '2', DriverOpts: MARKED } });
  const place = describePlace(own, own);
  expect(place).toMatchObject({ containerId: 'own', canJoin: true });
  expect(place.networks).toEqual([
    { name: 'a', id: '1', addresses: [], isMarked: false },
    { name: 'b', id: '2', addresses: [], isMarked: true },
  ]);
  expect([...place.networkNames]).toEqual(['a', '1', 'b', '2']);
});

test('describePlace reaches the host at the gateways, the networks that stay first and IPv4 before IPv6', () => {
  const own = container('b', {
    a: { Gateway: '10.1.0.1', DriverOpts: MARKED },
    b: { Gateway: '10.0.0.1', IPv6Gateway: 'fd00::1' },
    c: { Gateway: '', IPv6Gateway: '' },
  });
  expect(describePlace(own, own).hostAddresses).toEqual(['10.0.0.1', '10.1.0.1', 'fd00::1']);
});

test.each([
  ['on the network of the host', container('host', { host: { Gateway: '' } }), ['127.0.0.1', '::1'], []],
  ['without a network', container('none', { none: { Gateway: '' } }), [], ['none']],
])('describePlace joins nothing %s', (_, own, hostAddresses, names) => {
  const place = describePlace(own, own);
  expect(place).toMatchObject({ canJoin: false, hostAddresses });
  expect(place.networks.map(({ name }) => name)).toEqual(names);
});

test('describePlace takes the networks of the container whose network is shared, and joins nothing', () => {
  const holder = container('a', { a: { NetworkID: '1', Gateway: '10.0.0.1' } });
  const place = describePlace(container('container:other', {}), holder);
  expect(place).toMatchObject({ canJoin: false, hostAddresses: ['10.0.0.1'] });
  expect(place.networkNames.has('a')).toBe(true);
});
