/**
 * The configuration of a running proxy, taken apart again. Input: what `GET /api/config` answers. Output: the table in force, and
 * what lies above and below the file: labels, environment and flags. Guarantees: pure; a table built of these parts and of the file
 * that the proxy has read is the table in force.
 *
 * What the file overrides today isn't known: of each value the API tells who has set it, not whom that has overruled.
 */
import { EMPTY_ENVIRONMENT, type Environment } from '../config/environment.ts';
import { createFileParser, type FileConfig } from '../config/file.ts';
import { type Draft, FIELD_NAMES, type FieldName, showField } from '../config/fields.ts';
import type { LabelReading } from '../config/labels.ts';
import { type ResolvedSettings, resolveSettings } from '../config/resolve-settings.ts';
import {
  listSettings,
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  type SettingsDraft,
  settingValue,
} from '../config/settings.ts';
import { isHidden, replaceHidden } from '../config/secrets.ts';
import { isWorkloadField, toEngineDefaults, workloadRefOf } from '../config/rules/workload-of.ts';
import type { Change } from '../model/change.ts';
import { isSameData } from '../model/same-data.ts';
import { listenKey, type Service } from '../model/service.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import { formatProblem, hasErrors } from '../model/problem.ts';
import type { Settings } from '../model/settings.ts';
import type { ServiceTable } from '../model/table.ts';
import type { WorkloadRef } from '../model/workload.ts';
import { buildTable } from '../table/build-table.ts';
import type { EffectiveConfig } from '../status/api/answers.ts';

export interface RunningConfig {
  readonly table: ServiceTable;
  readonly settings: Settings;
  /** Variables and flags of the proxy, both as variables: they stand above the file alike. */
  readonly environment: Environment;
  /** The table that a reload of this file would put in force. */
  readonly tableOf: (file: FileConfig) => ServiceTable;
  readonly settingsOf: (file: FileConfig) => ResolvedSettings;
}

/** Stands for a URL, a key and the like that is hidden. */
const SOME_URL = 'http://hidden.invalid/';
/** Stands for a user: where a value has a form of its own, something of that form has to stand for it. */
const SOME_USER = `hidden:$2y$10$${'.'.repeat(53)}`;

/** @throws where the answer can't be read, as that of a proxy of another version. */
export function readRunningConfig(answer: EffectiveConfig): RunningConfig {
  const { config, problems } = createFileParser()({ text: writeFile(answer), file: 'the running proxy' });
  if (config === undefined || hasErrors(problems)) {
    const [first] = problems;
    const why = first === undefined ? '' : `: ${formatProblem(first)}`;
    throw new Error(`the configuration of the running proxy can't be read${why}`);
  }
  const settings = resolveSettings({ file: config, environment: EMPTY_ENVIRONMENT, flags: {} }).settings;
  const engine = toEngineDefaults(settings);
  const parts = config.services.map(({ name, draft }) =>
    takeApart({ name, draft, ref: workloadRefOf({ name, draft }, engine) }, answer.services[name] ?? {}),
  );
  const environment: Environment = {
    ...EMPTY_ENVIRONMENT,
    defaults: Object.assign({}, ...parts.map(({ ofVariables }) => ofVariables)),
    settings: settingsAbove(answer, settings, (origin) => origin !== DETECTED),
    detected: settingsAbove(answer, settings, (origin) => origin === DETECTED),
  };
  const layers = { environment, flags: {} };
  const status = { value: settings.status, origin: originOf(answer.settings['status']?.origin, undefined) };
  const ofFile = parts.filter(({ isOfFile }) => isOfFile);
  const file = {
    ...{ file: config.file, defaults: {}, settings: config.settings },
    services: ofFile.map(({ name, draft }) => ({ name, origin: FILE, draft })),
  };
  const labelled = parts.map((part) => part.reading);
  // What defaults of the file say of a service of labels alone, stands below its labels.
  const beside = parts.map(({ reading, isOfFile, draft }) =>
    isOfFile ? reading : { ...reading, draft: { ...draft, ...reading.draft } },
  );
  const table = buildTable({ ...layers, status, file, labelled: beside, holders: new Map() });
  const holders = new Map(
    [...table.entries.values()].flatMap(({ service }) =>
      service.listeners.map((listener) => [listenKey(listener), service.name] as const),
    ),
  );
  return {
    ...{ table, settings, environment },
    tableOf: (desired) => buildTable({ ...layers, status, file: desired, labelled, holders, before: table }),
    settingsOf: (desired) => resolveSettings({ ...layers, file: desired }),
  };
}

