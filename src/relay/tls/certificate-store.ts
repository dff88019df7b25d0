import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { CertificateFiles } from '../../model/web.ts';
import type { Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';
import { type CertificateFault, checkCertificate } from '../../system/tls/check-certificate.ts';
import { HostTable } from '../http/message/host-table.ts';

/** Replaced files are in force so soon: they are looked at when a client comes, and no more often. */
const LOOK_AGAIN_MS = 500;

interface Loaded {
  readonly files: CertificateFiles;
  /** Of both files: changes when one of them is replaced. */
  readonly stamp: string;
  /** What is in force, PEM; undefined where nothing was ever usable. */
  readonly pair: { readonly cert: string; readonly key: string } | undefined;
  readonly names: readonly string[];
  readonly context: SecureContext | undefined;
  /** Why what is in the files now is not in force. */
  readonly refused: string | undefined;
}

/** What is wrong with a certificate, with its files' names in front. */
export type ToldFault = Pick<CertificateFault, 'severity' | 'message'>;
export type TellBadCertificate = (fault: ToldFault) => void;

/** The certificates of files, by the names that they are for. What can't be used is reported, and what was used before stays. */
export class CertificateStore {
  readonly #clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
  readonly #onBad: TellBadCertificate;
  #loaded: readonly Loaded[] = [];
  #table = new HostTable<SecureContext>();
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  /** @param options.onBad told, once for each state of the files, why a certificate can't be used, or clients refuse it, now or soon. */
  constructor(options: {
    readonly clock: Pick<Clock, 'nowMs' | 'monotonicMs'>;
    readonly onBad: TellBadCertificate;
  }) {
    this.#clock = options.clock;
    this.#onBad = options.onBad;
  }

  /** Uses these files from now on; the first one that has a name is used for it. */
  set(certificates: readonly CertificateFiles[]): void {
    this.#loaded = certificates.map((files) => {
      const known = this.#loaded.find(({ files: { cert, key } }) => cert === files.cert && key === files.key);
      return this.#load(files, known);
    });
    this.#index();
  }

  /** The certificate for a host, lower case; undefined where there is none. */
  find(host: string): SecureContext | undefined {
    this.#look();
    return this.#table.find(host);
  }

  /** The first certificate, whatever its names; undefined where it can't be used. */
  first(): SecureContext | undefined {
    this.#look();
    return this.#loaded[0]?.context;
  }

  /** What is wrong with them at this moment, each in words that stand alone: also that one will expire soon. */
  findFaults(): readonly ToldFault[] {
    this.#look();
    const nowMs = this.#clock.nowMs();
    return this.#loaded.flatMap(({ files, pair, refused }) => {
      const about = ({ severity, message }: ToldFault): ToldFault => ({
        severity,
        message: `certificate ${files.cert}: ${message}`,
      });
      const ofFiles = refused === undefined ? [] : [{ severity: 'error' as const, message: refused }];
      return [...ofFiles, ...(pair === undefined ? [] : checkCertificate({ ...pair, nowMs }).map(about))];
    });
  }

  #look(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < LOOK_AGAIN_MS) return;
    this.#lookedAtMs = nowMs;
    const loaded = this.#loaded.map((known) => this.#load(known.files, known));
    if (loaded.every((entry, index) => entry === this.#loaded[index])) return;
    this.#loaded = loaded;
    this.#index();
  }

  #load(files: CertificateFiles, known: Loaded | undefined): Loaded {
    const stamp = stampOf(files);
    if (known?.stamp === stamp) return known;
    try {
      const [cert, key] = [readFileSync(files.cert, 'utf8'), readFileSync(files.key, 'utf8')];
      const faults = checkCertificate({ cert, key, nowMs: this.#clock.nowMs() });
      const fatal = faults.find(({ kind }) => kind === 'form');
      if (fatal !== undefined) throw new Error(fatal.message);
      const bad = faults.find(({ severity }) => severity === 'error');
      // Where there is nothing better, clients decide whether they take it.
      if (bad !== undefined && known?.context !== undefined) throw new Error(bad.message);
      const context = createSecureContext({ cert, key });
      for (const { severity, message } of faults)
        this.#onBad({ severity, message: `certificate ${files.cert}: ${message}` });
      return { files, stamp, pair: { cert, key }, names: namesOf(cert), context, refused: undefined };
    } catch (error) {
      const { names = [], context, pair } = known ?? {};
      const stays = context === undefined ? '' : '; the one from before stays in use';
      const refused = `certificate ${files.cert} with ${files.key}: ${messageOf(error)}${stays}`;
      this.#onBad({ severity: 'error', message: refused });
      return { files, stamp, pair, names, context, refused };
    }
  }

  #index(): void {
    const table = new HostTable<SecureContext>();
    for (const { names, context } of this.#loaded.toReversed())
      for (const name of names) if (context !== undefined) table.set(name, context);
    this.#table = table;
  }
}

/** The names of the first certificate in a PEM file; its common name where it has no others. */
function namesOf(pem: string): readonly string[] {
  const { subjectAltName = '', subject = '' } = new X509Certificate(pem);
  const names = [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name.toLowerCase());
  const [, common] = /^CN=(.+)$/m.exec(subject) ?? [];
  return names.length > 0 || common === undefined ? names : [common.toLowerCase()];
}

function stampOf({ cert, key }: CertificateFiles): string {
  return [cert, key]
    .map((file) => {
      try {
        const { mtimeMs, size, ino } = statSync(file);
        return `${mtimeMs} ${size} ${ino}`;
      } catch {
        return 'missing';
      }
    })
    .join(' ');
}
