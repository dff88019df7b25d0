/**
 * Who may ask the status server for what. Input: the headers of a request, and the settings in force. Output: whether the name
 * by which it was asked may be used, and whether who asks has shown the token.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { StatusAccess } from '../model/settings.ts';
import { readTokenFile } from '../system/token-file.ts';

/**
 * `trusted`: has shown the token; `stranger`: has shown none; `wrong`: has shown another one; `unset`: there is no token, so
 * nobody can.
 */
export type Standing =
  | { readonly kind: 'trusted' | 'stranger' | 'wrong' }
  | { readonly kind: 'unset'; readonly why: string };

const NO_TOKEN = 'set status.token, status.token_file or LAZY_PROXY_TOKEN';
/** What a login of a reverse proxy in front leaves in a request; no token is shown in this way. */
const OTHER_SCHEME = /^(?!bearer )[a-z0-9-]+ +\S/i;

export class Access {
  readonly #settings: () => StatusAccess;
  readonly #hostName: string;

  /** @param options.hostName the machine's own name. */
  constructor(options: { readonly settings: () => StatusAccess; readonly hostName: string }) {
    this.#settings = options.settings;
    this.#hostName = options.hostName.toLowerCase();
  }

  /** Whether reading needs the token, too. */
  get isProtected(): boolean {
    return this.#settings().protect;
  }

  /** Whether there is a token that can be shown. */
  async hasToken(): Promise<boolean> {
    return typeof (await this.#readToken()) === 'string';
  }

  /** Whether anybody may read what workloads have printed. */
  get showsOutput(): boolean {
    return this.#settings().showOutput;
  }

  /**
   * Why a request with this `Host` is refused: a page elsewhere can have its own name lead here (DNS rebinding), but not an
   * address, nor a name without a dot. Undefined where it may ask.
   */
  explainHost(host: string | undefined): string | undefined {
    const name = host === undefined ? undefined : hostNameOf(host);
    if (name !== undefined && this.#isAllowed(name)) return undefined;
    return `${JSON.stringify(name ?? host ?? '')} is no name of this proxy; list it in status.allowed_hosts if it is`;
  }

  /** The same for the `Origin` of what changes something; programs send none. */
  explainOrigin(origin: string | undefined): string | undefined {
    if (origin === undefined) return undefined;
    const [, host] = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)$/i.exec(origin) ?? [];
    const name = host === undefined ? undefined : hostNameOf(host);
    if (name !== undefined && this.#isAllowed(name)) return undefined;
    const listed = name === undefined ? 'its host' : JSON.stringify(name);
    return `a page of ${JSON.stringify(origin)} may change nothing; list ${listed} in status.allowed_hosts if it is yours`;
  }

  /** Compares in a time that tells nothing of the token. */
  async judge(authorization: string | undefined): Promise<Standing> {
    const token = await this.#readToken();
    if (typeof token !== 'string') return token;
    if (authorization === undefined || OTHER_SCHEME.test(authorization)) return { kind: 'stranger' };
    const [, shown] = /^bearer +(\S+) *$/i.exec(authorization) ?? [];
    const isRight = timingSafeEqual(digest(shown ?? ''), digest(token)) && shown !== undefined;
    return { kind: isRight ? 'trusted' : 'wrong' };
  }

  #isAllowed(name: string): boolean {
    if (isIP(name) !== 0 || !name.includes('.')) return true;
    return (
      name === this.#hostName || name.endsWith('.localhost') || this.#settings().allowedHosts.includes(name)
    );
  }

  /** A file is read each time: secrets are replaced while programs run. */
  async #readToken(): Promise<string | Standing> {
    const { token, tokenFile } = this.#settings();
    if (token !== undefined) return token;
    if (tokenFile === undefined) return { kind: 'unset', why: NO_TOKEN };
    const read = await readTokenFile(tokenFile);
    return 'token' in read ? read.token : { kind: 'unset', why: read.why };
  }
}

/** The name in a `Host` header, without port and brackets, lower case; undefined for what is no host. */
export function hostNameOf(host: string): string | undefined {
  const [, address, name] = /^(?:\[([0-9a-f:.]+)\]|([^\s:/?#@[\]\\]+))(?::\d{1,5})?$/i.exec(host) ?? [];
  return (address ?? name)?.toLowerCase();
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
