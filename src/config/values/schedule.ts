import { CronExpressionParser } from 'cron-parser';
import { accept, type Parsed, refuse, showValue } from './parsed.ts';

const EXPECTED = 'five fields: minute hour day-of-month month day-of-week, such as "30 8 * * 1-5"';
/** The library replaces `H` by a random value, so the schedule would differ from run to run. */
const RANDOM_FIELD = /(^|[\s,])H/i;
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
  return reason === undefined
    ? accept(expression)
    : refuse('invalid-cron', `${showValue(raw)} is not a cron expression: ${reason}`);
}

function whyUnusable(expression: string): string | undefined {
  try {
    // The date is fixed, so that nothing depends on the clock. next() throws for an expression that never fires.
    CronExpressionParser.parse(expression, { tz: 'UTC', currentDate: new Date(0) }).next();
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return message.replace(/^./, (first) => first.toLowerCase());
  }
}

/** Reads the name of an IANA time zone that this machine knows. */
export function parseTimezone(raw: unknown): Parsed<string> {
  if (typeof raw === 'string' && ZONE_SHAPE.test(raw) && isKnownZone(raw)) return accept(raw);
  return refuse('invalid-timezone', `${showValue(raw)} is not a known time zone such as Europe/Paris or UTC`);
}

function isKnownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}
