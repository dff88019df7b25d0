import type { Origin, Sourced } from '../model/origin.ts';
import type { Problem } from '../model/problem.ts';
import { isSameData } from '../model/same-data.ts';
import type { Settings } from '../model/settings.ts';
import type { Environment } from './environment.ts';
import {
  FLAGS,
  SETTING_GROUPS,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type SettingSpec,
  type SettingsDraft,
  type SettingsFlags,
  settingValue,
} from './settings.ts';

/** The sources of the settings apart from the file. */
export interface SettingsLayers {
  readonly environment: Pick<Environment, 'settings' | 'detected'>;
  readonly flags: SettingsFlags;
}

/** The settings in force, and where each was written. */
export interface ResolvedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

/** Merges the layers: flag > environment > file > built-in. */
export function resolveSettings(
  layers: SettingsLayers & { readonly file: { readonly settings: SettingsDraft } | undefined },
): ResolvedSettings {
  const groups: Record<string, Record<string, unknown>> = Object.fromEntries(
    SETTING_GROUPS.map((group) => [group, {}]),
  );
  const settings: Record<string, unknown> = { ...groups };
  const origins: Record<string, Origin> = {};
  for (const name of SETTING_NAMES) {
    const { place }: SettingSpec = SETTINGS[name];
    const { value, origin } = resolveOne(name, { ...layers, file: layers.file?.settings ?? {} });
    if (place.length === 1) settings[place[0]] = value;
    else Object.assign(groups[place[0]] ?? {}, { [place[1]]: value });
    origins[name] = origin;
  }
  // The table has every setting, each at its place.
  return { settings, origins } as unknown as ResolvedSettings;
}

function resolveOne(
  name: SettingName,
  { flags, environment, file }: SettingsLayers & { readonly file: SettingsDraft },
): Sourced<unknown> {
  const { flag, builtIn, combine }: SettingSpec = SETTINGS[name];
  const written = file[name];
  const given = flag && flags[flag];
  const above: Sourced<unknown> | undefined =
    given === undefined
      ? environment.settings[name]
      : { value: given, origin: { kind: 'flag', flag: FLAGS[flag as keyof SettingsFlags].flag } };
  if (above === undefined) {
    return written ?? environment.detected[name] ?? { value: builtIn, origin: { kind: 'default' } };
  }
  return combine === undefined ? above : { ...above, value: combine(above.value, written?.value) };
}

/** The settings in which two differ, by their names in the file. */
export function listChangedSettings(before: Settings, after: Settings): readonly SettingName[] {
  return SETTING_NAMES.filter((name) => !isSameData(settingValue(before, name), settingValue(after, name)));
}

/** A warning for each setting whose newest value waits for the next start, compared with what is in force. */
export function findWaitingSettings(inForce: Settings, newest: ResolvedSettings): readonly Problem[] {
  return listChangedSettings(inForce, newest.settings).flatMap((name): readonly Problem[] => {
    const { fixed, inner }: SettingSpec = SETTINGS[name];
    if (fixed === undefined) return [];
    const path = inner === undefined ? name : `${name}.${inner.key}`;
    const message = `${path}: the change takes effect at the next start`;
    return [{ code: 'restart-needed', severity: 'warning', message, origin: newest.origins[name] }];
  });
}
