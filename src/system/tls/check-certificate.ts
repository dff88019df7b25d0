import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { parseTimestamp } from '../clock.ts';
import { messageOf } from '../message-of.ts';

/** Before its end a certificate is warned of for so long. */
const WARN_BEFORE_MS = 14 * 24 * 3_600_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----/gs;

/** What is wrong with a certificate, in words that stand alone; an `error` makes it useless to clients. */
export interface CertificateFault {
  /** `form`: no server can use it. `time`: it is used, but clients refuse it, or soon will. */
  readonly kind: 'form' | 'time';
  readonly severity: 'error' | 'warning';
  readonly message: string;
}

/**
 * Finds why clients would refuse a certificate at a moment: it is none, its key is another's, or it or one of those behind it has
 * expired or doesn't count yet. Warns 14 days before the end. No message shows anything of the key.
 * @param options.cert PEM: the certificate, then those that prove it. `key`: PEM. `nowMs`: ms since the epoch.
 */
export function checkCertificate({
  cert,
  key,
  nowMs,
}: {
  readonly cert: string;
  readonly key: string;
  readonly nowMs: number;
}): readonly CertificateFault[] {
  const chain = readChain(cert);
  if ('message' in chain) return [chain];
  const privateKey = readKey(key);
  const faults = 'message' in privateKey ? [privateKey] : checkKey(chain, privateKey);
  return [...faults, ...chain.flatMap((one, index) => checkTimes(one, { index, nowMs }))];
}

/** When a certificate ends, ms since the epoch: the first one in a PEM file. */
export function endOfCertificate(pem: string): number {
  return parseTimestamp(new X509Certificate(pem).validTo);
}

/** The names that a certificate is for, lower case: those of the first one in a PEM file; its common name where it has no others. */
export function namesOfCertificate(pem: string): readonly string[] {
  const { subjectAltName = '', subject = '' } = new X509Certificate(pem);
  const names = [...subjectAltName.matchAll(/DNS:([^,\s]+)/g)].map(([, name = '']) => name.toLowerCase());
  const [, common] = /^CN=(.+)$/m.exec(subject) ?? [];
  return names.length > 0 || common === undefined ? names : [common.toLowerCase()];
}

function readChain(pem: string): readonly X509Certificate[] | CertificateFault {
  const blocks = pem.match(CERTIFICATE) ?? [];
  const mixedUp = pem.includes('PRIVATE KEY-----') ? '; it holds a key: are the two files mixed up?' : '';
  if (blocks.length === 0) return error(`the certificate is no PEM certificate${mixedUp}`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch (cause) {
    return error(`the certificate can't be read: ${messageOf(cause)}`);
  }
}

function readKey(pem: string): KeyObject | CertificateFault {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const isLocked = pem.includes('ENCRYPTED');
    const mixedUp = pem.includes('BEGIN CERTIFICATE')
      ? '; it holds a certificate: are the two files mixed up?'
      : '';
    return error(
      isLocked
        ? 'the key is locked with a password; openssl pkey -in KEY -out UNLOCKED takes it off'
        : `the key is no PEM private key${mixedUp || `: ${messageOf(cause)}`}`,
    );
  }
}

/** The first certificate is the one that clients check the key with. */
function checkKey(chain: readonly X509Certificate[], key: KeyObject): readonly CertificateFault[] {
  const fitting = chain.findIndex((one) => one.checkPrivateKey(key));
  if (fitting === 0) return [];
  return [
    error(
      fitting === -1
        ? 'the key belongs to another certificate'
        : `the key belongs to certificate ${fitting + 1} of the file, which has to come first`,
    ),
  ];
}

function checkTimes(
  { validFrom, validTo }: X509Certificate,
  { index, nowMs }: { readonly index: number; readonly nowMs: number },
): readonly CertificateFault[] {
  const which = index === 0 ? 'the certificate' : `certificate ${index + 1} of the file`;
  const [fromMs, toMs] = [parseTimestamp(validFrom), parseTimestamp(validTo)];
  if (toMs < nowMs)
    return [
      { kind: 'time', severity: 'error', message: `${which} has expired: it was good until ${validTo}` },
    ];
  if (fromMs > nowMs)
    return [{ kind: 'time', severity: 'error', message: `${which} is not good before ${validFrom}` }];
  if (toMs - nowMs >= WARN_BEFORE_MS) return [];
  return [
    { kind: 'time', severity: 'warning', message: `${which} expires soon: it is good until ${validTo}` },
  ];
}

function error(message: string): CertificateFault {
  return { kind: 'form', severity: 'error', message };
}
