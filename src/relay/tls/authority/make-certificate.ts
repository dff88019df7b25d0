/** Makes certificates: a library writes them, and Node signs them. All keys are on the curve P-256. */
import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  GeneralSubtree,
  GeneralSubtrees,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_nameConstraints,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  NameConstraints,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Time,
  Validity,
  Version,
} from '@peculiar/asn1-x509';
import type { Identity, StoredAuthority } from '../../../system/tls/authority-pem.ts';

const DAY_MS = 86_400_000;
/** For clients whose clock is slow. */
const BACKDATED_MS = DAY_MS;
const AUTHORITY_MS = 3_650 * DAY_MS;
/** Browsers take no more than 397 days. */
const LEAF_MS = 90 * DAY_MS;

const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2';
const COMMON_NAME = '2.5.4.3';
const ORGANIZATION = '2.5.4.10';
/** X.520, upper bound of a common name. */
const MAX_NAME = 64;
const MAKER = 'lazy-proxy';

export function makeKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/**
 * Makes a certificate authority, good for ten years. What it signs counts for these domains and the names below them alone: not for
 * others, for addresses, or for anything but servers. A root that has the same limits vouches for it, and can never again vouch for
 * anything, since its key is gone: there are clients that don't look at the limits of a root, as Java.
 */
export function makeAuthority({
  domains,
  nowMs,
}: {
  readonly domains: readonly string[];
  readonly nowMs: number;
}): StoredAuthority {
  const [rootKey, key] = [makeKey(), makeKey()];
  // Two of them differ in this, in the list of what a device trusts.
  const id = Buffer.from(keyIdOf(publicKeyOf(rootKey))).toString('hex', 0, 3);
  const rootName = nameOf(`${MAKER} ${id} ${domains.join(' ')}`);
  const tree = (base: Partial<GeneralName>) => new GeneralSubtree({ base: new GeneralName(base) });
  const limits = new NameConstraints({
    permittedSubtrees: new GeneralSubtrees(domains.map((dNSName) => tree({ dNSName }))),
    // Names of a kind that no rule speaks of are free.
    excludedSubtrees: new GeneralSubtrees(['0.0.0.0/0', '::/0'].map((iPAddress) => tree({ iPAddress }))),
  });
  const certify = (owner: KeyObject, subject: Name, pathLenConstraint: number) => {
    const publicKey = publicKeyOf(owner);
    return build({
      ...{ publicKey, subject, issuer: rootName, signer: rootKey, nowMs, untilMs: nowMs + AUTHORITY_MS },
      extensions: [
        critical(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint })),
        critical(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign)),
        extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
        critical(id_ce_nameConstraints, limits),
        extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdOf(publicKey))),
        issuedBy(publicKeyOf(rootKey)),
      ],
    });
  };
  const name = nameOf(`${MAKER} ${id} issuer`);
  return { key, cert: certify(key, name, 0), root: certify(rootKey, rootName, 1) };
}

/**
 * Makes the certificate of a server, good for 90 days.
 * @param options.names host names, one at least. `issuer`: who vouches for it; absent = nobody but itself.
 */
export function makeLeaf({
  names,
  key,
  issuer,
  nowMs,
}: {
  readonly names: readonly string[];
  readonly key: KeyObject;
  readonly issuer?: Identity | undefined;
  readonly nowMs: number;
}): X509Certificate {
  const publicKey = publicKeyOf(key);
  const [first = MAKER] = names;
  const subject = nameOf(first);
  const above = issuer && AsnConvert.parse(issuer.cert.raw, Certificate).tbsCertificate;
  return build({
    ...{ publicKey, subject, issuer: above?.subject ?? subject, signer: issuer?.key ?? key, nowMs },
    untilMs: Math.min(
      nowMs + LEAF_MS,
      above?.validity.notAfter.getTime().getTime() ?? Number.POSITIVE_INFINITY,
    ),
    extensions: [
      critical(id_ce_basicConstraints, new BasicConstraints({ cA: false })),
      critical(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature)),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
      extension(
        id_ce_subjectAltName,
        new SubjectAlternativeName(names.map((dNSName) => new GeneralName({ dNSName }))),
      ),
      ...(above === undefined ? [] : [issuedBy(above.subjectPublicKeyInfo)]),
    ],
  });
}

function build({
  publicKey,
  subject,
  issuer,
  signer,
  nowMs,
  untilMs,
  extensions,
}: {
  readonly publicKey: SubjectPublicKeyInfo;
  readonly subject: Name;
  readonly issuer: Name;
  readonly signer: KeyObject;
  readonly nowMs: number;
  readonly untilMs: number;
  readonly extensions: Extension[];
}): X509Certificate {
  const validity = new Validity();
  validity.notBefore = new Time(nowMs - BACKDATED_MS);
  validity.notAfter = new Time(untilMs);
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const tbsCertificate = new TBSCertificate({
    ...{ version: Version.v3, serialNumber: makeSerial(), signature: signatureAlgorithm },
    ...{ issuer, subject, validity, subjectPublicKeyInfo: publicKey },
    extensions: new Extensions(extensions),
  });
  const signatureValue = toArrayBuffer(
    sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), signer),
  );
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue });
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate)));
}

function issuedBy(publicKey: SubjectPublicKeyInfo): Extension {
  const keyIdentifier = new KeyIdentifier(keyIdOf(publicKey));
  return extension(id_ce_authorityKeyIdentifier, new AuthorityKeyIdentifier({ keyIdentifier }));
}

function extension(extnID: string, value: unknown): Extension {
  return new Extension({ extnID, critical: false, extnValue: new OctetString(AsnConvert.serialize(value)) });
}

function critical(extnID: string, value: unknown): Extension {
  return Object.assign(extension(extnID, value), { critical: true });
}

function nameOf(text: string): Name {
  const part = (type: string, utf8String: string) =>
    new RelativeDistinguishedName([
      new AttributeTypeAndValue({ type, value: new AttributeValue({ utf8String }) }),
    ]);
  return new Name([part(ORGANIZATION, MAKER), part(COMMON_NAME, text.slice(0, MAX_NAME))]);
}

function publicKeyOf(key: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(createPublicKey(key).export({ type: 'spki', format: 'der' }), SubjectPublicKeyInfo);
}

/** RFC 7093, 2: the first method. */
function keyIdOf(publicKey: SubjectPublicKeyInfo): ArrayBuffer {
  const hash = createHash('sha256').update(Buffer.from(publicKey.subjectPublicKey)).digest();
  return toArrayBuffer(hash.subarray(0, 20));
}

/** Positive, and never the same twice. */
function makeSerial(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return toArrayBuffer(bytes);
}

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** The domains that the certificate of an authority is limited to; none where it is one of another kind. */
export function readConstraints(cert: X509Certificate): readonly string[] {
  const { extensions = [] } = AsnConvert.parse(cert.raw, Certificate).tbsCertificate;
  const found = extensions.find(({ extnID }) => extnID === id_ce_nameConstraints);
  if (found === undefined) return [];
  const { permittedSubtrees = [] } = AsnConvert.parse(found.extnValue.buffer, NameConstraints);
  return permittedSubtrees.flatMap(({ base: { dNSName = '' } }) => (dNSName === '' ? [] : [dNSName]));
}
