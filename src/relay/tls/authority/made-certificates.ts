/**
 * The certificates that the proxy makes itself. Loaded, with what makes them, when the first one is needed. Each is made for the
 * client that needs it, is used again for those after it, and is made anew in time; nothing of it is kept but the authority.
 */
import type { KeyObject } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import { isSameData } from '../../../model/same-data.ts';
import { isInDomains } from '../../../model/web.ts';
import type { Clock } from '../../../system/clock.ts';
import { checkCertificate } from '../../../system/tls/check-certificate.ts';
import type { ToldFault } from '../certificate-store.ts';
import { type Authority, type AuthorityState, openAuthority, type TellCertificate } from './authority.ts';
import { makeKey, makeLeaf } from './make-certificate.ts';

/** Of names that clients invent, as below a wildcard: these push out each other. One takes 30 KiB. */
const MAX_INVENTED = 128;
/** Of names that the configuration has. */
const MAX_KNOWN = 1_024;
/** So many for names that clients invent are made at once, and from then on one in so long: each takes 3 ms of the processor. */
const BURST = 64;
const PACE_MS = 100;
/** Of its 90 days. */
const RENEWED_AFTER_MS = 60 * 86_400_000;
/** What can stand in front of a domain. */
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;

interface Leaf {
  readonly context: SecureContext;
  readonly madeMs: number;
}

interface MadeOptions {
  readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
  readonly state: AuthorityState;
  readonly tell: TellCertificate;
}

export class MadeCertificates {
  readonly #options: MadeOptions;
  /** All leaves have the same, which is never written down. */
  readonly #key: KeyObject = makeKey();
  readonly #known = new Map<string, Leaf>();
  readonly #invented = new Map<string, Leaf>();
  /** On the monotonic clock: when the last of those would be made that the pace allows so far. */
  #paidUntilMs = Number.NEGATIVE_INFINITY;
  #authority: Authority | undefined;
  #domains: readonly string[] | undefined;

  constructor(options: MadeOptions) {
    this.#options = options;
  }

  /** Whether it vouches for these domains, at this moment. */
  isFor(domains: readonly string[]): boolean {
    const untilMs = this.#authority?.untilMs ?? Number.POSITIVE_INFINITY;
    return isSameData(this.#domains, domains) && this.#options.clock.nowMs() < untilMs;
  }

  /** Vouches for these domains, and all names below them, from now on. Never rejects; not to be called again before it has resolved. */
  async setDomains(domains: readonly string[]): Promise<void> {
    const { clock, state, tell } = this.#options;
    const nowMs = clock.nowMs();
    const authority = domains.length === 0 ? undefined : await openAuthority({ domains, state, nowMs, tell });
    this.#domains = domains;
    this.#authority = authority;
    this.#known.clear();
    this.#invented.clear();
  }

  /** The certificate for a host that the configuration has; undefined where it is in none of the domains. */
  ofHost(host: string): SecureContext | undefined {
    if (!this.#canVouchFor(host)) return undefined;
    return this.#take(this.#known, { names: [host], issuer: this.#authority, max: MAX_KNOWN });
  }

  /** The same for a host that a client has thought of; undefined also where such clients have asked for too many of late. */
  ofInventedHost(host: string): SecureContext | undefined {
    if (!this.#canVouchFor(host)) return undefined;
    if (!this.#invented.has(host) && !this.#mayInvent()) return undefined;
    return this.#take(this.#invented, { names: [host], issuer: this.#authority, max: MAX_INVENTED });
  }

  /** One certificate for those of these names that are in one of the domains; if none is, one for all that nobody vouches for. */
  ofNames(names: readonly string[]): SecureContext {
    const valid = names.filter((name) => NAME.test(name));
    const vouched = valid.filter((name) => this.#canVouchFor(name));
    const issued = vouched.length > 0 ? { names: vouched, issuer: this.#authority } : { names: valid };
    return this.#take(this.#known, { ...issued, max: MAX_KNOWN });
  }

  /** What is wrong with the authority at this moment. */
  findFaults(): readonly ToldFault[] {
    if (this.#authority === undefined) return [];
    const { cert, key, lack } = this.#authority;
    const pem = { cert: String(cert), key: String(key.export({ type: 'pkcs8', format: 'pem' })) };
    const faults = checkCertificate({ ...pem, nowMs: this.#options.clock.nowMs() });
    const who = `the certificate authority for ${this.#domains?.join(', ')}`;
    const fleeting = `${who} is another one after each start, and devices have to trust it anew: ${lack}`;
    return [
      ...(lack === undefined ? [] : [{ severity: 'warning', message: fleeting } as const]),
      ...faults.map(({ severity, message }) => ({ severity, message: `${who}: ${message}` })),
    ];
  }

  #canVouchFor(host: string): boolean {
    return isInDomains(host, this.#domains ?? []) && NAME.test(host);
  }

  #mayInvent(): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    const paidUntilMs = Math.max(this.#paidUntilMs, nowMs - BURST * PACE_MS) + PACE_MS;
    if (paidUntilMs > nowMs) return false;
    this.#paidUntilMs = paidUntilMs;
    return true;
  }

  #take(
    leaves: Map<string, Leaf>,
    {
      names,
      issuer,
      max,
    }: { readonly names: readonly string[]; readonly issuer?: Authority | undefined; readonly max: number },
  ): SecureContext {
    const nowMs = this.#options.clock.nowMs();
    const id = names.join(' ');
    const known = leaves.get(id);
    // Taken out and put back, the one that was used last is the last to go.
    leaves.delete(id);
    // The clock may have been set back, too.
    const isFresh = known !== undefined && Math.abs(nowMs - known.madeMs) < RENEWED_AFTER_MS;
    const leaf = isFresh ? known : { context: this.#make(names, { issuer, nowMs }), madeMs: nowMs };
    leaves.set(id, leaf);
    const [oldest] = leaves.keys();
    if (leaves.size > max && oldest !== undefined) leaves.delete(oldest);
    return leaf.context;
  }

  #make(
    names: readonly string[],
    { issuer, nowMs }: { readonly issuer: Authority | undefined; readonly nowMs: number },
  ): SecureContext {
    const leaf = makeLeaf({ names, key: this.#key, issuer, nowMs });
    // Clients know the root alone.
    const cert = `${leaf}${issuer?.cert ?? ''}`;
    return createSecureContext({ cert, key: this.#key.export({ type: 'pkcs8', format: 'pem' }) });
  }
}
