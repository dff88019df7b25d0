import { describe, expect, test } from 'vitest';
import {
  describeFinding,
  describeLease,
  describeNext,
  describePhases,
  describeState,
  describeWhy,
  formatBytes,
  formatMoment,
  formatSince,
  formatSpan,
} from '../../../src/cli/render/service-words.ts';
import type { ServiceAnswer } from '../../../src/status/api/answers.ts';
import { NOBODY, NOW, TIMES } from '../answers.ts';

function aService(overrides: Partial<ServiceAnswer> = {}): ServiceAnswer {
  return {
    name: 'db',
    kind: 'docker',
    workload: 'container db',
    availability: 'on_demand',
    listeners: [],
    why: NOBODY,
    ...overrides,
  };
}

test.each([
  [0, '0 s'],
  [184, '184 ms'],
  [59_900, '59 s'],
  [61_000, '1 min'],
  [3_600_000, '1 h'],
  [11_100_000, '3 h 5 min'],
  [187_200_000, '2 d 4 h'],
])('formatSpan says of %i ms: %s', (ms, text) => {
  expect(formatSpan(ms)).toBe(text);
});

test.each([
  ['2026-11-26T17:30:00Z', '17:30'],
  ['2026-11-27T08:30:00Z', '2026-11-27 08:30'],
])('formatMoment says of %s: %s', (timestamp, text) => {
  expect(formatMoment(timestamp, TIMES)).toBe(text);
});

