import type { ProblemCode } from '../model/problem.ts';
import { parseAccessEntry } from './address.ts';
import { parseCron } from './cron.ts';
import {
  DURATION_EXPECTED,
  parseDuration,
  parsePositiveDuration,
  parsePositiveSeconds,
  parseSeconds,
} from './duration.ts';
import { FIELDS, type FieldKind, type FieldName, type FieldSpec, type FieldValues } from './fields.ts';
import { isMapping, type Parsed, showValue } from './parsed.ts';
import type { Path } from './path.ts';
import { parsePort } from './ports.ts';
import {
  parseArgument,
  parseChoice,
  parseCount,
  parseFlag,
  parseName,
  parsePathText,
  parseVariableValue,
} from './text.ts';
import { parseTimezone } from './timezone.ts';
import { parseHealthcheckUrl, parseHttpUrl } from './url.ts';

/** A mistake inside one field's value. */
export interface Fault {
  readonly code: ProblemCode;
  /** From the field's value to the wrong part: `[0]` for the first entry of a list. */
  readonly path: Path;
  /** Without the field's name. */
  readonly message: string;
}

export type FieldResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Reads a field's value as the file gives it; all mistakes in it at once. */
export function parseField<F extends FieldName>(field: F, raw: unknown): FieldResult<FieldValues[F]> {
  const spec = FIELDS[field];
  const result = raw === null || raw === undefined ? noValue(EXPECTED[spec.kind]) : parseKind(spec, raw);
  // The kind decides the type of the value, which TypeScript can't follow through the table.
  return result as FieldResult<FieldValues[F]>;
}

/** Reads the value of a field's `*_secs` spelling; milliseconds. */
export function parseSecsField(field: FieldName, raw: unknown): FieldResult<number> {
  if (raw === null || raw === undefined) return noValue('a number of seconds such as 90');
  return wrap(FIELDS[field].kind === 'positive-duration' ? parsePositiveSeconds(raw) : parseSeconds(raw));
}

/** What each kind of value looks like, for messages about a missing one. */
const EXPECTED: Readonly<Record<FieldKind, string>> = {
  name: 'a name',
  names: '[] for none',
  arguments: 'a list such as [node, server.js]',
  path: 'a directory',
  variables: '{} for none',
  'tcp-ports': '[] for none',
  'udp-ports': '[] for none',
  addresses: '[] for none',
  duration: DURATION_EXPECTED,
  'positive-duration': DURATION_EXPECTED,
  count: 'a whole number',
  url: '"" for none',
  healthcheck: '"" for none',
  cron: 'a cron expression such as "30 8 * * 1-5"',
  timezone: 'a time zone such as Europe/Paris',
  readiness: 'reply or open',
  flag: 'true or false',
};

function parseKind(spec: FieldSpec, raw: unknown): FieldResult<unknown> {
  switch (spec.kind) {
    case 'name':
      return wrap(parseName(raw));
    case 'names':
      return parseList(raw, parseName);
    case 'arguments':
      return parseCommand(raw);
    case 'path':
      return wrap(parsePathText(raw));
    case 'variables':
      return parseVariables(raw);
    case 'tcp-ports':
      return flatten(parseList(raw, (item) => parsePort(item, 'tcp')));
    case 'udp-ports':
      return flatten(parseList(raw, (item) => parsePort(item, 'udp')));
    case 'addresses':
      return parseList(raw, parseAccessEntry);
    default:
      return wrap(parseScalar(spec, spec.kind, raw));
  }
}

type ScalarKind = Exclude<
  FieldKind,
  'name' | 'names' | 'arguments' | 'path' | 'variables' | 'tcp-ports' | 'udp-ports' | 'addresses'
>;

