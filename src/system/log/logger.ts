import { pino } from 'pino';
import { escapeLines, escapeText } from '../../model/text/escape-text.ts';
import { openLogOutput } from './log-output.ts';
import { type LogTime, prettyStream } from './pretty.ts';
import { toSourceStack } from '../source-stack.ts';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export const LOG_FORMATS = ['pretty', 'json'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/**
 * Structured fields of a log line. The message says everything a person needs; the fields are for machines and for
 * colours, so each of their values also stands in the message.
 */
export interface LogFields {
  /** What happened, kebab-case: `wake`, `sleep`, `reload` … */
  readonly event?: string;
  readonly service?: string;
  readonly client?: string;
  readonly network?: string;
  /** True on a line about something refused. */
  readonly refused?: boolean;
  readonly err?: unknown;
  readonly [field: string]: unknown;
}

export interface Logger {
  error(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  debug(fields: LogFields, message: string): void;
  /** Whether lines of this level are written; absent = all are. */
  shows?(level: 'info' | 'debug'): boolean;
}

/**
 * Makes a logger to standard output that writes JSON lines or readable ones. Fields and messages may hold text of others
 * (names, labels, output), so both are escaped here, once.
 */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly color: boolean;
  /** How pretty lines begin; JSON lines have the full timestamp in UTC. */
  readonly time: LogTime;
  /** Called once with a message when the log can't be written; the program goes on without it. */
  readonly onBroken: (message: string) => void;
}): Logger {
  const destination = openLogOutput({
    onBroken: options.onBroken,
    onFlow: (lost) => {
      const lines = `${lost} line${lost === 1 ? '' : 's'} of the log ${lost === 1 ? 'was' : 'were'} lost`;
      logger.warn({ event: 'log-lost', lost }, `${lines}: nobody has read it for a while`);
    },
  });
  const base = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const json = {
    serializers: { err: serializeError },
    formatters: { ...base.formatters, log: (fields: object) => escapeFields(fields) },
    hooks: { logMethod: escapeMessage },
  };
  const written =
    options.format === 'json'
      ? pino({ ...base, ...json }, destination)
      : pino(base, prettyStream({ color: options.color, time: options.time, destination }));
  const logger: Logger = Object.assign(written, {
    shows: (level: 'info' | 'debug') => written.isLevelEnabled(level),
  });
  return logger;
}

function escapeMessage(this: unknown, args: unknown[], log: (...args: never[]) => void): void {
  const escaped = args.map((arg) => (typeof arg === 'string' ? escapeText(arg) : arg));
  log.apply(this, escaped as never[]);
}

/** The fields with every text in them escaped, however deep; an error is left to its serializer. */
function escapeFields(fields: object): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]) => [escapeText(name), escapeValue(value)]);
  return Object.fromEntries(entries);
}

function escapeValue(value: unknown): unknown {
  if (typeof value === 'string') return escapeText(value);
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  return Array.isArray(value) ? value.map(escapeValue) : escapeFields(value);
}

function serializeError(error: unknown): unknown {
  const fields: unknown = pino.stdSerializers.err(error as Error);
  if (typeof fields !== 'object' || fields === null) return escapeValue(fields);
  const escaped = escapeFields(fields);
  if (!('stack' in fields)) return escaped;
  return { ...escaped, stack: escapeLines(toSourceStack(String(fields.stack))) };
}

export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  shows: () => false,
};
