import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { renderEffectiveConfig } from '../../../src/cli/render/render-effective-config.ts';
import { parseEnvironment } from '../../../src/config/environment.ts';
import { portField } from '../../../src/config/fields.ts';
import { resolveSettings } from '../../../src/config/resolve-settings.ts';
import type { ListenerSpec, Service } from '../../../src/model/service.ts';
import { type BusyCheck, DEFAULT_REST } from '../../../src/model/running/sleep.ts';
import type { ServiceTable } from '../../../src/model/table.ts';
import { asksForLogin, NO_WEB, type WebPolicy } from '../../../src/model/web.ts';
import { toWorkloadRef, type Workload } from '../../../src/model/workload.ts';
import { buildTable } from '../../../src/table/build-table.ts';
import { aFile, anEnvironment, aService, aTable, aUrl, labelsOf, tableOf } from '../../support/builders.ts';

const nothing = { file: undefined, environment: anEnvironment() };
const plainSettings = resolveSettings({ ...nothing, flags: {} });
const otherEnvironment = parseEnvironment({
  IDLE_TIMEOUT_SECS: '7',
  START_TIMEOUT_SECS: '7',
  TZ: 'Asia/Tokyo',
}).environment;

function servicesOf(table: ServiceTable): readonly Service[] {
  return [...table.entries.values()].map(({ service }) => service);
}

const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,8}$/);
const serviceName = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,8}(\/[A-Za-z0-9][A-Za-z0-9_.-]{0,3})?$/);
const address = fc.constantFrom('', '127.0.0.1', '0.0.0.0', '::1', '::', 'fe80::1%eth0');
const text = fc.string({ maxLength: 20, unit: 'grapheme' }).map((raw) => raw.replaceAll('\0', ''));
const count = fc.integer({ min: 1, max: 1_000_000 });
const someMs = fc.integer({ min: 1, max: 10 ** 10 });

