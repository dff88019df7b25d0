import { showUrls } from '../../model/text/show-url.ts';
import { DEFAULT_KEYS, FIELD_NAMES, fieldKeys, fieldSpec, SERVICE_KEYS } from '../fields.ts';
import { SETTINGS, type SettingName, type SettingSpec, settingKeys } from '../settings.ts';
import { findOurName } from '../values/other-names.ts';
import { hintAtPlace } from '../values/ports.ts';
import { createSuggester, type Suggest } from '../values/suggest.ts';
import {
  faultsOf,
  type FormWords,
  hintAtVariable,
  isMapping,
  showSecret,
  showValue,
  splitList,
} from '../values/parsed.ts';
import type { Path } from '../yaml/path.ts';
import { type Finding, keyError, valueError } from './finding.ts';
import type { SchemaIssue } from './schema.ts';

const TYPE_NAMES: Readonly<Record<string, string>> = { object: 'a mapping', array: 'a list' };
const SECS_WORDS: FormWords = { expected: 'a number of seconds such as 90' };
const NAME_WORDS: FormWords = { expected: 'the name of the service' };
/** By a service's key. */
const FIELD_WORDS: ReadonlyMap<string, FormWords> = new Map([
  ['name', NAME_WORDS],
  ...FIELD_NAMES.flatMap((field) =>
    fieldKeys(field).map((key) => [key, key === field ? fieldSpec(field) : SECS_WORDS] as const),
  ),
]);

/** Keys at the top of a file. */
export const TOP_KEYS: readonly string[] = ['defaults', ...settingKeys(''), 'services'];

/** Gives the suggester for a list of keys. */
type SuggestAmong = (known: readonly string[]) => Suggest;

/**
 * Puts into words what the schema says of a file's form: unknown and missing keys, keys without a value, and values that
 * should be a list or a mapping. The readers are silent about these. The schema's rules for single values are left out
 * here, because the parsers of the values say more.
 */
export function formFindings(issues: readonly SchemaIssue[], root: unknown): readonly Finding[] {
  const suggesters = new Map<readonly string[], Suggest>();
  const suggestAmong = (known: readonly string[]): Suggest => {
    const suggest = suggesters.get(known) ?? createSuggester(known);
    suggesters.set(known, suggest);
    return suggest;
  };
  const ofCompose = issues.filter(isComposeKey);
  const others = [...issues.filter((issue) => !ofCompose.includes(issue)), ...findEmptyServices(root)];
  const strays = others.filter((issue) => isStray(issue, { root, suggestAmong }));
  return [
    ...describeComposeKeys(ofCompose),
    ...strays.map((issue) => describeStray(issue, root)),
    ...others
      .filter((issue) => !strays.includes(issue) && !isEmptyBefore(issue, { strays, root }))
      .flatMap((issue) => describeIssue(issue, suggestAmong) ?? []),
  ];
}

/** For a file that the parsers take and the schema refuses: says at least where, and by which rule. */
export function unfitFindings(issues: readonly SchemaIssue[]): readonly Finding[] {
  return issues.map(({ path, keyword, value }) =>
    valueError(path, 'invalid-value', `${showValue(value)} does not fit the schema (${keyword})`),
  );
}

/**
 * An empty `services:` beside other keys. Alone it is fine: lazy-tcp-proxy makes a file of that and comments, to be filled
 * in later.
 */
function findEmptyServices(root: unknown): readonly SchemaIssue[] {
  if (!isMapping(root) || root['services'] !== null || Object.keys(root).length === 1) return [];
  return [{ path: ['services'], keyword: 'type', params: { type: ['object', 'array'] }, value: null }];
}

