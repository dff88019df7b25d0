import { type Draft, type FieldName, isDuration, parseField, parseSecsField, secsKey } from './fields.ts';
import { type Finding, keyError } from './checks/finding.ts';
import { type Fault, faultsOf, type Reading } from './values/parsed.ts';
import type { Path } from './yaml/path.ts';
import type { LocateOrigin } from './yaml/read-yaml.ts';

export interface DraftReading {
  readonly draft: Draft;
  readonly findings: readonly Finding[];
}

/** parseField(), as a value that can be wrapped. */
export type ParseField = typeof parseField;

/** A parseField() that reads each text once: checking a time zone or cron expression a thousand times takes a second. */
export function createFieldParser(): ParseField {
  const results = new Map<string, Reading<unknown>>();
  return (field, raw, context) => {
    // Ports, which alone depend on the context, are never text.
    if (typeof raw !== 'string') return parseField(field, raw, context);
    const key = `${field} ${raw}`;
    const result = results.get(key) ?? parseField(field, raw);
    results.set(key, result);
    return result;
  };
}

/** Reads the given fields of a mapping; fields with mistakes are left out of the draft. */
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
  const take = (field: FieldName, key: string, result: Reading<unknown>) => {
    const path = [...options.base, key];
    if (result.ok) draft[field] = { value: result.value, origin: options.locate(path, 'value') };
    else findings.push(...faultsOf(result).map((fault) => toFinding(fault, { path, at: placeOf(raw[key]) })));
  };
  for (const field of options.fields) {
    const secs = secsKey(field);
    if (Object.hasOwn(raw, field)) take(field, field, options.parse(field, raw[field], options));
    if (!isDuration(field) || !Object.hasOwn(raw, secs)) continue;
    take(field, secs, parseSecsField(field, raw[secs]));
    if (Object.hasOwn(raw, field)) {
      findings.push(
        keyError([...options.base, secs], 'exclusive-keys', `given beside ${field}; keep one of them`),
      );
    }
  }
  return { draft: draft as Draft, findings };
}

function toFinding(fault: Fault, { path, at }: { readonly path: Path; readonly at: Finding['at'] }): Finding {
  return { ...fault, severity: 'error', at, path: [...path, ...fault.path] };
}

function placeOf(raw: unknown): Finding['at'] {
  return raw === null ? 'key' : 'value';
}
