import type { Fault, FieldResult } from './values/field-result.ts';
import { type Draft, type FieldName, isDuration, secsKey } from './fields.ts';
import { type Finding, keyError } from './checks/finding.ts';
import { type ParseField, parseSecsField } from './parse-field.ts';
import type { Path } from './yaml/path.ts';
import type { LocateOrigin } from './yaml/read-yaml.ts';

export interface DraftReading {
  readonly draft: Draft;
  readonly findings: readonly Finding[];
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
  const take = (field: FieldName, key: string, result: FieldResult<unknown>) => {
    const path = [...options.base, key];
    if (result.ok) draft[field] = { value: result.value, origin: options.locate(path, 'value') };
    else findings.push(...result.faults.map((fault) => toFinding(fault, { path, at: placeOf(raw[key]) })));
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
