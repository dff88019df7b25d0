/** When a service was awake in the last 24 hours. Each state has a colour and a height of its own. */
import type { Life } from '../../model/running/workload-report.ts';
import type { ServiceDetailAnswer } from '../../status/api/answers.ts';
import { formatClockTime, listFullHours, nowMs } from '../clock.ts';
import { DayKeys, describeDay } from './day-bar.tsx';
import { SLEEP_WORDS } from './describe-service.ts';
import { listSpells } from './spells.ts';

const DAY_MS = 86_400_000;
const WIDTH = 1_000;
const HEIGHT = 28;
/** What is shorter would not be seen. */
const MIN_WIDTH = 2.5;

const HEIGHTS: Readonly<Record<Life, number>> = {
  ...{ awake: 28, failed: 28, waking: 18, stopping: 18, asleep: 6, unknown: 2 },
};

export function DayTimeline({ timeline }: { readonly timeline: ServiceDetailAnswer['timeline'] }) {
  const untilMs = nowMs();
  const fromMs = untilMs - DAY_MS;
  const spells = listSpells(timeline, { fromMs, untilMs });
  const place = (ms: number) => ((ms - fromMs) / DAY_MS) * WIDTH;
  return (
    <figure class="day">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={describeDay(sumSpells(spells))}
      >
        {spells.map(({ life, sleep, startMs, endMs }) => (
          <rect
            key={startMs}
            class={life}
            x={Math.min(place(startMs), WIDTH - MIN_WIDTH)}
            y={HEIGHT - HEIGHTS[life]}
            width={Math.max(
              place(endMs) - place(startMs),
              life === 'asleep' || life === 'unknown' ? 0 : MIN_WIDTH,
            )}
            height={HEIGHTS[life]}
          >
            <title>{`${life === 'stopping' ? 'going to sleep' : life}, ${formatClockTime(startMs)} to ${formatClockTime(endMs)}${sleep === undefined ? '' : `: ${SLEEP_WORDS[sleep]}`}`}</title>
          </rect>
        ))}
      </svg>
      <div class="hours" aria-hidden="true">
        {listFullHours(24)
          .filter((ms, index) => index % 6 === 5 && place(ms) > 50 && place(ms) < WIDTH - 50)
          .map((ms) => (
            <span key={ms} style={{ left: `${place(ms) / 10}%` }}>
              {formatClockTime(ms).replace(/^\D+/, '')}
            </span>
          ))}
      </div>
      <figcaption>
        <DayKeys />
      </figcaption>
    </figure>
  );
}

function sumSpells(spells: ReturnType<typeof listSpells>): Parameters<typeof describeDay>[0] {
  const times: Partial<Record<Life, number>> = {};
  for (const { life, startMs, endMs } of spells) times[life] = (times[life] ?? 0) + endMs - startMs;
  // What is put to sleep after a failure has not failed again.
  const isNew = (index: number) => spells[index - 1]?.life !== 'stopping';
  return { times, failures: spells.filter(({ life }, index) => life === 'failed' && isNew(index)).length };
}
