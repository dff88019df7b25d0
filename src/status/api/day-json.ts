import type { Life, Timeline } from '../../model/running/workload-report.ts';
import { formatTimestamp } from '../../system/clock.ts';
import type { DayAnswer } from './answers.ts';

/** Ten minutes, as long as they are told of: a day of a service that seldom wakes is a handful of runs, of any other at most 144. */
const SLOT_MS = 600_000;
const SLOTS = 144;

/** Of what happened within one slot the last one of these counts, so that a short use can be seen, and a failure all the more. */
const RANKS: readonly Life[] = ['unknown', 'asleep', 'stopping', 'waking', 'awake', 'failed'];

/**
 * The day before `nowMs`, of when a workload came into which state; both on the wall clock, ms. Slots begin at full tens of minutes, so that a day
 * stays the same text until the next one begins or something happens. Pure.
 */
export function renderDay(timeline: Timeline, nowMs: number): DayAnswer {
  const fromMs = (Math.floor(nowMs / SLOT_MS) + 1 - SLOTS) * SLOT_MS;
  const ranks = new Array<number>(SLOTS).fill(0);
  const timeMs: Partial<Record<Life, number>> = {};
  let failures = 0;
  for (const [index, { atMs, life }] of timeline.entries()) {
    const startMs = Math.max(atMs, fromMs);
    const endMs = Math.min(timeline[index + 1]?.atMs ?? nowMs, nowMs);
    // A clock that was set back leaves spells without a length.
    if (endMs < startMs || endMs < fromMs) continue;
    timeMs[life] = (timeMs[life] ?? 0) + endMs - startMs;
    // What is put to sleep after a failure has not failed again.
    if (life === 'failed' && atMs >= fromMs && timeline[index - 1]?.life !== 'stopping') failures++;
    const rank = RANKS.indexOf(life);
    const last = Math.min(SLOTS - 1, Math.floor((Math.max(startMs, endMs - 1) - fromMs) / SLOT_MS));
    for (let slot = Math.floor((startMs - fromMs) / SLOT_MS); slot <= last; slot++)
      ranks[slot] = Math.max(ranks[slot] ?? 0, rank);
  }
  const runs: [Life, number][] = [];
  for (const rank of ranks) {
    const life = RANKS[rank] ?? 'unknown';
    const run = runs.at(-1);
    if (run?.[0] === life) run[1]++;
    else runs.push([life, 1]);
  }
  return {
    ...{ from: formatTimestamp(fromMs), slot_ms: SLOT_MS, runs },
    time_ms: Object.fromEntries(Object.entries(timeMs).map(([life, ms]) => [life, Math.round(ms)])),
    failures,
  };
}
