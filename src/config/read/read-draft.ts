import { type Finding, keyError } from '../checks/finding.ts';
import { type Draft, type FieldName, fieldSpec, secsKey } from '../fields.ts';
import type { Reading } from '../values/parsed.ts';
import type { ValueContext } from '../values/ports.ts';
import type { Path } from '../yaml/path.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { readValue } from './read-value.ts';

export interface DraftReading {
  readonly draft: Draft;
  readonly findings: readonly Finding[];
}

/** Reads the value of a field. */
export type ParseField = (field: FieldName, raw: unknown, context: ValueContext) => Reading<unknown>;

/** A parser that reads each text once: checking a time zone or cron expression a thousand times takes a second. */
export function createFieldParser(): ParseField {
  const results = new Map<string, Reading<unknown>>();
  return (field, raw, context) => {
    const { parse } = fieldSpec(field);
    if (typeof raw !== 'string') return parse(raw, context);
    const key = `${field} ${context.portNames === true ? 'named' : ''} ${raw}`;
    const result = results.get(key) ?? parse(raw, context);
    results.set(key, result);
    return result;
  };
}

/**
 * Reads the given fields of a mapping; fields with mistakes are left out of the draft. It passes over values of the wrong
 * form, because the schema tells of them.
 */
export function readDraft(
  raw: Readonly<Record<string, unknown>>,
  options: {
    readonly base: Path;
    readonly fields: readonly FieldName[];
    readonly locate: LocateOrigin;
    readonly parse: ParseField;
    /** Whether a target port may be the name of a Kubernetes Service's port. */
    readonly portNames: boolean;
  },
): DraftReading {
  const draft: Record<string, unknown> = {};
  const findings: Finding[] = [];
  const has = (key: string) => Object.hasOwn(raw, key);
  const take = (field: FieldName, key: string, parse: (value: unknown) => Reading<unknown>) => {
    if (!has(key) || raw[key] === null) return;
    const { secret } = fieldSpec(field);
    const path = [...options.base, key];
    const { read, findings: wrong } = readValue(raw[key], { path, secret, parse, locate: options.locate });
    if (read !== undefined) draft[field] = read;
    findings.push(...wrong);
  };
  for (const field of options.fields) {
    take(field, field, (value) => options.parse(field, value, options));
    const { parseSecs } = fieldSpec(field);
    const secs = secsKey(field);
    if (parseSecs === undefined || !has(secs)) continue;
    take(field, secs, parseSecs);
    if (has(field)) {
      const message = `given beside ${field}; keep one of them`;
      findings.push(keyError([...options.base, secs], 'exclusive-keys', message));
    }
  }
  return { draft: draft as Draft, findings };
}
