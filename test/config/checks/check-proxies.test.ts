import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../../src/config/file.ts';
import { formatProblem } from '../../../src/model/problem.ts';
import { labelsOf, serviceOf, tableOf } from '../../support/builders.ts';

const parse = createFileParser();

/** What `validate` tells of a file, a line each. */
function problemsOf(text: string): readonly string[] {
  return parse({ text, file: 'f' }).problems.map(formatProblem);
}

const NOBODY =
  'error accept_proxy_protocol: true takes clients from proxies in front alone, and there are none; name them in trusted_proxies, such as [172.18.0.0/16]';

describe('what a file says of who wakes, and of PROXY headers', () => {
  test.each<[string, readonly string[]]>([
    ['services:\n  a:\n    ports: ["1:1"]\n    accept_proxy_protocol: true', [`f:4:28 ${NOBODY}`]],
    [
      'trusted_proxies: []\nservices:\n  a:\n    ports: ["1:1"]\n    accept_proxy_protocol: true',
      [`f:5:28 ${NOBODY}`],
    ],
    ['defaults:\n  accept_proxy_protocol: true', [`f:2:26 ${NOBODY}`.replace('error ', 'error defaults.')]],
    [
      'http:\n  listen: "80"\n  accept_proxy_protocol: true\nservices: {}',
      [`f:3:26 ${NOBODY.replace('error ', 'error http.')}`],
    ],
    ['trusted_proxies: [10.0.0.1]\nhttp: {listen: "80", accept_proxy_protocol: true}\nservices: {}', []],
    [
      'trusted_proxies: [10.0.0.1]\nhttp:\n  accept_proxy_protocol: true\nservices: {}',
      ['f:3:3 warning http.accept_proxy_protocol: has no effect without http.listen or http.https'],
    ],
    [
      'http: {listen: "80"}\nservices:\n  a:\n    hosts: [a.lan]\n    http_port: 1\n    proxy_protocol: v1',
      [],
    ],
    [
      'trusted_proxies: [10.0.0.1]\nhttp: {listen: "80"}\nservices:\n  a:\n    hosts: [a.lan]\n    http_port: 1\n    accept_proxy_protocol: true',
      [
        'f:7:5 warning accept_proxy_protocol: has no effect without ports, http_ports or udp_ports; all services share the front doors, for which http.accept_proxy_protocol says it',
      ],
    ],
    ['trusted_proxies: [10.0.0.1]\nservices: {a: {http_ports: ["1:1"], accept_proxy_protocol: true}}', []],
    ['trusted_proxies: [10.0.0.1]\ndefaults:\n  accept_proxy_protocol: true', []],
    [
      'services:\n  a:\n    udp_ports: ["1:1"]\n    proxy_protocol: v1',
      ['f:4:21 error proxy_protocol: v1 is for TCP alone, and cannot go with UDP ports; write v2'],
    ],
    [
      'defaults: {proxy_protocol: v1}\nservices:\n  a:\n    udp_ports: ["1:1"]',
      [
        'f:4:16 error udp_ports: defaults.proxy_protocol is v1 (f:1:28), which is for TCP alone; write proxy_protocol: v2 beside them',
      ],
    ],
    ['defaults: {proxy_protocol: v1}\nservices:\n  a:\n    udp_ports: ["1:1"]\n    proxy_protocol: v2', []],
    ['services:\n  a:\n    ports: ["1:1"]\n    udp_ports: ["1:1"]\n    proxy_protocol: v2', []],
    [
      'services:\n  a:\n    ports: ["1:1"]\n    proxy_protocol: v3',
      ['f:4:21 error proxy_protocol: "v3" is not off or v1 or v2'],
    ],
    [
      'services:\n  a:\n    ports: ["1:1"]\n    wake_on: connection',
      ['f:4:14 error wake_on: "connection" is not connect or data; did you mean "connect"?'],
    ],
    [
      'services:\n  a:\n    ports: ["1:1"]\n    wake_list: [10.0.0.300]',
      ['f:4:17 error wake_list[0]: "10.0.0.300" is not an IP address or CIDR range such as 192.168.0.0/16'],
    ],
    [
      'services:\n  a:\n    ports: ["1:1"]\n    wake_list: 10.0.0.1',
      ['f:4:16 error wake_list: "10.0.0.1" is not a list; write ["10.0.0.1"]'],
    ],
    [
      'services:\n  a:\n    ports: ["1:1"]\n    wake_list: [10.0.0.1/8]',
      [
        'f:4:17 warning wake_list[0]: "10.0.0.1/8" means 10.0.0.0/8; write that, or "10.0.0.1" for the one address',
      ],
    ],
    [
      'trusted_proxies: [nginx, 10.0.0.1/8]',
      [
        'f:1:19 error trusted_proxies[0]: "nginx" is not an IP address or CIDR range such as 192.168.0.0/16',
        'f:1:26 warning trusted_proxies[1]: "10.0.0.1/8" means 10.0.0.0/8; write that, or "10.0.0.1" for the one address',
      ],
    ],
    [
      'services:\n  a:\n    cron_start: "0 8 * * *"\n    ignore_labels: true\n    proxy_protocol: v2',
      [
        'f:5:5 warning proxy_protocol: has no effect without ports, http_ports, hosts, tls_hosts or udp_ports',
      ],
    ],
    [
      'services:\n  a:\n    udp_ports: ["1:1"]\n    ignore_labels: true\n    wake_on: data',
      ['f:5:5 warning wake_on: has no effect without ports'],
    ],
    [
      'services:\n  a:\n    command: [x]\n    ports: ["1:2"]\n    availability: manual\n    wake_on: data\n    wake_list: ["::1"]',
      [
        'f:6:5 warning wake_on: has no effect beside availability: manual, with which no client wakes the service',
        'f:7:5 warning wake_list: has no effect beside availability: manual, with which no client wakes the service',
      ],
    ],
  ])('%j: %j', (text, expected) => {
    expect(problemsOf(text)).toEqual(expected);
  });
});

