import type { ProblemCode } from '../../model/problem.ts';
import type { Parsed } from './parsed.ts';
import type { Path } from '../yaml/path.ts';

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

/** The parsed value of a field that is one value. */
export function wrapParsed<T>(parsed: Parsed<T>): FieldResult<T> {
  return parsed.ok ? parsed : failField([], parsed.code, parsed.message);
}

/** A key without a value. */
export function noValue(expected: string): { readonly ok: false; readonly faults: readonly Fault[] } {
  return failField([], 'wrong-type', `has no value; write ${expected}, or remove the key`);
}

/** One mistake. */
export function failField(
  path: Path,
  code: ProblemCode,
  message: string,
): { readonly ok: false; readonly faults: readonly Fault[] } {
  return { ok: false, faults: [{ path, code, message }] };
}
