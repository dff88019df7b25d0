/**
 * Input: environment variables, as a value. Output: what they set, and a warning for each that is not usable.
 * Guarantees: pure; an invalid variable counts as unset.
 */
import type { Sourced } from '../model/origin.ts';
import type { Problem, ProblemCode } from '../model/problem.ts';
import { type BackendName, RELAY_SETTINGS, type RelaySetting } from '../model/settings.ts';
import { parseBackend } from './backend-name.ts';
import { parsePositiveSeconds, parseSeconds } from './values/duration.ts';
import type { Draft } from './fields.ts';
import { parseNamespaces } from './values/kubernetes-names.ts';
import { accept, type Parsed, refuse, showValue } from './values/parsed.ts';
import { parseChoice } from './values/text.ts';
import { parseTimezone } from './values/timezone.ts';

/** The environment variables that are read, in the order of the documentation. */
export const ENVIRONMENT_VARIABLES = [
  'IDLE_TIMEOUT_SECS',
  'START_TIMEOUT_SECS',
  'POLL_INTERVAL_SECS',
  'LAZY_PROXY_BACKEND',
  'LAZY_PROXY_RELAY',
  'DOCKER_SOCK',
  'DOCKER_HOST',
  'K8S_NAMESPACE',
  'KUBERNETES_SERVICE_HOST',
  'STATUS_PORT',
  'TZ',
  'LOG_LEVEL',
  'LOG_FORMAT',
  'NO_COLOR',
  'LAZY_PROXY_CONFIG',
  'CONFIG_PATH',
] as const;
export type EnvironmentVariable = (typeof ENVIRONMENT_VARIABLES)[number];
export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

export const ENVIRONMENT_LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export const ENVIRONMENT_LOG_FORMATS = ['pretty', 'json'] as const;

/** What the environment sets. */
export interface Environment {
  /** Defaults for the fields of every service. */
  readonly defaults: Draft;
  /** How often state is re-checked against the engine, in milliseconds; undefined = never. */
  readonly pollIntervalMs: number | undefined;
  readonly backend: Sourced<BackendName> | undefined;
  /** `kubernetes` in a pod, unless a Docker engine is named: what counts where neither flag, variable nor file tells. */
  readonly builtInBackend: Sourced<BackendName> | undefined;
  readonly relay: Sourced<RelaySetting> | undefined;
  /** At least one. */
  readonly namespaces: Sourced<readonly string[]> | undefined;
  /** DOCKER_SOCK where it is set, else DOCKER_HOST. */
  readonly dockerSocket: Sourced<string> | undefined;
  /** 0 = off. */
  readonly statusPort: Sourced<number> | undefined;
  readonly logLevel: (typeof ENVIRONMENT_LOG_LEVELS)[number] | undefined;
  readonly logFormat: (typeof ENVIRONMENT_LOG_FORMATS)[number] | undefined;
  /** NO_COLOR is set and not empty. */
  readonly noColor: boolean;
}

const IGNORED = 'it is ignored';

/** Nothing set. */
export const EMPTY_ENVIRONMENT: Environment = {
  defaults: {},
  pollIntervalMs: undefined,
  backend: undefined,
  builtInBackend: undefined,
  relay: undefined,
  namespaces: undefined,
  dockerSocket: undefined,
  statusPort: undefined,
  logLevel: undefined,
  logFormat: undefined,
  noColor: false,
};

