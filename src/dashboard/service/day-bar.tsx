/** The last 24 hours of a service in a row of the list: one path a state, whatever happened, so that 500 of them cost little. */
import type { Life } from '../../model/running/workload-report.ts';
import type { DayAnswer } from '../../status/api/answers.ts';
import { formatCount, formatDuration, joinWords } from '../format.ts';

const HEIGHT = 8;
/** Each state has a height of its own, for who can't tell the colours apart. */
const HEIGHTS: Readonly<Record<Life, number>> = {
  ...{ failed: 8, awake: 8, waking: 5, stopping: 5, asleep: 2, unknown: 0 },
};

export function DayBar({ day }: { readonly day: DayAnswer }) {
  const slots = day.runs.reduce((sum, [, count]) => sum + count, 0);
  const words = describeDay({ times: day.time_ms, failures: day.failures });
  return (
    <svg
      class="day-bar"
      viewBox={`0 0 ${slots} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={words}
    >
      <title>{words}</title>
      {[...drawRuns(day.runs)].map(([life, path]) => (
        <path key={life} class={life} d={path} />
      ))}
    </svg>
  );
}

const LEGEND: readonly Life[] = ['awake', 'waking', 'asleep', 'failed'];

/** What the colours and heights mean. */
export function DayKeys() {
  return (
    <>
      {LEGEND.map((life) => (
        <span key={life} class={`key ${life}`}>
          {life}
        </span>
      ))}
    </>
  );
}

/** Of the bars of all rows; each says in words what it shows. */
export function DayLegend() {
  return (
    <p class="legend" aria-hidden="true">
      last 24 hours: <DayKeys />
    </p>
  );
}

/** By state, the outline of all its runs. */
function drawRuns(runs: DayAnswer['runs']): ReadonlyMap<Life, string> {
  const paths = new Map<Life, string>();
  let x = 0;
  for (const [life, count] of runs) {
    const height = HEIGHTS[life];
    if (height > 0) paths.set(life, `${paths.get(life) ?? ''}M${x} ${HEIGHT}h${count}v-${height}h-${count}z`);
    x += count;
  }
  return paths;
}

/** `Last 24 hours: awake 2 h 10 min, asleep 21 h, failed 2 times`. */
export function describeDay({
  times,
  failures,
}: {
  readonly times: Readonly<Partial<Record<Life, number>>>;
  readonly failures: number;
}): string {
  const parts = [
    `awake ${formatDuration(times.awake ?? 0)}`,
    `asleep ${formatDuration(times.asleep ?? 0)}`,
    ...(failures > 0 ? [`failed ${formatCount(failures, 'time')}`] : []),
  ];
  return `Last 24 hours: ${joinWords(parts)}`;
}
