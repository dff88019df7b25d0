import { accept, type Parsed, refuse, showValue } from './parsed.ts';
import { suggestNearest } from './suggest.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const QUALIFIED_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]*(\/[A-Za-z0-9][A-Za-z0-9_.-]*)?$/;

/** What a name looks like, for messages. */
export const NAME_EXPECTED = 'a name of letters, digits, "_", "." and "-" that begins with a letter or digit';

/** Reads the name of a container or Swarm service. */
export function parseName(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && NAME.test(raw)) return accept(raw);
  return refuseName(raw, NAME_EXPECTED);
}

/**
 * Reads the name of a service, or of what a dependant means: a name or, as Kubernetes workloads have it,
 * `namespace/name`.
 */
export function parseQualifiedName(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && QUALIFIED_NAME.test(raw)) return accept(raw);
  return refuseName(raw, typeof raw === 'string' && raw.includes('/') ? 'namespace/name' : NAME_EXPECTED);
}

/** Whether a text can be the name of a container or Swarm service. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** Reads a whole number from `min`, or 1, to `max`. */
export function parseCount(
  raw: unknown,
  { min = 1, max }: { readonly min?: number; readonly max: number },
): Parsed<number> {
  if (typeof raw === 'number' && Number.isInteger(raw) && raw >= min && raw <= max) return accept(raw);
  return refuse('invalid-value', `${showValue(raw)} is not a whole number from ${min} to ${max}`);
}

/** Reads true or false. */
function parseFlag(raw: unknown): Parsed<boolean> {
  if (typeof raw === 'boolean') return accept(raw);
  const meant = typeof raw === 'string' ? FLAG_WORDS.get(raw.trim().toLowerCase()) : undefined;
  const remedy = meant === undefined ? '' : `; write ${meant}`;
  return refuse('wrong-type', `${showValue(raw)} is not true or false${remedy}`);
}

/** What was true or false in YAML 1.1, and the words in quotes. */
const FLAG_WORDS: ReadonlyMap<string, boolean> = new Map([
  ...['yes', 'on', 'y', 'true'].map((word) => [word, true] as const),
  ...['no', 'off', 'n', 'false'].map((word) => [word, false] as const),
]);

/** Reads one of a few words. */
export function parseChoice<T extends string>(raw: unknown, choices: readonly T[]): Parsed<T> {
  const found = choices.find((choice) => choice === raw);
  return found === undefined
    ? refuse('invalid-value', `${showValue(raw)} is not ${choices.join(' or ')}`)
    : accept(found);
}

/** A value that is true or false, as a row of FIELDS or SETTINGS has it. */
export const FLAG = { parse: parseFlag, expected: 'true or false' };

/** A value that is one of a few words, likewise. */
export function choice<const T extends string>(words: readonly T[]) {
  const parse = (raw: unknown): Parsed<T> => {
    const parsed = parseChoice(raw, words);
    // Among short ones, such as v1 and v2, each is near to each.
    if (parsed.ok || typeof raw !== 'string' || raw.length < 4) return parsed;
    return { ...parsed, message: `${parsed.message}${suggestNearest(raw, words)}` };
  };
  return { parse, expected: words.join(' or ') };
}

function refuseName(raw: unknown, expected: string): Parsed<never> {
  if (typeof raw === 'number') return refuse('wrong-type', `${raw} is not text; write "${raw}"`);
  return refuse('invalid-value', `${showValue(raw)} is not ${expected}`);
}
