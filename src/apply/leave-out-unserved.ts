import type { Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { ListenerSpec, Service } from '../model/service.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';

type Field = 'tls_hosts' | 'tls';

/**
 * The table without what nothing can serve yet: certificates that the proxy makes for a service's own ports, TLS at its HTTP ports,
 * and TLS that is passed through by its name. Each is told of. None of them may be opened all the same: nothing would be encrypted.
 * Pure.
 */
export function leaveOutUnserved(table: ServiceTable): ServiceTable {
  const problems: Problem[] = [];
  const entries = new Map<string, TableEntry>();
  for (const [name, entry] of table.entries) {
    const { service, unserved } = leaveOut(entry.service);
    if (unserved.length === 0) entries.set(name, entry);
    else entries.set(name, { ...entry, service });
    for (const field of unserved)
      problems.push(...tell(entry.origins[field], `${field} of service "${name}"`));
  }
  if (problems.length === 0) return table;
  return { ...table, entries, problems: [...table.problems, ...problems] };
}

function leaveOut(service: Service): { readonly service: Service; readonly unserved: readonly Field[] } {
  const { web, tls } = service;
  const isServed = ({ protocol, mode }: ListenerSpec) =>
    protocol === 'udp' || tls === undefined || (tls.kind === 'files' && mode !== 'http');
  const listeners = service.listeners.filter(isServed);
  const isLess = listeners.length < service.listeners.length;
  const passes = web.tlsHosts.length > 0;
  if (!isLess && !passes) return { service, unserved: [] };
  return {
    service: { ...service, listeners, web: passes ? { ...web, tlsHosts: [] } : web },
    unserved: [...(isLess ? (['tls'] as const) : []), ...(passes ? (['tls_hosts'] as const) : [])],
  };
}

/** What the field's place says of it; nothing where nobody has given it. */
function tell(origin: Origin | undefined, what: string): readonly Problem[] {
  if (origin === undefined || origin.kind === 'default') return [];
  const message = `${what}: this version can't serve that, so nothing is open for it`;
  return [{ code: 'option-without-effect', severity: 'error', message, origin }];
}
