/**
 * What Traefik's HTTP provider reads: https://doc.traefik.io/traefik/providers/http. Input: routes, and what Traefik is to be told beside
 * them. Output: a dynamic configuration of Traefik 3. Guarantees: pure; parts that would be empty are left out, because Traefik refuses
 * them, and `{}` takes every route away that was there.
 */
import type { TraefikSettings } from '../../../model/settings.ts';
import { isWildcard, joinHostPort, type OutsideRoute, type OutsideRoutes } from './outside-routes.ts';

/** A dynamic configuration, as far as it is used here. */
export interface TraefikConfig {
  readonly http?: {
    readonly routers: Readonly<Record<string, TraefikRouter>>;
    readonly services: Readonly<Record<string, TraefikService<'url'>>>;
  };
  readonly tcp?: {
    readonly routers: Readonly<Record<string, TraefikRouter>>;
    readonly services: Readonly<Record<string, TraefikService<'address'>>>;
  };
}

export interface TraefikRouter {
  readonly rule: string;
  readonly service: string;
  readonly entryPoints?: readonly string[];
  readonly priority?: number;
  readonly tls?: {
    readonly certResolver?: string;
    readonly domains?: readonly { readonly main: string }[];
    readonly passthrough?: true;
  };
}

export interface TraefikService<K extends 'url' | 'address'> {
  readonly loadBalancer: { readonly servers: readonly Readonly<Record<K, string>>[] };
}

interface Context extends Omit<TraefikSettings, 'proxyHost'> {
  readonly proxyHost: string;
}

/** Renders the routes. A port that speaks TLS gets it passed through, since its certificate is on this side. */
export function renderTraefik(routes: OutsideRoutes, context: Context): TraefikConfig {
  const { proxyHost } = context;
  const http = nameRoutes(routes.http.filter(({ tls }) => !tls));
  const tcp = nameRoutes([...routes.http.filter(({ tls }) => tls), ...routes.sni]);
  return {
    ...(http.size > 0 && {
      http: {
        routers: render(http, ([name, route]) => [`${name}-router`, httpRouter(name, { route, context })]),
        services: render(http, ([name, { port }]) => [
          `${name}-service`,
          { loadBalancer: { servers: [{ url: `http://${joinHostPort(proxyHost, port)}` }] } },
        ]),
      },
    }),
    ...(tcp.size > 0 && {
      tcp: {
        routers: render(tcp, ([name, route]) => [`${name}-router`, tcpRouter(name, { route, context })]),
        services: render(tcp, ([name, { port }]) => [
          `${name}-service`,
          { loadBalancer: { servers: [{ address: joinHostPort(proxyHost, port) }] } },
        ]),
      },
    }),
  };
}

interface Routed {
  readonly route: OutsideRoute;
  readonly context: Context;
}

function httpRouter(name: string, { route, context }: Routed): TraefikRouter {
  const { certResolver } = context;
  const tls = { certResolver, ...(isWildcard(route.host) && { domains: [{ main: route.host }] }) };
  return {
    ...describeRouter(name, { route, context, matcher: 'Host' }),
    ...(certResolver !== '' && { tls }),
  };
}

function tcpRouter(name: string, { route, context }: Routed): TraefikRouter {
  const { certResolver } = context;
  const domains = isWildcard(route.host) && { domains: [{ main: route.host }] };
  // Without TLS Traefik never learns the name.
  const ended = certResolver === '' ? {} : { certResolver, ...domains };
  return {
    ...describeRouter(name, { route, context, matcher: 'HostSNI' }),
    tls: route.tls ? { passthrough: true } : ended,
  };
}

function describeRouter(
  name: string,
  { route, context, matcher }: Routed & { readonly matcher: 'Host' | 'HostSNI' },
): TraefikRouter {
  const { host } = route;
  const base = host.replace('*.', '');
  const wildcard = `${matcher}Regexp(\`^.+\\.${base.replaceAll('.', '\\.')}$\`)`;
  return {
    rule: isWildcard(host) ? wildcard : `${matcher}(\`${host}\`)`,
    service: `${name}-service`,
    ...(context.entryPoint !== '' && { entryPoints: [context.entryPoint] }),
    // Unset, the length of the rule counts: exact names are above all wildcards over them, and longer wildcards above shorter ones.
    ...(isWildcard(host) && { priority: base.length }),
  };
}

/** By the name of its router and service, as lazy-tcp-proxy calls them; each name is there once. */
function nameRoutes(routes: readonly OutsideRoute[]): ReadonlyMap<string, OutsideRoute> {
  const named = new Map<string, OutsideRoute>();
  for (const route of routes) {
    const stem = `${route.host.replace('*', 'any').replaceAll(/[^a-z0-9]/g, '-')}-${route.port}`;
    let name = stem;
    for (let count = 2; named.has(name); count++) name = `${stem}-${count}`;
    named.set(name, route);
  }
  return named;
}

function render<T>(
  routes: ReadonlyMap<string, OutsideRoute>,
  entry: (named: readonly [string, OutsideRoute]) => readonly [string, T],
): Readonly<Record<string, T>> {
  return Object.fromEntries([...routes].map(entry));
}
