/**
 * Input: the text of a configuration file. Output: what it says, as drafts with origins, and every mistake in it with
 * its place. Guarantees: no I/O beyond loading the schema, nothing thrown for any text, and no configuration where
 * there is an error, because a broken file is refused whole.
 */
import { isAbsolute, join } from 'node:path';
import { hasErrors, type Problem } from '../model/problem.ts';
import { checkServices } from './checks/check-services.ts';
import { type Finding, sortProblems, toProblem } from './checks/finding.ts';
import { checkStatusAccess } from './checks/status-access.ts';
import { createSchemaCheck } from './checks/schema.ts';
import { formFindings, unfitFindings } from './checks/schema-findings.ts';
import { findHostBits, findUselessSettings } from './checks/useless-options.ts';
import { EMPTY_ENVIRONMENT } from './environment.ts';
import { type Draft, FIELD_NAMES, fieldSpec } from './fields.ts';
import { createFieldParser, readDraft } from './read/read-draft.ts';
import { type FileService, readServices } from './read/read-services.ts';
import { readSettings } from './read/read-settings.ts';
import { resolveSettings, type SettingsLayers } from './resolve-settings.ts';
import { toEngineDefaults } from './rules/workload-of.ts';
import type { SettingsDraft } from './settings.ts';
import { isMapping } from './values/parsed.ts';
import { type LocateOrigin, readYaml } from './yaml/read-yaml.ts';

/** Everything a file says; absent = unset. */
export interface FileConfig {
  /** The file's name as messages show it. */
  readonly file: string;
  /** In the order of the file. */
  readonly services: readonly FileService[];
  readonly defaults: Draft;
  readonly settings: SettingsDraft;
}

export interface ParsedFile {
  /** undefined when there is an error among the problems. */
  readonly config: FileConfig | undefined;
  /** All problems of the file, by position. */
  readonly problems: readonly Problem[];
}

export interface ConfigText {
  readonly text: string;
  /** The file's name as messages show it. */
  readonly file: string;
  /** The folder that a relative `cwd` starts from; absent = relative paths stay as they are. */
  readonly folder?: string | undefined;
}

/** Parses the text of a file. */
export type ParseConfigFile = (input: ConfigText) => ParsedFile;

const DEFAULT_FIELDS = FIELD_NAMES.filter((field) => fieldSpec(field).inDefaults);

/**
 * Makes a parser that compiles the schema at its first use and keeps it. The other layers matter for what a service is
 * that doesn't say so itself; without layers the file alone decides.
 */
export function createFileParser(
  layers: SettingsLayers = { environment: EMPTY_ENVIRONMENT, flags: {} },
): ParseConfigFile {
  const checkSchema = createSchemaCheck();
  return ({ text, file, folder }) => {
    const { root, locate, problems: syntax } = readYaml({ text, file });
    if (root === undefined) return { config: undefined, problems: sortProblems(syntax) };
    const issues = checkSchema(root);
    const { config, findings } = readRoot(root, { file, folder, locate, layers });
    const told = [...formFindings(issues, root), ...findings];
    const isTold = told.some(({ severity }) => severity === 'error');
    const all = isTold ? told : [...told, ...unfitFindings(issues)];
    const problems = sortProblems([...syntax, ...all.map((finding) => toProblem(finding, locate))]);
    return { config: hasErrors(problems) ? undefined : config, problems };
  };
}

function readRoot(
  root: unknown,
  {
    file,
    folder,
    locate,
    layers,
  }: Omit<ConfigText, 'text'> & { readonly locate: LocateOrigin; readonly layers: SettingsLayers },
): { readonly config: FileConfig; readonly findings: readonly Finding[] } {
  const parse = createFieldParser();
  const top = isMapping(root) ? root : {};
  const rawDefaults = isMapping(top['defaults']) ? top['defaults'] : {};
  const defaults = readDraft(rawDefaults, {
    base: ['defaults'],
    fields: DEFAULT_FIELDS,
    locate,
    parse,
    portNames: false,
  });
  const settings = readSettings(top, locate);
  const inForce = resolveSettings({ ...layers, file: settings });
  const engine = toEngineDefaults(inForce.settings);
  const status = { value: inForce.settings.status, origin: inForce.origins.status };
  const { services, findings } = readServices(top['services'], { locate, parse, engine });
  return {
    config: {
      file,
      services: services.map((service) => toFileService(service, folder)),
      defaults: defaults.draft,
      settings: settings.settings,
    },
    findings: [
      ...defaults.findings,
      ...settings.findings,
      ...findings,
      ...checkServices(services, { locate, engine, status, defaults: defaults.draft }),
      ...checkStatusAccess(settings.settings, layers),
      ...findHostBits(rawDefaults, ['defaults']),
      ...findUselessSettings(settings.settings, services),
    ],
  };
}

function toFileService({ name, origin, draft }: FileService, folder: string | undefined): FileService {
  return { name, origin, draft: placeDirectory(draft, folder) };
}

function placeDirectory(draft: Draft, folder: string | undefined): Draft {
  const { cwd } = draft;
  if (cwd === undefined || folder === undefined || isAbsolute(cwd.value)) return draft;
  return { ...draft, cwd: { ...cwd, value: join(folder, cwd.value) } };
}
