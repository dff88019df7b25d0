import type { Change, Plan } from '../model/change.ts';
import { isSameData } from '../model/same-data.ts';
import { formatListenAddress, type ListenerSpec, type Service } from '../model/service.ts';
import type { FrontDoor } from '../model/web.ts';
import { findChangedFields } from '../plan/changed-fields.ts';

/** A listener has a target; a front door leads to many. */
export type IsBound = (place: ListenerSpec | FrontDoor) => boolean;

/** Changes that are named one by one; the others are counted. */
const MAX_NAMED = 8;

/**
 * A plan that was applied, in a few words for the log: `service db added; listener *:5432/tcp opened for db`. Pure.
 * @param isBound whether a listener or front door that was to be opened is open; default: all are.
 */
export function describePlan(plan: Plan, isBound: IsBound = () => true): string {
  if (plan.length === 0) return 'nothing changed';
  const named = plan.slice(0, MAX_NAMED).map((change) => describeChange(change, isBound));
  const rest = plan.length - named.length;
  return rest > 0 ? `${named.join('; ')}; and ${rest} more` : named.join('; ');
}

/** One change, as the log tells it. */
export function describeChange(change: Change, isBound: IsBound = () => true): string {
  switch (change.kind) {
    case 'add-service':
      return `service ${change.service.name} added`;
    case 'update-service':
      return `service ${change.service.name} changed${describeFields(findChangedFields(change.previous, change.service))}`;
    case 'remove-service':
      return `service ${change.service.name} removed`;
    case 'open-listener':
      return `listener ${describeListener(change.listener)} ${isBound(change.listener) ? 'opened' : 'not yet opened'} for ${change.service.name}`;
    case 'rebind-listener':
      return `listener ${describeListener(change.listener)} stays open for ${change.service.name}`;
    case 'open-front':
      return `front door ${describeFront(change.front)} ${isBound(change.front) ? 'opened' : 'not yet opened'}`;
    case 'close-front':
      return `front door ${describeFront(change.front)} closed`;
    case 'set-front-policy':
      return 'terms of the front doors set';
    case 'set-routes':
      return describeRoutes(change);
    case 'clear-routes':
      return `hosts of ${change.service.name} cleared`;
    case 'set-schedule':
      return `schedule of ${change.service.name} set`;
    case 'clear-schedule':
      return `schedule of ${change.service.name} cleared`;
    case 'close-listener':
      return `listener ${describeListener(change.listener)} closed`;
  }
}

/** Where the hosts are the same, the service has changed in another way, which is told of itself. */
function describeRoutes({ service, previous }: Extract<Change, { readonly kind: 'set-routes' }>): string {
  const hosts = hostsOf(service);
  const isSame = previous !== undefined && isSameData(hosts, hostsOf(previous));
  return `hosts of ${service.name} ${isSame ? 'stay' : 'set'}: ${hosts.join(', ')}`;
}

function hostsOf({ web: { hosts, tlsHosts } }: Service): readonly string[] {
  return [...new Set([...hosts, ...tlsHosts])];
}

function describeFields(fields: readonly string[]): string {
  return fields.length === 0 ? '' : `: ${fields.join(', ')}`;
}

function describeListener(listener: ListenerSpec): string {
  return `${formatListenAddress(listener)}/${listener.protocol}`;
}

function describeFront({ tls, ...place }: FrontDoor): string {
  return `${formatListenAddress(place)}/${tls ? 'https' : 'http'}`;
}
