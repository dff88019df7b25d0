import { CronExpressionParser } from 'cron-parser';

/** One schedule in its time zone. */
export interface CronJob {
  /** As the configuration stage writes it: five fields, `CRON_TZ=<zone>` and five fields, or `@every <n>s`. */
  readonly expression: string;
  /** IANA name; a zone in the expression wins over it. */
  readonly timezone: string;
  /** From when on an interval counts, in ms since the epoch. */
  readonly startMs: number;
}

/** The interval of an `@every` in ms; undefined for cron fields. */
export function intervalOf({ expression }: Pick<CronJob, 'expression'>): number | undefined {
  const interval = /^@every (\d+)s$/.exec(expression)?.[1];
  return interval === undefined ? undefined : Number(interval) * 1_000;
}

/**
 * The first time after `afterMs` (ms since the epoch) at which the job fires, or undefined where it never does.
 * In the hour that a clock change skips a job fires once, an hour later on the clock (02:30 becomes 03:30); at a time
 * that it repeats, only the first time, unless the job fires every hour. An interval takes no notice of clock changes.
 */
export function findNextFire(job: CronJob, afterMs: number): number | undefined {
  const intervalMs = intervalOf(job);
  if (intervalMs !== undefined) {
    return afterMs + intervalMs - ((((afterMs - job.startMs) % intervalMs) + intervalMs) % intervalMs);
  }
  const [, zone, fields] = /^CRON_TZ=(\S+) (.*)$/.exec(job.expression) ?? [];
  try {
    const options = { currentDate: afterMs, tz: zone ?? job.timezone };
    return CronExpressionParser.parse(fields ?? job.expression, options)
      .next()
      .getTime();
  } catch {
    // Such as 30 February: the parser gives up after some years.
    return undefined;
  }
}
