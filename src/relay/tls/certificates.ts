/**
 * The certificates of the whole proxy: those of the front doors, and those of services at whose ports TLS ends. Loaded when the
 * first one is needed. Files are looked at when clients come; what is wrong with them is told, also that one will expire soon.
 * Guarantees: for a host at the front doors the proxy makes one only where a service has that host, and only in its domains; at a
 * service's own port, never for a host of another service.
 */
import { createSecureContext } from 'node:tls';
import type { Service } from '../../model/service.ts';
import {
  type CertificateFiles,
  type FrontPolicy,
  type HostCertificate,
  isInDomains,
} from '../../model/web.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';
import type { AuthorityState, TellCertificate } from './authority/authority.ts';
import type { MadeCertificates } from './authority/made-certificates.ts';
import { type CertificateInUse, CertificateStore, type ToldFault } from './certificate-store.ts';
import type { TlsOffer } from './tls-offer.ts';

/** So often it is looked whether one will expire soon. */
const LOOK_MS = 12 * 3_600_000;

/** Of a service, what its certificates depend on. */
type Secured = Pick<Service, 'name' | 'tls' | 'web'>;

interface CertificatesOptions {
  readonly clock: Clock;
  /** What the front doors have now. */
  readonly policy: () => Pick<FrontPolicy, 'certificates' | 'selfSignedDomains'>;
  /** The services that there are now. */
  readonly services: () => Iterable<Secured>;
  /** The service that a host leads to. */
  readonly ownerOf: (host: string) => string | undefined;
  /** What is kept. */
  readonly state: AuthorityState;
  /** Told why a certificate can't be used, or will soon no longer be, and what is made. */
  readonly tell: TellCertificate;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #shared: CertificateStore;
  #sharedFiles: readonly CertificateFiles[] = [];
  /** Those of services, by the two files. */
  readonly #own = new Map<string, CertificateStore>();
  /** Without a certificate. */
  readonly #none = createSecureContext();
  #made: MadeCertificates | undefined;
  #making: Promise<MadeCertificates> | undefined;
  #cancelLook: Cancel;

  constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#shared = this.#createStore();
    this.#cancelLook = options.clock.schedule(LOOK_MS, () => this.#look());
    this.follow();
  }

  /** Looks at what the front doors have now: what is wrong with it is told at once, and an authority that is needed is made. */
  follow(): void {
    this.#ofFronts();
    if (this.#made === undefined && this.#options.policy().selfSignedDomains.length === 0) return;
    const made = this.#make();
    // It tells by itself why it can't.
    if (made instanceof Promise) made.catch(() => {});
  }

  /** What the clients of a front door get. @param hostsAt the hosts of the service that a host leads to there; undefined = to none. */
  ofFront(hostsAt: (host: string) => readonly string[] | undefined): TlsOffer {
    return {
      context: this.#none,
      find: (host) => {
        const choice = this.#choose(host);
        if (typeof choice === 'object') return choice.secure;
        const hosts = choice === 'self-signed' ? hostsAt(host) : undefined;
        if (hosts === undefined) return undefined;
        const take = (made: MadeCertificates) =>
          hosts.includes(host) ? made.ofHost(host) : made.ofInventedHost(host);
        const made = this.#make();
        return made instanceof Promise ? made.then(take) : take(made);
      },
    };
  }

  /** Whether there is a certificate for a host that leads to a service at a front door, or one would be made. */
  covers(host: string): boolean {
    return this.#choose(host) !== undefined;
  }

  /** What clients of the front doors get for a host that a service has. @param host also a wildcard: then for the names below */
  describe(host: string): HostCertificate {
    const choice = this.#choose(host.replace('*', 'any'));
    if (choice === undefined) return { kind: 'none' };
    if (choice === 'self-signed') return { kind: 'self-signed' };
    return { kind: 'file', path: choice.files.cert, untilMs: choice.untilMs };
  }

  /** The names that the certificates of the front doors are for; undefined where one of them can't be used, so that nobody knows. */
  names(): readonly string[] | undefined {
    return this.#ofFronts().names();
  }

  /** What the clients of a service get at its own ports; undefined where there is nothing that can be used. */
  ofService(service: Secured): TlsOffer | undefined | Promise<TlsOffer | undefined> {
    const { tls } = service;
    if (tls === undefined) return undefined;
    if (tls.kind === 'self-signed') {
      const made = this.#make();
      return made instanceof Promise
        ? made.then((late) => this.#offerMade(service, late))
        : this.#offerMade(service, made);
    }
    const key = keyOf(tls);
    const store = this.#own.get(key) ?? this.#createStore();
    if (!this.#own.has(key)) {
      this.#own.set(key, store);
      store.set([tls]);
    }
    const context = store.first();
    return context && { context };
  }

  /** What is wrong with those that are in use, at this moment. */
  findFaults(): readonly ToldFault[] {
    const used = new Set<string>();
    for (const { tls } of this.#options.services()) if (tls?.kind === 'files') used.add(keyOf(tls));
    for (const key of [...this.#own.keys()]) if (!used.has(key)) this.#own.delete(key);
    const ofFiles = [this.#ofFronts(), ...this.#own.values()].flatMap((store) => store.findFaults());
    return [...ofFiles, ...(this.#made?.findFaults() ?? [])];
  }

  close(): void {
    this.#cancelLook();
  }

  #choose(host: string): CertificateInUse | 'self-signed' | undefined {
    const found = this.#ofFronts().find(host);
    if (found !== undefined) return found;
    return isInDomains(host, this.#options.policy().selfSignedDomains) ? 'self-signed' : undefined;
  }

  #ofFronts(): CertificateStore {
    const { certificates } = this.#options.policy();
    if (certificates !== this.#sharedFiles) {
      this.#sharedFiles = certificates;
      this.#shared.set(certificates);
    }
    return this.#shared;
  }

  #createStore(): CertificateStore {
    const { clock, tell } = this.#options;
    return new CertificateStore({ clock, onBad: tell });
  }

  /**
   * The names of a service's own ports: its hosts, and in each domain its own name and the domain itself. Who asks for another name
   * in a domain, such as that of the machine, gets that, unless it is the host of another service.
   */
  #offerMade({ name, web }: Secured, made: MadeCertificates): TlsOffer {
    const { selfSignedDomains: domains } = this.#options.policy();
    const isFree = (host: string) => (this.#options.ownerOf(host) ?? name) === name;
    const own = name.toLowerCase();
    const hosts = web.hosts.filter((host) => !host.startsWith('*.'));
    const inDomains = domains.flatMap((domain) => [`${own}.${domain}`, domain]);
    const context = made.ofNames([...hosts, ...inDomains.filter(isFree), own, 'localhost']);
    return { context, find: (host) => (isFree(host) ? (made.ofInventedHost(host) ?? context) : context) };
  }

  /** What makes certificates, for the domains that there are now. */
  #make(): MadeCertificates | Promise<MadeCertificates> {
    if (this.#made?.isFor(this.#options.policy().selfSignedDomains)) return this.#made;
    this.#making ??= this.#prepare().finally(() => {
      this.#making = undefined;
    });
    return this.#making;
  }

  async #prepare(): Promise<MadeCertificates> {
    const { policy, tell } = this.#options;
    try {
      const { MadeCertificates } = await import('./authority/made-certificates.ts');
      const made = this.#made ?? new MadeCertificates(this.#options);
      // They may change meanwhile.
      do await made.setDomains(policy().selfSignedDomains);
      while (!made.isFor(policy().selfSignedDomains));
      this.#made = made;
      return made;
    } catch (error) {
      // The next client tries again.
      tell({ severity: 'error', message: `certificates can't be made: ${messageOf(error)}` });
      throw error;
    }
  }

  #look(): void {
    const { clock, tell } = this.#options;
    for (const fault of this.findFaults()) tell(fault);
    this.#cancelLook = clock.schedule(LOOK_MS, () => this.#look());
  }
}

function keyOf({ cert, key }: CertificateFiles): string {
  return `${cert}\n${key}`;
}
