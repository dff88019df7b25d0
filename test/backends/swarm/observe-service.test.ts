import { describe, expect, test } from 'vitest';
import { observeService, type ServiceSurroundings } from '../../../src/backends/swarm/observe-service.ts';
import type { ServiceView, SwarmService, SwarmTask } from '../../../src/backends/swarm/swarm-shapes.ts';

const SIDE = { host: '127.0.0.1', direct: new Map<string, string>() };
const ON_HOST: ServiceSurroundings = {
  reach: { kind: 'published', side: SIDE },
  nodeId: 'here',
  lostNodes: new Set(),
  hasVirtualAddresses: true,
};
const ON_NETWORK: ServiceSurroundings = { ...ON_HOST, reach: { kind: 'networks', ids: new Set(['n1']) } };

function service(fields: Partial<SwarmService> & { readonly replicas?: number } = {}): SwarmService {
  const { replicas = 1, ...rest } = fields;
  return { ID: 's1', Spec: { Mode: { Replicated: { Replicas: replicas } } }, ...rest };
}

function task(fields: Partial<SwarmTask> & { readonly state?: string } = {}): SwarmTask {
  const { state = 'running', ...rest } = fields;
  const Status = { State: state };
  return { ID: 't1', NodeID: 'here', DesiredState: 'running', Status, ...rest };
}

function attached(id: string, address: string): SwarmTask {
  const NetworksAttachments = [
    { Network: { ID: 'ingress' }, Addresses: ['10.0.0.9/24'] },
    { Network: { ID: 'n1' }, Addresses: [address] },
  ];
  return task({ ID: id, NetworksAttachments });
}

const observe = (view: ServiceView, surroundings = ON_HOST) => observeService(view, surroundings);

describe('the state of a service', () => {
  test.each([
    [0, [], 'stopped'],
    [0, [task({ state: 'failed' }), task({ state: 'shutdown' })], 'stopped'],
    [0, [task({ DesiredState: 'remove' })], 'stopping'],
    [0, [task({ DesiredState: 'remove', NodeID: 'lost' })], 'stopped'],
    [1, [], 'starting'],
    [1, [task({ state: 'starting' })], 'starting'],
    // What ends soon serves nobody.
    [1, [task({ DesiredState: 'shutdown' }), task({ state: 'preparing' })], 'starting'],
    [2, [task(), task({ state: 'pending' })], 'running'],
  ] as const)('with %i replicas and tasks %j is %s', (replicas, tasks, state) => {
    const surroundings = { ...ON_HOST, lostNodes: new Set(['lost']) };
    expect(observe({ service: service({ replicas }), tasks }, surroundings).state).toBe(state);
  });

  const over = (state: string, fields: Partial<SwarmTask> = {}) =>
    task({ state, DesiredState: 'shutdown', ...fields });

  test.each([
    [{ Condition: 'none' }, [over('complete')], 'stopped'],
    [{ Condition: 'none' }, [over('failed')], 'stopped'],
    [{ Condition: 'on-failure' }, [over('complete')], 'stopped'],
    [{ Condition: 'on-failure' }, [over('failed')], 'starting'],
    [{ Condition: 'any', MaxAttempts: 2 }, [over('failed')], 'stopped'],
    [{ Condition: 'any' }, [over('complete')], 'starting'],
    [{}, [over('complete')], 'starting'],
    // The swarm hasn't drawn its conclusion yet.
    [{ Condition: 'none' }, [task({ state: 'complete' })], 'starting'],
    // It is going to make the tasks of the next run.
    [{ Condition: 'none', run: 2 }, [over('complete', { Spec: { ForceUpdate: 1 } })], 'starting'],
    [{ Condition: 'none', run: 2 }, [over('complete', { Spec: { ForceUpdate: 2 } })], 'stopped'],
    [{ Condition: 'none' }, [], 'starting'],
    [{ Condition: 'none', replicas: 2 }, [over('complete', { Slot: 1 })], 'starting'],
    [
      { Condition: 'none', replicas: 2 },
      [over('complete', { Slot: 1 }), over('failed', { Slot: 2 })],
      'stopped',
    ],
    [{ Condition: 'none', replicas: 2 }, [over('complete', { Slot: 1 }), task({ Slot: 2 })], 'running'],
    [
      { Condition: 'on-failure' },
      [
        over('complete', { ID: 'old', Slot: 1, CreatedAt: '2026-01-01T00:00:00.1Z' }),
        over('failed', { ID: 'new', Slot: 1, CreatedAt: '2026-01-01T00:00:00.12Z' }),
      ],
      'starting',
    ],
  ] as const)('with restart policy %j and tasks %j is %s', (policy, tasks, state) => {
    const { run, replicas = 1, ...RestartPolicy } = policy as { run?: number; replicas?: number };
    const Mode = { Replicated: { Replicas: replicas } };
    const TaskTemplate = { RestartPolicy, ...(run && { ForceUpdate: run }) };
    expect(observe({ service: service({ Spec: { Mode, TaskTemplate } }), tasks }).state).toBe(state);
  });

  test('tells the stack that it belongs to', () => {
    const Spec = { ...service().Spec, Labels: { 'com.docker.stack.namespace': 'shop' } };
    expect(observe({ service: service({ Spec }), tasks: [] }).project).toBe('shop');
    expect(observe({ service: service(), tasks: [] })).not.toHaveProperty('project');
  });

  test('tells why a task does not start', () => {
    const pending = task({ Status: { State: 'pending', Err: 'no suitable node' } });
    expect(observe({ service: service(), tasks: [pending] }).detail).toBe('no suitable node');
  });

  test('tells the newest failure, of this run alone, else what its task does', () => {
    const failed = (Err: string, fields: Partial<SwarmTask>) =>
      over('failed', { Status: { State: 'failed', Err }, ...fields });
    const detail = (...tasks: readonly SwarmTask[]) => observe({ service: service(), tasks }).detail;
    const older = failed('older', { CreatedAt: '2026-01-01T00:00:00Z' });
    const newer = failed('newer', { CreatedAt: '2026-01-01T00:00:01Z' });
    const before = failed('before', { CreatedAt: '2026-01-01T00:00:02Z', Spec: { ForceUpdate: 7 } });
    expect(detail(older, before, newer)).toBe('newer');
    expect(detail(task({ state: 'preparing' }))).toBe('its task is preparing');
    expect(detail()).toBeUndefined();
  });

  test('is healthy where a declared health check lets a task run, and has no health without one', () => {
    const TaskTemplate = { ContainerSpec: { Healthcheck: { Test: ['CMD', 'true'] } } };
    const checked = service({ Spec: { Mode: { Replicated: { Replicas: 1 } }, TaskTemplate } });
    expect(observe({ service: checked, tasks: [] }).health).toBe('starting');
    expect(observe({ service: checked, tasks: [task()] }).health).toBe('healthy');
    expect(observe({ service: service(), tasks: [task()] }).health).toBe('none');
  });
});

