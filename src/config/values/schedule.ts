import { CronExpressionParser } from 'cron-parser';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';
import { suggestNearest } from './suggest.ts';

const EXPECTED = 'five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"';
/** The library replaces `H` by a random value, so the schedule would differ from run to run. */
const RANDOM_FIELD = /(^|[\s,])H/i;
/** The longest name is America/Argentina/ComodRivadavia. */
const MAX_ZONE_LENGTH = 40;
const ZONE_SHAPE = /^[A-Za-z][A-Za-z0-9_+/-]*$/;

/** Reads a cron expression of exactly five fields; the text with its white space made single. */
export function parseCron(raw: unknown): Parsed<string> {
  if (typeof raw !== 'string')
    return refuse('invalid-cron', `${showValue(raw)} is not a cron expression of ${EXPECTED}`);
  const fields = raw.trim().split(/\s+/);
  if (fields.length !== 5) {
    const count = raw.trim() === '' ? 0 : fields.length;
    return refuse(
      'invalid-cron',
      `${showValue(raw)} has ${count} ${count === 1 ? 'field' : 'fields'}, not ${EXPECTED}`,
    );
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
