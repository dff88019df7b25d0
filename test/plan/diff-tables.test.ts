import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Change, Plan } from '../../src/model/change.ts';
import { type ListenerSpec, listenKey, type Service } from '../../src/model/service.ts';
import { EMPTY_TABLE, type ServiceTable } from '../../src/model/table.ts';
import { type FrontDoor, hasRoutes, NO_WEB, type WebPolicy } from '../../src/model/web.ts';
import { diffTables } from '../../src/plan/diff-tables.ts';
import { aListener, aService, aTable, aUrl } from '../support/builders.ts';

describe('diffTables', () => {
  const at = (port: number, targetPort = 80) => aListener({ port, targetPort });
  const db = aService({ listeners: [at(5432)] });
  const dns = aService({ name: 'dns', listeners: [aListener({ protocol: 'udp', port: 53 })] });
  const wiki = aService({ name: 'wiki', listeners: [], web: aWeb(['wiki.lan']) });
  const site = aService({ name: 'site', listeners: [aListener({ mode: 'http' })] });
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
    [
      'the bounds on clients',
      [db],
      [{ ...db, maxConnections: 3 }],
      ['update db', 'rebind tcp/*:5432 to db:80'],
    ],
    [
      'the certificate of a TCP service',
      [db],
      [{ ...db, tls: { kind: 'self-signed' } }],
      ['update db', 'rebind tcp/*:5432 to db:80'],
    ],
    ['what a TCP service says of HTTP', [db], [{ ...db, web: aWeb([], { blocked: '403' }) }], ['update db']],
    [
      'what an HTTP listener shows and asks for',
      [site],
      [{ ...site, web: aWeb([], { apiKeys: ['k'] }) }],
      ['update site', 'rebind tcp/*:80 to site:80'],
    ],
    [
      'a listener that turns from bytes to requests',
      [{ ...site, listeners: [aListener()] }],
      [site],
      ['close tcp/*:80', 'update site', 'open tcp/*:80 for site'],
    ],
    [
      'an HTTP listener at which TLS ends from now on',
      [site],
      [{ ...site, tls: { kind: 'self-signed' } }],
      ['close tcp/*:80', 'update site', 'open tcp/*:80 for site'],
    ],
    [
      'the names in the certificate that a service is made',
      [{ ...db, tls: { kind: 'self-signed' } }],
      [{ ...db, tls: { kind: 'self-signed' }, web: aWeb(['db.lan']) }],
      ['update db', 'rebind tcp/*:5432 to db:80', 'route db.lan to db'],
    ],
    ['hosts of a service that comes', [], [wiki], ['add wiki', 'route wiki.lan to wiki']],
    ['hosts of a service that goes', [wiki], [], ['unroute wiki', 'remove wiki']],
    [
      'hosts that change',
      [wiki],
      [{ ...wiki, web: aWeb(['wiki.lan', '*.wiki.lan']) }],
      ['update wiki', 'route wiki.lan,*.wiki.lan to wiki'],
    ],
    ['the last host', [wiki], [{ ...wiki, web: NO_WEB }], ['update wiki', 'unroute wiki']],
    [
      'hosts passed through',
      [wiki],
      [{ ...wiki, web: aWeb([], { tlsHosts: ['wiki.lan'] }) }],
      ['update wiki', 'route wiki.lan to wiki'],
    ],
    [
      'the access list of a host',
      [wiki],
      [{ ...wiki, allowList: ['::1'] }],
      ['update wiki', 'route wiki.lan to wiki'],
    ],
    ['the idle timeout of a host', [wiki], [{ ...wiki, idleTimeoutMs: 1 }], ['update wiki']],
    [
      'a host that goes over to another service',
      [wiki, { ...wiki, name: 'old', web: NO_WEB }],
      [
        { ...wiki, web: NO_WEB },
        { ...wiki, name: 'old' },
      ],
      ['update old', 'update wiki', 'unroute wiki', 'route wiki.lan to old'],
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

  test('closes and opens the front doors that change, and leaves the others', () => {
    const at = (port: number, tls = false): FrontDoor => ({ address: '', port, tls });
    const before = aTable([], { fronts: [at(80), at(443, true), at(8443)] });
    const after = aTable([], { fronts: [at(80), at(8443, true)] });
    expect(diffTables(before, after).map(describeChange)).toEqual([
      'close https *:443',
      'close http *:8443',
      'open https *:8443',
    ]);
  });

  test('sets what all front doors share when it changes, before they open', () => {
    const policy = { ...EMPTY_TABLE.frontPolicy, redirect: true };
    const desired = aTable([], { fronts: [{ address: '', port: 80, tls: false }], frontPolicy: policy });
    expect(diffTables(EMPTY_TABLE, desired).map(describeChange)).toEqual(['policy', 'open http *:80']);
    expect(diffTables(desired, structuredClone(desired))).toEqual([]);
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
        expect(state.routes).toEqual(routesOf(desired));
        expect(state.fronts).toEqual(frontsOf(desired));
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

  test('closes, adds and updates, rebinds, routes, opens, schedules and removes, in that order', () => {
    const order: Readonly<Record<Change['kind'], number>> = {
      'close-listener': 0,
      'close-front': 0,
      'add-service': 1,
      'update-service': 1,
      'rebind-listener': 2,
      'set-routes': 3,
      'clear-routes': 3,
      'set-front-policy': 4,
      'open-listener': 5,
      'open-front': 5,
      'set-schedule': 6,
      'clear-schedule': 6,
      'remove-service': 7,
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
        const touched = diffTables(current, desired).map(subjectOf);
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
    isHttp: fc.boolean(),
  })
  .map(({ isHttp, ...spec }) =>
    aListener({ ...spec, ...(isHttp && spec.protocol === 'tcp' && { mode: 'http' }) }),
  );

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
    hosts: fc.subarray(['a.lan', 'b.lan', '*.lan']),
  })
  .map(({ hosts, ...service }) => aService({ ...service, web: aWeb(hosts) }));

/** Tables as the table stage makes them: each name and each listen key once. */
const anyTable: fc.Arbitrary<ServiceTable> = fc
  .record({
    services: fc.uniqueArray(anyService, { selector: ({ name }) => name, maxLength: 4 }),
    fronts: fc.uniqueArray(
      fc.record({ address: fc.constant(''), port: fc.integer({ min: 5, max: 7 }), tls: fc.boolean() }),
      {
        selector: ({ port }) => port,
      },
    ),
  })
  .map(({ services, fronts }) => {
    const taken = new Set<string>();
    const isFree = (key: string) => !taken.has(key) && taken.add(key) !== undefined;
    return aTable(
      services.map((service) => ({
        ...service,
        listeners: service.listeners.filter((listener) => isFree(listenKey(listener))),
        web: aWeb(service.web.hosts.filter(isFree)),
      })),
      { fronts },
    );
  });

interface Binding {
  readonly service: string;
  readonly targetPort: number;
  readonly allow: string;
  readonly mode: string | undefined;
}
type Bindings = Record<string, Binding>;

function aWeb(hosts: readonly string[], overrides: Partial<WebPolicy> = {}): WebPolicy {
  return { ...NO_WEB, hosts, ...overrides };
}

/** Who answers for each host. */
function routesOf(table: ServiceTable): Record<string, string> {
  return Object.fromEntries(
    Object.values(servicesOf(table)).flatMap(({ name, web, allowList }) =>
      web.hosts.map((host) => [host, `${name} ${allowList.join()}`]),
    ),
  );
}

function frontsOf({ fronts }: ServiceTable): readonly string[] {
  return fronts.map(describeFront).toSorted();
}

function describeFront({ tls, address, port }: FrontDoor): string {
  return `${tls ? 'https' : 'http'} ${address || '*'}:${port}`;
}

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

function subjectOf(change: Change): string {
  if ('listener' in change) return `${listenKey(change.listener)} ${change.listener.mode}`;
  if ('front' in change) return describeFront(change.front);
  if (!('service' in change)) return change.kind;
  const subject = /(schedule|routes)$/.exec(change.kind)?.[1] ?? 'service';
  return `${subject} ${change.service.name}`;
}

function bind(service: Service, { targetPort, mode }: ListenerSpec): Binding {
  return { service: service.name, targetPort: Number(targetPort), allow: service.allowList.join(), mode };
}

/** Carries the changes out on plain maps, and insists that each of them is possible in its turn. */
function applyPlan(current: ServiceTable, plan: Plan) {
  const services = servicesOf(current);
  const listeners = listenersOf(current);
  const schedules = schedulesOf(current);
  const routes = routesOf(current);
  const fronts = new Set(frontsOf(current));
  const drop = (name: string) => {
    for (const [host, to] of Object.entries(routes)) if (to.startsWith(`${name} `)) delete routes[host];
  };
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
        expect(listeners[key]?.mode).toBe(change.listener.mode);
        listeners[key] = bind(change.service, change.listener);
        break;
      case 'open-front':
        expect(fronts.has(describeFront(change.front))).toBe(false);
        fronts.add(describeFront(change.front));
        break;
      case 'close-front':
        expect(fronts.delete(describeFront(change.front))).toBe(true);
        break;
      case 'set-front-policy':
        break;
      case 'set-routes':
        expect(services).toHaveProperty([change.service.name]);
        expect(hasRoutes(change.service.web)).toBe(true);
        drop(change.service.name);
        for (const host of change.service.web.hosts)
          routes[host] = `${change.service.name} ${change.service.allowList.join()}`;
        break;
      case 'clear-routes':
        drop(change.service.name);
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
  return { services, listeners, schedules, routes, fronts: [...fronts].toSorted() };
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
    case 'open-front':
      return `open ${describeFront(change.front)}`;
    case 'close-front':
      return `close ${describeFront(change.front)}`;
    case 'set-front-policy':
      return 'policy';
    case 'set-routes':
      return `route ${[...change.service.web.hosts, ...change.service.web.tlsHosts].join()} to ${change.service.name}`;
    case 'clear-routes':
      return `unroute ${change.service.name}`;
    case 'set-schedule':
      return `schedule ${change.service.name}`;
    case 'clear-schedule':
      return `unschedule ${change.service.name}`;
  }
}
