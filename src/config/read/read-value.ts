import type { FileOrigin, Sourced } from '../../model/origin.ts';
import { type Finding, valueError } from '../checks/finding.ts';
import { findHidden, HIDDEN_MESSAGE, type SecretMark } from '../secrets.ts';
import { faultsOf, hintAtVariable, isMapping, type Reading } from '../values/parsed.ts';
import type { Path } from '../yaml/path.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';

/** Reads a value of the file: what it says, or what is wrong with it. */
export function readValue(
  raw: unknown,
  {
    path,
    secret,
    locate,
    parse,
  }: {
    readonly path: Path;
    readonly secret: SecretMark | undefined;
    readonly locate: LocateOrigin;
    readonly parse: (raw: unknown) => Reading<unknown>;
  },
): { readonly read?: Sourced<unknown>; readonly findings: readonly Finding[] } {
  const hidden = findHidden(raw, secret);
  if (hidden.length > 0)
    return {
      findings: hidden.map((below) => valueError([...path, ...below], 'invalid-value', HIDDEN_MESSAGE)),
    };
  const result = parse(raw);
  if (result.ok) return { read: { value: result.value, origin: locateAll() }, findings: [] };
  return {
    findings: faultsOf(result).map(({ path: below, code, message }) =>
      valueError([...path, ...below], code, `${message}${hintAtVariable(raw, below)}`),
    ),
  };

  /** Of a list of mappings, which may take many lines, also where each of them is. */
  function locateAll(): FileOrigin {
    const origin = locate(path, 'value');
    return Array.isArray(raw) && isMapping(raw[0])
      ? { ...origin, items: raw.map((_, index) => locate([...path, index], 'value')) }
      : origin;
  }
}
