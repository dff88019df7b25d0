/** How the certificate authority of the proxy is written down: its private key and its certificate, PEM. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

/** The file in the folder of what is kept. */
export const AUTHORITY_FILE = 'authority.pem';
export const MAX_AUTHORITY_BYTES = 65_536;
const BLOCKS = /-----BEGIN (CERTIFICATE|PRIVATE KEY)-----.+?-----END \1-----/gs;

/** A certificate, and the private key that belongs to it. */
export interface Identity {
  readonly cert: X509Certificate;
  readonly key: KeyObject;
}

/** Reads what `formatAuthority` has written; else says why that can't be used. No message shows anything of the key. */
export function parseAuthority(text: string): Identity | string {
  const blocks = [...text.matchAll(BLOCKS)];
  const blockOf = (kind: string) => blocks.find(([, found]) => found === kind)?.[0];
  const [certificate, privateKey] = [blockOf('CERTIFICATE'), blockOf('PRIVATE KEY')];
  if (certificate === undefined) return 'it holds no whole certificate';
  if (privateKey === undefined) return 'it holds no whole private key';
  try {
    const [cert, key] = [new X509Certificate(certificate), createPrivateKey(privateKey)];
    if (!cert.ca) return 'its certificate is not that of an authority';
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return 'its key is not on the curve P-256';
    return cert.checkPrivateKey(key) ? { cert, key } : 'its key belongs to another certificate';
  } catch {
    // What OpenSSL says might show some of the key.
    return "its certificate or its key can't be read";
  }
}

export function formatAuthority({ cert, key }: Identity): string {
  return `${key.export({ type: 'pkcs8', format: 'pem' })}${cert}`;
}
