import { describe, expect, test } from 'vitest';
import { parseLabels } from '../../src/config/labels.ts';
import { DEFAULT_LABEL_PREFIXES } from '../../src/model/label-names.ts';
import { formatProblem } from '../../src/model/problem.ts';
import type { WorkloadRef } from '../../src/model/workload.ts';
import { labelsOf, PREFIX } from '../support/builders.ts';

const CONTAINER: WorkloadRef = { kind: 'docker', name: 'a' };
const SWARM: WorkloadRef = { kind: 'swarm', name: 'a' };
const DEPLOYMENT: WorkloadRef = {
  kind: 'kubernetes',
  resource: 'deployment',
  namespace: 'shop',
  name: 'web',
};

describe('parseLabels', () => {
  test.each([
    ['true', true],
    [' TRUE ', true],
    ['false', false],
    ['1', false],
    ['yes', false],
    ['', false],
  ])('opts in with enabled=%j: %s', (text, expected) => {
    const labels = { [`${PREFIX}.enabled`]: text };
    const { kind } = parseLabels({ ref: CONTAINER, labels }, { prefixes: [PREFIX] });
    expect(kind === 'accepted').toBe(expected);
  });

  test('says nothing of a container that does not opt in', () => {
    const labels = { [`${PREFIX}.idle-timeout`]: 'nonsense' };
    expect(parseLabels({ ref: CONTAINER, labels }, { prefixes: [PREFIX] })).toEqual({
      ref: CONTAINER,
      kind: 'ignored',
      draft: undefined,
      problems: [],
    });
  });

  test('trims lists and drops blanks', () => {
    const { draft } = labelsOf('a', {
      ports: ' 80:80 , ,81:81,',
      'allow-list': '10.0.0.1,',
      dependants: ' b ,c',
    });
    expect(draft?.ports?.value.map(({ port }) => port)).toEqual([80, 81]);
    expect(draft?.allow_list?.value).toEqual(['10.0.0.1']);
    expect(draft?.dependants?.value).toEqual(['b', 'c']);
    expect(draft?.ports?.origin).toEqual({ kind: 'label', workload: CONTAINER, label: `${PREFIX}.ports` });
  });

  test.each([
    ['start-timeout-secs', '30'],
    ['start-timeout', '30s'],
    ['start-timeout', ' 30 '],
  ])('reads %s=%s as 30 s', (label, text) => {
    expect(labelsOf('a', { [label]: text }).draft?.start_timeout?.value).toBe(30_000);
  });

  test('takes a blank scalar as unset, and a blank list as empty', () => {
    const { draft } = labelsOf('a', { 'webhook-url': ' ', 'idle-timeout-secs': '', 'block-list': '' });
    expect(draft).not.toHaveProperty('webhook_url');
    expect(draft).not.toHaveProperty('idle_timeout');
    expect(draft?.block_list?.value).toEqual([]);
  });

  test('reads every other field of a policy', () => {
    const { draft, problems } = labelsOf('a', {
      'max-pending': '7',
      'udp-readiness': 'open',
      'udp-queue-age-secs': '2',
      'stop-timeout': '0',
      timezone: 'Europe/Paris',
      'http-healthcheck': 'http://{{container}}/',
    });
    expect(problems).toEqual([]);
    expect(draft?.max_pending?.value).toBe(7);
    expect(draft?.udp_queue_age?.value).toBe(2_000);
    expect(draft?.stop_timeout?.value).toBe(0);
  });

  test.each([
    [
      { ports: '80:80,80:http' },
      `ports error ports[1]: "80:http" is not [address:]listen:target; a port's name can be used for Kubernetes workloads only`,
    ],
    [
      { 'udp-ports': '53' },
      'udp-ports error udp-ports[0]: "53" is not [address:]listen:target; write "53:53"',
    ],
    [
      { 'allow-list': '10.0.0.300' },
      'allow-list error allow-list[0]: "10.0.0.300" is not an IP address or CIDR range such as 192.168.0.0/16',
    ],
    [
      { 'max-pending': 'many' },
      'max-pending error max-pending: "many" is not a whole number from 1 to 1000000',
    ],
    [
      { 'idle-timeout': '1', 'idle-timeout-secs': '1' },
      'idle-timeout-secs error idle-timeout-secs: given beside idle-timeout; keep one of them',
    ],
    [{ ports: '80:80,127.0.0.1:80:81' }, 'ports error tcp 127.0.0.1:80 is given twice'],
  ])('refuses the container for %j', (labels, message) => {
    const { kind, draft, problems } = labelsOf('a', labels as Record<string, string>);
    expect(kind).toBe('refused');
    expect(draft).toBeUndefined();
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.${message}; until then container a is refused as a whole`,
    ]);
  });

  test('reads the annotations of a Deployment, with names of ports', () => {
    const { kind, draft, problems } = labelsOf(DEPLOYMENT, {
      ports: '80:http,81-82:8081-8082',
      'udp-ports': '53:dns',
      'service-name': 'web-internal',
      upstream: 'service',
      dependants: 'db, blog/db',
    });
    expect({ kind, problems }).toEqual({ kind: 'accepted', problems: [] });
    expect(draft?.ports?.value.map(({ targetPort }) => targetPort)).toEqual(['http', 8081, 8082]);
    expect(draft?.udp_ports?.value).toMatchObject([{ protocol: 'udp', port: 53, targetPort: 'dns' }]);
    expect(draft).toMatchObject({ service_name: { value: 'web-internal' }, upstream: { value: 'service' } });
    expect(draft?.dependants?.value).toEqual(['db', 'blog/db']);
    expect(draft?.upstream?.origin).toEqual({
      kind: 'label',
      workload: DEPLOYMENT,
      label: `${PREFIX}.upstream`,
    });
  });

  test.each([
    [
      DEPLOYMENT,
      'stop-timeout',
      'soon',
      'a Deployment; the terminationGracePeriodSeconds of its pods counts',
    ],
    [
      DEPLOYMENT,
      'stop-timeout-secs',
      '1',
      'a Deployment; the terminationGracePeriodSeconds of its pods counts',
    ],
    [SWARM, 'stop-timeout', '1s', 'a Swarm service; the stop_grace_period of its containers counts'],
    [SWARM, 'service-name', 'x', 'a Swarm service; it is for Deployments and StatefulSets'],
    [CONTAINER, 'service-name', '-', 'a container; it is for Deployments and StatefulSets'],
    [CONTAINER, 'upstream', 'service', 'a container; it is for Deployments and StatefulSets'],
    [CONTAINER, 'scale', '3', 'a container; it is for Swarm services, Deployments and StatefulSets'],
  ])('warns that on %j %s has no effect, and takes no value of it', (ref, label, value, why) => {
    const { kind, draft, problems } = labelsOf(ref, { ports: '80:80', [label]: value });
    expect(kind).toBe('accepted');
    expect(Object.keys(draft ?? {})).toEqual(['ports']);
    expect(problems).toEqual([
      {
        code: 'option-without-effect',
        severity: 'warning',
        message: `${label}: has no effect on ${why}`,
        origin: { kind: 'label', workload: ref, label: `${PREFIX}.${label}` },
      },
    ]);
  });

  test.each([
    [{ upstream: 'pods' }, 'upstream error upstream: "pods" is not endpoints or service'],
    [
      { 'service-name': 'Web' },
      'service-name error service-name: "Web" is not a name of lower case letters, digits and "-", at most 63 characters',
    ],
    [
      { ports: '80-81:http' },
      `ports error ports[0]: "80-81:http": 2 listen ports and the name of one target port; a name can't stand for a range`,
    ],
  ])('refuses the Deployment for %j', (labels, message) => {
    const { kind, problems } = labelsOf(DEPLOYMENT, labels as Record<string, string>);
    expect(kind).toBe('refused');
    expect(problems.map(formatProblem)).toEqual([
      `deployment shop/web, annotation ${PREFIX}.${message}; until then deployment shop/web is refused as a whole`,
    ]);
  });

  test.each([
    ['dependants', 'worker'],
    ['allow-list', '10.0.0.1'],
    ['block-list', '10.0.0.1'],
  ])('refuses a %s label of 20,000 entries, and takes one of 1,024', (label, entry) => {
    const { kind, problems } = labelsOf('a', { [label]: `${entry},`.repeat(20_000) });
    expect(kind).toBe('refused');
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain(`${label}: 20,000 entries, and a label can have 1,024`);
    expect(labelsOf('a', { [label]: `${entry},`.repeat(1_024) }).problems).toEqual([]);
  });

  test('refuses a label of more than 262,144 characters', () => {
    const { problems } = labelsOf('a', { 'http-healthcheck-status': '200-299,'.repeat(100_000) });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringContaining('http-healthcheck-status: 800,000 characters, and a label can have 262,144'),
    ]);
  });

  test('tells 20,000 unknown labels in linear time, the first ten by name', () => {
    const labels = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`prts${index}`, 'y']));
    const { kind, problems } = labelsOf('a', labels);
    expect(kind).toBe('accepted');
    expect(problems.map(({ message }) => message).at(-1)).toBe('and 19,990 more');
  });

  test('warns of a range that was written with an address inside', () => {
    const { kind, problems } = labelsOf('a', { 'block-list': '10.0.0.0/8, 10.0.0.1/8' });
    expect(kind).toBe('accepted');
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.block-list warning block-list: "10.0.0.1/8" means 10.0.0.0/8; write that, or "10.0.0.1" for the one address`,
    ]);
  });

  test('only warns of a label it does not know', () => {
    const { kind, problems } = labelsOf('a', { port: '80:80', 'zzz-xxxxx': 'x' });
    expect(kind).toBe('accepted');
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.port warning unknown label, ignored; did you mean "ports"?`,
      `container a, label ${PREFIX}.zzz-xxxxx warning unknown label, ignored`,
    ]);
  });

  test.each([
    [{ tls: 'false', 'api-key': '', 'basic-auth': '' }],
    [{ tls: ' False ', 'api-key': ' ', 'traefik-hosts': '', 'traefik-tcp-hosts': '' }],
    [{ tls: '' }],
    [{ tls: '0' }],
  ])('serves a container that nothing is meant to guard: %j', (labels) => {
    const { kind, draft, problems } = labelsOf('a', { ports: '80:80', ...labels });
    expect({ kind, problems }).toEqual({ kind: 'accepted', problems: [] });
    expect(draft?.ports?.value).toHaveLength(1);
  });

  test('leaves out white space inside ports, and the blank behind the last comma', () => {
    const { draft, problems } = labelsOf('a', {
      ports: ' 22950 : 80 , 22951:81, ',
      'udp-ports': '127.0.0.1 : 53 :5353,[::1] : 54 : 5354',
    });
    expect(problems).toEqual([]);
    const shown = [...(draft?.ports?.value ?? []), ...(draft?.udp_ports?.value ?? [])].map(
      ({ address, port, targetPort }) => `${address} ${port} ${targetPort}`,
    );
    expect(shown).toEqual([' 22950 80', ' 22951 81', '127.0.0.1 53 5353', '::1 54 5354']);
  });

  test('counts the ports of a range with white space inside before it makes them', () => {
    const { kind, problems } = labelsOf('a', { ports: '1-65535 :1-65535' });
    expect(kind).toBe('refused');
    expect(problems[0]?.message).toContain('65,535 ports are asked for, and labels can have 1,024');
  });

  test('reads a port of 200,000 blanks in linear time', () => {
    const { problems } = labelsOf('a', { ports: `80${' '.repeat(200_000)}x80` });
    expect(problems[0]?.message).toContain('is not [address:]listen:target');
  });

  test.each([
    [
      { 'idle-timeout': 'never' },
      'idle-timeout error idle-timeout: "never" is not a duration such as 90 (seconds), "90s", "1h30m" or "500ms"; to keep the service awake once it is, write a long one such as "52w"',
    ],
    [
      { 'idle-timeout-secs': 'never' },
      'idle-timeout-secs error idle-timeout-secs: "never" is not a number of seconds such as 90; to keep the service awake once it is, write many, such as 31449600 for 52 weeks',
    ],
    // What lazy-tcp-proxy passes over, takes its default for, or tries once.
    [{ ports: '80:80,x,81:81' }, 'ports error ports[1]: "x" is not [address:]listen:target'],
    [
      { 'idle-timeout-secs': '-5' },
      'idle-timeout-secs error idle-timeout-secs: "-5" is not a number of seconds such as 90',
    ],
    [
      { 'start-timeout-secs': '0' },
      'start-timeout-secs error start-timeout-secs: "0" is not more than 0; it must be a number of seconds such as 90',
    ],
    [
      { 'cron-start': '@secondly' },
      'cron-start error cron-start: "@secondly" is not a cron expression; known are @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and "@every 1h"',
    ],
    [
      { 'cron-start': 'CRON_TZ=Europe/Pariss 30 8 * * *' },
      'cron-start error cron-start: "CRON_TZ=Europe/Pariss 30 8 * * *": "Europe/Pariss" is not a known time zone such as Europe/Paris or UTC; did you mean "Europe/Paris"?',
    ],
  ])('refuses the container for %j, and says what to write', (labels, message) => {
    const { kind, problems } = labelsOf('a', labels as Record<string, string>);
    expect(kind).toBe('refused');
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.${message}; until then container a is refused as a whole`,
    ]);
  });

  test('reads schedules as robfig/cron writes them', () => {
    const { draft, problems } = labelsOf('a', {
      'cron-start': 'CRON_TZ=Europe/Paris 30 8 * * *',
      'cron-stop': '@every 1h',
    });
    expect(problems).toEqual([]);
    expect(draft?.cron_start?.value).toBe('CRON_TZ=Europe/Paris 30 8 * * *');
    expect(draft?.cron_stop?.value).toBe('@every 3600s');
  });

  test('reads what a web service asks for', () => {
    const hash = `$2y$04$${'a'.repeat(53)}`;
    const { draft, problems } = labelsOf('a', {
      hosts: '*.wiki.lan, Wiki.LAN',
      'http-port': '3000',
      'http-ports': '8080:3000',
      'waiting-page': 'off',
      'basic-auth': `anna:${hash},bob:${hash}`,
      'api-key': 'k1, k2',
      'wake-paths': '/,!/metrics',
      tls: 'TRUE',
      'traefik-hosts': 'wiki.lan:8080',
      'traefik-tcp-hosts': 'wiki.lan:8080',
    });
    expect(problems).toEqual([]);
    expect(
      Object.fromEntries(Object.entries(draft ?? {}).map(([field, { value }]) => [field, value])),
    ).toEqual({
      hosts: ['wiki.lan', '*.wiki.lan'],
      http_port: 3000,
      http_ports: [{ protocol: 'tcp', address: '', port: 8080, targetPort: 3000, mode: 'http' }],
      waiting_page: { kind: 'off' },
      basic_auth: [
        { user: 'anna', hash },
        { user: 'bob', hash },
      ],
      api_key: ['k1', 'k2'],
      wake_paths: [
        { prefix: '/metrics', mayWake: false },
        { prefix: '/', mayWake: true },
      ],
      tls: { kind: 'self-signed' },
      traefik_hosts: [{ host: 'wiki.lan', port: 8080 }],
      traefik_tcp_hosts: [{ host: 'wiki.lan', port: 8080 }],
    });
  });

  test('takes the name of a port for Kubernetes alone', () => {
    const ref = { kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'web' } as const;
    expect(labelsOf(ref, { hosts: 'a.lan', 'http-port': 'http' }).draft?.http_port?.value).toBe('http');
    expect(labelsOf('a', { hosts: 'a.lan', 'http-port': 'http' }).problems[0]?.message).toMatch(
      /^http-port: "http" is not a port from 1 to 65535; a port's name can be used for Kubernetes workloads only/,
    );
  });

  test.each([
    [
      'waiting-page',
      '/etc/passwd',
      '"/etc/passwd" is not auto or off; only the configuration file can name a file',
    ],
    ['tls', '/certs/a.pem', 'what is given is not true or false; only the configuration file can name files'],
    ['basic-auth', 'anna:secret', 'basic-auth[0]: the password of "anna" is not a bcrypt hash'],
    ['api-key', 'two words', 'api-key[0]: what is given is not a key of letters, digits and signs'],
    ['hosts', 'http://wiki.lan', 'hosts[0]: "http://wiki.lan" is not a host name'],
  ])('refuses a container whose %s is %j', (suffix, text, message) => {
    const { kind, problems } = labelsOf('a', { ports: '80:80', [suffix]: text });
    expect(kind).toBe('refused');
    expect(problems.map(formatProblem)).toEqual([
      expect.stringMatching(
        new RegExp(
          `^container a, label ${PREFIX}\\.${suffix} error .*; until then container a is refused as a whole$`,
        ),
      ),
    ]);
    expect(problems[0]?.message).toContain(message);
    expect(problems[0]?.message).not.toMatch(/secret|two words/);
  });

  test.each(['https-port', 'blocked'])('leaves %s to the file', (suffix) => {
    expect(labelsOf('a', { ports: '80:80', [suffix]: '403' }).problems.map(({ code }) => code)).toEqual([
      'unknown-key',
    ]);
  });

  test.each([
    [{ 'udp-ports': '53:53' }, "can't guard udp-ports: datagrams carry no login"],
    [{ 'tls-hosts': 'a.lan' }, "can't guard tls-hosts: TLS that is passed through hides it"],
  ])('refuses a login beside %j, which it would not guard', (labels, message) => {
    const { kind, problems } = labelsOf('a', { 'api-key': 'k', ...labels });
    expect(kind).toBe('refused');
    expect(problems.map(({ code }) => code)).toEqual(['exclusive-keys']);
    expect(problems[0]?.message).toContain(`api-key: ${message}`);
  });

  test('finds a port that is for bytes and for requests', () => {
    expect(labelsOf('a', { ports: '80:80', 'http-ports': '80:3000' }).problems[0]).toMatchObject({
      code: 'listen-conflict',
      message: expect.stringContaining('tcp *:80 is given twice'),
    });
  });

  test.each([
    [
      'enabled',
      'Yes',
      '"Yes" does not opt in, only "true" does; write "true", or "false" if it is to be left alone',
    ],
    [
      'enabled',
      'on',
      '"on" does not opt in, only "true" does; write "true", or "false" if it is to be left alone',
    ],
    [
      'enabled',
      '1',
      '"1" does not opt in, only "true" does; write "true", or "false" if it is to be left alone',
    ],
    [
      'enabled',
      'ture',
      '"ture" does not opt in, only "true" does; write "true", or "false" if it is to be left alone',
    ],
    ['enable', 'true', `unknown label, so nothing opts in; did you mean "${PREFIX}.enabled"?`],
    ['Enabled', 'true', `unknown label, so nothing opts in; did you mean "${PREFIX}.enabled"?`],
    ['enalbed', 'yes', `unknown label, so nothing opts in; did you mean "${PREFIX}.enabled=true"?`],
  ])('warns of %s=%s, which was meant to opt in', (suffix, value, message) => {
    const label = `${PREFIX}.${suffix}`;
    const { kind, problems } = parseLabels(
      { ref: CONTAINER, labels: { [label]: value } },
      { prefixes: [PREFIX] },
    );
    expect(kind).toBe('ignored');
    expect(problems.map(formatProblem)).toEqual([`container a, label ${label} warning ${message}`]);
  });

  test.each([
    [{ enabled: 'false' }],
    [{ enabled: 'false', ports: '80:80' }],
    [{ ports: ' ' }],
    [{ enabled: 'No' }],
    [{ enabled: '0' }],
    [{ enabled: '' }],
    [{ enable: 'off' }],
    [{ enabled: 'false', enable: 'true' }],
    [{ 'start-timeout': '1' }],
  ])('says nothing of %j, which is to be left alone', (labels) => {
    const prefixed = Object.entries(labels).map(([suffix, value]) => [`${PREFIX}.${suffix}`, value]);
    const workload = { ref: CONTAINER, labels: Object.fromEntries(prefixed) };
    expect(parseLabels(workload, { prefixes: [PREFIX] }).problems).toEqual([]);
  });

  test.each(['ports', 'udp-ports', 'http-ports'])('warns of %s where nothing opts in or out', (suffix) => {
    const labels = { [`${PREFIX}.${suffix}`]: '80:80' };
    const { kind, problems } = parseLabels({ ref: CONTAINER, labels }, { prefixes: [PREFIX] });
    expect(kind).toBe('ignored');
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${PREFIX}.${suffix} warning has no effect without ${PREFIX}.enabled=true; add that, or ${PREFIX}.enabled=false if it is to be left alone`,
    ]);
  });

  test('leaves labels outside the prefix alone', () => {
    const labels = { [`${PREFIX}.enabled`]: 'true', [`${PREFIX}x.ports`]: '1', 'com.example': 'x' };
    expect(parseLabels({ ref: CONTAINER, labels }, { prefixes: [PREFIX] }).problems).toEqual([]);
  });

  const NEW = 'lazy-proxy';
  const OLD = 'lazy-tcp-proxy';
  const IGNORED = `has no effect beside ${NEW}`;
  const ORDER = 'whose prefix comes first; keep one of them';

  /** With the labels of a container under both prefixes, each written without. */
  function parseBoth(first: Readonly<Record<string, string>>, second: Readonly<Record<string, string>>) {
    const labels = [
      ...Object.entries(second).map(([suffix, text]) => [`${OLD}.${suffix}`, text]),
      ...Object.entries(first).map(([suffix, text]) => [`${NEW}.${suffix}`, text]),
    ];
    return parseLabels(
      { ref: CONTAINER, labels: Object.fromEntries(labels) },
      { prefixes: DEFAULT_LABEL_PREFIXES },
    );
  }

  test.each([
    ['the first alone', { enabled: 'true', ports: '80:80' }, {}, ['lazy-proxy.ports']],
    ['the second alone', {}, { enabled: 'true', ports: '81:80' }, ['lazy-tcp-proxy.ports']],
    [
      'one field under each',
      { enabled: 'true', ports: '80:80' },
      { 'block-list': '10.0.0.1' },
      ['lazy-proxy.ports', 'lazy-tcp-proxy.block-list'],
    ],
    ['opted in by the second', { ports: '80:80' }, { enabled: 'true' }, ['lazy-proxy.ports']],
    ['opted in by the first', { enabled: 'true' }, { ports: '80:80' }, ['lazy-tcp-proxy.ports']],
    ['opted in by both', { enabled: 'true' }, { enabled: 'True', ports: '80:80' }, ['lazy-tcp-proxy.ports']],
    [
      'a blank value under the first, which is unset',
      { enabled: 'true', 'webhook-url': ' ' },
      { 'webhook-url': 'http://h/' },
      ['lazy-tcp-proxy.webhook-url'],
    ],
  ] as const)('reads labels under two prefixes: %s', (_what, first, second, expected) => {
    const { kind, draft, problems } = parseBoth(first, second);
    expect({ kind, problems }).toEqual({ kind: 'accepted', problems: [] });
    const origins = Object.values(draft ?? {}).map(({ origin }) => origin.kind === 'label' && origin.label);
    expect(origins).toEqual(expected);
  });

  test.each([
    [
      'a field under both',
      { enabled: 'true', ports: '80:80' },
      { ports: '81:80' },
      [`ports warning ports: ${IGNORED}.ports, ${ORDER}`],
    ],
    [
      'one field in two spellings',
      { enabled: 'true', ports: '80:80', 'idle-timeout': '5m' },
      { 'idle-timeout-secs': '9' },
      [`idle-timeout-secs warning idle-timeout-secs: ${IGNORED}.idle-timeout, ${ORDER}`],
    ],
    [
      'an empty list under the first, which lets everybody in',
      { enabled: 'true', ports: '80:80', 'allow-list': '' },
      { 'allow-list': '10.0.0.1' },
      [`allow-list warning allow-list: ${IGNORED}.allow-list, ${ORDER}`],
    ],
    [
      'nonsense that does not count',
      { enabled: 'true', ports: '80:80' },
      { ports: 'x' },
      [`ports warning ports: ${IGNORED}.ports, ${ORDER}`],
    ],
    [
      'opted out by the second',
      { enabled: 'true', ports: '80:80' },
      { enabled: 'false' },
      [`enabled warning "false" ${IGNORED}.enabled, which is "true" and ${ORDER}`],
    ],
  ] as const)('lets the first prefix win, with a warning: %s', (_what, first, second, messages) => {
    const { kind, draft, problems } = parseBoth(first, second);
    expect(kind).toBe('accepted');
    expect(draft?.ports?.value.map(({ port }) => port)).toEqual([80]);
    expect(draft?.idle_timeout?.value ?? 300_000).toBe(300_000);
    expect(draft?.allow_list?.value ?? []).toEqual([]);
    expect(problems.map(formatProblem)).toEqual(
      messages.map((message) => `container a, label ${OLD}.${message}`),
    );
  });

  test.each(['false', 'no', ''])('is opted out by enabled=%s under the first prefix', (text) => {
    const { kind, draft, optIn, problems } = parseBoth(
      { enabled: text },
      { enabled: 'true', ports: '80:80' },
    );
    expect({ kind, draft, optIn }).toEqual({ kind: 'ignored' });
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${OLD}.enabled warning "true" ${IGNORED}.enabled, which is "${text}" and ${ORDER}`,
    ]);
  });

  test('names the label that opts in, whichever prefix it has', () => {
    expect(parseBoth({}, { enabled: 'true' }).optIn).toMatchObject({ label: `${OLD}.enabled` });
    expect(parseBoth({ enabled: 'true' }, { enabled: 'true' }).optIn).toMatchObject({
      label: `${NEW}.enabled`,
    });
  });

  test('advises under the prefix that was written', () => {
    const { problems } = parseBoth({ enable: 'true' }, { Enabled: 'yes' });
    expect(problems.map(formatProblem)).toEqual([
      `container a, label ${OLD}.Enabled warning unknown label, so nothing opts in; did you mean "${OLD}.enabled=true"?`,
      `container a, label ${NEW}.enable warning unknown label, so nothing opts in; did you mean "${NEW}.enabled"?`,
    ]);
  });

  test('refuses one spelling beside the other under the same prefix alone', () => {
    const durations = { 'idle-timeout': '1', 'idle-timeout-secs': '2' };
    const { kind, problems } = parseBoth({ enabled: 'true', 'idle-timeout': '3' }, durations);
    expect(kind).toBe('accepted');
    expect(problems.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
    expect(parseBoth({ enabled: 'true' }, durations).kind).toBe('refused');
  });

  test('guards a service that has its ports under one prefix and its login under another', () => {
    const { draft, problems } = parseBoth({ enabled: 'true', ports: '80:80' }, { 'api-key': 'x' });
    expect({ problems, key: draft?.api_key?.value }).toEqual({ problems: [], key: ['x'] });
  });
});
