/** What a service did from when to when. Pure. */
import type { SleepKind } from '../../model/running/sleep.ts';
import type { Life } from '../../model/running/workload-report.ts';
import type { ServiceDetailAnswer } from '../../status/api/answers.ts';
import { parseTime } from '../clock.ts';

/** A time in one state, ms since the epoch. */
export interface Spell {
  readonly life: Life;
  /** Why it sleeps, where that is known. */
  readonly sleep?: SleepKind | undefined;
  readonly startMs: number;
  readonly endMs: number;
}

/** The spells of a span, oldest first, without a gap; what came before the timeline is unknown. */
export function listSpells(
  timeline: ServiceDetailAnswer['timeline'],
  { fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number },
): readonly Spell[] {
  const changes = timeline.map(({ at, life, sleep }) => ({ startMs: parseTime(at), life, sleep }));
  const all = [{ startMs: Number.NEGATIVE_INFINITY, life: 'unknown' as const, sleep: undefined }, ...changes];
  return all.flatMap(({ startMs, life, sleep }, index) => {
    const start = Math.max(fromMs, startMs);
    const end = Math.min(untilMs, all[index + 1]?.startMs ?? untilMs);
    // What began in this very second has no length yet, and is shown all the same.
    return end > start || (index === all.length - 1 && end >= start)
      ? [{ life, startMs: start, endMs: end, ...(sleep !== undefined && { sleep }) }]
      : [];
  });
}
