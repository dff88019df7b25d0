import { FIELD_NAMES, type FieldName, fieldSpec, printField } from '../config/fields.ts';
import type { ResolvedSettings } from '../config/resolve-settings.ts';
import { HIDDEN_SECRET, listSettings, type SettingName, SETTINGS } from '../config/settings.ts';
import { describeOrigin } from '../model/origin.ts';
import { showUrl } from '../model/show-url.ts';
import type { ServiceTable, TableEntry } from '../model/table.ts';
import type { EffectiveConfig, EffectiveValue } from '../status/api/answers.ts';

/**
 * The configuration in force, each value as the file writes it and with its origin. Some settings stay as they were at the start.
 * @param options.service the only service to be shown; undefined = all.
 * @param options.showSecrets whether values of `env`, webhook URLs, and user and password of an engine's URL are shown; the token never
 * is.
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
  const wanted = listSettings(settings).filter(({ name }) => isWanted(name));
  return Object.fromEntries(
    wanted.map(({ name, value }) => {
      const shown = showSecrets || typeof value !== 'string' ? value : hideUser(value);
      return [name, { value: shown, origin: describeOrigin(origins[name]) }];
    }),
  );
}

/** `http://user:password@host` → `http://***@host`; what is no such URL stays as it is. A password may hold `@` and `/`. */
function hideUser(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)(?!\/).*@/is, `$1${HIDDEN_SECRET}@`);
}

function describeFields(
  { service, origins }: TableEntry,
  { showSecrets }: { readonly showSecrets: boolean },
): Readonly<Record<string, EffectiveValue>> {
  const fields = FIELD_NAMES.flatMap((field) => {
    const value = printField(field, service);
    if (value === undefined) return [];
    const shown = showSecrets ? value : hideSecret(field, value);
    return [
      [field, { value: shown, origin: describeOrigin(origins[field] ?? { kind: 'default' }) }] as const,
    ];
  });
  return Object.fromEntries(fields);
}

function hideSecret(field: FieldName, value: unknown): unknown {
  const { secret } = fieldSpec(field);
  if (secret === undefined || value === '') return value;
  if (secret === 'url') return showUrl(String(value));
  if (secret === 'all') return HIDDEN_SECRET;
  return Object.fromEntries(Object.keys(value as object).map((key) => [key, HIDDEN_SECRET]));
}
