import { describeUncovered } from '../config/rules/uncovered-hosts.ts';
import type { Problem } from '../model/problem.ts';
import type { Service } from '../model/service.ts';
import type { ServiceTable } from '../model/table.ts';
import type { FrontPolicy, HostCertificate } from '../model/web.ts';
import type { AuthorityState } from '../relay/tls/authority/authority.ts';
import type { Certificates } from '../relay/tls/certificates.ts';
import type { OfferTls } from '../relay/tls/tls-offer.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/log/logger.ts';

interface LoaderOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly services: () => readonly Service[];
  /** What the front doors have now. */
  readonly policy: () => FrontPolicy;
  /** The service that a host leads to at a front door. */
  readonly ownerOf: (host: string) => string | undefined;
  /** What is kept. */
  readonly state: AuthorityState;
}

const LEVELS = { error: 'error', warning: 'warn', info: 'info' } as const;

/** The certificates of the proxy, which are there as soon as something needs one. */
export class CertificateLoader {
  readonly #options: LoaderOptions;
  #loading: Promise<Certificates> | undefined;
  #certificates: Certificates | undefined;

  constructor(options: LoaderOptions) {
    this.#options = options;
  }

  load(): Promise<Certificates> {
    this.#loading ??= this.#load();
    return this.#loading;
  }

  /** The certificate of a service at its own ports; undefined where TLS doesn't end there. */
  offerTo(service: Service): OfferTls | undefined {
    if (service.tls === undefined) return undefined;
    // Before its first client comes: so that what is wrong with it is told.
    void this.load()
      .then((certificates) => certificates.ofService(service))
      .catch(() => {});
    return () =>
      this.#certificates?.ofService(service) ?? this.load().then((loaded) => loaded.ofService(service));
  }

  /** What is wrong with the certificates that are in use, at this moment. */
  findProblems(): readonly Problem[] {
    const faults = this.#certificates?.findFaults() ?? [];
    const origin = { kind: 'engine', name: 'certificates' } as const;
    return faults.map((fault) => ({ ...fault, code: 'bad-certificate', origin }));
  }

  /** What clients of the front doors get for a host of a service; undefined as long as no front door with TLS has opened. */
  describe(host: string): HostCertificate | undefined {
    return this.#certificates?.describe(host);
  }

  /** Warns of hosts that nobody gets over HTTPS, as far as the check of the configuration can't: it doesn't know what is in the files. */
  findUncovered(table: ServiceTable): readonly Problem[] {
    const names = this.#certificates?.names();
    const { certificates, selfSignedDomains } = table.frontPolicy;
    if (names === undefined || certificates.length === 0 || !table.fronts.some(({ tls }) => tls)) return [];
    return [...table.entries.values()].flatMap(({ service: { web, name }, origins }): readonly Problem[] => {
      const why = describeUncovered(web.hosts, { names, selfSignedDomains });
      if (why === undefined) return [];
      const message = `hosts of service ${name}: ${why}`;
      const origin = origins['hosts'] ?? { kind: 'default' };
      return [{ code: 'option-without-effect', severity: 'warning', message, origin }];
    });
  }

  close(): void {
    this.#certificates?.close();
  }

  async #load(): Promise<Certificates> {
    const { logger } = this.#options;
    const { Certificates } = await import('../relay/tls/certificates.ts');
    this.#certificates = new Certificates({
      ...this.#options,
      tell: ({ severity, message }) => logger[LEVELS[severity]]({ event: 'certificate' }, message),
    });
    return this.#certificates;
  }
}
