import { FIELD_NAMES, showField } from '../config/fields.ts';
import type { ResolvedSettings } from '../config/resolve-settings.ts';
import { hideSecrets } from '../config/secrets.ts';
import { listSettings, type SettingName, SETTINGS } from '../config/settings.ts';
import { describeOrigin } from '../model/origin.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import type { EffectiveConfig, EffectiveValue } from '../status/api/answers.ts';

/**
 * The configuration in force, each value as the file writes it and with its origin. Some settings stay as they were at the start.
 * @param options.service the only service to be shown; undefined = all.
 * @param options.showSecrets whether what FIELDS and SETTINGS mark as secret is shown; the token never is.
 */
export function describeConfig(
  table: ServiceTable,
  { atStart, newest }: { readonly atStart: ResolvedSettings; readonly newest: ResolvedSettings },
  { service: only, showSecrets }: { readonly service: string | undefined; readonly showSecrets: boolean },
): EffectiveConfig {
  const entries = [...table.entries].filter(([name]) => only === undefined || name === only);
  return {
    settings: {
      ...describeSettings(newest, { isWanted: (name) => SETTINGS[name].fixed !== true, showSecrets }),
      ...describeSettings(atStart, { isWanted: (name) => SETTINGS[name].fixed === true, showSecrets }),
    },
    services: Object.fromEntries(
      entries.map(([name, entry]) => [name, describeFields(entry, { showSecrets })]),
    ),
  };
}

function describeSettings(
  { settings, origins }: ResolvedSettings,
  {
    isWanted,
    showSecrets,
  }: { readonly isWanted: (name: SettingName) => boolean; readonly showSecrets: boolean },
): Readonly<Record<string, EffectiveValue>> {
  const wanted = listSettings(settings, { showSecrets }).filter(({ name }) => isWanted(name));
  return Object.fromEntries(
    wanted.map(({ name, value }) => {
      // Who has shown the token knows it.
      const shown = name === 'status.token' ? hideSecrets(value, 'all') : value;
      return [name, { value: shown, origin: describeOrigin(origins[name]) }];
    }),
  );
}

function describeFields(
  { service, origins }: TableEntry,
  options: { readonly showSecrets: boolean },
): Readonly<Record<string, EffectiveValue>> {
  const fields = FIELD_NAMES.flatMap((field) => {
    const value = showField(field, service, options);
    if (value === undefined) return [];
    return [[field, { value, origin: describeOrigin(origins[field] ?? { kind: 'default' }) }] as const];
  });
  return Object.fromEntries(fields);
}