/** Keys of Compose, where a file of Compose was pasted; `ports` and `command` are ours as well. */
const COMPOSE_SERVICE_KEYS: ReadonlySet<string> = new Set(
  `build cap_add cap_drop configs container_name cpus deploy devices dns entrypoint env_file environment expose
  extends extra_hosts healthcheck hostname image init labels links logging mem_limit network_mode networks pid platform
  privileged profiles pull_policy read_only restart secrets security_opt shm_size stdin_open stop_grace_period stop_signal
  sysctls tmpfs tty ulimits user volumes volumes_from working_dir`.split(/\s+/),
);
const COMPOSE_TOP_KEYS: ReadonlySet<string> = new Set(
  'configs include name networks secrets version volumes'.split(' '),
);
const MAX_COMPOSE_KEYS = 6;
/** Of more keys than that nobody reads a list. */
const MAX_LISTED_KEYS = 20;
/** Shorter words are in many keys. */
const MIN_WORD = 3;
const MAX_ALIKE = 6;

function isComposeKey({ path, keyword, params }: SchemaIssue): boolean {
  if (keyword !== 'additionalProperties') return false;
  const key = String(params['additionalProperty']);
  if (path[0] === 'services' && path.length === 2) return COMPOSE_SERVICE_KEYS.has(key);
  return path.length === 0 && COMPOSE_TOP_KEYS.has(key);
}

/** One finding for all keys of Compose in the file, at the first one. */
function describeComposeKeys(issues: readonly SchemaIssue[]): readonly Finding[] {
  // The keys at the top come last: a file of Compose may have `volumes:` both there and in its services.
  const sorted = issues.toSorted((a, b) => b.path.length - a.path.length);
  const [first] = sorted;
  if (first === undefined) return [];
  const [key = '', ...others] = new Set(sorted.map(({ params }) => String(params['additionalProperty'])));
  const shown = others.slice(0, MAX_COMPOSE_KEYS - 1);
  if (others.length > shown.length) shown.push(`${others.length - shown.length} more`);
  const list = [shown.slice(0, -1).join(', '), shown.at(-1)].filter(Boolean).join(' and ');
  const also = others.length === 0 ? '' : `, as ${others.length === 1 ? 'does' : 'do'} ${list}`;
  const message = `belongs to Compose${also}; here a service has container, ports, idle_timeout and so on, and Compose makes the container itself`;
  return [keyError([...first.path, key], 'unknown-key', message)];
}

/** Whether a key stands too far to the left: a service at the margin below an empty `services:`, or a service's field beside it. */
function isStray(
  { path, keyword, params, value }: SchemaIssue,
  { root, suggestAmong }: { readonly root: unknown; readonly suggestAmong: SuggestAmong },
): boolean {
  const services = isMapping(root) ? root['services'] : undefined;
  if (path.length === 0 && keyword === 'additionalProperties' && isMapping(value)) {
    const key = String(params['additionalProperty']);
    const content = value[key];
    const isKnown = PLACES.some(({ keys }) => keys.includes(key)) || suggestAmong(TOP_KEYS)(key) !== '';
    return services === null && !isKnown && (content === null || isMapping(content));
  }
  if (path[0] !== 'services' || path.length !== 2 || keyword !== 'type' || value === null) return false;
  return SERVICE_KEYS.includes(String(path[1])) && isMapping(services);
}

function describeStray({ path, params }: SchemaIssue, root: unknown): Finding {
  if (path.length === 0) {
    const target = [String(params['additionalProperty'])];
    return keyError(target, 'unknown-key', 'stands beside services; indent it under services');
  }
  const owner = serviceBefore(path, root);
  const message = `belongs to a service; indent it under ${owner === undefined ? "the service's name" : JSON.stringify(owner)}`;
  return keyError(path, 'unknown-key', message);
}

/** The service below which a field stands that isn't indented. */
function serviceBefore(path: Path, root: unknown): string | undefined {
  const services = isMapping(root) && isMapping(root['services']) ? root['services'] : {};
  const names = Object.keys(services);
  const before = names.slice(0, names.indexOf(String(path[1])));
  return before.findLast((name) => !SERVICE_KEYS.includes(name));
}

/** Whether something is empty only because what belongs to it isn't indented. */
function isEmptyBefore(
  { path, value }: SchemaIssue,
  { strays, root }: { readonly strays: readonly SchemaIssue[]; readonly root: unknown },
): boolean {
  if (path[0] !== 'services' || path.length > 2 || value !== null) return false;
  if (path.length === 1) return strays.some((stray) => stray.path.length === 0);
  return strays.some((stray) => stray.path.length === 2 && serviceBefore(stray.path, root) === path[1]);
}

