import type { ProblemCode } from '../../model/problem.ts';
import { showUrls } from '../../model/text/show-url.ts';
import type { SecretMark } from '../secrets.ts';
import type { Path } from '../yaml/path.ts';

/** The outcome of parsing one value: the canonical value, or a mistake in words that follow the field's name. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly code: ProblemCode; readonly message: string };

/** A canonical value. */
export function accept<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** A mistake; `message` names the value and what would be right. */
export function refuse(code: ProblemCode, message: string): Parsed<never> {
  return { ok: false, code, message };
}

/** An environment variable that gives a value. */
export interface EnvironmentVariable<T = unknown> {
  readonly name: string;
  /** Reads its text, which is trimmed, and not empty unless `emptyCounts`. */
  readonly parse: (text: string) => Parsed<T>;
  /** What happens where its text is not usable, for the warning. */
  readonly otherwise: string;
  /** Whether a variable that is there and empty says so; absent = it counts as unset. */
  readonly emptyCounts?: true;
}

/** A mistake inside one value. */
export interface Fault {
  readonly code: ProblemCode;
  /** From the value to the wrong part: `[0]` for the first entry of a list. */
  readonly path: Path;
  /** Without the field's name. */
  readonly message: string;
}

/** The outcome of reading a value that may hold several mistakes. */
export type Reading<T> = Parsed<T> | { readonly ok: false; readonly faults: readonly Fault[] };

/** Lists all mistakes of a refused value. */
export function faultsOf(refused: Extract<Reading<unknown>, { readonly ok: false }>): readonly Fault[] {
  if ('faults' in refused) return refused.faults;
  const { code, message } = refused;
  return [{ code, path: [], message }];
}

/** A mistake of a part. */
export function refuseAt(path: Path, code: ProblemCode, message: string): Reading<never> {
  return { ok: false, faults: [{ code, path, message }] };
}

/** The words for a value's form, from which messages about the schema's errors are made. */
export interface FormWords {
  /** What a value looks like; a message about a missing one says `write <expected>`. */
  readonly expected: string;
  /** Says how to mend a value that should be a list or a mapping and is none, at `rest` below it; absent = nothing to add. */
  readonly formHint?: (raw: unknown, rest?: Path) => string;
  /** Whether a text that stands in place of a list is one entry or several with commas, of which `parse` tells. */
  readonly isList?: true;
  readonly parse?: (raw: unknown, context: { readonly portNames: boolean }) => Reading<unknown>;
  /** The keys of each entry, where it is a list of mappings. */
  readonly itemKeys?: readonly string[];
  /** The keys of a mapping in it, where the schema knows them. */
  readonly keys?: readonly string[];
  /** What of a value may be a secret: then no message shows it. Absent = nothing. */
  readonly secret?: SecretMark;
}

/** The outcome for a value of the wrong form. It holds no mistake, because the schema tells of it. */
export const WRONG_FORM: Reading<never> = { ok: false, faults: [] };

/** Reads a list and tells the mistakes of all its entries at once. */
export function parseList<T>(raw: unknown, parseItem: (item: unknown) => Parsed<T>): Reading<readonly T[]> {
  if (!Array.isArray(raw)) return WRONG_FORM;
  const values: T[] = [];
  const faults: Fault[] = [];
  raw.forEach((item: unknown, index) => {
    if (item === null) return;
    const parsed = parseItem(item);
    if (parsed.ok) values.push(parsed.value);
    else faults.push({ code: parsed.code, path: [index], message: parsed.message });
  });
  return faults.length === 0 && !raw.includes(null) ? accept(values) : { ok: false, faults };
}

/** The remedy for what should be a list. */
export function hintAtList(raw: unknown): string {
  if (typeof raw === 'string' && /^-\S/.test(raw)) {
    const [first] = raw.slice(1).split(/\s+-/);
    return `; a space is missing after the dash: write - ${showUrls(first ?? '')}`;
  }
  if (typeof raw !== 'string') return '';
  return `; write [${splitList(raw)
    .map((item) => JSON.stringify(item))
    .join(', ')}]`;
}

/** The entries that a text in place of a list was meant to have. */
export function splitList(raw: string): readonly string[] {
  const items = raw.split(',').map((item) => item.trim());
  return items.length > 1 ? items.filter((item) => item !== '') : [raw];
}

/** What of a refused value may have been meant as a variable, as Compose's files have them. */
const VARIABLE = /\$(\{[A-Za-z_]|[A-Za-z_])/;
/** The hash of a password, which has dollar signs of its own. */
const HASH = /\$[0-9a-z]{1,5}\$/;

/** The remedy for `${PORT}` and the like in the value at a path below `raw`. */
export function hintAtVariable(raw: unknown, path: Path = []): string {
  const value = path.reduce<unknown>((part, step) => (part as Record<string | number, unknown>)?.[step], raw);
  if (typeof value !== 'string' || !VARIABLE.test(value) || HASH.test(value)) return '';
  return "; variables aren't replaced in this file: write the value itself, or generate the file";
}

const MAX_SHOWN_CHARACTERS = 80;

/**
 * A user's value as a message shows it, at most 80 characters: text in quotes, a list or mapping by its kind, and of a URL
 * only scheme and host.
 */
export function showValue(raw: unknown): string {
  if (raw === null || raw === undefined) return 'nothing';
  if (Array.isArray(raw)) return 'a list';
  if (typeof raw === 'object') return 'a mapping';
  const shown = typeof raw === 'string' ? JSON.stringify(showUrls(raw)) : String(raw);
  return shown.length > MAX_SHOWN_CHARACTERS ? `${shown.slice(0, MAX_SHOWN_CHARACTERS)}…` : shown;
}

/** As showValue, for what may be a secret: of a list or mapping its kind, nothing else. */
export function showSecret(raw: unknown): string {
  return raw === null || raw === undefined || typeof raw === 'object' ? showValue(raw) : 'the value';
}

/** Whether a value read from YAML is a mapping. */
export function isMapping(raw: unknown): raw is Readonly<Record<string, unknown>> {
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw);
}
