import { expect, test } from 'vitest';
import { observeInspected, observeListed } from '../../../src/backends/docker/observe.ts';

const RUNNING = { Status: 'running', Running: true };
const CHECK = { Healthcheck: { Test: ['CMD-SHELL', 'true'] } };

test.each([
  ['created', { Status: 'created', Running: false }, 'stopped', 'never started'],
  [
    'created, with an error',
    { Status: 'created', Error: 'no such file' },
    'stopped',
    'never started: no such file',
  ],
  ['exited', { Status: 'exited', Running: false, ExitCode: 1 }, 'stopped', 'exit code 1'],
  [
    'out of memory',
    { Status: 'exited', ExitCode: 137, OOMKilled: true },
    'stopped',
    'killed, out of memory (exit code 137)',
  ],
  ['dead', { Status: 'dead', Dead: true, ExitCode: 0 }, 'stopped', 'exit code 0'],
  ['removing', { Status: 'removing', ExitCode: 0 }, 'stopping', undefined],
  ['running', RUNNING, 'running', undefined],
  ['paused', { Status: 'paused', Running: true, Paused: true }, 'paused', undefined],
  [
    'restarting',
    { Status: 'restarting', Running: true, Restarting: true, ExitCode: 1 },
    'starting',
    undefined,
  ],
])('observeInspected reads a container that is %s', (_, state, expected, detail) => {
  const observation = observeInspected({ Id: 'c1', State: state }, { place: { hosts: ['10.0.0.2'] } });
  expect(observation.state).toBe(expected);
  expect(observation.detail).toBe(detail);
  expect(observation.hosts).toEqual(expected === 'running' ? ['10.0.0.2'] : []);
});

test.each([
  ['exited, as others wanted', { Status: 'exited', ExitCode: 137 }, 'others', 'others'],
  ['exited', { Status: 'exited', ExitCode: 1 }, 'itself', 'itself'],
  ['exited, and nothing was heard', { Status: 'exited', ExitCode: 1 }, undefined, undefined],
  ['never run, in the place of another', { Status: 'created' }, undefined, 'others'],
  ['running again', RUNNING, 'others', undefined],
] as const)(
  'observeInspected tells whose doing the end was of a container that is %s',
  (_, state, heard, told) => {
    const observation = observeInspected(
      { Id: 'c1', State: state },
      { place: { hosts: [] }, stoppedBy: heard },
    );
    expect(observation.stoppedBy).toBe(told);
  },
);

test.each([
  ['a check that passed', { ...RUNNING, Health: { Status: 'healthy' } }, CHECK, 'healthy'],
  ['a check that failed', { ...RUNNING, Health: { Status: 'unhealthy' } }, CHECK, 'unhealthy'],
  ['a check that the engine tells nothing of yet', RUNNING, CHECK, 'starting'],
  ['no check', RUNNING, {}, 'none'],
  ['no check, as newer engines say it', { ...RUNNING, Health: { Status: 'none' } }, {}, 'none'],
  ['a check that was switched off', RUNNING, { Healthcheck: { Test: ['NONE'] } }, 'none'],
  ['an empty check', RUNNING, { Healthcheck: { Test: [] } }, 'none'],
  ['a check, never run', { Status: 'created' }, CHECK, 'starting'],
  [
    'a check, and health left from its last run',
    { Status: 'exited', Health: { Status: 'unhealthy' } },
    CHECK,
    'starting',
  ],
])('observeInspected reads the health of a container with %s', (_, state, config, expected) => {
  expect(observeInspected({ Id: 'c1', State: state, Config: config }, { place: { hosts: [] } }).health).toBe(
    expected,
  );
});

test.each([
  ['exited', 'Exited (137) 2 hours ago', 'killed by SIGKILL (exit code 137)'],
  ['created', 'Created', 'never started'],
  ['dead', 'Dead', undefined],
])('observeListed reads an entry that is %s without an inspect', (state, status, detail) => {
  const observation = observeListed({ Id: 'c1', State: state, Status: status });
  expect(observation).toMatchObject({ state: 'stopped', id: 'c1', hosts: [] });
  expect(observation?.detail).toBe(detail);
});