function describeIssue(issue: SchemaIssue, suggestAmong: SuggestAmong): Finding | undefined {
  const { path, keyword, params, value } = issue;
  switch (keyword) {
    case 'additionalProperties': {
      const target = [...path, String(params['additionalProperty'])];
      return keyError(target, 'unknown-key', describeUnknownKey(target, suggestAmong));
    }
    case 'required':
      return valueError([...path, String(params['missingProperty'])], 'missing-key', describeMissing(path));
    case 'type': {
      if (value === null && path.length > 0) return describeNothing(path);
      const types = [params['type']]
        .flat()
        .filter((type) => type !== 'null')
        .map((type) => TYPE_NAMES[String(type)]);
      // The parser of a single value says more.
      return types.includes(undefined) ? undefined : describeWrongForm(issue, types.join(' or '));
    }
    default:
      return undefined;
  }
}

/** What the schema asks for: the name of an entry where services are a list. */
function describeMissing(path: Path): string {
  const { keys } = wordsAt(path).words ?? {};
  if (keys !== undefined) return `is missing; write both, ${keys.join(' and ')}`;
  return path[0] === 'services' && path.length === 2
    ? 'is missing; each entry of a list needs one, such as "name: db"'
    : 'is missing';
}

/** The remedy for a label that stands in a service of the file, as its owner knows it from a container. */
function hintAtLabel(key: string): string | undefined {
  const field = key.replace(/^(lazy-(tcp-)?proxy|sablier|traefik)\./, '').replaceAll('-', '_');
  if (field === 'enabled' || field === 'enable')
    return 'is a label; a service of the file always takes part, so remove the key, or the service';
  return field.length < key.length && SERVICE_KEYS.includes(field)
    ? `is a label; in the file write ${field}`
    : undefined;
}

function describeUnknownKey(target: Path, suggestAmong: SuggestAmong): string {
  const key = String(target.at(-1));
  const parent = target.slice(0, -1);
  const { words, rest } = wordsAt(parent);
  if (words?.itemKeys !== undefined && rest.length === 1)
    return describeUnknownItemKey(key, words.itemKeys, suggestAmong);
  if (words?.keys !== undefined && rest.length === 0)
    return describeUnknownItemKey(key, words.keys, suggestAmong);
  const known = keysAt(parent);
  const homes = PLACES.filter(({ keys }) => keys.includes(key)).map(({ where }) => where);
  const suggestion = suggestAmong(known)(key);
  if (homes.length > 0) return `belongs ${homes.join(' or ')}, not ${nameOf(parent)}${suggestion}`;
  const label = parent[0] === 'services' ? hintAtLabel(key) : undefined;
  if (label !== undefined) return label;
  const ours = findOurName(key, known);
  if (ours !== undefined) return `unknown key; here it is ${ours}`;
  if (suggestion !== '') return `unknown key${suggestion}`;
  const home = parent.length === 0 ? '; a service goes under services' : '';
  if (known.length <= MAX_LISTED_KEYS) return `unknown key; known are ${known.join(', ')}${home}`;
  const alike = listAlike(key, known);
  return `unknown key${alike === '' ? '' : `; perhaps ${alike} is meant`}; docs/configuration.md has them all`;
}

/** Those that have a word in common with a key: `idle_timeout, start_timeout or stop_timeout`. */
function listAlike(key: string, known: readonly string[]): string {
  const wordsOf = (name: string) => name.toLowerCase().split(/[^a-z0-9]+/);
  const words = new Set(wordsOf(key).filter((word) => word.length >= MIN_WORD));
  // The other spelling of a duration says nothing new.
  const names = known.filter((name) => !name.endsWith('_secs'));
  const alike = names.filter((name) => wordsOf(name).some((word) => words.has(word))).slice(0, MAX_ALIKE);
  return [alike.slice(0, -1).join(', '), alike.at(-1)].filter(Boolean).join(' or ');
}

