import { DEFAULT_KEYS, SERVICE_KEYS } from '../fields.ts';
import { settingKeys } from '../settings.ts';
import { createSuggester, type Suggest } from '../suggest.ts';
import { showValue } from '../values/parsed.ts';
import type { Path } from '../yaml/path.ts';
import { coveredBy, type Finding, keyError, valueError } from './finding.ts';
import type { SchemaIssue } from './schema.ts';

const TYPE_NAMES: Readonly<Record<string, string>> = {
  object: 'a mapping',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

/** Keys at the top of a file. */
export const TOP_KEYS: readonly string[] = ['defaults', ...settingKeys(''), 'services'];

/** What suggests one of these keys. */
type SuggestAmong = (known: readonly string[]) => Suggest;

/** Violations of the schema in a person's words, without those that a finding of the parsers says better. */
export function schemaFindings(
  issues: readonly SchemaIssue[],
  better: readonly Finding[],
): readonly Finding[] {
  const isCovered = coveredBy(better);
  const suggesters = new Map<readonly string[], Suggest>();
  const suggestAmong = (known: readonly string[]): Suggest => {
    const suggest = suggesters.get(known) ?? createSuggester(known);
    suggesters.set(known, suggest);
    return suggest;
  };
  return issues
    .filter((issue) => !isCovered(targetOf(issue)))
    .map((issue) => describeIssue(issue, suggestAmong));
}

/** The place a violation is about: for a key that is missing or wrong, that key. */
function targetOf({ path, keyword, params }: SchemaIssue): Path {
  const key =
    keyword === 'additionalProperties'
      ? params['additionalProperty']
      : keyword === 'required'
        ? params['missingProperty']
        : keyword === 'propertyNames'
          ? params['propertyName']
          : undefined;
  return key === undefined ? path : [...path, String(key)];
}

function describeIssue(issue: SchemaIssue, suggestAmong: SuggestAmong): Finding {
  const target = targetOf(issue);
  switch (issue.keyword) {
    case 'additionalProperties':
      return keyError(target, 'unknown-key', describeUnknownKey(target, suggestAmong));
    case 'required':
      return valueError(target, 'missing-key', 'is missing');
    case 'propertyNames':
      return keyError(target, 'invalid-value', `${showValue(target.at(-1))} can't be used as a name`);
    case 'type':
      return valueError(target, 'wrong-type', describeType(issue));
    default:
      return valueError(target, 'invalid-value', describeValue(issue));
  }
}

function describeUnknownKey(target: Path, suggestAmong: SuggestAmong): string {
  const key = String(target.at(-1));
  const parent = target.slice(0, -1);
  const known = keysAt(parent);
  const homes = PLACES.filter(({ keys }) => keys.includes(key)).map(({ where }) => where);
  if (homes.length > 0) return `belongs ${homes.join(' or ')}, not ${nameOf(parent)}`;
  const suggestion = suggestAmong(known)(key);
  return `unknown key${suggestion === '' ? `; known are ${known.join(', ')}` : suggestion}`;
}

/** Where keys belong, for who has written one elsewhere. */
const PLACES: readonly { readonly where: string; readonly keys: readonly string[] }[] = [
  { where: 'to a service', keys: SERVICE_KEYS.filter((key) => !DEFAULT_KEYS.includes(key)) },
  { where: 'to a service or to defaults', keys: DEFAULT_KEYS },
  { where: 'to the top of the file', keys: TOP_KEYS },
  ...TOP_KEYS.map((section) => ({ where: `to ${section}`, keys: settingKeys(section) })),
];

function nameOf(parent: Path): string {
  const [section] = parent;
  if (section === undefined) return 'to the top of the file';
  return section === 'services' ? 'to a service' : `to ${section}`;
}

function keysAt(parent: Path): readonly string[] {
  switch (parent[0]) {
    case undefined:
      return TOP_KEYS;
    case 'defaults':
      return DEFAULT_KEYS;
    case 'services':
      return SERVICE_KEYS;
    default:
      return settingKeys(String(parent[0]));
  }
}

function describeType({ path, params, value }: SchemaIssue): string {
  const types = [params['type']].flat().map(String);
  const expected = types.map((type) => TYPE_NAMES[type] ?? type).join(' or ');
  if (path.length === 0) return `the file is ${showValue(value)}, not ${expected}`;
  if (value !== null) return `${showValue(value)} is not ${expected}`;
  if (path[0] !== 'services') return `has no value; write ${expected}, or remove the key`;
  return path.length === 1
    ? 'has no value; write {} if no service is meant'
    : 'has no value; write {} where nothing is to be set';
}

function describeValue({ keyword, value }: SchemaIssue): string {
  return `${showValue(value)} does not fit the schema (${keyword})`;
}
