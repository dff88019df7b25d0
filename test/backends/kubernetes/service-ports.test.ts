import { expect, test } from 'vitest';
import {
  hasReadyEndpoint,
  mapToName,
  mapToNothing,
  mapToPods,
} from '../../../src/backends/kubernetes/service-ports.ts';
import { selectService, selectSlice } from '../../../src/backends/kubernetes/service-record.ts';

const WEB = selectService({
  metadata: { name: 'web' },
  spec: {
    selector: { app: 'web' },
    ports: [
      { name: 'http', protocol: 'TCP', port: 80, targetPort: 'web' },
      { name: 'dns', protocol: 'UDP', port: 53, targetPort: 5353 },
      { name: 'phone', protocol: 'SCTP', port: 9, targetPort: 9 },
    ],
  },
});
const PORTS = [
  { name: 'http', protocol: 'TCP', port: 8080 },
  { name: 'dns', protocol: 'UDP', port: 5353 },
] as const;

function slice(name: string, addresses: readonly string[], more: object = {}) {
  const endpoints = addresses.map((address) => ({ addresses: [address], conditions: { ready: true } }));
  const labels = { 'kubernetes.io/service-name': 'web' };
  return selectSlice({ metadata: { name, labels }, ports: PORTS, endpoints, ...more });
}

test('mapToPods tells each port under its number and its name, at the port of the pods', () => {
  const { hosts, ports } = mapToPods(WEB, [slice('web-1', ['10.0.0.1', '10.0.0.2'])]);
  const http = [
    { host: '10.0.0.1', port: 8080 },
    { host: '10.0.0.2', port: 8080 },
  ];
  const dns = [
    { host: '10.0.0.1', port: 5353 },
    { host: '10.0.0.2', port: 5353 },
  ];
  expect(hosts).toEqual(['10.0.0.1', '10.0.0.2']);
  expect(ports).toEqual({ 'tcp/80': http, 'tcp/http': http, 'udp/53': dns, 'udp/dns': dns });
});

test('mapToPods takes the addresses of both families', () => {
  const { hosts, ports } = mapToPods(WEB, [slice('web-6', ['fd00::1']), slice('web-4', ['10.0.0.1'])]);
  expect(hosts).toEqual(['10.0.0.1', 'fd00::1']);
  expect(ports['tcp/80']?.map(({ host }) => host)).toEqual(['10.0.0.1', 'fd00::1']);
});

test('mapToPods leaves out what is not ready', () => {
  const endpoints = [
    { addresses: ['10.0.0.1'], conditions: { ready: false, serving: true, terminating: true } },
    { addresses: ['10.0.0.2'], conditions: {} },
    { addresses: ['10.0.0.3'] },
    { addresses: ['10.0.0.4'], conditions: { ready: null } },
    // As a Service with publishNotReadyAddresses has it.
    { addresses: ['10.0.0.5'], conditions: { ready: true, serving: true, terminating: true } },
  ];
  const { hosts } = mapToPods(WEB, [slice('web-1', [], { endpoints })]);
  expect(hosts).toEqual(['10.0.0.2', '10.0.0.3', '10.0.0.4']);
});

test('mapToPods tells an endpoint once that stands in two slices', () => {
  const { hosts, ports } = mapToPods(WEB, [slice('web-1', ['10.0.0.1']), slice('web-2', ['10.0.0.1'])]);
  expect(hosts).toEqual(['10.0.0.1']);
  expect(ports['tcp/80']).toEqual([{ host: '10.0.0.1', port: 8080 }]);
});

test('mapToPods follows a named target port that has another number in each slice', () => {
  const old = slice('web-1', ['10.0.0.1'], { ports: [{ name: 'http', protocol: 'TCP', port: 8081 }] });
  const { ports } = mapToPods(WEB, [old, slice('web-2', ['10.0.0.2'])]);
  expect(ports['tcp/http']).toEqual([
    { host: '10.0.0.1', port: 8081 },
    { host: '10.0.0.2', port: 8080 },
  ]);
  expect(ports['udp/dns']).toEqual([{ host: '10.0.0.2', port: 5353 }]);
});

test('mapToPods matches a port without a name', () => {
  const service = selectService({
    metadata: { name: 'web' },
    spec: { selector: { app: 'web' }, ports: [{ port: 80 }] },
  });
  const unnamed = slice('web-1', ['10.0.0.1'], { ports: [{ name: '', protocol: 'TCP', port: 8080 }] });
  expect(mapToPods(service, [unnamed]).ports).toEqual({ 'tcp/80': [{ host: '10.0.0.1', port: 8080 }] });
});

test.each([
  ['endpoints', { endpoints: null }],
  ['ports', { ports: null }],
  ['the number of a port', { ports: [{ name: 'http', protocol: 'TCP', port: null }] }],
])('mapToPods takes %s that are null for none', (_, more) => {
  expect(mapToPods(WEB, [slice('web-1', ['10.0.0.1'], more)]).ports['tcp/80']).toEqual([]);
});

test('mapToName tells the name at the ports of the Service itself', () => {
  const host = 'web.shop.svc.cluster.local';
  const { hosts, ports } = mapToName(WEB, host);
  expect(hosts).toEqual([host]);
  expect(ports).toMatchObject({ 'tcp/http': [{ host, port: 80 }], 'udp/53': [{ host, port: 53 }] });
});

test('mapToNothing tells every port, and no endpoint', () => {
  expect(mapToNothing(WEB)).toEqual({
    hosts: [],
    ports: { 'tcp/80': [], 'tcp/http': [], 'udp/53': [], 'udp/dns': [] },
  });
});

test('hasReadyEndpoint is false of slices without endpoints', () => {
  expect(hasReadyEndpoint([slice('web-1', [], { endpoints: null })])).toBe(false);
  expect(hasReadyEndpoint([slice('web-1', ['10.0.0.1'])])).toBe(true);
});
