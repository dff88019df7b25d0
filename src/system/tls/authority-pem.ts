/** How the certificate authority of the proxy is written down, as PEM: its private key, its certificate, and the root's. */
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

export interface StoredAuthority extends Identity {
  /** Who vouches for it; what devices trust. */
  readonly root: X509Certificate;
}

/** Reads what `formatAuthority` has written; else says why that can't be used. No message shows anything of the key. */
export function parseAuthority(text: string): StoredAuthority | string {
  const blocks = [...text.matchAll(BLOCKS)];
  const blocksOf = (kind: string) => blocks.filter(([, found]) => found === kind).map(([block]) => block);
  const [[privateKey], [certificate, above]] = [blocksOf('PRIVATE KEY'), blocksOf('CERTIFICATE')];
  if (privateKey === undefined) return 'it holds no whole private key';
  if (certificate === undefined || above === undefined) return 'it does not hold two whole certificates';
  try {
    const [cert, root] = [new X509Certificate(certificate), new X509Certificate(above)];
    const key = createPrivateKey(privateKey);
    if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') return 'its key is not on the curve P-256';
    if (!cert.ca || !root.ca) return 'its certificates are not those of an authority';
    if (!cert.verify(root.publicKey)) return 'its second certificate does not vouch for the first';
    return cert.checkPrivateKey(key) ? { cert, key, root } : 'its key belongs to another certificate';
  } catch {
    // What OpenSSL says might show some of the key.
    return "its certificates or its key can't be read";
  }
}

export function formatAuthority({ cert, key, root }: StoredAuthority): string {
  return `${key.export({ type: 'pkcs8', format: 'pem' })}${cert}${root}`;
}
