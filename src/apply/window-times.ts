/**
 * When windows are open. Input: the windows of a service, its time zone, a moment. Output: whether one is open then, and when that
 * changes. Pure.
 *
 * A window begins and ends when the clock on the wall has come so far for the first time: in the hour that a clock change skips that is
 * the moment of the change, and of an hour that it repeats the first one counts. Windows that overlap or touch are one.
 */
import type { AwakeWindow } from '../model/awake-window.ts';

export interface WindowState {
  readonly isOpen: boolean;
  /** When it changes next, ms since the epoch; undefined = never. */
  readonly changesMs: number | undefined;
}

const MINUTE_MS = 60_000;
const DAY_MINUTES = 1_440;
const DAY_MS = DAY_MINUTES * MINUTE_MS;
/** Beyond this a window that goes on has no end: the next one on some weekday comes before, also where a clock change leaves one out. */
const LOOK_AHEAD_DAYS = 15;
/** 1 January 1970 was a Thursday. */
const WEEKDAY_OF_EPOCH = 3;

/** Whether one of the windows is open, and until when it is, or is not. @param options.timezone an IANA name. */
export function findWindowState(
  windows: readonly AwakeWindow[],
  { timezone, nowMs }: { readonly timezone: string; readonly nowMs: number },
): WindowState {
  const offsetAt = createOffsets(timezone);
  const today = Math.floor((nowMs + offsetAt(nowMs)) / DAY_MS);
  let found: { readonly startMs: number; endMs: number } | undefined;
  // Yesterday's windows may go on today, and theirs from the day before touch them.
  for (let day = today - 2; day <= today + LOOK_AHEAD_DAYS; day++) {
    if (found !== undefined && found.endMs > nowMs && found.endMs < toInstant(day * DAY_MINUTES, offsetAt))
      return describe(found, nowMs);
    for (const span of listSpans(windows, { day, offsetAt })) {
      if (found !== undefined && span.startMs <= found.endMs) found.endMs = Math.max(found.endMs, span.endMs);
      else if (found !== undefined && found.endMs > nowMs) return describe(found, nowMs);
      else found = span;
    }
  }
  if (found === undefined || found.endMs <= nowMs) return { isOpen: false, changesMs: undefined };
  const hasNoEnd = found.startMs <= nowMs && found.endMs > nowMs + (LOOK_AHEAD_DAYS - 2) * DAY_MS;
  return hasNoEnd ? { isOpen: true, changesMs: undefined } : describe(found, nowMs);
}

function describe(
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  nowMs: number,
): WindowState {
  const isOpen = startMs <= nowMs;
  return { isOpen, changesMs: isOpen ? endMs : startMs };
}

/** From when until when windows are open that begin on a day, in order; such as fall into a skipped hour are left out. */
function listSpans(
  windows: readonly AwakeWindow[],
  { day, offsetAt }: { readonly day: number; readonly offsetAt: OffsetAt },
): { readonly startMs: number; endMs: number }[] {
  const weekday = (day + WEEKDAY_OF_EPOCH) % 7;
  return windows
    .filter(({ days }) => days.includes(weekday))
    .map(({ fromMinute, toMinute }) => ({
      startMs: toInstant(day * DAY_MINUTES + fromMinute, offsetAt),
      endMs: toInstant(day * DAY_MINUTES + toMinute, offsetAt),
    }))
    .filter(({ startMs, endMs }) => startMs < endMs)
    .toSorted((a, b) => a.startMs - b.startMs);
}

/** By how much the clock on the wall is ahead of UTC at a moment, ms. */
type OffsetAt = (ms: number) => number;

/** The first moment at which the clock on the wall shows so many minutes since 1 January 1970, or more. */
function toInstant(wallMinutes: number, offsetAt: OffsetAt): number {
  const wallMs = wallMinutes * MINUTE_MS;
  const [before, after] = [offsetAt(wallMs - DAY_MS), offsetAt(wallMs + DAY_MS)];
  if (before === after) return wallMs - before;
  const [early, late] = [wallMs - Math.max(before, after), wallMs - Math.min(before, after)];
  for (const ms of [early, late]) if (ms + offsetAt(ms) === wallMs) return ms;
  let [low, high] = [early, late];
  // To the second: what a zone's clock skips begins on one.
  while (high - low > 1_000) {
    const middle = Math.floor((low + high) / 2_000) * 1_000;
    if (middle + offsetAt(middle) < wallMs) low = middle;
    else high = middle;
  }
  return high;
}

function createOffsets(timeZone: string): OffsetAt {
  const format = new Intl.DateTimeFormat('en', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });
  return (ms) => {
    const secondMs = Math.floor(ms / 1_000) * 1_000;
    const parts: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of format.formatToParts(secondMs)) parts[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts;
    const wallMs = toDays({ year, month, day }) * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000;
    return wallMs - secondMs;
  };
}

/** Days since 1 January 1970, in the Gregorian calendar. Years begin with March here, so that a leap day is the last of its year. */
function toDays({
  year,
  month,
  day,
}: {
  readonly year: number;
  readonly month: number;
  readonly day: number;
}): number {
  const marchYear = month > 2 ? year : year - 1;
  const dayOfYear = Math.floor((153 * ((month + 9) % 12) + 2) / 5) + day - 1;
  const leapDays = Math.floor(marchYear / 4) - Math.floor(marchYear / 100) + Math.floor(marchYear / 400);
  return marchYear * 365 + leapDays + dayOfYear - 719_468;
}
