/** The services: filtered, sorted, grouped; drawn a piece at a time, so that many of them cost no more than a screenful. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ServiceAnswer } from '../../status/api/answers.ts';
import { lookOf, matchesFilter, type SortKey, sortServices } from './describe-service.ts';
import { formatCount } from '../format.ts';
import { useHalfMinute } from '../data/hooks.ts';
import type { Memory } from '../data/live-data.ts';
import { DayLegend } from './day-bar.tsx';
import { Foreign } from '../parts.tsx';
import { ServiceRow } from './service-row.tsx';
import type { Steerer } from '../data/steering.ts';
import type { View } from '../view.ts';

/** Rows that are drawn at first, and with each piece that comes into sight. */
const PIECE = 60;

const SORTS: readonly { readonly key: SortKey; readonly text: string }[] = [
  { key: 'state', text: 'State' },
  { key: 'name', text: 'Name' },
  { key: 'active', text: 'Last used' },
  { key: 'sleep', text: 'Next sleep' },
];

export function ServiceList({
  services,
  memory,
  view,
  chosen,
  isKnown,
  steerer,
  busy,
  canSteer,
}: {
  readonly services: readonly ServiceAnswer[];
  readonly memory: Memory;
  readonly view: View;
  readonly chosen: string | undefined;
  readonly isKnown: boolean;
  readonly steerer: Steerer;
  readonly busy: ReadonlySet<string>;
  /** Whether the proxy has a token, without which nothing can be changed. */
  readonly canSteer: boolean;
}) {
  const { filter, look, sort, isGrouped } = view;
  const listed = useMemo(
    () =>
      sortServices(
        services.filter(
          (service) => (look === undefined || lookOf(service) === look) && matchesFilter(service, filter),
        ),
        sort,
      ),
    [services, filter, look, sort],
  );
  const hasProjects = useMemo(() => services.some(({ project }) => project !== undefined), [services]);
  const groups =
    isGrouped && hasProjects ? groupByProject(listed) : [{ project: undefined, services: listed }];
  const [count, setCount] = useState(PIECE);
  useEffect(() => setCount(PIECE), [filter, look, sort, isGrouped]);
  const age = useHalfMinute();
  let room = count;
  return (
    <section aria-label="Services">
      <div class="tools">
        <input
          type="search"
          aria-label="Filter services"
          placeholder="Filter by name, port, project or state"
          value={filter}
          onInput={(event) => view.change({ filter: event.currentTarget.value })}
        />
        <label class="sort">
          Sort by{' '}
          <select
            value={sort}
            onChange={(event) => view.change({ sort: event.currentTarget.value as SortKey })}
          >
            {SORTS.map(({ key, text }) => (
              <option key={key} value={key}>
                {text}
              </option>
            ))}
          </select>
        </label>
        {hasProjects && (
          <button
            type="button"
            class="chip"
            aria-pressed={isGrouped}
            onClick={() => view.change({ isGrouped: !isGrouped })}
          >
            Group by project
          </button>
        )}
      </div>
      <div class="told-line">
        <p class="told" role="status">
          {describeCount({ listed: listed.length, all: services.length, isKnown })}
          {look !== undefined && (
            <button type="button" class="plain" onClick={() => view.change({ look: undefined })}>
              show all states
            </button>
          )}
        </p>
        {services.length > 0 && <DayLegend />}
      </div>
      {!canSteer && services.length > 0 && (
        <p class="hint">
          The proxy has no token, so nothing can be woken or held here: set <code>status.token</code>.
        </p>
      )}
      {groups.map(({ project, services: members }) => {
        const drawn = members.slice(0, Math.max(0, room));
        room -= drawn.length;
        if (drawn.length === 0) return null;
        return (
          <div key={project ?? ''} class="group">
            {project !== undefined && (
              <h2>
                {project === '' ? 'Without a project' : <Foreign text={project} />}{' '}
                <small>{members.length}</small>
              </h2>
            )}
            <ul class="services">
              {drawn.map((service) => (
                <ServiceRow
                  key={service.name}
                  service={service}
                  memory={memory.get(service.name)}
                  isChosen={service.name === chosen}
                  steerer={steerer}
                  isBusy={busy.has(service.name)}
                  canSteer={canSteer}
                  age={lookOf(service) === 'awake' ? age : 0}
                />
              ))}
            </ul>
          </div>
        );
      })}
      {listed.length > count && (
        <More onSeen={() => setCount((now) => now + PIECE)} left={listed.length - count} />
      )}
    </section>
  );
}

/** Draws the next piece when it comes near, or is asked for. */
function More({ onSeen, left }: { readonly onSeen: () => void; readonly left: number }) {
  const place = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (place.current === null) return;
    const observer = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && onSeen(),
      {
        rootMargin: '600px',
      },
    );
    observer.observe(place.current);
    return () => observer.disconnect();
  }, [left]);
  return (
    <button ref={place} type="button" class="chip more" onClick={onSeen}>
      {left} more
    </button>
  );
}

function describeCount({
  listed,
  all,
  isKnown,
}: {
  readonly listed: number;
  readonly all: number;
  readonly isKnown: boolean;
}): string {
  if (!isKnown) return 'Asking the proxy …';
  if (all === 0) return 'There is no service yet: neither the file nor a label names one.';
  return listed === all ? formatCount(all, 'service') : `${listed} of ${formatCount(all, 'service')}`;
}

function groupByProject(services: readonly ServiceAnswer[]) {
  const groups = new Map<string, ServiceAnswer[]>();
  for (const service of services) {
    const { project = '' } = service;
    groups.set(project, [...(groups.get(project) ?? []), service]);
  }
  return [...groups]
    .map(([project, members]) => ({ project, services: members }))
    .sort((a, b) => Number(a.project === '') - Number(b.project === '') || (a.project < b.project ? -1 : 1));
}
