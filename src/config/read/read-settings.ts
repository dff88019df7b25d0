import { type Finding, valueError } from '../checks/finding.ts';
import { findHidden, HIDDEN_MESSAGE } from '../secrets.ts';
import { SETTING_NAMES, SETTINGS, type SettingSpec, type SettingsDraft } from '../settings.ts';
import { faultsOf, hintAtVariable, isMapping } from '../values/parsed.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';

/** Reads the settings of a file. It passes over values of the wrong form, because the schema tells of them. */
export function readSettings(
  root: Readonly<Record<string, unknown>>,
  locate: LocateOrigin,
): { readonly settings: SettingsDraft; readonly findings: readonly Finding[] } {
  const settings: Record<string, unknown> = {};
  const findings: Finding[] = [];
  for (const name of SETTING_NAMES) {
    const spec: SettingSpec = SETTINGS[name];
    const whole = name.split('.');
    const inner = isMapping(valueAt(root, whole)) ? spec.inner : undefined;
    const path = inner === undefined ? whole : [...whole, inner.key];
    const raw = valueAt(root, path);
    if (raw === undefined || raw === null) continue;
    const hidden = findHidden(raw, spec.secret);
    if (hidden.length > 0) {
      findings.push(
        ...hidden.map((below) => valueError([...path, ...below], 'invalid-value', HIDDEN_MESSAGE)),
      );
      continue;
    }
    const result = (inner ?? spec).parse(raw);
    if (result.ok) settings[name] = { value: result.value, origin: locate(path, 'value') };
    else {
      const faults = faultsOf(result).map((fault) =>
        valueError(
          [...path, ...fault.path],
          fault.code,
          `${fault.message}${hintAtVariable(raw, fault.path)}`,
        ),
      );
      findings.push(...faults);
    }
  }
  return { settings, findings };
}

/** undefined = the file has nothing there. */
function valueAt(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (isMapping(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    root,
  );
}