/** In a pod: what counts where nothing else says it. */
const DETECTED = '$KUBERNETES_SERVICE_HOST';
const FILE: Origin = { kind: 'file', file: 'the running proxy', line: 1, column: 1 };

/** What a service has, by who says so. */
interface ServiceParts {
  readonly name: string;
  readonly isOfFile: boolean;
  /** What the file says. */
  readonly draft: Draft;
  /** What its labels say. */
  readonly reading: LabelReading;
  readonly ofVariables: Draft;
}

function takeApart(
  { name, draft, ref }: { readonly name: string; readonly draft: Draft; readonly ref: WorkloadRef },
  values: EffectiveConfig['services'][string],
): ServiceParts {
  const groups: Record<Origin['kind'], Record<string, Sourced<unknown>>> = {
    ...{ file: {}, label: {}, environment: {}, workload: {}, engine: {}, flag: {}, default: {} },
  };
  let isOfFile = false;
  let optIn: Origin | undefined;
  for (const field of FIELD_NAMES) {
    const sourced = draft[field];
    const origin = originOf(values[field]?.origin, ref);
    if (sourced === undefined || origin.kind === 'default') continue;
    if (origin.kind === 'label') optIn ??= origin;
    if (isWorkloadField(field)) {
      isOfFile = origin.kind === 'file';
      if (isOfFile) groups.file[field] = sourced;
    } else groups[origin.kind][field] = { value: sourced.value, origin };
  }
  const reading: LabelReading =
    optIn === undefined
      ? { ref, kind: 'ignored', draft: undefined, problems: [] }
      : { ref, kind: 'accepted', draft: groups.label as Draft, optIn, problems: [] };
  return { name, isOfFile, draft: groups.file as Draft, reading, ofVariables: groups.environment as Draft };
}

/** What has been made text, as far as it matters who said it. */
function originOf(text: string | undefined, ref: WorkloadRef | undefined): Origin {
  if (text === undefined || text === 'default') return { kind: 'default' };
  if (text.startsWith('$')) return { kind: 'environment', variable: text.slice(1) };
  if (text.startsWith('--')) return { kind: 'flag', flag: text };
  const [, label] = /, (?:label|annotation) (\S+)$/.exec(text) ?? [];
  if (label !== undefined && ref !== undefined) return { kind: 'label', workload: ref, label };
  return FILE;
}

/** Settings that no file changes, since a flag or a variable says them. */
function settingsAbove(
  { settings: values }: EffectiveConfig,
  settings: Settings,
  isWanted: (origin: string) => boolean,
): SettingsDraft {
  const above = SETTING_NAMES.flatMap((name): readonly [SettingName, Sourced<unknown>][] => {
    const text = values[name]?.origin;
    const origin = originOf(text, undefined);
    if (text === undefined || !isWanted(text) || !['environment', 'flag'].includes(origin.kind)) return [];
    const value = settingValue(settings, name);
    // Of the status server flag and variable give the port alone.
    const given = name === 'status' ? (settings.status === 'off' ? 0 : settings.status.port) : value;
    return [[name, { value: given, origin }]];
  });
  return Object.fromEntries(above);
}

