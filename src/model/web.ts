import type { Observation } from './running/observation.ts';
import type { TargetPort } from './service.ts';

/** The page that a browser sees while a service starts: the proxy's own, none, or a file of the user's (an absolute path). */
export type WaitingPage =
  | { readonly kind: 'auto' | 'off' }
  | { readonly kind: 'file'; readonly path: string };

/** One user of HTTP basic authentication. */
export interface BasicUser {
  /** Not empty, without a colon. */
  readonly user: string;
  /** As `htpasswd -B` makes it: bcrypt, `$2a$`, `$2b$` or `$2y$`, 60 characters. */
  readonly hash: string;
}

/** Whether requests below a path may wake the service. */
export interface WakePath {
  /** Begins with `/`; compared as text with the begin of the path of a request, without its query. */
  readonly prefix: string;
  readonly mayWake: boolean;
}

/** A certificate, with those that prove it behind it, and its private key: two PEM files, absolute paths. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** The certificate with which a service ends TLS on its own TCP ports. */
export type ServiceTls = { readonly kind: 'self-signed' } | ({ readonly kind: 'files' } & CertificateFiles);

/** A name under which Traefik is to offer one of the service's listen ports. */
export interface TraefikHost {
  readonly host: string;
  /** The listen port, 1–65535. */
  readonly port: number;
}

/** What a service asks of HTTP: the hosts that lead to it, who gets in, and what its clients see. */
export interface WebPolicy {
  /**
   * The hosts whose requests at the front doors are for this service: lower case, in Punycode, without a port. `*.` in front
   * stands for any names below, however deep, and not for the domain itself. Exact names come first, then the longer wildcards. No
   * other service of the table has one of them here or in `tlsHosts`.
   */
  readonly hosts: readonly string[];
  /**
   * Where requests for `hosts` go; undefined = the only port that the workload itself offers, else 80: that is known when the
   * workload is.
   */
  readonly port: TargetPort | undefined;
  readonly waitingPage: WaitingPage;
  /** Empty = nobody is asked for a password. */
  readonly basicAuth: readonly BasicUser[];
  /** Values of `X-API-Key`, any of which lets in; empty = nobody is asked for one. Where there are passwords, too, a client needs both. */
  readonly apiKeys: readonly string[];
  /** The longest prefix that fits decides; the last one is always `/`. */
  readonly wakePaths: readonly WakePath[];
  /** What a client gets that the access list refuses. */
  readonly blocked: 'close' | '403';
  /** As `hosts`: TLS connections to the front doors whose SNI is one of them are passed through undecrypted, to `httpsPort`. */
  readonly tlsHosts: readonly string[];
  readonly httpsPort: TargetPort;
  /** What Traefik's provider tells, beside `hosts`: names that lead to a listen port by HTTP, and by SNI. */
  readonly traefikHosts: readonly TraefikHost[];
  readonly traefikTcpHosts: readonly TraefikHost[];
}

/** Whether a host is one of these domains, or below one of them. */
export function isInDomains(host: string, domains: readonly string[]): boolean {
  return domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
}

/** What clients of the front doors get for a host of a service: the certificate of a file, one that the proxy makes, or none. */
export type HostCertificate =
  /** `path`: of the certificate; `untilMs`: when it ends, ms since the epoch. */
  | { readonly kind: 'file'; readonly path: string; readonly untilMs: number }
  /** Nobody gets the host over HTTPS. */
  | { readonly kind: 'self-signed' | 'none' };

/** Whether a certificate that is for a name is for a host, as clients see it: `*.` stands for one label (RFC 9525, 6.3). */
export function isNameOf(host: string, name: string): boolean {
  return name === host || name === `*${host.slice(host.indexOf('.'))}`;
}

