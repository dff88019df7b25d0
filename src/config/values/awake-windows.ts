import { type AwakeWindow, DAY_NAMES } from '../../model/awake-window.ts';
import { accept, type Parsed, parseList, type Reading, refuse, showValue } from './parsed.ts';
import type { ValueContext } from './ports.ts';
import { suggestNearest } from './suggest.ts';

/** For messages. */
export const AWAKE_EXPECTED =
  'windows such as ["08:30-17:30 Mon-Fri", "10:00-24:00 Sat,Sun"], or [] for none';

const EXAMPLE = 'such as "08:30-17:30 Mon-Fri"';
const MAX_WINDOWS = 100;
const DAY_MINUTES = 1_440;
const WINDOW = /^(\d{1,2}):(\d\d)\s*[-\u2013]\s*(\d{1,2}):(\d\d)(?:\s+(\S.*))?$/;
/** A window whose days stand first. */
const TURNED = /^([a-z].*?)\s+(\d{1,2}:\d\d\s*[-\u2013]\s*\d{1,2}:\d\d)$/i;
const LONG_NAMES = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/**
 * Reads windows in which a service is to be awake: `HH:MM-HH:MM`, and the days on which it begins, all unless given. It goes past midnight
 * where it ends before it begins. In a label, where commas stand between windows, a part that begins with a day goes with the
 * window before it.
 */
export function parseAwake(raw: unknown, { ofLabel }: ValueContext): Reading<readonly AwakeWindow[]> {
  const parts = ofLabel === true && Array.isArray(raw) ? joinDays(raw) : raw;
  if (Array.isArray(parts) && parts.length > MAX_WINDOWS)
    return refuse('invalid-value', `${parts.length} windows, and a service can have ${MAX_WINDOWS}`);
  return parseList(parts, parseWindow);
}

/** Windows as the file writes them. */
export function formatAwake(windows: readonly AwakeWindow[]): readonly string[] {
  return windows.map(({ days, fromMinute, toMinute }) => {
    const until = toMinute % DAY_MINUTES === 0 ? '24:00' : formatMinute(toMinute % DAY_MINUTES);
    const times = `${formatMinute(fromMinute)}-${until}`;
    return days.length === DAY_NAMES.length ? times : `${times} ${formatDays(days)}`;
  });
}

function joinDays(parts: readonly unknown[]): readonly unknown[] {
  const joined: unknown[] = [];
  for (const part of parts) {
    const before = joined.at(-1);
    const goesOn = typeof part === 'string' && typeof before === 'string' && /^[a-z]/i.test(part);
    if (goesOn && !TURNED.test(part)) joined.splice(-1, 1, `${before},${part}`);
    else joined.push(part);
  }
  return joined;
}

function parseWindow(raw: unknown): Parsed<AwakeWindow> {
  const shown = showValue(raw);
  const text = typeof raw === 'string' ? raw.trim() : '';
  const [, fromHour = '', fromMinutes = '', toHour = '', toMinutes = '', named] = WINDOW.exec(text) ?? [];
  if (fromHour === '') return refuse('invalid-value', `${shown} is not a window ${EXAMPLE}${hintAt(text)}`);
  const [from, to] = [readMinute(fromHour, fromMinutes), readMinute(toHour, toMinutes)];
  if (from === undefined || to === undefined) {
    const wrong = from === undefined ? `${fromHour}:${fromMinutes}` : `${toHour}:${toMinutes}`;
    return refuse('invalid-value', `${shown}: ${wrong} is not a time from 00:00 to 24:00`);
  }
  if (from === DAY_MINUTES)
    return refuse('invalid-value', `${shown}: no window begins at 24:00; write 00:00, and the day after`);
  if (from === to) {
    const remedy = 'for whole days write 00:00-24:00';
    return refuse('invalid-value', `${shown} begins and ends at the same time; ${remedy}`);
  }
  const days = readDays(named);
  if (typeof days === 'string') return refuse('invalid-value', `${shown}: ${days}`);
  return accept({ days, fromMinute: from, toMinute: to > from ? to : to + DAY_MINUTES });
}

function hintAt(text: string): string {
  const [, days, times] = TURNED.exec(text) ?? [];
  return days === undefined ? '' : `; write ${JSON.stringify(`${times} ${days}`)}`;
}

function readMinute(hour: string, minute: string): number | undefined {
  const [hours, minutes] = [Number(hour), Number(minute)];
  return minutes < 60 && hours * 60 + minutes <= DAY_MINUTES ? hours * 60 + minutes : undefined;
}

/** The days that a list of days and ranges names, or what is wrong with it. */
function readDays(text: string | undefined): readonly number[] | string {
  if (text === undefined) return DAY_NAMES.map((_, day) => day);
  const days = new Set<number>();
  for (const part of text.replaceAll(/\s*[-\u2013]\s*/g, '-').split(/[\s,]+/)) {
    if (part === '') continue;
    const names = part.split('-');
    const [first, last] = [readDay(names[0] ?? ''), readDay(names.at(-1) ?? '')];
    if (names.length > 2 || first === undefined || last === undefined) {
      const unknown = names.find((name) => readDay(name) === undefined) ?? part;
      const hint = suggestNearest(unknown, DAY_NAMES) || `; days are ${DAY_NAMES.join(', ')}`;
      return `${JSON.stringify(unknown)} is no day${hint}`;
    }
    for (let day = first; ; day = (day + 1) % DAY_NAMES.length) {
      days.add(day);
      if (day === last) break;
    }
  }
  return [...days].toSorted((a, b) => a - b);
}

function readDay(name: string): number | undefined {
  const lower = name.toLowerCase();
  const day = DAY_NAMES.findIndex((short, index) => [short.toLowerCase(), LONG_NAMES[index]].includes(lower));
  return day < 0 ? undefined : day;
}

function formatMinute(minute: number): string {
  return [Math.floor(minute / 60), minute % 60].map((part) => String(part).padStart(2, '0')).join(':');
}

/** `Mon-Fri`, `Sat,Sun`, `Mon,Wed-Fri` */
function formatDays(days: readonly number[]): string {
  const runs: number[][] = [];
  for (const day of days) {
    const run = runs.at(-1);
    if (run !== undefined && run.at(-1) === day - 1) run.push(day);
    else runs.push([day]);
  }
  const named = runs.map((run) => run.map((day) => DAY_NAMES[day] ?? ''));
  return named.map((run) => (run.length > 2 ? `${run[0]}-${run.at(-1)}` : run.join(','))).join(',');
}
