import { expect, test } from 'vitest';
import { MISSING, type Observation } from '../../../src/model/running/observation.ts';
import type { Workload } from '../../../src/model/workload.ts';
import type { WorkloadReport } from '../../../src/model/running/workload-report.ts';
import type { ListenerReport } from '../../../src/status/api/content.ts';
import { renderService, renderServiceDetail } from '../../../src/status/api/service-json.ts';
import { aService } from '../../support/builders.ts';

const KUBERNETES: Workload = {
  ...{ kind: 'kubernetes', resource: 'deployment', namespace: 'shop', name: 'db', service: 'db' },
  upstream: 'endpoints',
};

function aDoor(part: {
  readonly port: number;
  readonly scheme: 'http' | 'https';
  readonly hosts: readonly string[];
  readonly condition?: ListenerReport['condition'];
}): ListenerReport {
  const { port, scheme, hosts, condition = 'bound' } = part;
  return {
    listener: { protocol: 'tcp', address: '', port, targetPort: 3000, mode: 'http' },
    ...{
      condition,
      error: undefined,
      activeConnections: 0,
      blocked: 0,
      refused: {},
      dropped: {},
      clients: [],
    },
    ...{ relay: 'http', web: { scheme, hosts } },
  };
}

function urlsOf(...listeners: readonly ListenerReport[]): readonly string[] | undefined {
  const view = {
    ...{ service: aService({}), report: undefined, listeners },
    ...{ schedule: {}, timeline: () => [], sharers: { names: [], listeners: [] } },
  };
  return renderService(view, {}).urls;
}

test('tells where a browser finds a service at the front doors: each host once, by plain HTTP where that is open', () => {
  const hosts = ['wiki.home.arpa', '*.wiki.home.arpa'];
  const plain = { port: 80, scheme: 'http', hosts } as const;
  const secure = { port: 443, scheme: 'https', hosts: [...hosts, 'git.home.arpa'] } as const;
  expect(urlsOf(aDoor(secure), aDoor(plain))).toEqual([
    'http://wiki.home.arpa/',
    'http://*.wiki.home.arpa/',
    'https://git.home.arpa/',
  ]);
  expect(urlsOf(aDoor({ ...plain, condition: 'failed' }), aDoor({ ...secure, port: 8443 }))).toEqual([
    'https://wiki.home.arpa:8443/',
    'https://*.wiki.home.arpa:8443/',
    'https://git.home.arpa:8443/',
  ]);
  expect(urlsOf(aDoor({ ...plain, port: 8081 }), aDoor(plain))?.[0]).toBe('http://wiki.home.arpa/');
  expect(urlsOf(aDoor({ ...plain, hosts: [] }))).toBeUndefined();
});

function projectOf(workload: Workload, observation: Observation): string | undefined {
  const report = { observation, times: {}, sleeps: {}, keepers: [], wakes: [], sinceMs: 0, lastActiveMs: 0 };
  const view = {
    service: aService({ workload }),
    report: report as unknown as WorkloadReport,
    ...{ listeners: [], schedule: {}, timeline: () => [], sharers: { names: [], listeners: [] } },
  };
  return renderService(view, {}).project;
}

test.each([
  ['a container', { kind: 'docker', container: 'web' } as const, { ...MISSING, project: 'media' }, 'media'],
  ['a container of none', { kind: 'docker', container: 'web' } as const, MISSING, undefined],
  ['a Deployment, though it is not there yet', KUBERNETES, MISSING, 'shop'],
])('a service belongs to the project of %s', (_, workload, observation, project) => {
  expect(projectOf(workload, observation)).toBe(project);
});

test('tells of each port what was blocked, refused and dropped there', () => {
  const plain = aDoor({ port: 80, scheme: 'http', hosts: [] });
  const listeners = [
    { ...plain, blocked: 2, refused: { 'max-connections': 3 } },
    { ...plain, listener: { ...plain.listener, protocol: 'udp' as const }, dropped: { 'queue-age': 4 } },
  ];
  const view = {
    ...{ service: aService({}), report: undefined, listeners },
    ...{ schedule: {}, timeline: () => [], sharers: { names: [], listeners: [] } },
  };
  const [tcp, udp] = renderService(view, {}).listeners;
  expect(tcp).toMatchObject({ protocol: 'tcp', blocked: 2, refused: { 'max-connections': 3 } });
  expect(tcp).not.toHaveProperty('dropped');
  expect(udp).toMatchObject({ protocol: 'udp', blocked: 0, dropped: { 'queue-age': 4 } });
});

test('tells of the last wake first, and of what is known of when it sleeps', () => {
  const phases = { room: 0, queue: 0, dependencies: 0, engine: 1, health: 2, port: 3 };
  const wakes = [1_000, 2_000].map((atMs) => ({ cause: 'with web', atMs, phases, result: 'ready' }));
  const report = {
    observation: MISSING,
    times: {},
    sleeps: {},
    keepers: [],
    wakes,
    sinceMs: 0,
    sleepsAtMs: 9_000,
  };
  const { wakes: told, ...rest } = renderServiceDetail(
    {
      ...{ service: aService({}), report: report as unknown as WorkloadReport, listeners: [], schedule: {} },
      ...{ timeline: () => [], sharers: { names: [], listeners: [] }, hubs: [], users: [], certificates: [] },
      problems: [],
    },
    { showOutput: false },
  );
  expect(told.map(({ at, port_ms: ms }) => [at, ms])).toEqual([
    ['1970-01-01T00:00:02Z', 3],
    ['1970-01-01T00:00:01Z', 3],
  ]);
  expect(rest).toMatchObject({ last_wake: told[0], sleeps_at: '1970-01-01T00:00:09Z' });
});