const kubernetesName = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/);
const workload = fc.oneof(
  name.map((container) => ({ kind: 'docker' as const, container })),
  name.map((service) => ({ kind: 'swarm' as const, service })),
  fc.record({
    kind: fc.constant('kubernetes' as const),
    resource: fc.constantFrom('deployment' as const, 'statefulset' as const),
    namespace: kubernetesName,
    name: kubernetesName,
    service: kubernetesName,
    upstream: fc.constantFrom('endpoints' as const, 'service' as const),
  }),
  fc.record({
    kind: fc.constant('process' as const),
    name: fc.constant(''),
    command: fc.tuple(
      text.filter((raw) => raw !== ''),
      text,
      text,
    ),
    cwd: fc.option(
      text.filter((raw) => raw !== ''),
      { nil: undefined },
    ),
    env: fc.dictionary(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/), text, {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  }),
);

const policy = fc.record({
  allowList: fc.subarray(['10.0.0.1', '10.0.0.0/8', '::1', '2001:db8::/33']),
  blockList: fc.subarray(['0.0.0.0/0', '::/0']),
  wakeList: fc.subarray(['192.168.0.0/16', '::1']),
  wakeOn: fc.constantFrom('connect' as const, 'data' as const),
  proxyProtocol: fc.constantFrom('off' as const, 'v2' as const),
  idleTimeoutMs: fc.nat({ max: 10 ** 10 }),
  startTimeoutMs: someMs,
  stopTimeoutMs: fc.option(fc.nat({ max: 10 ** 8 }), { nil: undefined }),
  rest: fc.record({
    idleWhen: fc.constantFrom('no_connections' as const, 'no_traffic' as const),
    ignoreBelow: fc.constantFrom(
      ...([DEFAULT_REST.ignoreBelow, { bytes: 2_048, per: 'h' }, { bytes: 1_500, per: 's' }] as const),
    ),
    busyCheck: fc.constantFrom<BusyCheck | undefined>(
      undefined,
      { kind: 'command', command: ['/bin/sh', '-c', 'test -e /busy'] },
      { kind: 'url', url: aUrl('http://{{container}}/busy') },
    ),
    way: fc.constantFrom('stop' as const, 'pause' as const),
    pauseAfterMs: fc.option(fc.nat({ max: 10 ** 8 }), { nil: undefined }),
    stopSignal: fc.constantFrom(undefined, 'SIGINT', 'SIGRTMIN+3'),
    minAwakeMs: fc.nat({ max: 10 ** 8 }),
  }),
  maxPending: count,
  maxConnections: fc.nat({ max: 1_000_000 }),
  maxConnectionsPerAddress: fc.nat({ max: 1_000_000 }),
  tcpKeepAliveMs: fc.oneof(fc.constant(0), fc.integer({ min: 1_000, max: 32_767_000 })),
  httpHealthcheck: fc.constantFrom(
    undefined,
    aUrl('http://{{container}}:80/#x'),
    aUrl('https://a/?b=c: d'.replace(' ', '')),
  ),
  httpHealthcheckStatus: fc.constantFrom(
    [{ first: 401, last: 401 }],
    [
      { first: 200, last: 399 },
      { first: 401, last: 401 },
    ],
  ),
  webhookUrl: fc.constantFrom(undefined, aUrl('http://a/'), aUrl('https://h.example.com:1/x?y=%20#z')),
  webhooks: fc.constantFrom(
    [],
    [
      {
        url: 'https://a/b?c#d',
        events: ['wake_failed' as const],
        headers: { A: 'b: #c' },
        format: 'ntfy' as const,
      },
      { url: 'http://a', events: [], headers: {}, secret: '***x: y', format: 'json' as const },
    ],
  ),
  availability: fc.constantFrom('on_demand' as const, 'schedule' as const, 'manual' as const),
  cronStart: fc.constantFrom(undefined, '* * * * *', '30 8 * * 1-5', 'CRON_TZ=Asia/Tokyo 30 8 * * 1-5'),
  cronStop: fc.constantFrom(undefined, '*/5 0 1 jan *', '@every 5410s'),
  timezone: fc.constantFrom('UTC', 'Europe/Paris'),
  udp: fc.record({
    readiness: fc.constantFrom('reply' as const, 'open' as const),
    maxQueuedDatagrams: count,
    flowTimeoutMs: someMs,
    maxQueuedBytes: count,
    maxQueueAgeMs: someMs,
  }),
});

const askedOfHttp = fc.record({
  hasHosts: fc.boolean(),
  hasLogin: fc.boolean(),
  port: fc.integer({ min: 1, max: 65_535 }),
  tls: fc.constantFrom(
    undefined,
    { kind: 'self-signed' as const },
    { kind: 'files' as const, cert: '/a: b.pem', key: '/k.pem' },
  ),
  web: fc.record({
    waitingPage: fc.constantFrom(
      { kind: 'auto' as const },
      { kind: 'off' as const },
      { kind: 'file' as const, path: '/a b.html' },
    ),
    wakePaths: fc.constantFrom(NO_WEB.wakePaths, [
      { prefix: '/a:,b', mayWake: false },
      { prefix: '/', mayWake: true },
    ]),
    blocked: fc.constantFrom('close' as const, '403' as const),
    httpsPort: fc.constantFrom(443, 8443),
    traefikHosts: fc.constantFrom([], [{ host: 'a.lan', port: 1 }]),
    traefikTcpHosts: fc.constantFrom([], [{ host: 'b.lan', port: 65_535 }]),
  }),
});

/** Hosts of its own; a login where there is nothing that it can't guard. */
function webOf(
  { hasHosts, hasLogin, port, web }: typeof askedOfHttp extends fc.Arbitrary<infer T> ? T : never,
  { index, listeners }: { readonly index: number; readonly listeners: readonly ListenerSpec[] },
): WebPolicy {
  const isGuarded = hasLogin && listeners.every(({ protocol }) => protocol === 'tcp');
  return {
    ...NO_WEB,
    ...web,
    ...(hasHosts && { port, hosts: [`h${index}.lan`, `*.h${index}.lan`] }),
    ...(hasHosts && !isGuarded && { tlsHosts: [`t${index}.lan`] }),
    ...(isGuarded && {
      basicAuth: [{ user: 'a # b', hash: `$2y$04$${'a'.repeat(53)}` }],
      apiKeys: ['k,1', '#'],
    }),
  };
}

/** As a table holds it: its own for each service. */
function workloadOf({ name, workload }: DraftService, index: number): Workload {
  switch (workload.kind) {
    case 'docker':
      return { ...workload, container: `${workload.container}${index}` };
    case 'swarm':
      return { ...workload, service: `${workload.service}${index}` };
    case 'kubernetes':
      return { ...workload, name: `${workload.name}${index}` };
    case 'process':
      return { ...workload, name };
  }
}

/** `ports` come before `http_ports`, and these before `udp_ports`. */
function rankOf(listener: ListenerSpec): number {
  return ['ports', 'http_ports', 'udp_ports'].indexOf(portField(listener));
}

type DraftService = { readonly name: string; readonly workload: Workload };

/** Services as a table holds them: no port twice, TCP before UDP, no cycle, one service per workload. */
const services = fc
  .uniqueArray(
    fc.record({
      name: serviceName,
      workload,
      policy,
      asked: askedOfHttp,
      wish: fc.array(fc.tuple(address, fc.boolean(), count, fc.boolean()), { maxLength: 4 }),
    }),
    {
      maxLength: 5,
      selector: (draft) => draft.name,
    },
  )
  .map((drafts) => {
    let nextPort = 1;
    return drafts.map((draft, index): Service => {
      const { kind } = draft.workload;
      const listeners = draft.wish.map(([at, udp, target, named]): ListenerSpec => {
        nextPort += target % 3 === 0 ? 2 : 1;
        return {
          protocol: udp ? 'udp' : 'tcp',
          address: at,
          port: nextPort,
          // Above every port that listens: a process on a port of the proxy's own is a mistake.
          targetPort: named && kind === 'kubernetes' ? `p-${target}` : 100 + (target % 65_436),
        };
      });
      const web = webOf(draft.asked, { index, listeners });
      const asHttp = (listener: ListenerSpec): ListenerSpec =>
        asksForLogin(web)
          ? { ...listener, mode: 'http', isOfPorts: true }
          : listener.protocol === 'tcp' && listener.port % 3 === 0
            ? { ...listener, mode: 'http' }
            : listener;
      const unmanaged =
        draft.workload.kind === 'kubernetes' ? `${draft.workload.namespace}/unmanaged` : 'unmanaged-thing';
      return {
        ...aService({ name: draft.name }),
        ...draft.policy,
        // The orchestrators have a grace period of their own.
        ...((kind === 'kubernetes' || kind === 'swarm') && {
          stopTimeoutMs: undefined,
          rest: {
            ...draft.policy.rest,
            ...{ way: 'stop', pauseAfterMs: undefined, stopSignal: undefined },
          },
        }),
        workload: workloadOf(draft, index),
        web,
        tls: draft.asked.tls,
        listeners: listeners.map(asHttp).toSorted((a, b) => rankOf(a) - rankOf(b)),
        dependants: [...drafts.slice(0, index).map((other) => other.name), unmanaged],
      } as Service;
    });
  });

describe('renderEffectiveConfig', () => {
  test.each([
    ['yaml', false],
    ['yaml', true],
    ['json', false],
  ] as const)('gives the same table again as %s, origins shown: %s', (format, showOrigin) => {
    fc.assert(
      fc.property(services, fc.constantFrom('docker', 'kubernetes'), (list, backend) => {
        const table = aTable(list);
        const settings = resolveSettings({ ...nothing, flags: { backend } });
        const printed = renderEffectiveConfig(table, settings, { format, showOrigin, showSecrets: true });
        const again = buildTable({
          file: aFile(printed),
          labelled: list
            .filter(({ workload }) => workload.kind !== 'process')
            .map((service) => labelsOf(toWorkloadRef(service.workload), { 'cron-start': '1 1 1 1 1' })),
          environment: otherEnvironment,
          flags: {},
          holders: new Map(),
        });
        expect(
          again.problems.filter(({ code }) => code !== 'no-listener' && code !== 'duplicate-service'),
        ).toEqual([]);
        expect(servicesOf(again)).toEqual(servicesOf(table));
      }),
      { numRuns: 80 },
    );
  });

  test('gives the same settings again', () => {
    const file = aFile(
      `status: {listen: "[::1]:81"}
http: {listen: 80, https: ["[::1]:443", "127.0.0.1:8443"], certificates: [{cert: /a, key: /b}], self_signed_domains: [lan], redirect: true}
traefik: {proxy_host: fd00::1, entrypoint: "", cert_resolver: le}
state_dir: /data
backend: kubernetes
trusted_proxies: [10.0.0.0/8]
docker: {socket: "tcp://x:1", labels: false, label_prefix: a, join_networks: false, label_urls: [10.0.0.0/8, hooks.lan]}
kubernetes: {namespaces: [a, b], labels: false, label_prefix: b, discover: labelled, cluster_domain: x.y, lease_duration: 4.5s, lease_namespace: c}`,
    );
    for (const from of [file, aFile('status: off'), undefined]) {
      const settings = resolveSettings({ file: from, environment: anEnvironment(), flags: {} });
      const printed = aFile(
        renderEffectiveConfig(aTable([]), settings, { format: 'yaml', showOrigin: true, showSecrets: true }),
      );
      const again = resolveSettings({ file: printed, environment: anEnvironment(), flags: {} });
      expect(again.settings).toEqual(settings.settings);
    }
  });

  test('names the place of every value when origins are shown', () => {
    const text = 'defaults: {max_pending: 5}\nservices:\n  db:\n    idle_timeout: 90\n    allow_list: []\n';
    const { environment } = parseEnvironment({ START_TIMEOUT_SECS: '90' });
    const table = tableOf({ text, labelled: [labelsOf('db', { ports: '80-82:80-82' })], environment });
    const settings = resolveSettings({ file: aFile(text), environment, flags: { statusPort: 81 } });
    expect(
      renderEffectiveConfig(table, settings, { format: 'yaml', showOrigin: true, showSecrets: true }),
    ).toBe(`\
status:
  listen: "81" # --status-port
  protect: false # default
  show_output: false # default
  allowed_hosts: [] # default
backend: docker # default
relay: auto # default
udp_queue_total: 33554432 # default
max_starting: auto # default
groups: {} # default
webhooks: [] # default
trusted_proxies: [] # default
http:
  listen: [] # default
  https: [] # default
  certificates: [] # default
  self_signed_domains: [] # default
  redirect: false # default
  accept_proxy_protocol: false # default
traefik:
  entrypoint: websecure # default
  cert_resolver: myresolver # default
state_dir: /var/lib/lazy-proxy # default
docker:
  socket: /var/run/docker.sock # default
  labels: true # default
  image_labels: true # default
  label_prefix: [ lazy-proxy, lazy-tcp-proxy ] # default
  join_networks: true # default
  label_urls: [] # default
kubernetes:
  namespaces: [] # default
  labels: true # default
  label_prefix: [ lazy-proxy, lazy-tcp-proxy ] # default
  discover: all # default
  cluster_domain: cluster.local # default
  lease_duration: 15s # default
services:
  db:
    container: db # lazy-proxy.yaml:3:3
    ports: [ 80-82:80-82 ] # container db, label lazy-tcp-proxy.ports
    udp_ports: [] # default
    allow_list: [] # lazy-proxy.yaml:5:17
    block_list: [] # default
    wake_list: [] # default
    wake_on: connect # default
    proxy_protocol: off # default
    accept_proxy_protocol: false # default
    http_ports: [] # default
    hosts: [] # default
    tls_hosts: [] # default
    https_port: 443 # default
    tls: false # default
    waiting_page: auto # default
    basic_auth: [] # default
    api_key: [] # default
    wake_paths: [ / ] # default
    blocked: close # default
    traefik_hosts: [] # default
    traefik_tcp_hosts: [] # default
    idle_timeout: 1m30s # lazy-proxy.yaml:4:19
    start_timeout: 1m30s # $START_TIMEOUT_SECS
    stop_signal: "" # default
    idle_when: no_connections # default
    idle_ignore_below: "0" # default
    busy_check: off # default
    min_awake: "0" # default
    sleep: stop # default
    pause_after: never # default
    http_healthcheck: "" # default
    http_healthcheck_status: 200-299 # default
    webhook_url: "" # default
    webhooks: [] # default
    dependants: [] # default
    depends_on: [] # default
    dependant_of_labels: true # container db, label lazy-tcp-proxy.enabled
    availability: on_demand # default
    awake: [] # default
    timezone: UTC # default
    max_pending: 5 # lazy-proxy.yaml:1:25
    max_connections: 0 # default
    max_connections_per_address: 0 # default
    tcp_keepalive: 1m # default
    udp_readiness: reply # default
    udp_flow_timeout: 1m # default
    udp_queue_datagrams: 1024 # default
    udp_queue_bytes: 1048576 # default
    udp_queue_age: 30s # default
    ignore_labels: true # what the labels say is in this file
`);
  });

  test('shows the kind of each workload, and where it was said', () => {
    const text = `kubernetes: {namespaces: [shop], lease_namespace: infra}
services:
  api: {deployment: api, ports: ["1:http"]}
  queue: {statefulset: blog/mq, ports: ["2:5672"]}
  web: {swarm_service: shop_web, ports: ["3:80"]}
`;
    const { environment } = parseEnvironment({ KUBERNETES_SERVICE_HOST: '10.0.0.1' });
    const labelled = [
      labelsOf(
        { kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'api' },
        { 'service-name': 'inner' },
      ),
      labelsOf(
        { kind: 'kubernetes', resource: 'statefulset', namespace: 'shop', name: 'db' },
        { ports: '4:4' },
      ),
    ];
    const table = tableOf({ text, labelled, environment });
    const settings = resolveSettings({ file: aFile(text), environment, flags: {} });
    const printed = renderEffectiveConfig(table, settings, {
      format: 'yaml',
      showOrigin: true,
      showSecrets: true,
    });
    const lines = printed.split('\n').map((line) => line.trim());
    expect(lines).toEqual(
      expect.arrayContaining([
        'backend: kubernetes # $KUBERNETES_SERVICE_HOST',
        'namespaces: [ shop ] # lazy-proxy.yaml:1:26',
        'lease_namespace: infra # lazy-proxy.yaml:1:51',
        'deployment: shop/api # lazy-proxy.yaml:3:21',
        'service_name: inner # deployment shop/api, annotation lazy-tcp-proxy.service-name',
        'upstream: endpoints # default',
        'ports: [ 1:http ] # lazy-proxy.yaml:3:33',
        'statefulset: blog/mq # lazy-proxy.yaml:4:24',
        'swarm_service: shop_web # lazy-proxy.yaml:5:24',
        'shop/db:',
        'statefulset: shop/db # statefulset shop/db, annotation lazy-tcp-proxy.enabled',
      ]),
    );
    expect(printed).not.toContain('stop_timeout');
  });

  test('has no comments without origins', () => {
    expect(
      renderEffectiveConfig(aTable([aService()]), plainSettings, {
        format: 'yaml',
        showOrigin: false,
        showSecrets: true,
      }),
    ).not.toContain('#');
    expect(
      renderEffectiveConfig(aTable([]), plainSettings, {
        format: 'yaml',
        showOrigin: false,
        showSecrets: true,
      }),
    ).toContain('services: {}');
  });
});
