/**
 * What other reverse proxies may lead here. Input: the service table. Output: each host, once, with the port of this proxy that
 * serves it. Guarantees: pure; hosts are canonical names, in an order in which the first that fits is the closest.
 */
import type { ListenerSpec } from '../../../model/service.ts';
import type { ServiceTable, TableEntry } from '../../../model/table.ts';

/** One host and the port behind it. */
export interface OutsideRoute {
  /** Lower case; `*.` in front stands for any names below. */
  readonly host: string;
  /** A listen port of this proxy, 1–65535. */
  readonly port: number;
  /** Whether TLS is spoken on that port. */
  readonly tls: boolean;
}

export interface OutsideRoutes {
  /** Told by the host of each request. */
  readonly http: readonly OutsideRoute[];
  /** Told by SNI. */
  readonly sni: readonly OutsideRoute[];
}

/** A rule of another proxy is made of it, so that it must not hold anything but a name. */
const SAFE_HOST = /^(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/**
 * Lists the hosts of the table.
 * @param options.traefik whether to tell of what was written for Traefik alone, too. Such a host counts before the same one of `hosts` of its
 * own service, and not before another service's.
 */
export function listOutsideRoutes(
  { entries, fronts }: Pick<ServiceTable, 'entries' | 'fronts'>,
  { traefik }: { readonly traefik: boolean },
): OutsideRoutes {
  const plain = fronts.filter(({ tls }) => !tls).toSorted(everywhereFirst)[0];
  const secure = fronts.filter(({ tls }) => tls).toSorted(everywhereFirst)[0];
  const all = [...entries.values()];
  const owners = new Map(
    all.flatMap(({ service }) =>
      [...service.web.hosts, ...service.web.tlsHosts].map((host) => [host, service.name] as const),
    ),
  );
  const http = new Map<string, OutsideRoute>();
  const sni = new Map<string, OutsideRoute>();
  const add = (routes: Map<string, OutsideRoute>, route: OutsideRoute) => {
    if (SAFE_HOST.test(route.host) && !routes.has(route.host)) routes.set(route.host, route);
  };
  const addForTraefik = (routes: Map<string, OutsideRoute>, field: 'traefik_hosts' | 'traefik_tcp_hosts') => {
    // Who writes labels must not take a host from the file.
    const isByLabel = ({ origins }: TableEntry) => Number(origins[field]?.kind === 'label');
    for (const { service } of all.toSorted((a, b) => isByLabel(a) - isByLabel(b))) {
      const { web, listeners, tls } = service;
      const ports = new Set(listeners.filter(isTcp).map(({ port }) => port));
      for (const { host, port } of field === 'traefik_hosts' ? web.traefikHosts : web.traefikTcpHosts) {
        const owner = owners.get(host) ?? service.name;
        if (ports.has(port) && owner === service.name) add(routes, { host, port, tls: tls !== undefined });
      }
    }
  };
  if (traefik) {
    addForTraefik(http, 'traefik_hosts');
    addForTraefik(sni, 'traefik_tcp_hosts');
  }
  for (const { service } of all) {
    const own = findOwnListener(service.listeners);
    for (const host of service.web.hosts) {
      if (plain !== undefined) add(http, { host, port: plain.port, tls: false });
      else if (secure !== undefined) add(http, { host, port: secure.port, tls: true });
      // Without a front door the service's own port serves whatever host is named.
      else if (own !== undefined) add(http, { host, port: own.port, tls: service.tls !== undefined });
    }
    if (secure !== undefined)
      for (const host of service.web.tlsHosts) add(sni, { host, port: secure.port, tls: true });
  }
  return { http: sortRoutes(http), sni: sortRoutes(sni) };
}

/** Where a name leads that is served nowhere else: HTTP listeners come first. */
function findOwnListener(listeners: readonly ListenerSpec[]): ListenerSpec | undefined {
  const tcp = listeners.filter(isTcp);
  return tcp.find(({ mode }) => mode === 'http') ?? tcp[0];
}

function isTcp({ protocol }: ListenerSpec): boolean {
  return protocol === 'tcp';
}

/** What listens on one address alone may be out of reach. */
function everywhereFirst(a: { readonly address: string }, b: { readonly address: string }): number {
  return Number(a.address !== '') - Number(b.address !== '');
}

/** Exact names first, then the longer wildcards; by name among equals. */
function sortRoutes(routes: ReadonlyMap<string, OutsideRoute>): readonly OutsideRoute[] {
  const rank = ({ host }: OutsideRoute) => (isWildcard(host) ? 1_000 - host.length : 0);
  return [...routes.values()].toSorted((a, b) => rank(a) - rank(b) || (a.host < b.host ? -1 : 1));
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*.');
}

/** `lazy-proxy:80`, `[::1]:80`. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