/** Reads the variables of ENVIRONMENT_VARIABLES; a blank one counts as unset. Every problem is a warning. */
export function parseEnvironment(env: EnvironmentValues): {
  readonly environment: Environment;
  readonly problems: readonly Problem[];
} {
  const problems: Problem[] = [];
  const read = <T>(variable: EnvironmentVariable, options: ReadOptions<T>): Sourced<T> | undefined => {
    const text = env[variable]?.trim() ?? '';
    if (text === '') return undefined;
    const parsed = options.parse(text);
    const origin = { kind: 'environment', variable } as const;
    if (parsed.ok) return { value: parsed.value, origin };
    const message = `${parsed.message}; ${options.otherwise}`;
    problems.push({ code: parsed.code, severity: 'warning', message, origin });
    return undefined;
  };
  const idle = read('IDLE_TIMEOUT_SECS', { parse: parseSeconds, otherwise: 'the default of 120 applies' });
  const positive = { parse: parsePositiveSeconds, otherwise: 'the default of 30 applies' };
  const start = read('START_TIMEOUT_SECS', positive);
  const zone = read('TZ', { parse: parseZone, otherwise: 'UTC applies' });
  const poll = read('POLL_INTERVAL_SECS', { parse: parseSeconds, otherwise: 'state is not polled' });
  const sock = read('DOCKER_SOCK', { parse: parseSocket, otherwise: IGNORED });
  const host = read('DOCKER_HOST', { parse: parseSocket, otherwise: IGNORED });
  const environment: Environment = {
    defaults: {
      ...(idle && { idle_timeout: idle }),
      ...(start && { start_timeout: start }),
      ...(zone && { timezone: zone }),
    },
    pollIntervalMs: poll?.value === 0 ? undefined : poll?.value,
    backend: read('LAZY_PROXY_BACKEND', { parse: parseBackend, otherwise: IGNORED }),
    builtInBackend: findBuiltInBackend(env),
    relay: read('LAZY_PROXY_RELAY', { parse: parseRelay, otherwise: IGNORED }),
    namespaces: read('K8S_NAMESPACE', { parse: parseNamespaces, otherwise: IGNORED }),
    dockerSocket: sock ?? host,
    statusPort: read('STATUS_PORT', { parse: parseStatusPort, otherwise: 'the default of 8080 applies' }),
    logLevel: read('LOG_LEVEL', { parse: parseLogLevel, otherwise: 'the default applies' })?.value,
    logFormat: read('LOG_FORMAT', { parse: parseLogFormat, otherwise: 'the default applies' })?.value,
    noColor: (env['NO_COLOR'] ?? '') !== '',
  };
  return { environment, problems };
}

/** Kubernetes sets the variable in every pod. */
function findBuiltInBackend(env: EnvironmentValues): Sourced<BackendName> | undefined {
  const isSet = (variable: EnvironmentVariable) => (env[variable]?.trim() ?? '') !== '';
  if (!isSet('KUBERNETES_SERVICE_HOST') || isSet('DOCKER_HOST') || isSet('DOCKER_SOCK')) return undefined;
  return { value: 'kubernetes', origin: { kind: 'environment', variable: 'KUBERNETES_SERVICE_HOST' } };
}

interface ReadOptions<T> {
  readonly parse: (text: string) => Parsed<T>;
  /** What happens when the value is not usable. */
  readonly otherwise: string;
}

function parseRelay(text: string): Parsed<RelaySetting> {
  return parseChoice(text, RELAY_SETTINGS);
}

/** Some systems write `:Europe/Paris`. */
function parseZone(text: string): Parsed<string> {
  return parseTimezone(text.startsWith(':') ? text.slice(1) : text);
}

/** What Docker's own client takes and the proxy can't use is handed on, and refused at the start: ignored, it would mean another engine. */
function parseSocket(text: string): Parsed<string> {
  if (/^(\/|(unix|tcp|http|https|ssh|npipe):\/\/)\S/.test(text)) return accept(text);
  const message = `${showValue(text)} is not an absolute path or a unix://, tcp://, http:// or https:// URL`;
  return refuse('invalid-value', message);
}

function parseStatusPort(text: string): Parsed<number> {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return accept(Number(text));
  return refuse('invalid-port', `${showValue(text)} is not a port from 1 to 65535, or 0 for off`);
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

function parseWord<T extends string>(
  word: string,
  options: { readonly shown: string; readonly words: readonly T[]; readonly code: ProblemCode },
): Parsed<T> {
  const found = options.words.find((candidate) => candidate === word);
  if (found !== undefined) return accept(found);
  return refuse(options.code, `${showValue(options.shown)} is not one of ${options.words.join(', ')}`);
}