function parseScalar(spec: FieldSpec, kind: ScalarKind, raw: unknown): Parsed<unknown> {
  switch (kind) {
    case 'duration':
      return parseDuration(raw);
    case 'positive-duration':
      return parsePositiveDuration(raw);
    case 'count':
      return parseCount(raw, spec.max ?? Number.MAX_SAFE_INTEGER);
    case 'url':
      return parseHttpUrl(raw);
    case 'healthcheck':
      return parseHealthcheckUrl(raw);
    case 'cron':
      return parseCron(raw);
    case 'timezone':
      return parseTimezone(raw);
    case 'readiness':
      return parseChoice(raw, ['reply', 'open']);
    case 'flag':
      return parseFlag(raw);
  }
}

function parseList<T>(raw: unknown, parseItem: (item: unknown) => Parsed<T>): FieldResult<readonly T[]> {
  if (!Array.isArray(raw)) return fail([], 'wrong-type', `${showValue(raw)} is not a list${listHint(raw)}`);
  const values: T[] = [];
  const faults: Fault[] = [];
  raw.forEach((item: unknown, index) => {
    const parsed = item === null ? missingItem() : parseItem(item);
    if (parsed.ok) values.push(parsed.value);
    else faults.push({ code: parsed.code, path: [index], message: parsed.message });
  });
  return faults.length === 0 ? { ok: true, value: values } : { ok: false, faults };
}

function parseCommand(raw: unknown): FieldResult<readonly string[]> {
  if (typeof raw === 'string') {
    const words = raw.split(/\s+/).filter((word) => word !== '');
    return fail([], 'wrong-type', `${showValue(raw)} is not a list; write [${words.join(', ')}]`);
  }
  const result = parseList(raw, parseArgument);
  if (!result.ok) return result;
  const [program] = result.value;
  if (program === undefined)
    return fail([], 'invalid-value', 'the list is empty; it must begin with a program');
  return program === '' ? fail([0], 'invalid-value', '"" is empty; the first entry is the program') : result;
}

function parseVariables(raw: unknown): FieldResult<Readonly<Record<string, string>>> {
  if (!isMapping(raw)) {
    return fail(
      [],
      'wrong-type',
      `${showValue(raw)} is not a mapping; write name: value, one variable a line`,
    );
  }
  const values: [string, string][] = [];
  const faults: Fault[] = [];
  for (const [name, item] of Object.entries(raw)) {
    const parsed = /^[^=\0]+$/.test(name) ? parseVariableItem(item) : badVariableName(name);
    if (parsed.ok) values.push([name, parsed.value]);
    else faults.push({ code: parsed.code, path: [name], message: parsed.message });
  }
  return faults.length === 0 ? { ok: true, value: Object.fromEntries(values) } : { ok: false, faults };
}

function parseVariableItem(item: unknown): Parsed<string> {
  return item === null
    ? { ok: false, code: 'wrong-type', message: 'has no value; write "" for an empty one' }
    : parseVariableValue(item);
}

function badVariableName(name: string): Parsed<never> {
  return {
    ok: false,
    code: 'invalid-value',
    message: `${showValue(name)} is not the name of an environment variable`,
  };
}

function flatten<T>(result: FieldResult<readonly (readonly T[])[]>): FieldResult<readonly T[]> {
  return result.ok ? { ok: true, value: result.value.flat() } : result;
}

function missingItem(): Parsed<never> {
  return { ok: false, code: 'wrong-type', message: 'has no value; remove the entry' };
}

function listHint(raw: unknown): string {
  if (typeof raw === 'string') return `; write [${JSON.stringify(raw)}]`;
  return typeof raw === 'number' ? `; write ["${raw}:${raw}"] for a port` : '';
}

function noValue(expected: string): { readonly ok: false; readonly faults: readonly Fault[] } {
  return fail([], 'wrong-type', `has no value; write ${expected}, or remove the key`);
}

function wrap<T>(parsed: Parsed<T>): FieldResult<T> {
  return parsed.ok ? parsed : fail([], parsed.code, parsed.message);
}

function fail(
  path: Path,
  code: ProblemCode,
  message: string,
): { readonly ok: false; readonly faults: readonly Fault[] } {
  return { ok: false, faults: [{ path, code, message }] };
}
