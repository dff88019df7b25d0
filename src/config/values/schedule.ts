import { CronExpressionParser } from 'cron-parser';
import { formatDuration, parsePositiveDuration } from './duration.ts';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';
import { suggestNearest } from './suggest.ts';

const EXPECTED = 'five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"';
/** The library replaces `H` by a random value, so the schedule would differ from run to run. */
const RANDOM_FIELD = /(^|[\s,])H/i;
/** The longest name is America/Argentina/ComodRivadavia. */
const MAX_ZONE_LENGTH = 40;
const ZONE_SHAPE = /^[A-Za-z][A-Za-z0-9_+/-]*$/;

/** Words for common schedules, as robfig/cron has them. */
const NAMED: ReadonlyMap<string, string> = new Map([
  ['@yearly', '0 0 1 1 *'],
  ['@annually', '0 0 1 1 *'],
  ['@monthly', '0 0 1 * *'],
  ['@weekly', '0 0 * * 0'],
  ['@daily', '0 0 * * *'],
  ['@midnight', '0 0 * * *'],
  ['@hourly', '0 * * * *'],
]);
const WORDS = [...NAMED.keys(), '@every'];
const ZONE_PREFIX = /^(?:CRON_)?TZ=(\S*)\s+(.*)$/s;

/**
 * Reads when a schedule fires into one of three forms: five cron fields with single spaces; the same behind
 * `CRON_TZ=<zone> `; or `@every <n>s`. A word such as `@daily` stands for its five fields, and blank text for no
 * schedule: `''`.
 */
export function parseCron(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string')
    return refuse('invalid-cron', `${showValue(raw)} is not a cron expression of ${EXPECTED}`);
  const trimmed = raw.trim();
  if (trimmed === '') return accept('');
  const [, zone, rest = trimmed] = ZONE_PREFIX.exec(trimmed) ?? [];
  if (zone !== undefined) {
    const parsed = parseTimezone(zone);
    if (!parsed.ok) return refuse(parsed.code, `${showValue(raw)}: ${parsed.message}`);
  }
  if (rest.startsWith('@')) {
    const every = /^@every\s+(.*)$/is.exec(rest)?.[1];
    if (every !== undefined) return parseInterval(raw, every);
  }
  const parsed = rest.startsWith('@') ? parseWord(raw, rest) : parseFields(raw, rest);
  return parsed.ok && zone !== undefined ? accept(`CRON_TZ=${zone} ${parsed.value}`) : parsed;
}

/** A schedule as the file writes it. */
export function formatCron(cron: string): string {
  const every = /^@every (\d+)s$/.exec(cron)?.[1];
  return every === undefined ? cron : `@every ${formatDuration(Number(every) * 1_000)}`;
}

function parseInterval(raw: string, text: string): Parsed<string> {
  const parsed = parsePositiveDuration(text);
  if (!parsed.ok) return refuse('invalid-cron', `${showValue(raw)}: ${parsed.message}`);
  const seconds = Math.floor(parsed.value / 1_000);
  if (seconds > 0) return accept(`@every ${seconds}s`);
  return refuse('invalid-cron', `${showValue(raw)} is more often than once a second; write "@every 1s"`);
}

function parseWord(raw: string, text: string): Parsed<string> {
  const fields = NAMED.get(text.toLowerCase());
  if (fields !== undefined) return accept(fields);
  const remedy = suggestNearest(text, WORDS) || `; known are ${[...NAMED.keys()].join(', ')} and "@every 1h"`;
  return refuse('invalid-cron', `${showValue(raw)} is not a cron expression${remedy}`);
}

function parseFields(raw: string, text: string): Parsed<string> {
  const fields = text.split(/\s+/);
  if (fields.length !== 5) {
    const count = `${fields.length} ${fields.length === 1 ? 'field' : 'fields'}`;
    return refuse('invalid-cron', `${showValue(raw)} has ${count}, not ${EXPECTED}`);
  }
  const expression = fields.join(' ');
  if (RANDOM_FIELD.test(expression)) {
    return refuse('invalid-cron', `${showValue(raw)} is not a cron expression: "H" is not a value`);
  }
  const reason = whyUnusable(expression);
  if (reason === undefined) return accept(expression);
  const short = expression.replaceAll(LONG_NAMES, (name) => name.slice(0, 3).toUpperCase());
  const says =
    short !== expression && whyUnusable(short) === undefined
      ? `; write ${JSON.stringify(short)}`
      : `: ${reason}`;
  return refuse('invalid-cron', `${showValue(raw)} is not a cron expression${says}`);
}

const DAYS_AND_MONTHS =
  'sunday monday tuesday wednesday thursday friday saturday january february march april may june july august september october november december'.split(
    ' ',
  );
const LONG_NAMES = new RegExp(`\\b(${DAYS_AND_MONTHS.join('|')})\\b`, 'gi');
const SHORT_NAMES: ReadonlySet<string> = new Set(DAYS_AND_MONTHS.map((name) => name.slice(0, 3)));

/** The library's errors tell a field by its range alone. */
const FIELD_OF_RANGE: ReadonlyMap<string, string> = new Map([
  ['0-59', 'minute'],
  ['0-23', 'hour'],
  ['1-31', 'day of month'],
  ['1-12', 'month'],
  ['0-7', 'day of week'],
]);

function whyUnusable(expression: string): string | undefined {
  try {
    // The date is fixed, so that nothing depends on the clock. next() throws for an expression that never fires.
    CronExpressionParser.parse(expression, { tz: 'UTC', currentDate: new Date(0) }).next();
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // The library names what is left when it has replaced the beginnings of names.
    const words = message.includes('annot resolve alias') ? (expression.match(/[a-z]+/gi) ?? []) : [];
    const unknown = words.find((word) => !SHORT_NAMES.has(word.toLowerCase()));
    if (unknown !== undefined) return `${JSON.stringify(unknown)} is no day, month or number`;
    const [, value, range = ''] = /got (?:value|range) (\S+) expected range (\d+-\d+)/.exec(message) ?? [];
    const field = FIELD_OF_RANGE.get(range);
    if (field !== undefined) return `${field} ${value} is outside ${range.replace('-', '–')}`;
    if (message.includes('explicit day of month'))
      return 'no such month has that day, so it would never fire';
    return message.replace(/^./, (first) => first.toLowerCase());
  }
}

/** Reads the name of an IANA time zone that this machine knows. */
export function parseTimezone(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && ZONE_SHAPE.test(raw) && isKnownZone(raw)) return accept(raw);
  const hint = typeof raw === 'string' ? suggestZone(raw.trim()) : '';
  const message = `${showValue(raw)} is not a known time zone such as Europe/Paris or UTC${hint}`;
  return refuse('invalid-timezone', message);
}

/** Zones that are more than a slip away from any name are looked for by their city. */
function suggestZone(text: string): string {
  if (text.length > MAX_ZONE_LENGTH) return '';
  const zones = Intl.supportedValuesOf('timeZone');
  const city = text.replaceAll(/\s+/g, '_').toLowerCase();
  const byCity = zones.find((zone) => zone.toLowerCase().endsWith(`/${city}`));
  return byCity === undefined ? suggestNearest(text, zones) : `; did you mean "${byCity}"?`;
}

function isKnownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}
