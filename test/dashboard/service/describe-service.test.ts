import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ListenerAnswer, ServiceAnswer } from '../../../src/status/api/answers.ts';
import {
  describeNext,
  describeWhy,
  linkOf,
  listOwnPorts,
  lookOf,
  nameLook,
  nameUrl,
  matchesFilter,
  sortServices,
  wordOf,
} from '../../../src/dashboard/service/describe-service.ts';

const NOW = '2026-04-01T12:00:00Z';
const IDLE = { leases: 0, connections: 0, flows: 0, waiting: 0, kept_by: [] };
const PHASES = { engine_ms: 300, health_ms: 2_100, port_ms: 10 };

function aService(part: Partial<ServiceAnswer>): ServiceAnswer {
  return {
    name: 'db',
    kind: 'docker',
    workload: 'container db',
    availability: 'on_demand',
    why: IDLE,
    listeners: [],
    ...part,
  };
}

function aListener(part: Partial<ListenerAnswer>): ListenerAnswer {
  return {
    ...{ protocol: 'tcp', address: '', port: 8_010, target_port: 80, condition: 'bound' },
    ...{ connections: 0, blocked: 0, ...part },
  } as ListenerAnswer;
}

beforeEach(() => {
  vi.useFakeTimers({ now: new Date(NOW), toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a service', () => {
  test('whose last wake failed has failed, until one works', () => {
    const failed = aService({ life: 'failed', state: 'stopped', failure: 'exit code 3' });
    expect([lookOf(failed), wordOf(failed), describeWhy(failed).first]).toEqual([
      'failed',
      'failed',
      'exit code 3',
    ]);
    expect(lookOf(aService({ life: 'waking', failure: 'exit code 3' }))).toBe('waking');
    expect(lookOf(aService({ life: 'asleep' }))).toBe('asleep');
  });

  test('that is going to sleep says why, and when it is ended by force', () => {
    const stopping = { kind: 'hand', reason: 'by hand, from 127.0.0.1', until: '2026-04-01T12:00:10Z' };
    const service = aService({ life: 'stopping', state: 'stopping', stopping });
    expect([wordOf(service), describeWhy(service).first]).toEqual([
      'going to sleep',
      'by hand, from 127.0.0.1',
    ]);
    expect(describeNext(service)).toMatchObject({ countdownTo: Date.parse(stopping.until) });
    const wanted = aService({ ...service, why: { ...IDLE, waiting: 1 } });
    expect(describeNext(wanted).note).toBe('woken again as soon as it has stopped');
  });

  test('that is missing is called so where all are counted, unless others are unknown', () => {
    const missing = aService({ life: 'unknown', state: 'missing' });
    const unknown = aService({ life: 'unknown', state: 'unknown' });
    expect(nameLook('unknown', [missing, aService({ life: 'awake' })])).toBe('missing');
    expect(nameLook('unknown', [missing, unknown])).toBe('unknown');
    expect(nameLook('awake', [missing])).toBe('awake');
  });

  test('that has failed, and is held, says so, and when it is tried again', () => {
    const service = aService({
      ...{ life: 'failed', failure: 'exit code 3', next_try: '2026-04-01T12:00:04Z' },
      why: { ...IDLE, leases: 1, kept_by: ['hold'] },
    });
    expect(describeWhy(service)).toEqual({ first: 'exit code 3', second: 'held by hand' });
    expect(describeNext(service)).toMatchObject({ countdownTo: Date.parse('2026-04-01T12:00:04Z') });
  });

  test('that is awake says who uses it and who keeps it', () => {
    const why = {
      ...{ leases: 3, connections: 2, flows: 0, waiting: 0, kept_by: ['hub'] },
      oldest: { kind: 'connection', since: '2026-04-01T11:46:00Z', peer: '[fd00::5]:50432' },
    };
    const service = aService({ life: 'awake', why });
    expect(describeWhy(service).first).toBe(
      '2 connections, the oldest from fd00::5 for 14 min; kept by a service that needs it',
    );
    const last = { at: NOW, cause: 'for 10.0.0.5:4242', result: 'ready' as const, ...PHASES };
    expect(describeWhy({ ...service, last_wake: last }).second).toMatch(
      /^woken \d\d:\d\d by 10\.0\.0\.5 in 2\.4 s: engine 0\.3 s, health check 2\.1 s$/,
    );
  });

  test('that is held says until when', () => {
    const oldest = { kind: 'hold', since: NOW, until: '2026-04-01T14:00:00Z' };
    const service = aService({ life: 'awake', why: { ...IDLE, leases: 1, kept_by: ['hold'], oldest } });
    expect(describeWhy(service).first).toMatch(/^held by hand until \d\d:\d\d$/);
    expect(describeNext(service)).toMatchObject({ note: 'its hold ends' });
  });

  test('that wakes says its phase, who waits, and when it may be ready', () => {
    const waking = { cause: 'for 10.0.0.5:4242', since: NOW, phase: 'health' as const, ...PHASES };
    const service = aService({ life: 'waking', waking, usual_wake_ms: 8_000, why: { ...IDLE, waiting: 2 } });
    expect(describeWhy(service)).toEqual({
      first: 'health check',
      second: '2 clients wait · woken by 10.0.0.5',
    });
    expect(describeNext(service)).toEqual({
      countdownTo: Date.parse(NOW) + 8_000,
      note: 'until it is ready; 8 s as a rule',
      overdue: 'longer than the usual 8 s',
    });
  });

  test('that was used just now says so in whole seconds', () => {
    const service = aService({ life: 'awake', last_active: NOW });
    expect(describeWhy(service).first).toBe('nobody uses it, last used just now');
    expect(describeWhy({ ...service, awake_until: '2026-11-26T12:10:00Z' }).first).toMatch(
      /^nobody uses it, last used just now; awake at least until .*12:10$/,
    );
  });

  test('that could not be put to sleep says why', () => {
    const service = aService({ life: 'awake', last_active: NOW, sleep_failure: 'the engine is busy' });
    expect(describeWhy(service).first).toBe('could not be put to sleep: the engine is busy');
  });

  test('that sleeps says why, and of one that was found asleep that it slept before', () => {
    const slept = { kind: 'idle', reason: 'idle for 10 s' };
    const said = (at: string) =>
      describeWhy(aService({ life: 'asleep', since: NOW, last_sleep: { ...slept, at } })).first;
    expect(said(NOW)).toMatch(/^since \d\d:\d\d: idle for 10 s$/);
    expect(said('2026-04-01T11:50:00Z')).toMatch(/^since \d\d:\d\d; last sleep \d\d:\d\d: idle for 10 s$/);
  });

  test.each<[string, Partial<ServiceAnswer>, Partial<ReturnType<typeof describeNext>>]>([
    [
      'is busy is asked again then, and need not sleep',
      { life: 'awake', sleeps_at: '2026-04-01T12:01:00Z', why: { ...IDLE, leases: 1, kept_by: ['busy'] } },
      { note: 'until it is asked again' },
    ],
    [
      'another one needs sleeps after that',
      { life: 'awake', why: { ...IDLE, leases: 1, kept_by: ['user'] } },
      { text: 'needed', note: 'sleeps when nothing needs it and nobody uses it' },
    ],
    [
      'another one needs and clients use is in use',
      { life: 'awake', why: { ...IDLE, leases: 2, connections: 1, kept_by: ['user'] } },
      { text: 'in use' },
    ],
    [
      'waits for room wakes without another client',
      { life: 'asleep', waits_for: 'it waits for room', listeners: [aListener({})] },
      { note: 'wakes as soon as it can' },
    ],
    [
      'has a schedule alone is not woken by clients',
      { life: 'asleep', availability: 'schedule', listeners: [aListener({})] },
      { note: 'clients don’t wake it' },
    ],
    [
      'runs although its start has failed is stopped when it has been idle',
      { life: 'failed', sleeps_at: '2026-04-01T12:01:00Z' },
      { note: 'it runs all the same; until it is stopped' },
    ],
    [
      'has no port that is open is woken by no client',
      { life: 'asleep', listeners: [aListener({ condition: 'failed' })] },
      { note: 'no client gets to it: none of its ports is open here' },
    ],
    [
      'nobody reaches through the proxy stays awake',
      { life: 'awake', listeners: [aListener({ condition: 'failed' })] },
      { text: 'stays awake', note: 'none of its ports is open here' },
    ],
  ])('that %s', (_, service, next) => {
    expect(describeNext(aService(service))).toMatchObject(next);
  });

  test.each([
    ['by somebody else', /^woken \d\d:\d\d by somebody else in 2\.4 s/],
    ['needed by web', /^woken \d\d:\d\d as web needs it in 2\.4 s/],
    ['for its window', /^woken \d\d:\d\d for its window in 2\.4 s/],
    ['before the proxy first looked', /^it ran before the proxy first looked, \d\d:\d\d$/],
  ])('that was woken %s says so in a sentence', (cause, said) => {
    const last = { at: NOW, cause, result: 'ready' as const, ...PHASES };
    expect(describeWhy(aService({ life: 'awake', last_wake: last })).second).toMatch(said);
  });

  test('that sleeps again after a failed wake says so', () => {
    const last = { at: NOW, cause: 'x', result: 'failed' as const, reason: 'exit code 3', ...PHASES };
    expect(describeWhy(aService({ life: 'asleep', last_wake: last })).second).toMatch(
      /^the last wake failed, \d\d:\d\d: exit code 3$/,
    );
  });

  test('that is missing says so', () => {
    const missing = aService({ life: 'unknown', state: 'missing' });
    expect([wordOf(missing), describeWhy(missing).first]).toEqual(['missing', 'there is no container db']);
  });

  test('is found by every word of the filter', () => {
    const service = aService({
      name: 'Paper',
      project: 'office',
      listeners: [aListener({})],
      life: 'asleep',
    });
    expect(
      ['', 'pap', 'OFFICE 8010', 'asleep', 'paper games'].map((filter) => matchesFilter(service, filter)),
    ).toEqual([...[true, true, true, true, false]]);
  });
});

test('sortServices puts what failed and what is awake first, then goes by name', () => {
  const services = [
    aService({ name: 'c', life: 'asleep' }),
    aService({ name: 'b', life: 'awake' }),
    aService({ name: 'a', life: 'asleep' }),
    aService({ name: 'd', life: 'failed', failure: 'x' }),
  ];
  expect(sortServices(services, 'state').map(({ name }) => name)).toEqual(['d', 'b', 'a', 'c']);
});

test.each([
  [{}, 'http://proxy:8010/'],
  [{ address: '192.168.1.2' }, 'http://192.168.1.2:8010/'],
  [{ address: '::1' }, 'http://[::1]:8010/'],
  [{ target_port: 443 }, 'https://proxy:8010/'],
  [{ target_port: 5_432 }, undefined],
  [{ protocol: 'udp' as const }, undefined],
  [{ scheme: 'https' as const, target_port: 5_432 }, 'https://proxy:8010/'],
  // A front door answers by the service's hosts alone.
  [{ scheme: 'http' as const, port: 80, hosts: ['wiki.home.arpa'] }, undefined],
])('linkOf(%j) is %s', (part, link) => {
  expect(linkOf(aListener(part), 'proxy')).toBe(link);
});

test('front doors are shown by the hosts that lead to the service, and only what is its own as a port', () => {
  const door = aListener({ port: 80, scheme: 'http', hosts: ['wiki.home.arpa'] });
  const own = aListener({});
  const service = aService({ listeners: [own, door], urls: ['http://wiki.home.arpa/'] });
  expect(listOwnPorts(service)).toEqual([own]);
  expect(service.urls?.map(nameUrl)).toEqual(['wiki.home.arpa']);
  expect(matchesFilter(service, 'wiki.home')).toBe(true);
  const closed = aListener({ ...door, condition: 'failed' });
  expect(listOwnPorts(aService({ listeners: [closed] }))).toEqual([closed]);
});
