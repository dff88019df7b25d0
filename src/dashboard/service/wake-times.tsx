/** How long the last wakes took, oldest first, each as a column of its phases. */
import type { WakeAnswer } from '../../status/api/answers.ts';
import { formatClockTime, parseTime } from '../clock.ts';
import { describePhases, describeResult, listPhases, totalOf } from './describe-service.ts';
import { formatDuration } from '../format.ts';

const HEIGHT = 60;
const COLUMN = 12;
const GAP = 4;
const MAX_COLUMNS = 50;
/** Those with a colour of their own. */
const PHASES = [
  { key: 'engine', text: 'engine' },
  { key: 'health', text: 'health check' },
  { key: 'port', text: 'port' },
];

export function WakeTimes({ wakes }: { readonly wakes: readonly WakeAnswer[] }) {
  const columns = wakes.slice(0, MAX_COLUMNS).toReversed();
  const longestMs = Math.max(...columns.map(totalOf), 1);
  const width = columns.length * (COLUMN + GAP);
  // Of what has failed, all phases have one colour.
  const told = new Set(
    columns
      .filter(({ result }) => result !== 'failed')
      .flatMap((wake) => listPhases(wake).flatMap(({ key, ms }) => (ms > 0 ? [key] : []))),
  );
  const scale = (ms: number) => (ms / longestMs) * (HEIGHT - 2);
  return (
    <figure class="times">
      <svg
        width={width}
        height={HEIGHT}
        viewBox={`0 0 ${width} ${HEIGHT}`}
        role="img"
        aria-label={
          columns.length === 1
            ? `How long the last wake took: ${formatDuration(longestMs)}`
            : `How long the last ${columns.length} wakes took; the longest ${formatDuration(longestMs)}`
        }
      >
        {columns.map((wake, index) => {
          let top = HEIGHT;
          return (
            <g key={wake.at + wake.cause} class={wake.result}>
              <title>{`${formatClockTime(parseTime(wake.at))}: ${describeResult(wake)}, ${describePhases(wake)}`}</title>
              {listPhases(wake).map(({ key, ms }) => {
                const height = scale(ms);
                top -= height;
                return (
                  <rect
                    key={key}
                    class={key}
                    x={index * (COLUMN + GAP)}
                    y={top}
                    width={COLUMN}
                    height={height}
                  />
                );
              })}
              <rect class="foot" x={index * (COLUMN + GAP)} y={HEIGHT - 2} width={COLUMN} height={2} />
            </g>
          );
        })}
      </svg>
      <figcaption>
        {PHASES.filter(({ key }) => told.has(key)).map(({ key, text }) => (
          <span key={key} class={`key ${key}`}>
            {text}
          </span>
        ))}
        {columns.some(({ result }) => result === 'failed') && <span class="key failed">failed</span>}
        <span class="longest">longest {formatDuration(longestMs)}</span>
      </figcaption>
    </figure>
  );
}