describe('the addresses of a service', () => {
  const Endpoint = { VirtualIPs: [{ NetworkID: 'n1', Addr: '10.0.1.2/24' }] };
  const tasks = [attached('t2', '10.0.1.8/24'), attached('t1', '10.0.1.7/24')];

  test('are its virtual one on a network of the proxy', () => {
    expect(observe({ service: service({ Endpoint }), tasks }, ON_NETWORK)).toMatchObject({
      hosts: ['10.0.1.2'],
    });
  });

  test.each([
    ['without a virtual one', service(), ON_NETWORK],
    ['where the kernel balances none', service({ Endpoint }), { ...ON_NETWORK, hasVirtualAddresses: false }],
  ])('are those of its tasks %s', (_, seen, surroundings) => {
    const { hosts, ports } = observe({ service: seen, tasks }, surroundings);
    expect(hosts).toEqual(['10.0.1.7', '10.0.1.8']);
    expect(ports).toBeUndefined();
  });

  test('are those of the host where its tasks of this node use the network of the host', () => {
    const surroundings = { ...ON_HOST, reach: { kind: 'host-network', hosts: ['127.0.0.1'] } } as const;
    expect(observe({ service: service(), tasks: [task()] }, surroundings).hosts).toEqual(['127.0.0.1']);
    const elsewhere = [task({ NodeID: 'other' })];
    expect(observe({ service: service(), tasks: elsewhere }, surroundings).hosts).toEqual([]);
  });
});

describe('the published ports of a service', () => {
  const publish = (mode: string, published?: number) => ({
    ...{ Protocol: 'tcp', TargetPort: 80, PublishMode: mode },
    ...(published !== undefined && { PublishedPort: published }),
  });
  const withPorts = (id: string, port: number) =>
    task({ ID: id, Status: { State: 'running', PortStatus: { Ports: [publish('host', port)] } } });

  test('are on every node in ingress mode', () => {
    const seen = service({ Endpoint: { Ports: [publish('ingress', 8080)] } });
    const elsewhere = [task({ NodeID: 'other' })];
    expect(observe({ service: seen, tasks: elsewhere })).toMatchObject({
      hosts: ['127.0.0.1'],
      ports: { 'tcp/80': [{ host: '127.0.0.1', port: 8080 }] },
    });
  });

  test('are those of the tasks of this node in host mode', () => {
    const seen = service({ Endpoint: { Ports: [publish('host')] } });
    const tasks = [
      withPorts('t1', 3001),
      withPorts('t2', 3002),
      { ...withPorts('t3', 3003), NodeID: 'other' },
    ];
    expect(observe({ service: seen, tasks }).ports).toEqual({
      'tcp/80': [
        { host: '127.0.0.1', port: 3001 },
        { host: '127.0.0.1', port: 3002 },
      ],
    });
  });

  test('lead to the tasks themselves in host mode where these can be reached', () => {
    const seen = service({ Endpoint: { Ports: [publish('host', 8080)] } });
    const side = { ...SIDE, direct: new Map([['t1', '198.18.0.7']]) };
    const surroundings = { ...ON_HOST, reach: { kind: 'published', side } } as const;
    const { hosts, ports } = observe({ service: seen, tasks: [withPorts('t1', 8080)] }, surroundings);
    expect(ports).toEqual({ 'tcp/80': [{ host: '198.18.0.7', port: 80 }] });
    expect(hosts).toEqual(['198.18.0.7']);
  });

  test('are told without endpoints while the service sleeps', () => {
    const seen = service({ replicas: 0, Endpoint: { Ports: [publish('ingress', 8080)] } });
    expect(observe({ service: seen, tasks: [] })).toMatchObject({ hosts: [], ports: { 'tcp/80': [] } });
  });

  test('that are none are a problem', () => {
    expect(observe({ service: service(), tasks: [task()] })).toMatchObject({
      ports: {},
      problem: 'it publishes no port, and the proxy is on none of its networks',
    });
  });
});
