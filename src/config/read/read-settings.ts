import type { Finding } from '../checks/finding.ts';
import { SETTING_NAMES, SETTINGS, type SettingSpec, type SettingsDraft } from '../settings.ts';
import { isMapping } from '../values/parsed.ts';
import type { LocateOrigin } from '../yaml/read-yaml.ts';
import { readValue } from './read-value.ts';

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
    const { parse } = inner ?? spec;
    const { read, findings: wrong } = readValue(raw, { path, secret: spec.secret, parse, locate });
    if (read !== undefined) settings[name] = read;
    findings.push(...wrong);
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
