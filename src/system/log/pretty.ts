/**
 * Log lines for people: JSON lines in, one readable line per event out. Colours mark the fields' values where the
 * message names them; the other fields stay hidden, since the message already says what a person needs.
 */
import type { Writable } from 'node:stream';
import type { DestinationStream } from 'pino';
import { PinoPretty } from 'pino-pretty';
import { escapeLines, escapeText } from '../../model/escape-text.ts';
import { toSourceStack } from '../source-stack.ts';

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const CYAN = 36;
/** Back to the terminal's own foreground. */
const PLAIN = 39;

const LEVEL_COLORS: Readonly<Record<string, number>> = { fatal: RED, error: RED, warn: YELLOW, info: GREEN };
const FIELD_COLORS = { service: YELLOW, network: GREEN, client: CYAN } as const;

type LogLine = Readonly<Record<string, unknown>>;

/**
 * A stream for pino that prints synchronously and in this process: the last line before an exit is never lost.
 * @param options.destination where the text goes; default: standard output.
 */
export function prettyStream(options: {
  readonly color: boolean;
  readonly destination?: Writable | DestinationStream;
}): PinoPretty.PrettyStream {
  const paint = options.color ? paintText : (text: string) => text;
  return PinoPretty({
    colorize: false,
    sync: true,
    destination: options.destination ?? 1,
    translateTime: 'SYS:HH:MM:ss.l',
    hideObject: true,
    customPrettifiers: {
      time: (time) => String(time),
      level: (level) => paint(String(level).toUpperCase(), LEVEL_COLORS[String(level)] ?? CYAN),
    },
    messageFormat: (line, messageKey) => {
      const message = escapeText(String(line[messageKey] ?? ''));
      return `${options.color ? paintMessage(message, line) : message}${formatStack(line)}`;
    },
  });
}

function paintText(text: string, color: number): string {
  return `\u001b[${color}m${text}\u001b[${PLAIN}m`;
}

/** One pass over the message, so that a short value can't match inside the escape codes of another one. */
function paintMessage(message: string, line: LogLine): string {
  const refused = line['refused'] === true;
  const colors = new Map<string, number>();
  for (const [field, color] of Object.entries(FIELD_COLORS)) {
    const value = line[field];
    if (typeof value === 'string' && value !== '') colors.set(escapeText(value), color);
  }
  const base = refused ? RED : PLAIN;
  const painted = colors.size === 0 ? message : message.replace(matchAny([...colors.keys()]), paintMatch);
  return refused ? paintText(painted, RED) : painted;

  function paintMatch(match: string): string {
    return `\u001b[${colors.get(match)}m${match}\u001b[${base}m`;
  }
}

/** Matches the values as whole words: a service named `a` must not colour every a. Longest first. */
function matchAny(values: readonly string[]): RegExp {
  const sorted = [...values].sort((a, b) => b.length - a.length);
  const alternatives = sorted.map((value) => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`(?<![\\w-])(?:${alternatives.join('|')})(?![\\w-])`, 'g');
}

/** The stack of an error line, indented; warnings say enough with their message. */
function formatStack(line: LogLine): string {
  if (line['level'] !== 'error' && line['level'] !== 'fatal') return '';
  const error = line['err'];
  if (error === null || error === undefined) return '';
  const { stack, message } =
    typeof error === 'object' ? (error as LogLine) : { stack: error, message: undefined };
  const text = toSourceStack(String(stack ?? message ?? JSON.stringify(error)));
  const indented = escapeLines(text)
    .split('\n')
    .map((part) => `    ${part}`);
  return `\n${indented.join('\n')}`;
}
