import { CronExpressionParser } from 'cron-parser';

/** One cron expression in its time zone. */
export interface CronJob {
  /** Five fields, checked by the configuration stage. */
  readonly expression: string;
  /** IANA name. */
  readonly timezone: string;
}

/**
 * The first time after `afterMs` (ms since the epoch) at which the job fires, or undefined where it never does.
 * In the hour that a clock change skips a job fires once, an hour later on the clock (02:30 becomes 03:30); at a time
 * that it repeats, only the first time, unless the job fires every hour.
 */
export function findNextFire({ expression, timezone }: CronJob, afterMs: number): number | undefined {
  try {
    return CronExpressionParser.parse(expression, { currentDate: afterMs, tz: timezone }).next().getTime();
  } catch {
    // Such as 30 February: the parser gives up after some years.
    return undefined;
  }
}
