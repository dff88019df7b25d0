/** Which service a host belongs to. Input: the hosts of services, and what a request names. Pure. */

/** What a request names in `Host`, or in the authority of its target. */
export interface NamedHost {
  /** Lower case, without a dot at its end; IPv6 in brackets. */
  readonly host: string;
  /** 0–65535; undefined where none is named. */
  readonly port: number | undefined;
}

/** What RFC 3986 allows in a name, and in an IPv6 address; a name that isn't ASCII has to be in Punycode. */
const AUTHORITY = /^(?:(\[[0-9a-f:.]+\])|([a-z0-9._~!$&'()*+,;=%-]+))(?::(\d{0,5}))?$/i;

/** Reads `wiki.home.arpa`, `Wiki.Home.Arpa.:8080`, `[::1]:80`; undefined for what is no host. */
export function parseHost(text: string): NamedHost | undefined {
  const [, address, name, digits = ''] = AUTHORITY.exec(text) ?? [];
  const port = digits === '' ? undefined : Number(digits);
  if (port !== undefined && port > 65_535) return undefined;
  if (address !== undefined) return { host: address.toLowerCase(), port };
  const host = name?.toLowerCase().replace(/\.$/, '') ?? '';
  return host === '' ? undefined : { host, port };
}

/** Finds values by host: exact names first, then the longest wildcard. Hosts are lower case, in Punycode. */
export class HostTable<Value> {
  readonly #exact = new Map<string, Value>();
  /** By what follows the `*` of a wildcard, with its dot. */
  readonly #below = new Map<string, Value>();

  /** Gives a host, or `*.` and a domain, to a value; whoever had it before loses it. */
  set(pattern: string, value: Value): void {
    if (pattern.startsWith('*.')) this.#below.set(pattern.slice(1), value);
    else this.#exact.set(pattern, value);
  }

  /** Takes a host away from a value; does nothing where it belongs to another one by now. */
  delete(pattern: string, value: Value): void {
    const [map, key] = pattern.startsWith('*.')
      ? ([this.#below, pattern.slice(1)] as const)
      : ([this.#exact, pattern] as const);
    if (map.get(key) === value) map.delete(key);
  }

  /** @param host as `parseHost` gives it. */
  find(host: string): Value | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined || this.#below.size === 0) return exact;
    for (let dot = host.indexOf('.', 1); dot > 0; dot = host.indexOf('.', dot + 1)) {
      const found = this.#below.get(host.slice(dot));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
