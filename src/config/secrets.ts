/**
 * What of a field or setting is a secret, and what stands in its place where it is shown: the one place that knows. Which part of
 * a value is one says the `secret` of its row in FIELDS or SETTINGS. Pure.
 */
import { showUrl } from '../model/text/show-url.ts';
import type { Path } from './yaml/path.ts';

/** Stands for a secret in what is shown; no value. */
export const HIDDEN_SECRET = '***';

/**
 * What of a value, or of each value of a list, is a secret: `all` of it, the `values` of a mapping, of a `url` what does not say
 * which host is asked, the `user` and password of a URL, or the `arguments` of a command, its program left out. A mapping says it of
 * keys: of a mapping, or of each mapping of a list.
 */
export type SecretMark =
  | 'all'
  | 'values'
  | 'url'
  | 'user'
  | 'arguments'
  | { readonly [key: string]: SecretMark };

/** A message about `***` in a file. */
export const HIDDEN_MESSAGE = '*** stands for a hidden value; write the value itself';

/** The value as it may be shown to anybody. */
export function hideSecrets(value: unknown, mark: SecretMark | undefined): unknown {
  if (mark === undefined || value === '' || value === undefined || value === null) return value;
  if (mark === 'arguments')
    return Array.isArray(value) && value.length > 1 ? [value[0], HIDDEN_SECRET] : value;
  if (Array.isArray(value)) return value.map((item: unknown) => hideSecrets(item, mark));
  if (mark === 'all') return HIDDEN_SECRET;
  if (mark === 'url') return showUrl(String(value)).replace(/\u2026$/, HIDDEN_SECRET);
  if (mark === 'user') return typeof value === 'string' ? hideUser(value) : value;
  if (typeof value !== 'object') return value;
  const marks = mark === 'values' ? () => 'all' as const : (key: string) => mark[key];
  return Object.fromEntries(
    Object.entries(value).map(([key, part]: [string, unknown]) => [key, hideSecrets(part, marks(key))]),
  );
}

/** Where in a value, as the file gives it, `***` stands in the place of a secret. */
export function findHidden(raw: unknown, mark: SecretMark | undefined, path: Path = []): readonly Path[] {
  if (mark === undefined || raw === null || raw === undefined) return [];
  if (typeof raw === 'string')
    return mark !== 'values' && mark !== 'arguments' && holdsHidden(raw, mark) ? [path] : [];
  if (mark === 'arguments') {
    const [, ...rest] = Array.isArray(raw) ? (raw as readonly unknown[]) : [];
    return rest.flatMap((argument, index) => (argument === HIDDEN_SECRET ? [[...path, index + 1]] : []));
  }
  if (Array.isArray(raw))
    return raw.flatMap((item: unknown, index) => findHidden(item, mark, [...path, index]));
  if (typeof raw !== 'object' || mark === 'all') return [];
  const marks = mark === 'values' ? () => 'all' as const : (key: string) => (mark as MarksOfKeys)[key];
  return Object.entries(raw).flatMap(([key, part]: [string, unknown]) =>
    findHidden(part, marks(key), [...path, key]),
  );
}

/** Whether something of a shown value is hidden. */
export function isHidden(shown: unknown): boolean {
  if (typeof shown === 'string') return shown.includes(HIDDEN_SECRET);
  return typeof shown === 'object' && shown !== null && Object.values(shown).some(isHidden);
}

/** A shown value with something else in the place of what is hidden, so that it can be read as the file's. */
export function replaceHidden(shown: unknown, { by }: { readonly by: string }): unknown {
  if (typeof shown === 'string')
    return shown === HIDDEN_SECRET ? by : shown.replaceAll(HIDDEN_SECRET, 'hidden');
  if (Array.isArray(shown)) return shown.map((item: unknown) => replaceHidden(item, { by }));
  if (typeof shown !== 'object' || shown === null) return shown;
  return Object.fromEntries(
    Object.entries(shown).map(([key, part]: [string, unknown]) => [key, replaceHidden(part, { by })]),
  );
}

type MarksOfKeys = Readonly<Record<string, SecretMark>>;

/** A part of a URL is hidden there; elsewhere a value with stars in it is one like any other. */
function holdsHidden(text: string, mark: SecretMark): boolean {
  return mark === 'url' || mark === 'user' ? text.includes(HIDDEN_SECRET) : text === HIDDEN_SECRET;
}

/** `http://user:password@host` → `http://***@host`; what is no such URL stays as it is. A password may hold `@` and `/`. */
function hideUser(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)(?!\/).*@/is, `$1${HIDDEN_SECRET}@`);
}
