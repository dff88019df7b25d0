import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, Plan } from '../../src/model/change.ts';
import { type ListenerSpec, listenKey, type Service } from '../../src/model/service.ts';
import { EMPTY_TABLE, type ServiceTable } from '../../src/model/table.ts';
import { diffTables } from '../../src/plan/diff-tables.ts';
import { aListener, aService, aTable, aUrl } from '../support/builders.ts';

describe('diffTables', () => {
  const at = (port: number, targetPort = 80) => aListener({ port, targetPort });
  const db = aService({ listeners: [at(5432)] });
  const dns = aService({ name: 'dns', listeners: [aListener({ protocol: 'udp', port: 53 })] });
  const nightly: Service = { ...db, cronStop: '0 0 * * *' };
  const diff = (current: readonly Service[], desired: readonly Service[]) =>
    diffTables(aTable(current), aTable(desired)).map(describeChange);

  test('plans nothing when nothing was there and nothing is wanted', () => {
    expect(diffTables(EMPTY_TABLE, EMPTY_TABLE)).toEqual([]);
  });

  test('plans nothing when the tables are equal but not the same', () => {
    expect(diff([db], [structuredClone(db)])).toEqual([]);
  });

  test.each<[string, Service[], Service[], string[]]>([
    ['a new service', [], [db], ['add db', 'open tcp/*:5432 for db']],
    ['a service that goes', [db], [], ['close tcp/*:5432', 'remove db']],
    [
      'a port that changes',
      [db],
      [aService({ listeners: [at(5433)] })],
      ['close tcp/*:5432', 'update db', 'open tcp/*:5433 for db'],
    ],
    [
      'a target port',
      [db],
      [aService({ listeners: [at(5432, 81)] })],
      ['update db', 'rebind tcp/*:5432 to db:81'],
    ],
    [
      'the allow list',
      [db],
      [{ ...db, allowList: ['10.0.0.0/8'] }],
      ['update db', 'rebind tcp/*:5432 to db:80'],
    ],
    [
      'the block list',
      [db],
      [{ ...db, blockList: ['10.0.0.1'] }],
      ['update db', 'rebind tcp/*:5432 to db:80'],
    ],
    [
      'the policy for datagrams',
      [dns],
      [{ ...dns, udp: { ...dns.udp, readiness: 'open' } }],
      ['update dns', 'rebind udp/*:53 to dns:80'],
    ],
    [
      'the idle timeout of a UDP service',
      [dns],
      [{ ...dns, idleTimeoutMs: 1 }],
      ['update dns', 'rebind udp/*:53 to dns:80'],
    ],
    [
      'the webhook',
      [db],
      [{ ...db, webhookUrl: aUrl('https://hooks.example.com/') }],
      ['update db', 'rebind tcp/*:5432 to db:80'],
    ],
    ['the idle timeout', [db], [{ ...db, idleTimeoutMs: 1 }], ['update db']],
    ['the start timeout', [db], [{ ...db, startTimeoutMs: 1 }], ['update db']],
    [
      'the policy for datagrams of a TCP service',
      [db],
      [{ ...db, udp: { ...db.udp, readiness: 'open' } }],
      ['update db'],
    ],
    ['a schedule', [db], [nightly], ['update db', 'schedule db']],
    [
      'the other expression',
      [nightly],
      [{ ...nightly, cronStart: '0 8 * * *' }],
      ['update db', 'schedule db'],
    ],
    [
      'one of two expressions that goes',
      [{ ...nightly, cronStart: '0 8 * * *' }],
      [nightly],
      ['update db', 'schedule db'],
    ],
    ['a scheduled service that comes', [], [nightly], ['add db', 'open tcp/*:5432 for db', 'schedule db']],
    [
      'the rest of a scheduled service',
      [nightly],
      [{ ...nightly, idleTimeoutMs: 1, dependants: ['dns'] }],
      ['update db'],
    ],
    ['an expression', [nightly], [{ ...nightly, cronStop: '1 * * * *' }], ['update db', 'schedule db']],
    [
      'the zone of a schedule',
      [nightly],
      [{ ...nightly, timezone: 'Europe/Paris' }],
      ['update db', 'schedule db'],
    ],
    [
      'a schedule that counts no more',
      [nightly],
      [{ ...nightly, availability: 'manual' }],
      ['update db', 'unschedule db'],
    ],
    [
      'a schedule that counts again',
      [{ ...nightly, availability: 'manual' }],
      [nightly],
      ['update db', 'schedule db'],
    ],
    [
      'a schedule that clients no longer wake',
      [nightly],
      [{ ...nightly, availability: 'schedule' }],
      ['update db'],
    ],
    ['the zone of no schedule', [db], [{ ...db, timezone: 'Europe/Paris' }], ['update db']],
    ['a schedule that goes', [nightly], [db], ['update db', 'unschedule db']],
    ['a scheduled service that goes', [nightly], [], ['close tcp/*:5432', 'unschedule db', 'remove db']],
    ['the workload', [db], [{ ...db, workload: { kind: 'docker', container: 'other' } }], ['update db']],
    [
      'a service that is renamed',
      [db],
      [{ ...db, name: 'pg' }],
      ['add pg', 'rebind tcp/*:5432 to pg:80', 'remove db'],
    ],
    [
      'a port that goes over to another service',
      [db, aService({ name: 'web', listeners: [] })],
      [{ ...db, listeners: [] }, aService({ name: 'web', listeners: [at(5432)] })],
      ['update db', 'update web', 'rebind tcp/*:5432 to web:80'],
    ],
    [
      'ports that two services swap',
      [aService({ name: 'a', listeners: [at(1)] }), aService({ name: 'b', listeners: [at(2)] })],
      [aService({ name: 'a', listeners: [at(2)] }), aService({ name: 'b', listeners: [at(1)] })],
      ['update a', 'update b', 'rebind tcp/*:1 to b:80', 'rebind tcp/*:2 to a:80'],
    ],
    [
      'a port that moves to another address',
      [db],
      [aService({ listeners: [aListener({ address: '127.0.0.1', port: 5432 })] })],
      ['close tcp/*:5432', 'update db', 'open tcp/127.0.0.1:5432 for db'],
    ],
    [
      'the same port of another protocol',
      [db],
      [aService({ listeners: [at(5432), aListener({ protocol: 'udp', port: 5432 })] })],
      ['update db', 'open udp/*:5432 for db'],
    ],
  ])('plans what %s needs and no more', (_title, current, desired, expected) => {
    const changes = diff(current, desired);
    expect([...changes].sort()).toEqual([...expected].sort());
  });

  test('does not name a service that did not change', () => {
    const web = aService({ name: 'web', listeners: [at(80)] });
    expect(diff([db, web], [{ ...db, idleTimeoutMs: 1 }, web])).toEqual(['update db']);
  });

  test('leads from the current table to the desired one', () => {
    fc.assert(
      fc.property(anyTable, anyTable, (current, desired) => {
        const state = applyPlan(current, diffTables(current, desired));
        expect(state.services).toEqual(servicesOf(desired));
        expect(state.listeners).toEqual(listenersOf(desired));
        expect(state.schedules).toEqual(schedulesOf(desired));
      }),
    );
  });

  test('plans nothing for a table and its copy', () => {
    fc.assert(
      fc.property(anyTable, (table) => {
        expect(diffTables(table, structuredClone(table))).toEqual([]);
      }),
    );
  });

  test('closes, adds and updates, rebinds, opens, schedules and removes, in that order', () => {
    const order = {
      'close-listener': 0,
      'add-service': 1,
      'update-service': 1,
      'rebind-listener': 2,
      'open-listener': 3,
      'set-schedule': 4,
      'clear-schedule': 4,
      'remove-service': 5,
    };
    fc.assert(
      fc.property(anyTable, anyTable, (current, desired) => {
        const ranks = diffTables(current, desired).map(({ kind }) => order[kind]);
        expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
      }),
    );
  });

  test('touches each listen key, service and schedule at most once', () => {
    fc.assert(
      fc.property(anyTable, anyTable, (current, desired) => {
        const touched = diffTables(current, desired).map((change) =>
          'listener' in change ? listenKey(change.listener) : `${subjectOf(change)} ${change.service.name}`,
        );
        expect(new Set(touched).size).toBe(touched.length);
      }),
    );
  });
});

