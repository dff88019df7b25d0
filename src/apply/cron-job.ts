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
 * In the hour that a clock change skips a job fires at the hour's end, in the one it repeats only once.
 */
export function findNextFire({ expression, timezone }: CronJob, afterMs: number): number | undefined {
  try {
    const options = { currentDate: afterMs, tz: timezone };
    return CronExpressionParser.parse(expression, options).next().getTime();
  } catch {
    // Such as 30 February: the parser gives up after some years.
    return undefined;
  }
}
