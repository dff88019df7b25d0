/**
 * The certificates of the whole proxy: those of the front doors, and those of services at whose ports TLS ends. Loaded when the
 * first one is needed. Files are looked at when clients come; what is wrong with them is told, also that one will expire soon.
 */
import type { SecureContext } from 'node:tls';
import type { Service } from '../../model/service.ts';
import type { CertificateFiles, FrontPolicy } from '../../model/web.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { CertificateStore, type TellBadCertificate, type ToldFault } from './certificate-store.ts';

/** So often it is looked whether one will expire soon. */
const LOOK_MS = 12 * 3_600_000;

interface CertificatesOptions {
  readonly clock: Clock;
  /** What the front doors have now. */
  readonly policy: () => Pick<FrontPolicy, 'certificates'>;
  /** The services that there are now. */
  readonly services: () => Iterable<Pick<Service, 'tls'>>;
  /** Told why a certificate can't be used, or will soon no longer be. */
  readonly onFault: TellBadCertificate;
}

export class Certificates {
  readonly #options: CertificatesOptions;
  readonly #shared: CertificateStore;
  #sharedFiles: readonly CertificateFiles[] = [];
  /** Those of services, by the two files. */
  readonly #own = new Map<string, CertificateStore>();
  #cancelLook: Cancel;

  constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#shared = this.#createStore();
    this.#cancelLook = options.clock.schedule(LOOK_MS, () => this.#look());
    // What is wrong with those of the front doors is told at once.
    this.#ofFronts();
  }

  /** The certificate for a host at the front doors, lower case; undefined where there is none. */
  find(host: string): SecureContext | undefined {
    return this.#ofFronts().find(host);
  }

  /** The certificate with which TLS ends at a service's own ports; undefined where there is none that can be used. */
  ofService({ tls }: Pick<Service, 'tls'>): SecureContext | undefined {
    if (tls?.kind !== 'files') return undefined;
    const key = keyOf(tls);
    const store = this.#own.get(key) ?? this.#createStore();
    if (!this.#own.has(key)) {
      this.#own.set(key, store);
      store.set([tls]);
    }
    return store.first();
  }

  /** What is wrong with those that are in use, at this moment. */
  findFaults(): readonly ToldFault[] {
    const used = new Set<string>();
    for (const { tls } of this.#options.services()) if (tls?.kind === 'files') used.add(keyOf(tls));
    for (const key of [...this.#own.keys()]) if (!used.has(key)) this.#own.delete(key);
    return [this.#ofFronts(), ...this.#own.values()].flatMap((store) => store.findFaults());
  }

  close(): void {
    this.#cancelLook();
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
    const { clock, onFault } = this.#options;
    return new CertificateStore({ clock, onBad: onFault });
  }

  #look(): void {
    const { clock, onFault } = this.#options;
    for (const fault of this.findFaults()) onFault(fault);
    this.#cancelLook = clock.schedule(LOOK_MS, () => this.#look());
  }
}

function keyOf({ cert, key }: CertificateFiles): string {
  return `${cert}\n${key}`;
}
