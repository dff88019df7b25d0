import { CronDate, type CronExpression, CronExpressionParser } from 'cron-parser';

const MINUTE_MS = 60_000;
/** Clocks are set forward by an hour at the most, so a fire that was moved lies within it. */
const MAX_GAP_MINUTES = 60;

/** One cron expression in its time zone. */
export interface CronJob {
  /** Five fields, checked by the configuration stage. */
  readonly expression: string;
  /** IANA name. */
  readonly timezone: string;
}

/**
 * The first time after `afterMs` (ms since the epoch) at which the job fires, or undefined where it never does.
 * In the hour that a clock change skips a job fires once, at the hour's end; at a time that it repeats, only the first
 * time, unless the job fires every hour.
 */
export function findNextFire({ expression, timezone }: CronJob, afterMs: number): number | undefined {
  try {
    const fires = CronExpressionParser.parse(expression, { currentDate: afterMs, tz: timezone });
    const fire = fires.next();
    return isOnTime(fire, fires) ? fire.getTime() : findGapEnd(fire.getTime(), timezone);
  } catch {
    // Such as 30 February: the parser gives up after some years.
    return undefined;
  }
}

/** False where the parser has moved a fire out of a skipped hour: it keeps the minute, and changes the hour. */
function isOnTime(fire: CronDate, { fields }: CronExpression): boolean {
  return fields.hour.values.some((hour) => hour === fire.getHours());
}

/** The moment just before `ms` at which the clock was set forward. */
function findGapEnd(ms: number, timezone: string): number {
  const offsetAt = (timeMs: number) => new CronDate(timeMs, timezone).getUTCOffset();
  for (let minutes = 0; minutes < MAX_GAP_MINUTES; minutes++) {
    const endMs = ms - minutes * MINUTE_MS;
    if (offsetAt(endMs - MINUTE_MS) !== offsetAt(ms)) return endMs;
  }
  return ms;
}