const anyListener: fc.Arbitrary<ListenerSpec> = fc
  .record({
    protocol: fc.constantFrom('tcp', 'udp'),
    address: fc.constantFrom('', '127.0.0.1'),
    port: fc.integer({ min: 1, max: 4 }),
    targetPort: fc.integer({ min: 80, max: 81 }),
  })
  .map(aListener);

const anyService: fc.Arbitrary<Service> = fc
  .record({
    name: fc.constantFrom('a', 'b', 'c', 'd'),
    listeners: fc.uniqueArray(anyListener, { selector: listenKey, maxLength: 4 }),
    allowList: fc.constantFrom([], ['10.0.0.0/8']),
    idleTimeoutMs: fc.constantFrom(1, 2),
    availability: fc.constantFrom('on_demand' as const, 'schedule' as const, 'manual' as const),
    cronStart: fc.constantFrom(undefined, '0 8 * * *', '0 9 * * *'),
    cronStop: fc.constantFrom(undefined, '0 18 * * *', '0 19 * * *'),
    timezone: fc.constantFrom('UTC', 'Europe/Paris'),
  })
  .map(aService);

/** Tables as the table stage makes them: each name and each listen key once. */
const anyTable: fc.Arbitrary<ServiceTable> = fc
  .uniqueArray(anyService, { selector: ({ name }) => name, maxLength: 4 })
  .map((services) => {
    const taken = new Set<string>();
    const free = (listener: ListenerSpec) => {
      const key = listenKey(listener);
      return !taken.has(key) && taken.add(key) !== undefined;
    };
    return aTable(services.map((service) => ({ ...service, listeners: service.listeners.filter(free) })));
  });