function describeUnknownItemKey(key: string, known: readonly string[], suggestAmong: SuggestAmong): string {
  const suggestion = suggestAmong(known)(key);
  return `unknown key${suggestion === '' ? `; known are ${known.join(', ')}` : suggestion}`;
}

/** Where each key belongs, for messages about a key at the wrong place. */
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

/** Tells of a key, or an entry of a list, that has no value. */
function describeNothing(path: Path): Finding {
  const { words, rest, isField } = wordsAt(path);
  const finding = valueError(path, 'wrong-type', `has no value; ${remedyForNothing(path, { words, rest })}`);
  return isField && rest.length === 0 ? { ...finding, at: 'key' } : finding;
}

function remedyForNothing(
  path: Path,
  { words, rest: [inner] }: Pick<ReturnType<typeof wordsAt>, 'words' | 'rest'>,
): string {
  if (typeof inner === 'number') return 'remove the entry';
  if (inner !== undefined) return 'write "" for an empty one';
  if (words === NAME_WORDS) return `write ${words.expected}`;
  if (words !== undefined || path[0] !== 'services') {
    return `write ${words?.expected ?? TYPE_NAMES['object']}, or remove the key`;
  }
  return path.length === 1 ? 'write {} if no service is meant' : 'write {} where nothing is to be set';
}

function describeWrongForm({ path, value }: SchemaIssue, expected: string): Finding {
  const { words, rest } = wordsAt(path);
  const hint =
    hintAtVariable(value) ||
    hintAtEntry(words, { value, rest }) ||
    (words?.formHint?.(value, rest) ?? (hintAtSection(path, value) || hintAtService(path, value)));
  const shown = words?.secret === undefined ? showValue(value) : showSecret(value);
  const message =
    path.length === 0
      ? `the file is ${showValue(value)}, not ${expected}`
      : `${shown} is not ${expected}${hint}`;
  return valueError(path, 'wrong-type', message);
}

/** What is wrong with a text besides that it should be a list of such. */
function hintAtEntry(
  words: FormWords | undefined,
  { value, rest }: { readonly value: unknown; readonly rest: Path },
): string {
  const isOne = typeof value === 'string' && !/^-\S/.test(value);
  if (!isOne || rest.length > 0 || words?.isList !== true) return '';
  const parsed = words.parse?.(splitList(value), { portNames: true });
  const fault = parsed === undefined || parsed.ok ? undefined : faultsOf(parsed)[0];
  return fault === undefined ? '' : `, and ${fault.message}`;
}

/** The remedy for a section of which only its main value is given. */
function hintAtSection([section, ...rest]: Path, value: unknown): string {
  if (rest.length > 0) return '';
  if (section === 'http') return hintAtPlace(section, value);
  return section === 'limits' && typeof value === 'number' ? `; write limits: {max_awake: ${value}}` : '';
}

/** The remedy for a service that YAML takes for text, because `container:x` is no key. */
function hintAtService(path: Path, value: unknown): string {
  const [, key = '', rest] = (typeof value === 'string' && /^([a-z_]+):(\S.*)$/.exec(value)) || [];
  if (path[0] !== 'services' || path.length !== 2 || !SERVICE_KEYS.includes(key)) return '';
  return `; a space is missing after the colon: write ${key}: ${showUrls(rest ?? '')}`;
}

/** Finds the words of the field or setting that a path is at or in, and the rest of the path below it. */
function wordsAt(path: Path): {
  readonly words: FormWords | undefined;
  readonly rest: Path;
  readonly isField: boolean;
} {
  const [first, second] = path;
  if (first === 'services' || first === 'defaults') {
    const depth = first === 'services' ? 2 : 1;
    return {
      words: FIELD_WORDS.get(String(path[depth])),
      rest: path.slice(depth + 1),
      isField: path.length > depth,
    };
  }
  const whole: SettingSpec | undefined = SETTINGS[first as SettingName];
  if (whole?.inner !== undefined && second !== undefined) {
    return { words: whole.inner, rest: [], isField: false };
  }
  const words: SettingSpec | undefined = whole ?? SETTINGS[`${first}.${second}` as SettingName];
  return { words, rest: path.slice(whole === undefined ? 2 : 1), isField: false };
}
