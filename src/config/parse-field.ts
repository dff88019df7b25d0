import { parseAccessEntry } from './values/address.ts';
import { parseCron } from './values/schedule.ts';
import {
  DURATION_EXPECTED,
  parseDuration,
  parsePositiveDuration,
  parsePositiveSeconds,
  parseSeconds,
} from './values/duration.ts';
import { type FieldResult, noValue, wrapParsed } from './values/field-result.ts';
import { FIELDS, type FieldKind, type FieldName, type FieldSpec, type FieldValues } from './fields.ts';
import { parseKubernetesLabel, parseKubernetesWorkload } from './values/kubernetes-names.ts';
import { parseCommand, parseList, parseVariables } from './values/parse-collection.ts';
import type { Parsed } from './values/parsed.ts';
import { type PortContext, parsePort } from './values/ports.ts';
import { parseStatuses } from './values/statuses.ts';
import {
  parseChoice,
  parseCount,
  parseFlag,
  parseName,
  parsePathText,
  parseQualifiedName,
} from './values/text.ts';
import { parseTimezone } from './values/timezone.ts';
import { parseHealthcheckUrl, parseHttpUrl } from './values/url.ts';

/** Reads a field's value as the file gives it; all mistakes in it at once. */
export function parseField<F extends FieldName>(
  field: F,
  raw: unknown,
  context: PortContext = {},
): FieldResult<FieldValues[F]> {
  const spec = FIELDS[field];
  const result =
    raw === null || raw === undefined ? noValue(EXPECTED[spec.kind]) : parseKind(spec, raw, context);
  // The kind decides the type of the value, which TypeScript can't follow through the table.
  return result as FieldResult<FieldValues[F]>;
}

/** parseField, as a value that can be wrapped. */
export type ParseField = (field: FieldName, raw: unknown, context: PortContext) => FieldResult<unknown>;

/** A parseField that reads each text once: checking a time zone or cron expression a thousand times takes a second. */
export function createFieldParser(): ParseField {
  const results = new Map<string, FieldResult<unknown>>();
  return (field, raw, context) => {
    // Ports, which alone depend on the context, are never text.
    if (typeof raw !== 'string') return parseField(field, raw, context);
    const key = `${field} ${raw}`;
    const result = results.get(key) ?? parseField(field, raw);
    results.set(key, result);
    return result;
  };
}

/** Reads the value of a field's `*_secs` spelling; milliseconds. */
export function parseSecsField(field: FieldName, raw: unknown): FieldResult<number> {
  if (raw === null || raw === undefined) return noValue('a number of seconds such as 90');
  return wrapParsed(
    FIELDS[field].kind === 'positive-duration' ? parsePositiveSeconds(raw) : parseSeconds(raw),
  );
}

/** What each kind of value looks like, for messages about a missing one. */
const EXPECTED: Readonly<Record<FieldKind, string>> = {
  name: 'a name',
  dependants: '[] for none',
  'kubernetes-workload': 'a name such as db or shop/db',
  'kubernetes-name': 'a name',
  upstream: 'endpoints or service',
  arguments: 'a list such as [node, server.js]',
  path: 'a directory',
  variables: '{} for none',
  'tcp-ports': '[] for none',
  'udp-ports': '[] for none',
  addresses: '[] for none',
  duration: DURATION_EXPECTED,
  'positive-duration': DURATION_EXPECTED,
  count: 'a whole number',
  bound: '0 for none',
  url: '"" for none',
  healthcheck: '"" for none',
  statuses: 'HTTP statuses such as "200-399,401"',
  cron: 'a cron expression such as "30 8 * * 1-5"',
  timezone: 'a time zone such as Europe/Paris',
  readiness: 'reply or open',
  flag: 'true or false',
};

function parseKind(spec: FieldSpec, raw: unknown, context: PortContext): FieldResult<unknown> {
  switch (spec.kind) {
    case 'dependants':
      return parseList(raw, parseQualifiedName);
    case 'arguments':
      return parseCommand(raw);
    case 'variables':
      return parseVariables(raw);
    case 'tcp-ports':
      return flatten(parseList(raw, (item) => parsePort(item, 'tcp', context)));
    case 'udp-ports':
      return flatten(parseList(raw, (item) => parsePort(item, 'udp', context)));
    case 'addresses':
      return parseList(raw, parseAccessEntry);
    default:
      return wrapParsed(parseScalar(spec, spec.kind, raw));
  }
}

type ScalarKind = Exclude<
  FieldKind,
  'dependants' | 'arguments' | 'variables' | 'tcp-ports' | 'udp-ports' | 'addresses'
>;

function parseScalar(spec: FieldSpec, kind: ScalarKind, raw: unknown): Parsed<unknown> {
  switch (kind) {
    case 'name':
      return parseName(raw);
    case 'kubernetes-workload':
      return parseKubernetesWorkload(raw);
    case 'kubernetes-name':
      return parseKubernetesLabel(raw);
    case 'upstream':
      return parseChoice(raw, ['endpoints', 'service']);
    case 'path':
      return parsePathText(raw);
    case 'duration':
      return parseDuration(raw);
    case 'positive-duration':
      return parsePositiveDuration(raw);
    case 'count':
      return parseCount(raw, { max: spec.max ?? Number.MAX_SAFE_INTEGER });
    case 'bound':
      return parseCount(raw, { min: 0, max: spec.max ?? Number.MAX_SAFE_INTEGER });
    case 'url':
      return parseHttpUrl(raw);
    case 'healthcheck':
      return parseHealthcheckUrl(raw);
    case 'statuses':
      return parseStatuses(raw);
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

function flatten<T>(result: FieldResult<readonly (readonly T[])[]>): FieldResult<readonly T[]> {
  return result.ok ? { ok: true, value: result.value.flat() } : result;
}
