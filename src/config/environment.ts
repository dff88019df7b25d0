/**
 * Input: environment variables, as a value. Output: what they set, and a warning for each that is not usable.
 * Guarantees: pure; an invalid variable counts as unset.
 */
import type { Sourced } from '../model/origin.ts';
import type { Problem, ProblemCode } from '../model/problem.ts';
import { type Draft, FIELD_NAMES, fieldSpec } from './fields.ts';
import { SETTING_NAMES, SETTINGS, type SettingsDraft } from './settings.ts';
import { parseSeconds } from './values/duration.ts';
import { accept, type EnvironmentVariable, type Parsed, refuse, showValue } from './values/parsed.ts';

export const ENVIRONMENT_LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const ENVIRONMENT_LOG_FORMATS = ['pretty', 'json'] as const;
export const ENVIRONMENT_LOG_TIMES = ['time', 'datetime'] as const;

/** Variables that have no setting of the file behind them. */
const OWN_VARIABLES = [
  'KUBERNETES_SERVICE_HOST',
  'POLL_INTERVAL_SECS',
  'LOG_LEVEL',
  'LOG_FORMAT',
  'LOG_TIME',
  'NO_COLOR',
  'LAZY_PROXY_CONFIG',
  'CONFIG_PATH',
] as const;

/** Variables of lazy-tcp-proxy that do nothing here, and what does instead. */
export const FOREIGN_VARIABLES: ReadonlyMap<string, string> = new Map([
  [
    'ADMIN_PORT',
    'there is no admin server; the API is on the status server (STATUS_PORT), under /api, and the file is read again when it changes',
  ],
  ['ADMIN_API_KEY', 'LAZY_PROXY_TOKEN, or status.token in the file, is what the API asks for'],
  [
    'CORS_ALLOW_ORIGINS',
    'no CORS headers are sent; put page and API behind one proxy, and list its name in status.allowed_hosts',
  ],
  [
    'COMPOSE_DIR',
    'missing containers are not made; "docker compose create" makes them, and they are used at once',
  ],
  ['RECIPES_DIR', 'there are no recipes; write services into the file, or labels on containers'],
  ['LISTEN_START_PORT', 'listen ports are not given out; write each one under ports, as listen:target'],
  [
    'METRICS_POSTGRES_URL',
    'no figures are stored; GET /status has those of the moment, and webhook_url posts each event',
  ],

  [
    'WEB_HOST',
    'status.listen in the file says at which address the status server listens, and status.allowed_hosts by which names it may be asked',
  ],
]);

/** The environment variables that are read, in the order of the documentation. */
export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...FIELD_NAMES.flatMap((field) => fieldSpec(field).variable?.name ?? []),
  ...Object.values(SETTINGS).flatMap(({ variables }) => variables?.map(({ name }) => name) ?? []),
  ...OWN_VARIABLES,
];
export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

/** What the environment sets. */
export interface Environment {
  /** Defaults for the fields of every service. */
  readonly defaults: Draft;
  /** What variables say of the settings; `combine` of a setting says what that means together with the file. */
  readonly settings: SettingsDraft;
  /**
   * What counts where neither flag, variable nor file sets a setting: in a pod the backend `kubernetes`, unless a
   * variable names a Docker engine.
   */
  readonly detected: SettingsDraft;
  /** How often state is re-checked against the engine, in milliseconds; undefined = never. */
  readonly pollIntervalMs: number | undefined;
  readonly logLevel: (typeof ENVIRONMENT_LOG_LEVELS)[number] | undefined;
  readonly logFormat: (typeof ENVIRONMENT_LOG_FORMATS)[number] | undefined;
  readonly logTime: (typeof ENVIRONMENT_LOG_TIMES)[number] | undefined;
  /** NO_COLOR is set and not empty. */
  readonly noColor: boolean;
}

/** Nothing set. */
export const EMPTY_ENVIRONMENT: Environment = {
  defaults: {},
  settings: {},
  detected: {},
  pollIntervalMs: undefined,
  logLevel: undefined,
  logFormat: undefined,
  logTime: undefined,
  noColor: false,
};

/**
 * Reads the variables of ENVIRONMENT_VARIABLES; a blank one counts as unset where nothing else is said of it. Every problem is a warning, those of
 * FOREIGN_VARIABLES among them.
 */
