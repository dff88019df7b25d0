import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { CertificateFiles } from '../../model/web.ts';
import type { Clock } from '../../system/clock.ts';
import { messageOf } from '../../system/message-of.ts';
import {
  type CertificateFault,
  checkCertificate,
  endOfCertificate,
  namesOfCertificate,
} from '../../system/tls/check-certificate.ts';

/** Replaced files are in force so soon: they are looked at when a client comes, and no more often. */
const LOOK_AGAIN_MS = 500;

/** A certificate that clients get. */
export interface CertificateInUse {
  readonly files: CertificateFiles;
  /** What was in the files, PEM. */
  readonly pair: { readonly cert: string; readonly key: string };
  /** Those that it is for. */
  readonly names: readonly string[];
  /** When it ends, ms since the epoch. */
  readonly untilMs: number;
  readonly secure: SecureContext;
}

interface Loaded {
  readonly files: CertificateFiles;
  /** Of both files: changes when one of them is replaced. */
  readonly stamp: string;
  /** Undefined where nothing was ever usable. */
  readonly inUse: CertificateInUse | undefined;
  /** Why what is in the files now is not in use. */
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
  /** By each name that they are for. */
  #byName: ReadonlyMap<string, CertificateInUse> = new Map();
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

  /** The certificate for a host, lower case, by its name or by a wildcard; undefined where there is none. */
  find(host: string): CertificateInUse | undefined {
    this.#look();
    return this.#byName.get(host) ?? this.#byName.get(`*${host.slice(host.indexOf('.'))}`);
  }

  /** The first certificate, whatever its names; undefined where it can't be used. */
  first(): SecureContext | undefined {
    this.#look();
    return this.#loaded[0]?.inUse?.secure;
  }

  /** The names that they are for; undefined where one of them can't be used, so that nobody knows. */
  names(): readonly string[] | undefined {
    this.#look();
    const all = this.#loaded.map(({ inUse }) => inUse?.names);
    return all.every((names) => names !== undefined) ? all.flat() : undefined;
  }

  /** What is wrong with them at this moment, each in words that stand alone: also that one will expire soon. */
  findFaults(): readonly ToldFault[] {
    this.#look();
    const nowMs = this.#clock.nowMs();
    return this.#loaded.flatMap(({ inUse, refused }) => [
      ...(refused === undefined ? [] : [{ severity: 'error' as const, message: refused }]),
      ...(inUse === undefined ? [] : tellFaults(inUse, nowMs)),
    ]);
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
      if (bad !== undefined && known?.inUse !== undefined) throw new Error(bad.message);
      const secure = createSecureContext({ cert, key });
      const untilMs = endOfCertificate(cert);
      const inUse = { files, pair: { cert, key }, names: namesOfCertificate(cert), untilMs, secure };
      for (const fault of tellFaults(inUse, this.#clock.nowMs())) this.#onBad(fault);
      return { files, stamp, inUse, refused: undefined };
    } catch (error) {
      const inUse = known?.inUse;
      const stays = inUse === undefined ? '' : '; the one from before stays in use';
      const refused = `certificate ${files.cert} with ${files.key}: ${messageOf(error)}${stays}`;
      this.#onBad({ severity: 'error', message: refused });
      return { files, stamp, inUse, refused };
    }
  }

  #index(): void {
    const inUse = this.#loaded.flatMap((loaded) => loaded.inUse ?? []);
    this.#byName = new Map(
      inUse.toReversed().flatMap((one) => one.names.map((name) => [name, one] as const)),
    );
  }
}

function tellFaults({ files, pair }: CertificateInUse, nowMs: number): readonly ToldFault[] {
  return checkCertificate({ ...pair, nowMs }).map(({ severity, message }) => ({
    ...{ severity, message: `certificate ${files.cert}: ${message}` },
  }));
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
