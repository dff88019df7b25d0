/** Figures on top; those that count services filter the list. */
import type { Life } from '../model/running/workload-report.ts';
import type { ServiceAnswer } from '../status/api/answers.ts';
import { lookOf, type Look, nameLook, oncePerWorkload, stillRuns } from './service/describe-service.ts';
import { formatBytes, formatDuration } from './format.ts';
import type { Memory } from './data/live-data.ts';
import { Shape } from './parts.tsx';
import type { View } from './view.ts';

const STATES: readonly Look[] = ['awake', 'waking', 'stopping', 'asleep', 'failed', 'unknown'];
const ALWAYS: ReadonlySet<Look> = new Set(['awake', 'asleep', 'failed']);

export function Summary({
  services,
  memory,
  times,
  view,
}: {
  readonly services: readonly ServiceAnswer[];
  readonly memory: Memory;
  readonly times: Readonly<Partial<Record<Life, number>>>;
  readonly view: View;
}) {
  const counts = countLooks(services);
  const usual = median(services.flatMap(({ usual_wait_ms: ms }) => (ms === undefined ? [] : [ms])));
  const { asleep: asleepMs = 0, awake = 0, waking = 0, stopping = 0 } = times;
  const awakeMs = awake + waking + stopping;
  const { used, given, known, asleep: sleepers } = sumMemory(oncePerWorkload(services), memory);
  return (
    <section class="sum" aria-label="Summary">
      <div class="tiles">
        {STATES.filter((look) => ALWAYS.has(look) || counts[look] > 0 || view.look === look).map((look) => (
          <button
            key={look}
            type="button"
            class={`tile ${look} ${counts[look] === 0 ? 'none' : ''}`}
            aria-pressed={view.look === look}
            onClick={() => view.change({ look: view.look === look ? undefined : look })}
          >
            <b>{counts[look]}</b>
            <span>
              <Shape look={look} /> {nameLook(look, services)}
            </span>
          </button>
        ))}
      </div>
      <div class="tiles">
        {usual !== undefined && (
          <Figure text={formatDuration(usual)} note="a client waits for a wake (median)" />
        )}
        {asleepMs > 0 && (
          <Figure
            text={`${Math.floor((100 * asleepMs) / (asleepMs + awakeMs))} %`}
            note={`of the time asleep: ${formatDuration(asleepMs)} in all`}
          />
        )}
        {given > 0 && (
          <Figure
            about
            text={formatBytes(given)}
            note={`of memory given back${known < sleepers ? ` by ${known} of ${sleepers}, where known` : ''}${used > 0 ? `; ${formatBytes(used)} in use` : ''}`}
          />
        )}
        {given === 0 && used > 0 && <Figure text={formatBytes(used)} note="of memory in use" />}
      </div>
    </section>
  );
}

function Figure({
  text,
  note,
  about = false,
}: {
  readonly text: string;
  readonly note: string;
  readonly about?: boolean;
}) {
  return (
    <div class="tile">
      <b>
        {about && <small>about </small>}
        {text}
      </b>
      <span>{note}</span>
    </div>
  );
}

function countLooks(services: readonly ServiceAnswer[]): Record<Look, number> {
  const counts = { failed: 0, waking: 0, awake: 0, stopping: 0, asleep: 0, unknown: 0 };
  for (const service of services) counts[lookOf(service)]++;
  return counts;
}

/** What those that run take, what those that don't took when they last did, and of how many of them that is known. */
function sumMemory(services: readonly ServiceAnswer[], memory: Memory) {
  const sums = { used: 0, given: 0, known: 0, asleep: 0 };
  for (const service of services) {
    const { name, life, state } = service;
    const bytes = memory.get(name);
    // What is paused keeps its memory, and so does what runs although its start has failed.
    const isGivenBack =
      (life === 'asleep' || (life === 'failed' && !stillRuns(service))) && state !== 'paused';
    if (isGivenBack) sums.asleep++;
    if (bytes === undefined) continue;
    if (isGivenBack) sums.known++;
    sums[isGivenBack ? 'given' : 'used'] += bytes;
  }
  return sums;
}

function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
