/**
 * Input: the text of a configuration file. Output: what it says, as drafts with origins, and every mistake in it with
 * its place. Guarantees: no I/O beyond loading the schema, nothing thrown for any text, and no configuration where
 * there is an error, because a broken file is refused whole.
 */
import { isAbsolute, join } from 'node:path';
import type { Sourced } from '../model/origin.ts';
import { hasErrors, type Problem } from '../model/problem.ts';
import type { CertificateFiles } from '../model/web.ts';
import { checkProxies } from './checks/check-proxies.ts';
import { checkRoom } from './checks/check-room.ts';
import { checkServices } from './checks/check-services.ts';
import { type Finding, sortProblems, toProblem } from './checks/finding.ts';
import { checkStatusAccess } from './checks/status-access.ts';
import { checkSchema } from './checks/schema.ts';
import { formFindings, unfitFindings } from './checks/schema-findings.ts';
import { findHostBits, findUselessSettings } from './checks/useless-options.ts';
import { EMPTY_ENVIRONMENT } from './environment.ts';
import { type Draft, FIELD_NAMES, fieldSpec } from './fields.ts';
import { createFieldParser, readDraft } from './read/read-draft.ts';
import { type FileService, readServices } from './read/read-services.ts';
import { readSettings } from './read/read-settings.ts';
import { resolveSettings, type SettingsLayers } from './resolve-settings.ts';
import { listFronts } from './rules/listen-claims.ts';
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
  /** The folder that a relative path of a field or setting starts from; absent = relative paths stay as they are. */
  readonly folder?: string | undefined;
}

/** Parses the text of a file. */
export type ParseConfigFile = (input: ConfigText) => ParsedFile;

const DEFAULT_FIELDS = FIELD_NAMES.filter((field) => fieldSpec(field).inDefaults);

/**
 * Makes a parser. The other layers matter for what a service is that doesn't say so itself; without layers the file alone
 * decides.
 */
export function createFileParser(
  layers: SettingsLayers = { environment: EMPTY_ENVIRONMENT, flags: {} },
): ParseConfigFile {
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
  const { http } = inForce.settings;
  const fronts = listFronts(http, inForce.origins);
  const web = { http, settings: settings.settings };
  const { services, findings } = readServices(top['services'], { locate, parse, engine });
  return {
    config: {
      file,
      services: services.map((service) => toFileService(service, folder)),
      defaults: placeDraft(defaults.draft, folder),
      settings: placeSettings(settings.settings, folder),
    },
    findings: [
      ...defaults.findings,
      ...settings.findings,
      ...findings,
      ...checkServices(services, { locate, engine, status, fronts, web, defaults: defaults.draft }),
      ...checkProxies(services, { defaults: defaults.draft, settings: settings.settings, locate }),
      ...checkRoom(services, { ...inForce.settings.limits, groups: inForce.settings.groups }),
      ...checkStatusAccess(settings.settings, layers),
      ...findHostBits(rawDefaults, ['defaults']),
      ...findHostBits(top, []),
      ...findUselessSettings(settings.settings, services),
    ],
  };
}

function toFileService({ name, origin, draft }: FileService, folder: string | undefined): FileService {
  return { name, origin, draft: placeDraft(draft, folder) };
}

/** Relative paths start from the folder of the file. */
function placeDraft(draft: Draft, folder: string | undefined): Draft {
  const { cwd, waiting_page: page, tls } = draft;
  if (folder === undefined) return draft;
  const place = createPlacer(folder);
  return {
    ...draft,
    ...(cwd !== undefined && { cwd: { ...cwd, value: place(cwd.value) } }),
    ...(page?.value.kind === 'file' && {
      waiting_page: { ...page, value: { kind: 'file', path: place(page.value.path) } },
    }),
    ...(typeof tls?.value === 'object' &&
      tls.value.kind === 'files' && {
        tls: { ...tls, value: { kind: 'files', ...placeCertificate(tls.value, place) } },
      }),
  };
}

function placeSettings(settings: SettingsDraft, folder: string | undefined): SettingsDraft {
  const certificates = settings['http.certificates'] as Sourced<readonly CertificateFiles[]> | undefined;
  if (folder === undefined || certificates === undefined) return settings;
  const place = createPlacer(folder);
  const value = certificates.value.map((files) => placeCertificate(files, place));
  return { ...settings, 'http.certificates': { ...certificates, value } };
}

function createPlacer(folder: string): (path: string) => string {
  return (path) => (isAbsolute(path) ? path : join(folder, path));
}

function placeCertificate({ cert, key }: CertificateFiles, place: (path: string) => string) {
  return { cert: place(cert), key: place(key) };
}
