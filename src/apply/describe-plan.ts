import type { Change, Plan } from '../model/change.ts';
import { formatListenAddress, type ListenerSpec } from '../model/service.ts';

/** Changes that are named one by one; the others are counted. */
const MAX_NAMED = 8;

/** A plan in a few words for the log: `service db added; listener *:5432/tcp opened`. Pure. */
export function describePlan(plan: Plan): string {
  if (plan.length === 0) return 'nothing changed';
  const named = plan.slice(0, MAX_NAMED).map(describeChange);
  const rest = plan.length - named.length;
  return rest > 0 ? `${named.join('; ')}; and ${rest} more` : named.join('; ');
}

function describeChange(change: Change): string {
  switch (change.kind) {
    case 'add-service':
      return `service ${change.service.name} added`;
    case 'update-service':
      return `service ${change.service.name} changed`;
    case 'remove-service':
      return `service ${change.service.name} removed`;
    case 'open-listener':
      return `listener ${describeListener(change.listener)} opened for ${change.service.name}`;
    case 'rebind-listener':
      return `listener ${describeListener(change.listener)} rebound to ${change.service.name}`;
    case 'set-schedule':
      return `schedule of ${change.service.name} set`;
    case 'clear-schedule':
      return `schedule of ${change.service.name} cleared`;
    case 'close-listener':
      return `listener ${describeListener(change.listener)} closed`;
  }
}

function describeListener(listener: ListenerSpec): string {
  return `${formatListenAddress(listener)}/${listener.protocol}`;
}