test.each([
  [12, '12 B'],
  [1_536, '1.5 KiB'],
  [5 * 2 ** 20, '5.0 MiB'],
])('formatBytes says of %i: %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

const aListener = (condition: ServiceAnswer['listeners'][number]['condition']) =>
  ({
    ...{ protocol: 'tcp', address: '', port: 80, target_port: 80, condition, connections: 0, blocked: 0 },
    relay: 'splice',
  }) as ServiceAnswer['listeners'][number];

test.each<[Partial<ServiceAnswer>, string]>([
  [{ life: 'awake', state: 'ready' }, 'awake'],
  [{ life: 'unknown', state: 'missing' }, 'missing'],
  [{ life: 'stopping', state: 'stopping' }, 'going to sleep'],
  [{ life: 'asleep', state: 'paused' }, 'paused'],
  [{}, 'unknown'],
])('the state of %j is %s', (service, text) => {
  expect(describeState(aService(service)).text).toBe(text);
});

describe('why', () => {
  const client = {
    kind: 'connection',
    since: '2026-11-26T11:46:00Z',
    peer: '192.168.1.20:50432',
    listener: '*:5432/tcp',
  };
  test.each<[string, Partial<ServiceAnswer>, string]>([
    [
      'connections',
      { life: 'awake', why: { ...NOBODY, leases: 2, connections: 2, oldest: client } },
      '2 connections, oldest 192.168.1.20:50432, 14 min',
    ],
    [
      'one',
      { life: 'awake', why: { ...NOBODY, connections: 1, oldest: client } },
      '1 connection, from 192.168.1.20:50432, 14 min',
    ],
    [
      'a client of something that is held',
      { life: 'awake', why: { ...NOBODY, connections: 1, kept_by: ['hold'], oldest: client } },
      '1 connection, from 192.168.1.20:50432, 14 min; held by hand',
    ],
    [
      'a hub',
      {
        life: 'awake',
        why: { ...NOBODY, kept_by: ['hub'], oldest: { kind: 'hub', since: NOW, hub: 'web' } },
      },
      'needed by web',
    ],
    [
      'a hold',
      {
        life: 'awake',
        why: {
          ...NOBODY,
          kept_by: ['hold'],
          oldest: { kind: 'hold', since: NOW, until: '2026-11-26T18:00:00Z' },
        },
      },
      'held by hand until 18:00',
    ],
    ['a schedule', { life: 'awake', why: { ...NOBODY, kept_by: ['schedule'] } }, 'its schedule'],
    ['nobody', { life: 'awake', last_active: '2026-11-26T11:59:00Z' }, 'nobody uses it; last used 1 min ago'],
    ['who has just gone', { life: 'awake', last_active: NOW }, 'nobody uses it; last used just now'],
    [
      'a stop that has failed',
      { life: 'awake', sleep_failure: 'the engine is busy', last_active: NOW },
      'could not be put to sleep: the engine is busy',
    ],
    ['no idle timer', { life: 'awake', stays_awake: 'it has no listener' }, 'it has no listener'],
    [
      'a wake',
      {
        life: 'waking',
        usual_wake_ms: 2_000,
        waking: {
          cause: 'for 10.0.0.5:1',
          since: '2026-11-26T11:59:57Z',
          phase: 'health',
          engine_ms: 200,
          health_ms: 0,
          port_ms: 0,
        },
        why: { ...NOBODY, waiting: 3 },
      },
      'for 10.0.0.5:1: its health check is awaited (3 s, usually 2 s); 3 clients waiting',
    ],
    [
      'a sleep that has begun',
      { life: 'stopping', stopping: { kind: 'idle', reason: 'idle for 15 s' } },
      'idle for 15 s',
    ],
    [
      'a failed wake of what is held',
      { life: 'failed', failure: 'exit code 3', why: { ...NOBODY, kept_by: ['hold'] } },
      'exit code 3; held by hand',
    ],
    [
      'nobody, within its min_awake',
      { life: 'awake', last_active: NOW, awake_until: '2026-11-26T12:00:45Z' },
      'nobody uses it; last used just now; awake at least for 45 s (min_awake)',
    ],
    [
      'nobody yet, within its min_awake',
      { life: 'awake', last_active: null, awake_until: '2026-11-26T12:10:00Z' },
      'nobody has used it yet; awake at least until 12:10 (min_awake)',
    ],
    ['nobody yet', { life: 'awake', last_active: null }, 'nobody has used it yet'],
    ['a failed wake', { life: 'failed', failure: 'exit code 3' }, 'exit code 3'],
    ['a container that is missing', { life: 'unknown', state: 'missing' }, 'there is no container db'],
    ['a schedule alone', { life: 'asleep', unavailable: 'clients do not wake it' }, 'clients do not wake it'],
    [
      'a sleep',
      { life: 'asleep', last_sleep: { at: NOW, kind: 'idle', reason: 'idle for 120 s' } },
      'idle for 120 s',
    ],
    [
      'the last sleep of what was found asleep',
      {
        life: 'asleep',
        since: NOW,
        last_sleep: { at: '2026-11-26T11:50:00Z', kind: 'idle', reason: 'idle for 9 s' },
      },
      'last sleep 11:50: idle for 9 s',
    ],
    [
      'a failed wake of what was found asleep',
      {
        life: 'asleep',
        last_wake: {
          ...{ at: '2026-11-26T11:50:00Z', cause: 'x', result: 'failed', reason: 'exit code 3' },
          ...{ engine_ms: 1, health_ms: 0, port_ms: 0 },
        },
      },
      'the last wake failed, 11:50: exit code 3',
    ],
    ['nothing yet', { life: 'asleep' }, ''],
    [
      'a hold that goes on although somebody has stopped it',
      {
        life: 'asleep',
        last_sleep: { at: NOW, kind: 'others', reason: 'somebody else stopped it' },
        why: { ...NOBODY, kept_by: ['hold'] },
      },
      'somebody else stopped it; held by hand',
    ],
  ])('names %s', (_what, service, text) => {
    expect(describeWhy(aService(service), TIMES)).toBe(text);
  });
});

test.each<[Partial<ServiceAnswer>, string]>([
  [{ life: 'awake', sleeps_at: '2026-11-26T12:01:30Z' }, 'sleeps in 1 min'],
  [
    { life: 'stopping', stopping: { kind: 'idle', reason: '', until: '2026-11-26T12:00:08Z' } },
    'asleep within 8 s',
  ],
  [{ life: 'awake', sleeps_at: '2026-11-26T12:00:09Z' }, 'sleeps in 9 s'],
  [{ life: 'awake', sleeps_at: '2026-11-26T11:59:58Z' }, 'sleeps any moment'],
  [
    {
      life: 'awake',
      why: {
        ...NOBODY,
        kept_by: ['hold'],
        oldest: { kind: 'hold', since: NOW, until: '2026-11-26T18:00:00Z' },
      },
    },
    'hold ends at 18:00',
  ],
  [{ life: 'awake', why: { ...NOBODY, connections: 1, kept_by: ['hold'] } }, 'held by hand'],
  [{ life: 'asleep', next_start: '2026-11-27T08:30:00Z' }, 'wakes at 11-27 08:30'],
  [{ life: 'asleep', waits_for: 'it waits for room' }, 'wakes as soon as it can'],
  [{ life: 'awake', last_active: null }, 'stays awake'],
  [{ life: 'awake', why: { ...NOBODY, leases: 1, connections: 1 } }, ''],
  [{ life: 'failed', next_try: '2026-11-26T12:00:04Z' }, 'tried again in 4 s'],
  // Its container runs all the same.
  [{ life: 'failed', sleeps_at: '2026-11-26T12:00:20Z' }, 'stops in 20 s'],
  [{ life: 'awake', next_stop: '2026-11-26T17:30:00Z' }, 'sleeps at 17:30'],
  [{ life: 'asleep', next_start: '2026-11-26T13:30:00Z', next_stop: NOW }, 'wakes at 13:30'],
  [{ life: 'asleep', state: 'paused', sleeps_at: '2026-11-26T12:00:09Z' }, 'stops in 9 s'],
  [{ life: 'asleep', state: 'paused', sleeps_at: NOW }, 'stops any moment'],
  [
    { life: 'awake', why: { ...NOBODY, kept_by: ['busy'] }, sleeps_at: '2026-11-26T12:00:09Z' },
    'asked again in 9 s',
  ],
  [{ life: 'asleep' }, ''],
  [{ life: 'asleep', listeners: [aListener('failed')] }, 'nobody gets in: no port of it is open'],
  [{ life: 'asleep', listeners: [aListener('lost')] }, 'nobody gets in: no port of it is open'],
  [{ life: 'asleep', listeners: [aListener('failed'), aListener('bound')] }, ''],
  [{ life: 'asleep', availability: 'manual', listeners: [aListener('failed')] }, ''],
])('what comes next of %j is %j', (service, text) => {
  expect(describeNext(aService(service), TIMES)).toBe(text);
});

test.each([
  [
    {
      kind: 'connection',
      since: '2026-11-26T11:46:00Z',
      peer: '10.0.0.5:1',
      listener: '*:80/tcp',
      bytes_up: 10,
      bytes_down: 2_048,
    },
    'connection of 10.0.0.5:1 to *:80/tcp, for 14 min, 10 B up, 2.0 KiB down',
  ],
  [
    { kind: 'flow', since: NOW, peer: '10.0.0.5:1', listener: '*:53/udp', waiting: true },
    'flow of 10.0.0.5:1 to *:53/udp, for 0 s, waits',
  ],
  [{ kind: 'replica', since: NOW }, 'clients of another replica of the proxy, for 0 s'],
])('the lease %j is %j', (lease, text) => {
  expect(describeLease(lease, TIMES)).toBe(text);
});

test('phases that took no time are left out', () => {
  expect(describePhases({ engine_ms: 331, health_ms: 0, port_ms: 12 })).toBe(
    '343 ms (engine 331 ms, port 12 ms)',
  );
  expect(describePhases({ engine_ms: 5, health_ms: 0, port_ms: 0 })).toBe('5 ms');
});

// The API's times have whole seconds; what the clock has beyond them is nothing that has passed.
test.each([
  [874, 'just now', 'for 0 s'],
  [1_874, '1 s', 'for 1 s'],
  [-300, 'just now', 'for 0 s'],
])('an age of %i ms is told in whole seconds', (ms, since, age) => {
  const times = { ...TIMES, nowMs: TIMES.nowMs + ms };
  expect(formatSince(NOW, times)).toBe(since);
  expect(describeLease({ kind: 'replica', since: NOW }, times)).toMatch(new RegExp(`${age}$`));
});

test('a problem has its place, how bad it is, and what is wrong apart', () => {
  const problem = { severity: 'warning', message: 'service db did not become ready' } as const;
  const text = 'process db warning service db did not become ready';
  expect(describeFinding({ ...problem, text })).toBe('process db: warning: service db did not become ready');
});
