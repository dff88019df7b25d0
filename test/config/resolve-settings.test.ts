import { describe, expect, test } from 'vitest';
import { parseEnvironment } from '../../src/config/environment.ts';
import {
  findWaitingSettings,
  listChangedSettings,
  resolveSettings,
} from '../../src/config/resolve-settings.ts';
import type { SettingsFlags } from '../../src/config/settings.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { aFile, anEnvironment } from '../support/builders.ts';

const file = aFile('status: {listen: "127.0.0.1:9000"}\ndocker: {socket: /file.sock, labels: false}');
const { environment } = parseEnvironment({ STATUS_PORT: '9001', DOCKER_SOCK: '/env.sock' });

describe('resolveSettings', () => {
  test('takes the built-in values when nothing is set', () => {
    expect(resolveSettings({ file: undefined, environment: anEnvironment(), flags: {} }).settings).toEqual({
      status: { address: '', port: 8080 },
      access: {
        ...{ token: undefined, tokenFile: undefined },
        ...{ protect: false, showOutput: false, allowedHosts: [] },
      },
      backend: 'docker',
      relay: 'auto',
      udpQueueTotalBytes: 33_554_432,
      maxStarting: 'auto',
      limits: { maxAwake: undefined, memoryBytes: undefined },
      groups: {},
      http: {
        ...{ listen: [], https: [], certificates: [], selfSignedDomains: [] },
        ...{ redirect: false, acceptProxyProtocol: false },
      },
      traefik: { proxyHost: undefined, entryPoint: 'websecure', certResolver: 'myresolver' },
      stateDir: '/var/lib/lazy-proxy',
      webhooks: [],
      trustedProxies: [],
      kubernetes: {
        namespaces: [],
        labels: true,
        labelPrefixes: ['lazy-proxy', 'lazy-tcp-proxy'],
        discover: 'all',
        clusterDomain: 'cluster.local',
        leaseDurationMs: 15_000,
        leaseNamespace: undefined,
      },
      docker: {
        socket: '/var/run/docker.sock',
        labels: true,
        imageLabels: true,
        labelPrefixes: ['lazy-proxy', 'lazy-tcp-proxy'],
        joinNetworks: true,
        labelUrls: [],
      },
    });
  });

  test('puts flags before the environment before the file', () => {
    const settingsOf = (options: { readonly env: boolean; readonly flag: boolean }) =>
      resolveSettings({
        file,
        environment: options.env ? environment : anEnvironment(),
        flags: options.flag ? { dockerSocket: '/flag.sock', statusPort: 9002 } : {},
      });
    expect(settingsOf({ env: true, flag: true }).settings).toMatchObject({
      status: { address: '127.0.0.1', port: 9002 },
      docker: { socket: '/flag.sock', labels: false },
    });
    expect(settingsOf({ env: true, flag: false }).settings.docker.socket).toBe('/env.sock');
    expect(settingsOf({ env: false, flag: false }).origins['docker.socket']).toMatchObject({
      kind: 'file',
      line: 2,
    });
    expect(settingsOf({ env: true, flag: true }).origins['docker.socket']).toEqual({
      kind: 'flag',
      flag: '--docker-socket',
    });
  });

  test('keeps the address of the file when the environment gives the port', () => {
    expect(resolveSettings({ file, environment, flags: {} }).settings.status).toEqual({
      address: '127.0.0.1',
      port: 9001,
    });
  });

  test.each([
    [
      'the flag',
      { flag: true, variable: true, file: true },
      'kubernetes',
      { kind: 'flag', flag: '--backend' },
    ],
    [
      'LAZY_PROXY_BACKEND',
      { flag: false, variable: true, file: true },
      'docker',
      { kind: 'environment', variable: 'LAZY_PROXY_BACKEND' },
    ],
    ['the file', { flag: false, variable: false, file: true }, 'kubernetes', { kind: 'file', line: 1 }],
    [
      'the pod',
      { flag: false, variable: false, file: false },
      'kubernetes',
      { kind: 'environment', variable: 'KUBERNETES_SERVICE_HOST' },
    ],
  ] as const)('takes the backend from %s when nothing above says it', (_name, given, backend, origin) => {
    const { environment } = parseEnvironment({
      KUBERNETES_SERVICE_HOST: '10.0.0.1',
      LAZY_PROXY_BACKEND: given.variable ? 'docker' : '',
    });
    const resolved = resolveSettings({
      file: given.file ? aFile('backend: kubernetes') : undefined,
      environment,
      flags: given.flag ? { backend: 'kubernetes' } : {},
    });
    expect(resolved.settings.backend).toBe(backend);
    expect(resolved.origins.backend).toMatchObject(origin);
  });

  test.each([
    ['LAZY_PROXY_RELAY', 'splice', 'stream', { kind: 'environment', variable: 'LAZY_PROXY_RELAY' }],
    ['the file', '', 'splice', { kind: 'file', line: 1 }],
  ])('takes the relay from %s when nothing above says it', (_name, variable, relay, origin) => {
    const { environment } = parseEnvironment({ LAZY_PROXY_RELAY: variable && 'stream' });
    const resolved = resolveSettings({ file: aFile('relay: splice'), environment, flags: {} });
    expect(resolved.settings.relay).toBe(relay);
    expect(resolved.origins.relay).toMatchObject(origin);
  });

  test('reads every setting of Kubernetes, with K8S_NAMESPACE before the file', () => {
    const text =
      'kubernetes: {namespaces: [a, b, a], labels: false, label_prefix: x, discover: labelled, cluster_domain: k8s.home, lease_duration: 3, lease_namespace: infra}';
    const kubernetes = {
      namespaces: ['a', 'b'],
      labels: false,
      labelPrefixes: ['x'],
      discover: 'labelled',
      clusterDomain: 'k8s.home',
      leaseDurationMs: 3_000,
      leaseNamespace: 'infra',
    };
    const settingsWith = (env: Readonly<Record<string, string>>) =>
      resolveSettings({ file: aFile(text), environment: parseEnvironment(env).environment, flags: {} });
    expect(settingsWith({ K8S_NAMESPACE: '' }).settings.kubernetes).toEqual(kubernetes);
    const { settings, origins } = settingsWith({ K8S_NAMESPACE: 'shop, blog,shop' });
    expect(settings.kubernetes).toEqual({ ...kubernetes, namespaces: ['shop', 'blog'] });
    expect(origins['kubernetes.namespaces']).toEqual({ kind: 'environment', variable: 'K8S_NAMESPACE' });
    expect(origins['kubernetes.discover']).toMatchObject({ kind: 'file', line: 1 });
  });

  test('takes --no-labels and --label-prefix for both engines', () => {
    const both = { labels: false, labelPrefixes: ['p', 'q'] };
    const flags: SettingsFlags = { labels: false, labelPrefix: ['p', 'q'] };
    const { settings, origins } = resolveSettings({ file, environment: anEnvironment(), flags });
    expect(settings).toMatchObject({ docker: both, kubernetes: both });
    expect(origins['kubernetes.labels']).toEqual({ kind: 'flag', flag: '--no-labels' });
    expect(origins['kubernetes.label_prefix']).toEqual({ kind: 'flag', flag: '--label-prefix' });
  });

  test('turns the status server off with port 0', () => {
    const off = parseEnvironment({ STATUS_PORT: '0' }).environment;
    expect(resolveSettings({ file, environment: off, flags: {} })).toMatchObject({
      settings: { status: 'off' },
      origins: { status: { variable: 'STATUS_PORT' } },
    });
  });
});

describe('findWaitingSettings', () => {
  test('names, by their places in the file, the changed settings that a running proxy keeps', () => {
    const resolve = (text: string) =>
      resolveSettings({ file: aFile(text), environment: anEnvironment(), flags: {} });
    const before = resolve('services: {}');
    const after = resolve(
      'status: {listen: 81}\nrelay: stream\nmax_starting: 3\ndocker: {labels: false}\nkubernetes: {lease_duration: 20s}',
    );
    expect(listChangedSettings(before.settings, after.settings)).toEqual([
      ...['status', 'relay', 'max_starting', 'docker.labels', 'kubernetes.lease_duration'],
    ]);
    expect(findWaitingSettings(before.settings, after).map(formatProblem)).toEqual([
      'lazy-proxy.yaml:1:18 warning status.listen: the change takes effect at the next start',
      'lazy-proxy.yaml:2:8 warning relay: the change takes effect at the next start',
      'lazy-proxy.yaml:5:30 warning kubernetes.lease_duration: the change takes effect at the next start',
    ]);
    expect(findWaitingSettings(after.settings, after)).toEqual([]);
  });
});
