import { describe, expect, test } from 'vitest';
import type { Wake } from '../../src/model/running/wake.ts';
import { buildStatusRows, type ListenerView } from '../../src/status/status-rows.ts';
import { aListener, aService } from '../support/builders.ts';
import { MISSING, PAUSED, RUNNING, STARTING, STOPPED, STOPPING, UNKNOWN } from '../support/fake-backend.ts';

const NOW_MS = Date.UTC(2026, 3, 4, 12, 34, 56, 789);
const ID = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';

const aView = (overrides: Partial<ListenerView> = {}): ListenerView => ({
  service: aService(),
  listener: aListener({ port: 5432, targetPort: 5433 }),
  observation: { ...RUNNING, id: ID },
  state: 'ready',
  activeConnections: 3,
  lastActiveMs: NOW_MS - 3 * 86_400_000,
  drops: {},
  refusals: {},
  relay: 'splice',
  error: undefined,
  unavailable: undefined,
  nextStartMs: undefined,
  lastWake: undefined,
  ...overrides,
});
const aStatefulSet = (namespace: string, name: string) =>
  ({
    kind: 'kubernetes',
    resource: 'statefulset',
    namespace,
    name,
    service: name,
    upstream: 'endpoints',
  }) as const;
const onContainer = (container: string) => aService({ workload: { kind: 'docker', container } });

