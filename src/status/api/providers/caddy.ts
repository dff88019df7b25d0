/**
 * A configuration for Caddy: https://caddyserver.com/docs/json. Input: routes, and where Caddy listens. Output: its JSON. Guarantees: pure;
 * there is one server, also where there is no route.
 */
import { isWildcard, joinHostPort, type OutsideRoute } from './outside-routes.ts';

/** A configuration of Caddy, as far as it is used here. */
export interface CaddyConfig {
  readonly admin?: {
    readonly config: {
      readonly load: {
        readonly module: 'http';
        readonly method: 'GET';
        readonly url: string;
        readonly header?: Readonly<Record<string, readonly string[]>>;
      };
      readonly load_delay: string;
    };
  };
  readonly apps: {
    readonly http: {
      readonly servers: {
        readonly 'lazy-proxy': {
          readonly listen: readonly string[];
          readonly automatic_https?: { readonly disable: true };
          readonly routes: readonly CaddyRoute[];
        };
      };
    };
  };
}

export interface CaddyRoute {
  readonly match?: readonly { readonly host: readonly string[] }[];
  readonly handle: readonly Readonly<Record<string, unknown>>[];
  readonly terminal: true;
}

export interface CaddyContext {
  /** The name or address by which Caddy reaches this proxy. */
  readonly proxyHost: string;
  /** As Caddy writes them: `:443`. */
  readonly listen: readonly string[];
  /** Whether Caddy gets certificates for the hosts by itself, as it does unless it listens on port 80 alone. */
  readonly automaticHttps: boolean;
  /** Has Caddy ask again, where it has asked, every so often; absent = it doesn't. */
  readonly again?: {
    readonly url: string;
    readonly every: string;
    /** What it shows to get in. */
    readonly authorization: string | undefined;
  };
}

/** Renders the routes; each host that none of them has gets 404. */
export function renderCaddy(
  routes: readonly OutsideRoute[],
  { proxyHost, listen, automaticHttps, again }: CaddyContext,
): CaddyConfig {
  const toRoute = (all: readonly OutsideRoute[]): CaddyRoute => ({
    match: [{ host: all.map(({ host }) => host) }],
    handle: [reverseProxy(proxyHost, all[0])],
    terminal: true,
  });
  // Whatever leads to one port can share a route, but for wildcards, whose order counts.
  const exact = new Map<string, OutsideRoute[]>();
  for (const route of routes.filter(({ host }) => !isWildcard(host))) {
    const key = `${route.port} ${route.tls}`;
    exact.set(key, [...(exact.get(key) ?? []), route]);
  }
  const wildcards = routes.filter(({ host }) => isWildcard(host));
  const unknown: CaddyRoute = {
    handle: [{ handler: 'static_response', status_code: 404 }],
    terminal: true,
  };
  const all = [...[...exact.values()].map(toRoute), ...wildcards.map((route) => toRoute([route])), unknown];
  const server = {
    ...{ listen, routes: all },
    ...(!automaticHttps && { automatic_https: { disable: true as const } }),
  };
  return {
    ...(again !== undefined && { admin: loadAgain(again) }),
    apps: { http: { servers: { 'lazy-proxy': server } } },
  };
}

function reverseProxy(proxyHost: string, route: OutsideRoute | undefined): CaddyRoute['handle'][number] {
  const { port = 80, tls = false } = route ?? {};
  return {
    handler: 'reverse_proxy',
    upstreams: [{ dial: joinHostPort(proxyHost, port) }],
    // The certificate is the host's.
    ...(tls && { transport: { protocol: 'http', tls: { server_name: '{http.request.host}' } } }),
  };
}

/** It has to be in each answer, since Caddy asks again only where the configuration in force says so. */
function loadAgain({
  url,
  every,
  authorization,
}: NonNullable<CaddyContext['again']>): NonNullable<CaddyConfig['admin']> {
  const header = authorization === undefined ? {} : { header: { Authorization: [authorization] } };
  return { config: { load: { module: 'http', method: 'GET', url, ...header }, load_delay: every } };
}