/** Of a service that says nothing of HTTP. All of them share it. */
export const NO_WEB: WebPolicy = freeze({
  hosts: [],
  port: undefined,
  waitingPage: { kind: 'auto' },
  basicAuth: [],
  apiKeys: [],
  wakePaths: [{ prefix: '/', mayWake: true }],
  blocked: 'close',
  tlsHosts: [],
  httpsPort: 443,
  traefikHosts: [],
  traefikTcpHosts: [],
});

/** Whether a service has anything for the front doors. */
export function hasRoutes({ hosts, tlsHosts }: WebPolicy): boolean {
  return hosts.length > 0 || tlsHosts.length > 0;
}

/** Where requests for the hosts of a service go, as far as is known of its workload. */
export function webPortOf(web: Pick<WebPolicy, 'port'>, seen: Offer): TargetPort {
  return findWebPort(web, seen) ?? DEFAULT_WEB_PORT;
}

/** The same; undefined where neither the service nor its workload decides it, so that 80 is taken. */
export function findWebPort({ port }: Pick<WebPolicy, 'port'>, seen: Offer): TargetPort | undefined {
  if (port !== undefined) return port;
  const mapped = Object.keys(seen.ports ?? {}).filter((key) => key.startsWith('tcp/'));
  const [only] = mapped.length === 1 ? mapped.map((key) => key.slice('tcp/'.length)) : [];
  if (only !== undefined) return /^\d+$/.test(only) ? Number(only) : only;
  return seen.onlyPort;
}

/** What a workload tells of its ports. */
type Offer = Pick<Observation, 'onlyPort' | 'ports'>;

/** The ports of the workload that the front doors lead to. */
export function routedPortsOf(web: WebPolicy, seen: Offer): readonly TargetPort[] {
  return [
    ...(web.hosts.length > 0 ? [webPortOf(web, seen)] : []),
    ...(web.tlsHosts.length > 0 ? [web.httpsPort ?? 443] : []),
  ];
}

/** Whether clients have to show a password or a key. */
export function asksForLogin({ basicAuth, apiKeys }: WebPolicy): boolean {
  return basicAuth.length > 0 || apiKeys.length > 0;
}

/** A place where all services are served together, by the host that a client names. */
export interface FrontDoor {
  /** IP address to bind, canonical; `''` = every address of the machine, IPv4 and IPv6. */
  readonly address: string;
  /** 1–65535. */
  readonly port: number;
  /** Whether clients speak TLS there. */
  readonly tls: boolean;
}

/** How a client that speaks HTTP gets to a service at a port. */
export interface WebAccess {
  readonly scheme: 'http' | 'https';
  /** At a front door: which it has to name, written as `hosts` of the service. Empty = any. */
  readonly hosts: readonly string[];
}

/** What is to be seen of a front door, whichever services are behind it. */
export interface FrontReport {
  readonly front: FrontDoor;
  readonly condition: 'pending' | 'bound' | 'failed';
  /** Why it is not bound. */
  readonly error: string | undefined;
  /** Clients that are connected, with or without a request. */
  readonly connections: number;
  /** Connections that were closed before they led to a service, by why. */
  readonly refused: Readonly<Record<string, number>>;
}

/** What all front doors share. */
export interface FrontPolicy {
  /** Chosen by SNI. */
  readonly certificates: readonly CertificateFiles[];
  /** Domains for which, and below which, the proxy makes certificates itself where none of `certificates` fits; as `hosts`, without wildcards. */
  readonly selfSignedDomains: readonly string[];
  /** Whether plain HTTP is answered with a redirect to the first door with TLS, for hosts that have a certificate. */
  readonly redirect: boolean;
  /** Whether connections come from the trusted proxies alone, each with a PROXY header. */
  readonly acceptProxyProtocol: boolean;
}

const DEFAULT_WEB_PORT = 80;

export const DEFAULT_FRONT_POLICY: FrontPolicy = freeze({
  certificates: [],
  selfSignedDomains: [],
  redirect: false,
  acceptProxyProtocol: false,
});

/** Whole tables are frozen; this is in all of them. */
function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part);
  return Object.freeze(value);
}