describe('labels about who wakes, and of PROXY headers', () => {
  test.each<[Readonly<Record<string, string>>, 'accepted' | 'refused', readonly string[]]>([
    [{ 'wake-list': '10.0.0.1,nonsense' }, 'refused', ['wake-list[1]: "nonsense" is not an IP address']],
    [{ 'wake-list': '' }, 'accepted', []],
    [{ 'wake-list': '10.0.0.1/8' }, 'accepted', ['wake-list: "10.0.0.1/8" means 10.0.0.0/8']],
    [{ 'wake-on': 'date' }, 'refused', ['wake-on: "date" is not connect or data; did you mean "data"?']],
    [{ 'proxy-protocol': 'v1', 'udp-ports': '1:1' }, 'refused', ['proxy-protocol: v1 is for TCP alone']],
    [{ 'proxy-protocol': 'v1', ports: '1:1' }, 'accepted', []],
    // Nobody says by label whose word counts.
    [{ 'accept-proxy-protocol': 'true' }, 'accepted', ['accept-proxy-protocol: unknown label, ignored']],
    [{ 'trusted-proxies': '0.0.0.0/0' }, 'accepted', ['unknown label, ignored']],
  ])('%j are %s', (labels, kind, messages) => {
    const reading = labelsOf('a', { ports: '2:2', ...labels });
    expect(reading.kind).toBe(kind);
    expect(reading.problems).toHaveLength(messages.length);
    for (const [index, message] of messages.entries())
      expect(reading.problems[index]?.message).toContain(message.split(': ').at(-1));
  });

  test('are merged with the file; UDP ports that could not be told of are left out', () => {
    const table = tableOf({
      text: 'defaults: {proxy_protocol: v1, wake_list: [10.0.0.1]}',
      labelled: [labelsOf('a', { ports: '1:1', 'udp-ports': '1:1', 'wake-list': '', 'wake-on': 'data' })],
    });
    const service = serviceOf(table, 'a');
    expect(service).toMatchObject({ proxyProtocol: 'v1', wakeList: [], wakeOn: 'data' });
    expect(service.listeners.map(({ protocol }) => protocol)).toEqual(['tcp']);
    expect(table.problems.map(({ message }) => message)).toEqual([
      'udp_ports: "a" does not listen there, because its proxy_protocol is v1: v1 is for TCP alone, and cannot go with UDP ports; write v2',
    ]);
  });
});
