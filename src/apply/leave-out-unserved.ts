import type { Origin } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import type { ListenerSpec, Service } from '../model/service.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';

/**
 * The table without what nothing can serve yet: certificates that the proxy makes for a service's own ports, and TLS at its HTTP
 * ports. None of them may be opened all the same: nothing would be encrypted. Tells of each that the check of the file can't have told
 * of. Pure.
 */
export function leaveOutUnserved(table: ServiceTable): ServiceTable {
  const problems: Problem[] = [];
  let isChanged = false;
  const entries = new Map<string, TableEntry>();
  for (const [name, entry] of table.entries) {
    const service = leaveOut(entry.service);
    entries.set(name, service === entry.service ? entry : { ...entry, service });
    if (service === entry.service) continue;
    isChanged = true;
    const origin = entry.origins['tls'];
    // The check of the file has told of it.
    const isTold = origin?.kind === 'file' && entry.service.tls?.kind === 'self-signed';
    if (!isTold) problems.push(...tell(origin, `tls of service "${name}"`));
  }
  if (table.frontPolicy.selfSignedDomains.length > 0)
    problems.push({
      ...{ code: 'option-without-effect', severity: 'error' },
      message: `http.self_signed_domains: this version can't make certificates, so hosts without one of http.certificates are not served over TLS`,
      origin: { kind: 'engine', name: 'http.self_signed_domains' },
    });
  if (!isChanged && problems.length === 0) return table;
  return { ...table, entries, problems: [...table.problems, ...problems] };
}

function leaveOut(service: Service): Service {
  const { tls } = service;
  const isServed = ({ protocol, mode }: ListenerSpec) =>
    protocol === 'udp' || tls === undefined || (tls.kind === 'files' && mode !== 'http');
  const listeners = service.listeners.filter(isServed);
  return listeners.length < service.listeners.length ? { ...service, listeners } : service;
}

/** Nothing where nobody has asked for it. */
function tell(origin: Origin | undefined, what: string): readonly Problem[] {
  if (origin === undefined || origin.kind === 'default') return [];
  const message = `${what}: this version can't serve that, so nothing is open for it`;
  return [{ code: 'option-without-effect', severity: 'error', message, origin }];
}
