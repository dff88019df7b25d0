/**
 * The plan stage. Input: the table in force and the desired one. Output: the changes between them, in an order that can
 * be applied one by one. Pure; equal tables give an empty plan, and what did not change is not named.
 *
 * | listen key in current | in desired | same service, target and access | change          |
 * |-----------------------|------------|---------------------------------|-----------------|
 * | no                    | yes        |                                 | open-listener   |
 * | yes                   | no         |                                 | close-listener  |
 * | yes                   | yes        | no                              | rebind-listener |
 * | yes                   | yes        | yes                             | none            |
 *
 * A listener that turns from relaying bytes to forwarding requests, or from plain HTTP to TLS, or back, is closed and opened. Front doors likewise, by their
 * place. Services by name: add, remove, update; routes: set where the hosts or the policy for their requests are new, clear where there are
 * none any more; schedules: set where an expression, a window or the zone is new, clear where there is none any more, as where the service is
 * manual now. Order: closes, adds and updates, rebinds, routes, what all front doors share, opens, schedules, removals; so a port that moves
 * is free before it is bound again, a front door that opens knows its hosts, and nothing points at a service that isn't there.
 */
import { hasSchedule } from '../model/availability.ts';
import type { Change, Plan } from '../model/change.ts';
import { isSameData } from '../model/same-data.ts';
import { formatListenAddress, type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import type { ServiceTable } from '../model/table.ts';
import { type FrontDoor, hasRoutes } from '../model/web.ts';
import { type Webhook, wantsClients } from '../model/webhook.ts';

interface Bound {
  readonly service: Service;
  readonly listener: ListenerSpec;
}

export function diffTables(current: ServiceTable, desired: ServiceTable): Plan {
  const closes: Change[] = [];
  const services: Change[] = [];
  const rebinds: Change[] = [];
  const opens: Change[] = [];
  const removals: Change[] = [];
  const held = collectListeners(current, desired);
  const wanted = collectListeners(desired, current);
  for (const [key, { listener }] of held)
    if (!wanted.has(key)) closes.push({ kind: 'close-listener', listener });
  const fronts = diffFronts(current.fronts, desired.fronts);
  closes.push(...fronts.closes);
  for (const [name, { service }] of desired.entries) {
    const previous = current.entries.get(name)?.service;
    if (previous === undefined) services.push({ kind: 'add-service', service });
    else if (!isSameData(previous, service)) services.push({ kind: 'update-service', service, previous });
  }
  for (const [name, { service }] of current.entries) {
    if (!desired.entries.has(name)) removals.push({ kind: 'remove-service', service });
  }
  for (const [key, bound] of wanted) {
    const previous = held.get(key);
    if (previous === undefined) opens.push({ kind: 'open-listener', ...bound });
    else if (!isSameBinding(previous, bound)) rebinds.push({ kind: 'rebind-listener', ...bound });
  }
  return [
    ...[
      ...closes,
      ...services,
      ...rebinds,
      ...diffRoutes(current, desired),
      ...diffPolicies(current, desired),
    ],
    ...[...opens, ...fronts.opens, ...diffSchedules(current, desired), ...removals],
  ];
}

function diffFronts(current: readonly FrontDoor[], desired: readonly FrontDoor[]) {
  const [held, wanted] = [new Set(current.map(frontKey)), new Set(desired.map(frontKey))];
  return {
    closes: current
      .filter((front) => !wanted.has(frontKey(front)))
      .map((front): Change => ({ kind: 'close-front', front })),
    opens: desired
      .filter((front) => !held.has(frontKey(front)))
      .map((front): Change => ({ kind: 'open-front', front })),
  };
}

function frontKey(front: FrontDoor): string {
  return `${front.tls ? 'https' : 'http'}/${formatListenAddress(front)}`;
}

function diffPolicies(current: ServiceTable, desired: ServiceTable): readonly Change[] {
  const policy = desired.frontPolicy;
  return isSameData(current.frontPolicy, policy) ? [] : [{ kind: 'set-front-policy', policy }];
}

function diffRoutes(current: ServiceTable, desired: ServiceTable): readonly Change[] {
  const changes: Change[] = [];
  for (const [name, { service }] of current.entries) {
    const next = desired.entries.get(name)?.service;
    if (next !== service && hasRoutes(service.web) && !(next !== undefined && hasRoutes(next.web)))
      changes.push({ kind: 'clear-routes', service });
  }
  for (const [name, { service }] of desired.entries) {
    const before = current.entries.get(name)?.service;
    if (before === service || !hasRoutes(service.web)) continue;
    const isSame = before !== undefined && isSameData(describeRoutes(before), describeRoutes(service));
    const previous = before !== undefined && hasRoutes(before.web) ? before : undefined;
    if (!isSame) changes.push({ kind: 'set-routes', service, ...(previous && { previous }) });
  }
  return changes;
}

/** The fields of a service that a front door uses. */
function describeRoutes(service: Service) {
  const { web, allowList, blockList, wakeList, wakeOn, proxyProtocol, webhookUrl, tcpKeepAliveMs } = service;
  const { maxConnections, maxConnectionsPerAddress } = service;
  const webhooks = clientWebhooksOf(service);
  const lists = { allowList, blockList, wakeList, webhookUrl, webhooks };
  // The last two are those of connections that are passed through.
  return { web, ...lists, tcpKeepAliveMs, wakeOn, proxyProtocol, maxConnections, maxConnectionsPerAddress };
}

function diffSchedules(current: ServiceTable, desired: ServiceTable): Change[] {
  const changes: Change[] = [];
  for (const [name, { service }] of current.entries) {
    const next = desired.entries.get(name)?.service;
    if (isScheduled(service) && !isScheduled(next)) changes.push({ kind: 'clear-schedule', service });
  }
  for (const [name, { service }] of desired.entries) {
    const before = current.entries.get(name)?.service;
    if (isScheduled(service) && !isSameSchedule(before, service))
      changes.push({ kind: 'set-schedule', service });
  }
  return changes;
}

function isScheduled(service: Service | undefined): service is Service {
  return service !== undefined && hasSchedule(service);
}

function isSameSchedule(a: Service | undefined, b: Service): boolean {
  return (
    isScheduled(a) &&
    a.cronStart === b.cronStart &&
    a.cronStop === b.cronStop &&
    a.timezone === b.timezone &&
    isSameData(a.awake, b.awake)
  );
}

/** The listeners of a table by their keys, without those of services that are the same in both tables. */
function collectListeners(table: ServiceTable, other: ServiceTable): Map<string, Bound> {
  const bound = new Map<string, Bound>();
  for (const [name, { service }] of table.entries) {
    if (other.entries.get(name)?.service === service) continue;
    for (const listener of service.listeners)
      bound.set(`${listenKey(listener)} ${kindOf(listener, service)}`, { service, listener });
  }
  return bound;
}

/** What makes it another listener. A connection of HTTP that has begun in the clear can't go on with TLS. */
function kindOf({ mode }: ListenerSpec, { tls }: Service): string {
  return mode === 'http' && tls !== undefined ? 'https' : (mode ?? '');
}

/** The fields of a service that a listener uses; those that only the lifecycle reads are left out. */
function isSameBinding(a: Bound, b: Bound): boolean {
  return a.service === b.service || isSameData(describeBinding(a), describeBinding(b));
}

function describeBinding({ service, listener }: Bound) {
  const { name, allowList, blockList, wakeList, webhookUrl, maxConnections, maxConnectionsPerAddress } =
    service;
  const { proxyProtocol, acceptProxyProtocol } = service;
  const bounds = { maxConnections, maxConnectionsPerAddress };
  const webhooks = clientWebhooksOf(service);
  const lists = { allowList, blockList, wakeList, webhookUrl, webhooks };
  const headers = { proxyProtocol, acceptProxyProtocol };
  const shared = { name, targetPort: listener.targetPort, ...lists, ...bounds, ...headers };
  const { tcpKeepAliveMs, wakeOn, udp, idleTimeoutMs, rest, web, tls } = service;
  const { pauseAfterMs, ignoreBelow } = rest;
  if (listener.protocol === 'udp') return { ...shared, udp, idleTimeoutMs, pauseAfterMs, ignoreBelow };
  // A certificate that the proxy makes names them.
  const names = tls?.kind === 'self-signed' && { hosts: web.hosts };
  return { ...shared, tcpKeepAliveMs, wakeOn, tls, ...names, ...(listener.mode === 'http' && { web }) };
}

/** Clients are reported to those that want to know of them. */
function clientWebhooksOf({ webhooks }: Service): readonly Webhook[] {
  return webhooks.filter((webhook) => wantsClients([webhook]));
}