export function parseEnvironment(env: EnvironmentValues): {
  readonly environment: Environment;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const read = <T>({
    name,
    parse,
    otherwise,
    emptyCounts,
  }: EnvironmentVariable<T>): Sourced<T> | undefined => {
    const text = textOf(env, name);
    if (text === '' && (emptyCounts === undefined || env[name] === undefined)) return undefined;
    const parsed = parse(text);
    const origin = { kind: 'environment', variable: name } as const;
    if (parsed.ok) return { value: parsed.value, origin };
    const message = `${parsed.message}; ${otherwise}`;
    problems.push({ code: parsed.code, severity: 'warning', message, origin });
    return undefined;
  };
  const readAll = <N extends string>(
    names: readonly N[],
    variablesOf: (name: N) => readonly EnvironmentVariable[],
  ) =>
    Object.fromEntries(
      names.flatMap((name) => {
        // Every variable is read, also behind one that is set, so that each mistake gets its warning.
        const [first] = variablesOf(name).flatMap((variable) => read(variable) ?? []);
        return first === undefined ? [] : [[name, first]];
      }),
    );
  const defaults = readAll(FIELD_NAMES, (name) => {
    const { variable } = fieldSpec(name);
    return variable === undefined ? [] : [variable];
  });
  const settings = readAll(SETTING_NAMES, (name) => SETTINGS[name].variables ?? []);
  const poll = read({ name: 'POLL_INTERVAL_SECS', parse: parseSeconds, otherwise: 'state is not polled' });
  const environment: Environment = {
    defaults,
    settings,
    detected: detectSettings(env),
    pollIntervalMs: poll?.value === 0 ? undefined : poll?.value,
    logLevel: read({ name: 'LOG_LEVEL', parse: parseLogLevel, otherwise: 'the default applies' })?.value,
    logFormat: read({ name: 'LOG_FORMAT', parse: parseLogFormat, otherwise: 'the default applies' })?.value,
    logTime: read({ name: 'LOG_TIME', parse: parseLogTime, otherwise: 'the default applies' })?.value,
    noColor: (env['NO_COLOR'] ?? '') !== '',
  };
  return { environment, problems: [...problems, ...findForeign(env)] };
}

function findForeign(env: EnvironmentValues): readonly Problem[] {
  return [...FOREIGN_VARIABLES]
    .filter(([variable]) => textOf(env, variable) !== '')
    .map(([variable, instead]) => ({
      code: 'option-without-effect',
      severity: 'warning',
      message: `does nothing here: ${instead}`,
      origin: { kind: 'environment', variable },
    }));
}

/** Kubernetes sets the variable in every pod. */
function detectSettings(env: EnvironmentValues): SettingsDraft {
  const isSet = (name: string) => textOf(env, name) !== '';
  if (!isSet('KUBERNETES_SERVICE_HOST') || isSet('DOCKER_HOST') || isSet('DOCKER_SOCK')) return {};
  const origin = { kind: 'environment', variable: 'KUBERNETES_SERVICE_HOST' } as const;
  return { backend: { value: 'kubernetes', origin } };
}

function textOf(env: EnvironmentValues, name: string): string {
  return env[name]?.trim() ?? '';
}

function parseLogLevel(text: string): Parsed<(typeof ENVIRONMENT_LOG_LEVELS)[number]> {
  const word = text.toLowerCase() === 'warning' ? 'warn' : text.toLowerCase();
  return parseWord(word, { shown: text, words: ENVIRONMENT_LOG_LEVELS, code: 'invalid-value' });
}

function parseLogFormat(text: string): Parsed<(typeof ENVIRONMENT_LOG_FORMATS)[number]> {
  return parseWord(text.toLowerCase(), {
    shown: text,
    words: ENVIRONMENT_LOG_FORMATS,
    code: 'invalid-value',
  });
}

function parseLogTime(text: string): Parsed<(typeof ENVIRONMENT_LOG_TIMES)[number]> {
  return parseWord(text.toLowerCase(), { shown: text, words: ENVIRONMENT_LOG_TIMES, code: 'invalid-value' });
}

function parseWord<T extends string>(
  word: string,
  options: { readonly shown: string; readonly words: readonly T[]; readonly code: ProblemCode },
): Parsed<T> {
  const found = options.words.find((candidate) => candidate === word);
  if (found !== undefined) return accept(found);
  return refuse(options.code, `${showValue(options.shown)} is not one of ${options.words.join(', ')}`);
}
