import type { BasicUser, ServiceTls, WaitingPage, WakePath } from '../../../model/web.ts';
import {
  accept,
  type Fault,
  isMapping,
  type Parsed,
  parseList,
  type Reading,
  refuse,
  showValue,
  WRONG_FORM,
} from '../parsed.ts';

const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
/** Each step doubles the time; 16 takes some seconds. */
const MIN_COST = 4;
const MAX_COST = 16;
const HIDDEN = '***';

export const USERS_EXPECTED = '[] for none';
export const KEYS_EXPECTED = '[] for none';
export const WAITING_PAGE_EXPECTED = 'auto, off or an HTML file such as /etc/lazy-proxy/waiting.html';
export const TLS_EXPECTED = 'true, false or a mapping such as {cert: /certs/db.pem, key: /certs/db-key.pem}';
export const WAKE_PATHS_EXPECTED = 'a list such as ["/", "!/metrics"]';

/** Reads users and their passwords' hashes, `name:hash`. No message shows what may be a password, or its hash. */
export function parseUsers(raw: unknown): Reading<readonly BasicUser[]> {
  return parseSecrets(raw, { parseItem: parseUser, expected: 'a list of users such as ["anna:$2y$12$…"]' });
}

function parseUser(raw: unknown): Parsed<BasicUser> {
  const colon = typeof raw === 'string' ? raw.indexOf(':') : -1;
  if (typeof raw !== 'string' || colon < 1) {
    const remedy = raw === HIDDEN ? '*** stands for what was hidden' : 'what is given is not user:hash';
    return refuse('invalid-value', `${remedy}; htpasswd -nbBC 12 USER PASSWORD makes a line of it`);
  }
  const user = raw.slice(0, colon);
  const hash = raw.slice(colon + 1);
  const cost = Number(BCRYPT.exec(hash)?.[1] ?? Number.NaN);
  // Control characters could not be sent.
  if (/[\p{Cc}]/u.test(user))
    return refuse('invalid-value', 'the name of the user holds a control character');
  const whose = `the password of ${JSON.stringify(user)}`;
  if (Number.isNaN(cost)) {
    const remedy = hash.startsWith('$$')
      ? 'write each $ once here; $$ is for Compose files'
      : `htpasswd -nbBC 12 ${/^[\w.-]+$/.test(user) ? user : 'USER'} PASSWORD makes the entry`;
    return refuse('invalid-value', `${whose} is not a bcrypt hash ($2y$12$… with 60 characters); ${remedy}`);
  }
  if (cost >= MIN_COST && cost <= MAX_COST) return accept({ user, hash });
  return refuse(
    'invalid-value',
    `${whose} has the cost ${cost}, which is not from ${MIN_COST} to ${MAX_COST}`,
  );
}

/** The spelling that parseUsers reads back. */
export function formatUsers(users: readonly BasicUser[]): readonly string[] {
  return users.map(({ user, hash }) => `${user}:${hash}`);
}

/** Reads the keys of a service's clients. No message shows one. */
export function parseApiKeys(raw: unknown): Reading<readonly string[]> {
  return parseSecrets(raw, { parseItem: parseApiKey, expected: 'a list of keys' });
}

function parseApiKey(raw: unknown): Parsed<string> {
  if (raw === HIDDEN)
    return refuse('invalid-value', '*** stands for a key that was hidden; write the key itself');
  if (typeof raw === 'string' && /^[\x21-\x7e]+$/.test(raw)) return accept(raw);
  const expected = 'a key of letters, digits and signs, without spaces';
  return refuse('invalid-value', `what is given is not ${expected}; openssl rand -hex 24 makes one`);
}

/** A list, one entry alone, or `""` for none. */
function parseSecrets<T>(
  raw: unknown,
  { parseItem, expected }: { readonly parseItem: (item: unknown) => Parsed<T>; readonly expected: string },
): Reading<readonly T[]> {
  if (raw === '') return accept([]);
  if (typeof raw === 'string') {
    const parsed = parseItem(raw);
    return parsed.ok ? accept([parsed.value]) : parsed;
  }
  if (Array.isArray(raw)) return parseList(raw, parseItem);
  return refuse('wrong-type', `what is given is not ${expected}`);
}

/**
 * Reads which paths may wake: `/docs`, or `!/docs` for one that may not. Canonical: the longest first, and `/` last; where it isn't
 * given, it may wake unless another one is named that may.
 */
export function parseWakePaths(raw: unknown): Reading<readonly WakePath[]> {
  const result = parseList(raw, parseWakePath);
  if (!result.ok) return result;
  const paths = result.value;
  const faults = paths.flatMap(({ prefix }, index): readonly Fault[] =>
    paths.findIndex((other) => other.prefix === prefix) === index
      ? []
      : [{ code: 'invalid-value', path: [index], message: `"${prefix}" is in the list already` }],
  );
  if (faults.length > 0) return { ok: false, faults };
  const hasRoot = paths.some(({ prefix }) => prefix === '/');
  const root = { prefix: '/', mayWake: !paths.some(({ mayWake }) => mayWake) };
  return accept((hasRoot ? paths : [...paths, root]).toSorted((a, b) => b.prefix.length - a.prefix.length));
}