test.each(['running', 'paused', 'restarting', 'removing'])(
  'observeListed leaves %s to an inspect',
  (state) => {
    expect(observeListed({ Id: 'c1', State: state })).toBeUndefined();
  },
);

const S = 1e9;

/** Measured on engines 20.10 and 28: within the start period newer ones ask every 5 s, older ones after the interval. */
test.each([
  ['without times', {}, '1.56', { firstMs: 30_000, lastMs: 240_000 }],
  [
    'with an interval',
    { Interval: 2 * S, Timeout: S, Retries: 2 },
    '1.56',
    { firstMs: 2_000, lastMs: 9_000 },
  ],
  ['with a start period, new', { StartPeriod: 60 * S }, '1.44', { firstMs: 5_000, lastMs: 300_000 }],
  ['with a start period, old', { StartPeriod: 60 * S }, '1.43', { firstMs: 30_000, lastMs: 300_000 }],
  [
    'with a start period, of an engine that says nothing',
    { StartPeriod: S },
    undefined,
    { firstMs: 5_000, lastMs: 241_000 },
  ],
  [
    'with a start interval',
    { StartPeriod: S, StartInterval: S / 2 },
    '1.51',
    { firstMs: 500, lastMs: 241_000 },
  ],
] as const)('observeInspected tells when a check %s speaks', (_, times, apiVersion, expected) => {
  const config = { Healthcheck: { ...CHECK.Healthcheck, ...times } };
  const container = { Id: 'c1', State: RUNNING, Config: config };
  expect(observeInspected(container, { place: { hosts: [] }, apiVersion }).checkTimes).toEqual(expected);
});

test('a container without a network is a problem, asleep or awake', () => {
  const fields = {
    Id: 'c1',
    HostConfig: { NetworkMode: 'none' },
    NetworkSettings: { Networks: { none: {} } },
  };
  const problem = expect.stringContaining('network_mode: none');
  expect(observeListed({ ...fields, State: 'created' })).toMatchObject({ problem });
  expect(observeInspected({ ...fields, State: RUNNING }, { place: { hosts: [] } })).toMatchObject({
    problem,
  });
  const elsewhere = { ...fields, NetworkSettings: { Networks: { web: { IPAddress: '10.0.0.2' } } } };
  expect(
    observeInspected({ ...elsewhere, State: RUNNING }, { place: { hosts: ['10.0.0.2'] } }).problem,
  ).toBeUndefined();
});

test('a container that runs without an address says so', () => {
  expect(observeInspected({ Id: 'c1', State: RUNNING }, { place: { hosts: [] } }).detail).toBe(
    'it is on no network',
  );
});

test('observeInspected reads which ports of the machine a container takes for itself', () => {
  const PortBindings = {
    '7/tcp': [
      { HostIp: '', HostPort: '9210' },
      { HostIp: '::', HostPort: '9211' },
    ],
    '53/udp': [{ HostPort: '53' }],
    '80/tcp': [{ HostPort: '' }],
    '81/tcp': null,
  };
  const container = { Id: 'c1', State: { Status: 'exited' }, HostConfig: { PortBindings } };
  const { publishedPorts } = observeInspected(container, { place: { hosts: [] } });
  expect(publishedPorts).toEqual(['tcp/9210', 'tcp/9211', 'udp/53']);
});

test.each([
  ['a Compose project', { 'com.docker.compose.project': 'media' }, 'media'],
  ['a stack', { 'com.docker.stack.namespace': 'shop' }, 'shop'],
  ['neither', { 'com.docker.compose.service': 'web' }, undefined],
  ['an empty name', { 'com.docker.compose.project': '' }, undefined],
  ['a name without an end', { 'com.docker.compose.project': 'x'.repeat(1_000) }, 'x'.repeat(100)],
])('a container is of the project that its labels name: %s', (_, Labels, project) => {
  const inspected = { Id: 'c1', State: RUNNING, Config: { Labels } };
  expect(observeInspected(inspected, { place: { hosts: [] } }).project).toBe(project);
  expect(observeListed({ Id: 'c1', State: 'exited', Labels })?.project).toBe(project);
});
