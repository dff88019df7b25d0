/**
 * Log lines for people: JSON lines in, one readable line per event out. Colours mark the fields' values where the
 * message names them; the other fields stay hidden, since the message already says what a person needs.
 */
import { escapeLines, escapeText } from '../../model/text/escape-text.ts';
import { formatLocalTime } from '../clock.ts';
import { toSourceStack } from '../source-stack.ts';

export const LOG_TIMES = ['time', 'datetime'] as const;
/** What stands at the beginning of a line: the local time alone, or the date and the zone as well. */
export type LogTime = (typeof LOG_TIMES)[number];

const RED = 31;
const GREEN = 32;
const YELLOW = 33;
const CYAN = 36;
/** Back to the terminal's own foreground. */
const PLAIN = 39;

const LEVEL_COLORS: Readonly<Record<string, number>> = { fatal: RED, error: RED, warn: YELLOW, info: GREEN };
const FIELD_COLORS = { service: YELLOW, network: GREEN, client: CYAN } as const;

type LogLine = Readonly<Record<string, unknown>>;

/** A destination for pino that passes each of its lines on at once, as text. */
export function prettyStream(options: {
  readonly color: boolean;
  readonly time: LogTime;
  readonly destination: { write(line: string): unknown };
}): { write(json: string): void } {
  const { color, time, destination } = options;
  return {
    write(json) {
      const line = JSON.parse(json) as LogLine;
      const name = String(line['level']);
      const level = name.toUpperCase();
      const message = escapeText(String(line['msg'] ?? ''));
      const at = formatLocalTime(String(line['time']), time);
      const words = color
        ? `${paintText(level, LEVEL_COLORS[name] ?? CYAN)}: ${paintMessage(message, line)}`
        : `${level}: ${message}`;
      destination.write(`${at} ${words}${formatStack(line)}\n`);
    },
  };
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
