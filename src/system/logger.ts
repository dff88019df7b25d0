import { pino } from 'pino';
import { prettyStream } from './pretty.ts';
import { toSourceStack } from './source-stack.ts';

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
}

/** A logger to standard output: JSON lines, or one readable line each. */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly color: boolean;
}): Logger {
  const base = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (options.format === 'json') {
    const serializers = { err: serializeError };
    return pino({ ...base, serializers }, pino.destination({ dest: 1, sync: true }));
  }
  return pino(base, prettyStream({ color: options.color }));
}

function serializeError(error: unknown): unknown {
  const fields: unknown = pino.stdSerializers.err(error as Error);
  if (typeof fields !== 'object' || fields === null || !('stack' in fields)) return fields;
  return { ...fields, stack: toSourceStack(String(fields.stack)) };
}

export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
};