describe('status rows', () => {
  test('show the last wake beside the fields of lazy-tcp-proxy', () => {
    const lastWake: Wake = {
      ...{ cause: 'for 10.0.0.5:4242', atMs: NOW_MS, result: 'failed', reason: 'exit code 3' },
      phases: { room: 0, queue: 0, dependencies: 0, engine: 210, health: 0, port: 12 },
    };
    const [row] = buildStatusRows([aView({ lastWake, error: 'exit code 3' })], NOW_MS);
    expect(row).toMatchObject({
      error: 'exit code 3',
      last_wake: {
        ...{
          at: '2026-04-04T12:34:56Z',
          cause: 'for 10.0.0.5:4242',
          result: 'failed',
          reason: 'exit code 3',
        },
        ...{ engine_ms: 210, health_ms: 0, port_ms: 12 },
      },
    });
  });

  test('show why clients are refused at once, and when the schedule starts the service next', () => {
    const unavailable = "it is asleep, and clients don't wake it (availability: schedule)";
    const service = aService({ availability: 'schedule' });
    const [row] = buildStatusRows([aView({ service, unavailable, nextStartMs: NOW_MS })], NOW_MS);
    expect(row).toMatchObject({
      ...{ availability: 'schedule', unavailable, next_start: '2026-04-04T12:34:56Z' },
    });
  });

  test('show a listener with every field', () => {
    expect(buildStatusRows([aView()], NOW_MS)).toEqual([
      {
        container_id: 'a1b2c3d4e5f6',
        container_name: 'db',
        listen_port: 5432,
        target_port: 5433,
        running: true,
        active_conns: 3,
        last_active: '2026-04-01T12:34:56Z',
        last_active_relative: '3 days ago',
        service: 'db',
        kind: 'docker',
        availability: 'on_demand',
        state: 'ready',
        protocol: 'tcp',
        is_udp: false,
        container_missing: false,
        relay: 'splice',
        listen_address: '',
      },
    ]);
  });

  test.each([
    [{ observation: MISSING, state: 'missing' }, true],
    [{ observation: MISSING, state: 'unknown' }, false],
    [{ observation: UNKNOWN, state: 'missing' }, false],
    [{ observation: { ...MISSING, detail: 'no such Deployment' }, state: 'missing' }, true],
    [
      { observation: { ...MISSING, detail: 'not looked at', mayExist: true as const }, state: 'missing' },
      false,
    ],
    [{ observation: STOPPED, state: 'stopped' }, false],
  ])('say that a container is missing where the engine knows none: %j', (view, expected) => {
    expect(buildStatusRows([aView(view)], NOW_MS)[0]?.container_missing).toBe(expected);
  });

  test('say which listener is one of UDP', () => {
    const listener = aListener({ protocol: 'udp' });
    expect(buildStatusRows([aView({ listener })], NOW_MS)).toMatchObject([{ is_udp: true, protocol: 'udp' }]);
  });

  test('show why a listener is not bound', () => {
    const [row] = buildStatusRows([aView({ error: 'another process holds the port' })], NOW_MS);
    expect(row?.error).toBe('another process holds the port');
  });

  test('show what a UDP listener has dropped', () => {
    const listener = aListener({ protocol: 'udp', port: 53 });
    const [row] = buildStatusRows([aView({ listener, drops: { expired: 2 } })], NOW_MS);
    expect(row?.dropped).toEqual({ expired: 2 });
  });

  test('show the name of the container when the service is called otherwise', () => {
    const service = aService({ name: 'db', workload: { kind: 'docker', container: 'my-postgres' } });
    const [row] = buildStatusRows([aView({ service })], NOW_MS);
    expect([row?.service, row?.container_name]).toEqual(['db', 'my-postgres']);
  });

  test('show a local process by the name of its service', () => {
    const workload = { kind: 'process', name: 'hello', command: ['x'], cwd: undefined, env: {} } as const;
    const view = aView({
      service: aService({ name: 'hello', workload }),
      observation: { ...RUNNING, id: '4711' },
    });
    const [row] = buildStatusRows([view], NOW_MS);
    expect([row?.kind, row?.container_name, row?.container_id]).toEqual(['process', 'hello', '4711']);
  });

  test('show a Kubernetes workload with its kind, its place and its whole id', () => {
    const service = aService({ name: 'shop/db', workload: aStatefulSet('shop', 'db') });
    const listener = aListener({ targetPort: 'postgres' });
    const observation = { ...RUNNING, id: 'a-rather-long-namespace/db' };
    const [row] = buildStatusRows([aView({ service, listener, observation })], NOW_MS);
    expect(row).toMatchObject({
      ...{ service: 'shop/db', container_name: 'db', container_id: 'a-rather-long-namespace/db' },
      ...{ kind: 'kubernetes', resource: 'statefulset', namespace: 'shop', target_port: 'postgres' },
    });
  });

  test.each([
    [RUNNING, true],
    [STOPPED, false],
    [PAUSED, false],
    [STARTING, false],
    [STOPPING, false],
    [MISSING, false],
    [UNKNOWN, false],
  ])('show whether it runs: %o', (observation, running) => {
    expect(buildStatusRows([aView({ observation })], NOW_MS)[0]?.running).toBe(running);
  });

  test('are sorted by container name, id, port, protocol and address', () => {
    const at = (overrides: Parameters<typeof aListener>[0]) => aListener(overrides);
    const sorted = [
      aView({ service: onContainer('B'), listener: at({ port: 9 }) }),
      aView({ service: onContainer('a'), observation: { ...RUNNING, id: '1' }, listener: at({ port: 8 }) }),
      aView({ service: onContainer('a'), observation: { ...RUNNING, id: '2' }, listener: at({ port: 9 }) }),
      aView({ service: onContainer('a'), observation: { ...RUNNING, id: '2' }, listener: at({ port: 10 }) }),
      aView({ service: onContainer('b'), listener: at({ port: 80 }) }),
      aView({ service: onContainer('b'), listener: at({ port: 80, address: '::1' }) }),
      aView({ service: onContainer('b'), listener: at({ port: 80, protocol: 'udp' }) }),
    ];
    const expected = buildStatusRows(sorted, NOW_MS);
    expect(buildStatusRows([...sorted].reverse(), NOW_MS)).toEqual(expected);
    expect(
      expected.map((row) => `${row.container_name} ${row.listen_port} ${row.protocol}${row.listen_address}`),
    ).toEqual(['B 9 tcp', 'a 8 tcp', 'a 9 tcp', 'a 10 tcp', 'b 80 tcp', 'b 80 tcp::1', 'b 80 udp']);
  });
});