type Bindings = Record<string, { readonly service: string; readonly targetPort: number; allow: string }>;

function servicesOf(table: ServiceTable): Record<string, Service> {
  return Object.fromEntries([...table.entries].map(([name, { service }]) => [name, service]));
}

function listenersOf(table: ServiceTable): Bindings {
  const bindings: Bindings = {};
  for (const { service } of table.entries.values()) {
    for (const listener of service.listeners) bindings[listenKey(listener)] = bind(service, listener);
  }
  return bindings;
}

function schedulesOf(table: ServiceTable): Record<string, string> {
  const scheduled = Object.values(servicesOf(table)).filter(
    ({ availability, cronStart, cronStop }) =>
      availability !== 'manual' && (cronStart !== undefined || cronStop !== undefined),
  );
  return Object.fromEntries(scheduled.map((service) => [service.name, describeSchedule(service)]));
}

function describeSchedule({ cronStart, cronStop, timezone }: Service): string {
  return `${cronStart} ${cronStop} ${timezone}`;
}

function subjectOf({ kind }: Change): string {
  return kind === 'set-schedule' || kind === 'clear-schedule' ? 'schedule of' : 'service';
}

function bind(service: Service, { targetPort }: ListenerSpec): Bindings[string] {
  return { service: service.name, targetPort: Number(targetPort), allow: service.allowList.join() };
}

/** Carries the changes out on plain maps, and insists that each of them is possible in its turn. */
function applyPlan(current: ServiceTable, plan: Plan) {
  const services = servicesOf(current);
  const listeners = listenersOf(current);
  const schedules = schedulesOf(current);
  for (const change of plan) {
    const key = 'listener' in change ? listenKey(change.listener) : '';
    switch (change.kind) {
      case 'add-service':
        expect(services).not.toHaveProperty([change.service.name]);
        services[change.service.name] = change.service;
        break;
      case 'update-service':
        expect(services[change.service.name]).toEqual(change.previous);
        services[change.service.name] = change.service;
        break;
      case 'remove-service':
        expect(Object.values(listeners).map(({ service }) => service)).not.toContain(change.service.name);
        delete services[change.service.name];
        break;
      case 'open-listener':
        expect(listeners).not.toHaveProperty([key]);
        expect(services).toHaveProperty([change.service.name]);
        listeners[key] = bind(change.service, change.listener);
        break;
      case 'rebind-listener':
        expect(listeners).toHaveProperty([key]);
        expect(services).toHaveProperty([change.service.name]);
        listeners[key] = bind(change.service, change.listener);
        break;
      case 'close-listener':
        expect(listeners).toHaveProperty([key]);
        delete listeners[key];
        break;
      case 'set-schedule':
        expect(services).toHaveProperty([change.service.name]);
        // One that stays as it is is not touched: its window would be lost.
        expect(schedules[change.service.name]).not.toBe(describeSchedule(change.service));
        schedules[change.service.name] = describeSchedule(change.service);
        break;
      case 'clear-schedule':
        expect(schedules).toHaveProperty([change.service.name]);
        delete schedules[change.service.name];
        break;
    }
  }
  return { services, listeners, schedules };
}

function describeChange(change: Change): string {
  switch (change.kind) {
    case 'add-service':
      return `add ${change.service.name}`;
    case 'update-service':
      return `update ${change.service.name}`;
    case 'remove-service':
      return `remove ${change.service.name}`;
    case 'open-listener':
      return `open ${listenKey(change.listener)} for ${change.service.name}`;
    case 'rebind-listener':
      return `rebind ${listenKey(change.listener)} to ${change.service.name}:${change.listener.targetPort}`;
    case 'close-listener':
      return `close ${listenKey(change.listener)}`;
    case 'set-schedule':
      return `schedule ${change.service.name}`;
    case 'clear-schedule':
      return `unschedule ${change.service.name}`;
  }
}