function parseWakePath(raw: unknown): Parsed<WakePath> {
  const [, no, prefix] = (typeof raw === 'string' && /^(!?)\s*(\/[\x21-\x7e]*)$/.exec(raw.trim())) || [];
  if (prefix?.includes('*') === true) {
    const begin = prefix.replace(/\*+$/, '');
    const remedy = begin.includes('*') ? '' : `; write ${showValue(`${no}${begin}`)}`;
    const message = `${showValue(raw)} has a *, which stands for nothing here: each path counts that begins so${remedy}`;
    return refuse('invalid-value', message);
  }
  if (prefix !== undefined && !/[?#]/.test(prefix)) return accept({ prefix, mayWake: no === '' });
  const bare = typeof raw === 'string' && /^!?[\w.-]+$/.test(raw) ? raw.replace(/^!?/, '$&/') : undefined;
  const remedy = bare === undefined ? '' : `; write ${JSON.stringify(bare)}`;
  const expected = 'the begin of a path such as "/docs", or "!/metrics" for one that may not wake';
  return refuse('invalid-value', `${showValue(raw)} is not ${expected}${remedy}`);
}

/** The spelling that parseWakePaths reads back. */
export function formatWakePaths(paths: readonly WakePath[]): readonly string[] {
  return paths.map(({ prefix, mayWake }) => `${mayWake ? '' : '!'}${prefix}`);
}

/** Reads what a browser sees while a service starts; a label can't name a file of the proxy's. */
export function parseWaitingPage(
  raw: unknown,
  { ofLabel = false }: { readonly ofLabel?: boolean },
): Parsed<WaitingPage> {
  if (raw === 'auto' || raw === 'off') return accept({ kind: raw });
  if (raw === false) return accept({ kind: 'off' });
  const isFile =
    typeof raw === 'string' && (raw.includes('/') || /\.html?$/i.test(raw)) && !/\0|^[a-z]+:\/\//i.test(raw);
  if (ofLabel) {
    const remedy = isFile ? '; only the configuration file can name a file' : '';
    return refuse('invalid-value', `${showValue(raw)} is not auto or off${remedy}`);
  }
  return isFile
    ? accept({ kind: 'file', path: raw })
    : refuse('invalid-value', `${showValue(raw)} is not ${WAITING_PAGE_EXPECTED}`);
}

/** The spelling that parseWaitingPage reads back. */
export function formatWaitingPage(page: WaitingPage): string {
  return page.kind === 'file' ? page.path : page.kind;
}

/** Reads how a service ends TLS, if it does. A label can only say whether. */
export function parseTls(
  raw: unknown,
  { ofLabel = false }: { readonly ofLabel?: boolean } = {},
): Reading<ServiceTls | 'off'> {
  if (raw === true) return accept({ kind: 'self-signed' });
  // The words are lazy-tcp-proxy's.
  if (raw === false || raw === 'false' || raw === '') return accept('off');
  if (!isMapping(raw)) {
    const isYes = typeof raw === 'string' && /^(true|yes|on)$/i.test(raw.trim());
    const remedy = isYes ? `; write true${ofLabel ? '' : ', without quotes'}` : '';
    const expected = ofLabel ? 'true or false; only the configuration file can name files' : TLS_EXPECTED;
    return refuse('wrong-type', `${showTls(raw)} is not ${expected}${remedy}`);
  }
  const files = parseCertificate(raw);
  return files.ok ? accept({ kind: 'files', ...files.value }) : files;
}

/** It may be a key. */
function showTls(raw: unknown): string {
  return typeof raw === 'string' && raw.length > 10 ? 'what is given' : showValue(raw);
}

/** The spelling that parseTls reads back. */
export function formatTls(tls: ServiceTls | 'off'): unknown {
  if (tls === 'off') return false;
  return tls.kind === 'self-signed' ? true : { cert: tls.cert, key: tls.key };
}

/** Reads a certificate's two files. It is silent about a missing key, and one too many, which the schema tells. */
function parseCertificate(raw: unknown): Reading<{ readonly cert: string; readonly key: string }> {
  if (!isMapping(raw)) return WRONG_FORM;
  const { cert, key } = raw;
  const faults = (['cert', 'key'] as const).flatMap((name): readonly Fault[] => {
    const message = explainPath(raw[name]);
    return message === undefined ? [] : [{ code: 'invalid-value', path: [name], message }];
  });
  if (faults.length > 0) return { ok: false, faults };
  return typeof cert === 'string' && typeof key === 'string' ? accept({ cert, key }) : WRONG_FORM;
}

/** Says what is wrong with the path of a PEM file, and never shows it if it may be the key itself. */
function explainPath(raw: unknown): string | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (typeof raw !== 'string') return `${showValue(raw)} is not the path of a PEM file`;
  if (raw.includes('-----BEGIN'))
    return 'what is given is the content of a PEM file; write the path of the file';
  return raw === '' || raw.includes('\0') ? 'what is given is not the path of a PEM file' : undefined;
}

/** Says how certificates that are no list become one. */
export function hintAtCertificates(raw: unknown): string {
  if (isMapping(raw)) return '; write - before cert';
  return typeof raw === 'string' ? '; write [{ cert: /certs/home.pem, key: /certs/home-key.pem }]' : '';
}

/** Reads the certificates of the front doors. */
export function parseCertificates(
  raw: unknown,
): Reading<readonly { readonly cert: string; readonly key: string }[]> {
  if (!Array.isArray(raw)) return WRONG_FORM;
  const readings = raw.map((item: unknown) => parseCertificate(item));
  const faults = readings.flatMap((reading, index): readonly Fault[] => {
    if (reading.ok || !('faults' in reading)) return [];
    return reading.faults.map((fault) => ({ ...fault, path: [index, ...fault.path] }));
  });
  const values = readings.flatMap((reading) => (reading.ok ? [reading.value] : []));
  return values.length === readings.length ? accept(values) : { ok: false, faults };
}
