/** What of hosts, front doors and logins doesn't go together, between the services of a file and its settings. */
import { describeOrigin } from '../../model/origin.ts';
import type { Settings } from '../../model/settings.ts';
import { isWorkloadUnknown, type ReadService } from '../read/read-services.ts';
import { describeDoorless, describeUncertified } from '../rules/listen-claims.ts';
import { describeUnguarded, findUnguardedPart } from '../rules/login.ts';
import type { SettingsDraft } from '../settings.ts';
import type { Path } from '../yaml/path.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { type Finding, keyError, uselessKey, valueError, warning } from './finding.ts';

const HOST_FIELDS = ['hosts', 'tls_hosts'] as const;

/** Nobody can register a name there: RFC 2606, RFC 6761, RFC 6762 (appendix G), RFC 9476, and ICANN's `internal`. */
const PRIVATE_DOMAINS: ReadonlySet<string> = new Set([
  ...['alt', 'corp', 'example', 'home', 'internal', 'intranet', 'invalid', 'lan', 'local', 'localdomain'],
  ...['localhost', 'mail', 'private', 'test'],
]);

export interface WebContext {
  readonly locate: LocateOrigin;
  /** The settings in force. */
  readonly http: Settings['http'];
  /** What the file says of them. */
  readonly settings: SettingsDraft;
}

export function checkWeb(services: readonly ReadService[], context: WebContext): readonly Finding[] {
  return [
    ...findHostConflicts(services, context),
    ...services.flatMap(findUnguarded),
    ...services.flatMap((service) => findDoorless(service, context.http)),
    ...services.flatMap((service) => findUncertified(service, context.http)),
    ...services.flatMap(findUnknownPort),
    ...checkFronts(services, context),
  ];
}

/** A host that leads to two services. */
function findHostConflicts(
  services: readonly ReadService[],
  { locate }: Pick<WebContext, 'locate'>,
): readonly Finding[] {
  const owners = new Map<string, { readonly service: ReadService; readonly path: Path }>();
  return services.flatMap((service) =>
    HOST_FIELDS.flatMap((field) => {
      const hosts = service.draft[field]?.value ?? [];
      return hosts.flatMap((host): readonly Finding[] => {
        const path = [...service.path, field];
        const owner = owners.get(host);
        if (owner === undefined) owners.set(host, { service, path });
        if (owner === undefined || owner.service === service) return [];
        const message = `"${host}" leads to service "${owner.service.name}" already (${describeOrigin(locate(owner.path, 'value'))})`;
        return [valueError(path, 'host-conflict', message)];
      });
    }),
  );
}

function findUnguarded({ draft, path }: ReadService): readonly Finding[] {
  const found = findUnguardedPart((field) => draft[field]?.value);
  if (found === undefined) return [];
  return [
    keyError(
      [...path, found.login],
      'exclusive-keys',
      describeUnguarded(found, (field) => field),
    ),
  ];
}

/** Hosts without a door at which somebody could name them. */
function findDoorless({ draft, path }: ReadService, http: Settings['http']): readonly Finding[] {
  return HOST_FIELDS.flatMap((field) => {
    if ((draft[field]?.value ?? []).length === 0) return [];
    const message = describeDoorless(field, http);
    if (message === undefined) return [];
    return [uselessKey([...path, field], message)];
  });
}

/** Hosts for which there is no certificate. */
function findUncertified({ draft, path }: ReadService, http: Settings['http']): readonly Finding[] {
  const message = describeUncertified(draft.hosts?.value ?? [], http);
  if (message === undefined) return [];
  return [uselessKey([...path, 'hosts'], message)];
}

/** A local process tells no port of its own, and ports that lead to several targets decide nothing. */
function findUnknownPort(service: ReadService): readonly Finding[] {
  const { draft, path, ref } = service;
  if ((draft.hosts?.value ?? []).length === 0 || draft.http_port !== undefined) return [];
  if (isWorkloadUnknown(service) || Object.hasOwn(service.raw, 'http_port')) return [];
  const targets = [...(draft.ports?.value ?? []), ...(draft.http_ports?.value ?? [])];
  const different = new Set(targets.map(({ targetPort }) => targetPort));
  if (different.size === 1 || (different.size === 0 && ref.kind !== 'process')) return [];
  const otherwise =
    ref.kind === 'process'
      ? '80 is used'
      : 'the only one that it offers itself is used, if it is one, else 80';
  const message = `it isn't known which port of the ${ref.kind === 'process' ? 'process' : 'workload'} serves these hosts: ${otherwise}; set http_port`;
  return [uselessKey([...path, 'hosts'], message)];
}

/** Settings of the front doors that do nothing without one of them, and doors that nobody could use. */
function checkFronts(services: readonly ReadService[], { http, settings }: WebContext): readonly Finding[] {
  const { listen, https, certificates, selfSignedDomains } = http;
  const findings: Finding[] = [];
  const useless = (key: string, why: string) => {
    if (settings[`http.${key}` as keyof SettingsDraft] === undefined) return;
    const message = `has no effect ${why}`;
    findings.push(uselessKey(['http', key], message));
  };
  if (https.length === 0 && certificates.length > 0) useless('certificates', 'without http.https');
  if (https.length + listen.length === 0 && http.acceptProxyProtocol)
    useless('accept_proxy_protocol', 'without http.listen or http.https');
  if (https.length === 0 && http.redirect) useless('redirect', 'without http.https');
  if (listen.length === 0 && http.redirect && https.length > 0) useless('redirect', 'without http.listen');
  const hasAny = (field: (typeof HOST_FIELDS)[number]) =>
    services.some(({ draft }) => (draft[field]?.value ?? []).length > 0);
  const passesAll = hasAny('tls_hosts') && !hasAny('hosts');
  if (!passesAll && https.length > 0 && certificates.length + selfSignedDomains.length === 0) {
    const message =
      'has no certificate, so only tls_hosts can be served there; set http.certificates or http.self_signed_domains';
    findings.push(uselessKey(['http', 'https'], message));
  }
  return [...findings, ...findPublicDomains(selfSignedDomains)];
}

/** Domains below which other people have names: whoever got hold of the authority's key could vouch for these, too. */
function findPublicDomains(domains: readonly string[]): readonly Finding[] {
  return domains.filter(isPublic).map((domain) => {
    const message = `other people have names below "${domain}", for which the proxy's authority could vouch, too; name a domain of your own, such as home.arpa or home.example.com`;
    const path = ['http', 'self_signed_domains', domains.indexOf(domain)];
    return warning(path, { code: 'option-without-effect', at: 'value', message });
  });
}

/** Whether a domain is one under which names are sold, as far as that can be told without a list of them all. */
function isPublic(domain: string): boolean {
  if (domain.includes('.')) return /^(ac|co|com|edu|gov|net|org)\.[a-z]{2}$/.test(domain);
  return !PRIVATE_DOMAINS.has(domain);
}