/** A file that says all of it; what is hidden has something else in its place. */
function writeFile({ settings, services }: EffectiveConfig): string {
  const root: Record<string, unknown> = {};
  for (const [name, { value: shown }] of Object.entries(settings)) {
    if (!Object.hasOwn(SETTINGS, name) || name === TOKEN) continue;
    const value = replaceHidden(shown, { by: SOME_URL });
    const [first = '', second] = name.split('.');
    root[first] = second === undefined ? value : { ...(root[first] as object), [second]: value };
  }
  root['services'] = Object.fromEntries(
    Object.entries(services).map(([name, fields]) => [
      name,
      Object.fromEntries(
        Object.entries(fields)
          .filter(([field]) => (FIELD_NAMES as readonly string[]).includes(field))
          .map(([field, { value }]) => [
            field,
            replaceHidden(value, { by: field === 'basic_auth' ? SOME_USER : SOME_URL }),
          ]),
      ),
    ]),
  );
  return JSON.stringify(root);
}

/** Whether a setting of a file says what the running proxy shows of its own, as far as that is to be seen. */
export function isSameSetting(
  { settings }: EffectiveConfig,
  { name, desired }: { readonly name: SettingName; readonly desired: Settings },
): boolean {
  const shown = settings[name]?.value;
  const found = listSettings(desired, { showSecrets: !isHidden(shown) }).find((one) => one.name === name);
  return name === TOKEN || isSameData(found?.value, shown);
}

/** The API never shows it. */
const TOKEN: SettingName = 'status.token';

/** Every value that is hidden, as a whole or in part. */
export function listHidden({ services }: EffectiveConfig): readonly HiddenValue[] {
  return Object.entries(services).flatMap(([service, fields]) =>
    Object.entries(fields)
      .filter(([, { value }]) => isHidden(value))
      .map(([field, { value }]) => ({ service, field: field as FieldName, shown: value })),
  );
}

export interface HiddenValue {
  readonly service: string;
  readonly field: FieldName;
  /** What is shown in its place. */
  readonly shown: unknown;
}

/** A table with the same in place of what is hidden in the running one, where what is shown of both is the same. */
export function hideLike(
  desired: ServiceTable,
  { current, hidden }: { readonly current: ServiceTable; readonly hidden: readonly HiddenValue[] },
): ServiceTable {
  const entries = new Map(desired.entries);
  for (const { service: name, field, shown } of hidden) {
    const entry = entries.get(name);
    const running = current.entries.get(name)?.service;
    if (entry === undefined || running === undefined) continue;
    if (!isSameData(showField(field, entry.service, { showSecrets: false }), shown)) continue;
    entries.set(name, {
      ...entry,
      service: { ...entry.service, ...takeField(field, entry.service, running) },
    });
  }
  return { ...desired, entries };
}

/** A field that may be hidden, from the service that runs. */
function takeField(field: FieldName, { workload, web, rest }: Service, running: Service): Partial<Service> {
  switch (field) {
    case 'basic_auth':
      return { web: { ...web, basicAuth: running.web.basicAuth } };
    case 'api_key':
      return { web: { ...web, apiKeys: running.web.apiKeys } };
    case 'webhook_url':
      return { webhookUrl: running.webhookUrl };
    case 'webhooks':
      return { webhooks: running.webhooks };
    case 'http_healthcheck':
      return { httpHealthcheck: running.httpHealthcheck };
    case 'busy_check':
      return { rest: { ...rest, busyCheck: running.rest.busyCheck } };
    case 'env':
      return workload.kind === 'process' && running.workload.kind === 'process'
        ? { workload: { ...workload, env: running.workload.env } }
        : {};
    case 'command':
      return workload.kind === 'process' && running.workload.kind === 'process'
        ? { workload: { ...workload, command: running.workload.command } }
        : {};
    default:
      return {};
  }
}

/** Whether a change is one of values: that the file now says what labels said changes nothing that anybody sees. */
export function changesValues(change: Change): boolean {
  if (change.kind !== 'update-service') return true;
  const { previous, service } = change;
  const { isOfFile, dependants, dependantsBy } = service;
  const by = dependants.length === 0 ? dependantsBy : previous.dependantsBy;
  return !isSameData({ ...previous, isOfFile, dependantsBy: by }, service);
}
