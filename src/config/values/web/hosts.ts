import { domainToASCII } from 'node:url';
import type { TraefikHost } from '../../../model/web.ts';
import { accept, type Fault, type Parsed, parseList, type Reading, refuse, showValue } from '../parsed.ts';

const LABEL = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?';
const DOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
const MAX_CHARACTERS = 253;
/** A name can't end in a number: that would be an address. */
const ADDRESS = /(^|\.)\d+$|:.*:|^\[/;
const WILDCARD = '*.';
/** As Traefik has it: ``Host(`wiki.home.arpa`)``. */
const TRAEFIK_RULE = /^Host(?:SNI)?\(\s*["'`]([^"'`]*)["'`]\s*\)$/;

/** What a host looks like, for messages. */
export const HOSTS_EXPECTED = '[] for none';
const HOST_EXPECTED = 'a host name such as wiki.home.arpa or "*.home.arpa"';

/**
 * Reads a list of host names, `*.` in front for any names below. Canonical: lower case, in Punycode, without a dot at the end; exact
 * names first, then the longer wildcards. A name twice is a mistake.
 */
export function parseHosts(raw: unknown): Reading<readonly string[]> {
  const result = parseList(raw, parseHostPattern);
  if (!result.ok) return result;
  const faults = result.value.flatMap((host, index): readonly Fault[] =>
    result.value.indexOf(host) === index
      ? []
      : [{ code: 'host-conflict', path: [index], message: `"${host}" is in the list already` }],
  );
  return faults.length === 0 ? accept(sortHosts(result.value)) : { ok: false, faults };
}

/** Exact names come first, then the longer wildcards, so that the first that fits is the closest. */
function sortHosts(hosts: readonly string[]): readonly string[] {
  const rank = (host: string) => (host.startsWith(WILDCARD) ? -host.length : Number.NEGATIVE_INFINITY);
  // The order of the file stays among equals.
  return hosts.length < 2 ? hosts : hosts.toSorted((a, b) => compare(rank(a), rank(b)));
}

function compare(a: number, b: number): number {
  return Number(a > b) - Number(a < b);
}

/** Reads a list of domains, none of them a wildcard. */
export function parseDomains(raw: unknown): Reading<readonly string[]> {
  return parseList(raw, (item) => {
    const parsed = parseHostPattern(item);
    if (parsed.ok && !parsed.value.startsWith(WILDCARD)) return parsed;
    const remedy = parsed.ok
      ? `; write "${parsed.value.slice(WILDCARD.length)}", which stands for all names below it, too`
      : '';
    return refuse('invalid-address', `${showValue(item)} is not a domain such as home.arpa${remedy}`);
  });
}

/** Reads a list of `host:port`, as lazy-tcp-proxy has them for Traefik. */
export function parseTraefikHosts(raw: unknown): Reading<readonly TraefikHost[]> {
  return parseList(raw === '' ? [] : typeof raw === 'string' ? [raw] : raw, (item) => {
    const [, name, digits] = (typeof item === 'string' && /^(.+):(\d{1,5})$/.exec(item.trim())) || [];
    const port = Number(digits);
    if (name === undefined || port < 1 || port > 65_535) {
      const message = `${showValue(item)} is not host:port such as "wiki.home.arpa:9001", where the port is a listen port`;
      return refuse('invalid-address', message);
    }
    const host = parseHostPattern(name);
    return host.ok ? accept({ host: host.value, port }) : host;
  });
}

function parseHostPattern(raw: unknown): Parsed<string> {
  const text = typeof raw === 'string' ? raw.trim() : '';
  const isWildcard = text.startsWith(WILDCARD);
  const name = isWildcard ? text.slice(WILDCARD.length) : text;
  const host = readDomain(name);
  if (host !== undefined) return accept(isWildcard ? `${WILDCARD}${host}` : host);
  return refuse('invalid-address', `${showValue(raw)} is not ${HOST_EXPECTED}${hint(text, name)}`);
}

/** undefined = it is no domain. */
function readDomain(text: string): string | undefined {
  if (text === '' || /[\s*:/\\?#@[\]]/.test(text)) return undefined;
  const host = domainToASCII(text.toLowerCase()).replace(/\.$/, '');
  const isDomain = host.length <= MAX_CHARACTERS && DOMAIN.test(host) && !ADDRESS.test(host);
  return isDomain ? host : undefined;
}

/** The remedy for the commonest mistakes: a URL, a port, an address, a wildcard at another place. */
function hint(text: string, name: string): string {
  const [, inner = ''] = /^[a-z]+:\/\/([^/]*)/i.exec(text) ?? [];
  if (text === '*' || text === '*.')
    return '; http_ports gives a service a port of its own for whatever host is named';
  if (readDomain(inner) !== undefined) return `; write "${inner}"`;
  const [, ruled = ''] = TRAEFIK_RULE.exec(text) ?? [];
  if (readDomain(ruled) !== undefined) return `; write "${ruled}"`;
  if (ADDRESS.test(text))
    return '; clients that come by an address find a service by its own port: http_ports';
  if (name.includes('*')) return '; a wildcard stands in front of a dot, and once';
  const [, bare = ''] = /^(?:\*\.)?([^:/]+)[:/]/.exec(text) ?? [];
  return readDomain(bare) === undefined ? '' : `; write "${text.slice(0, text.search(/[:/]/))}"`;
}
