/** The whole page. */
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Banners } from './banners.tsx';
import { formatClockTime } from './clock.ts';
import { Dialogs } from './dialogs.tsx';
import { token } from './data/client.ts';
import { formatDuration } from './format.ts';
import { rowId, useChosenService, useShown, useSteering } from './data/hooks.ts';
import type { LiveData, Shown } from './data/live-data.ts';
import { ServiceDetailPanel } from './service/service-detail.tsx';
import { ServiceList } from './service/service-list.tsx';
import type { Steerer } from './data/steering.ts';
import { Summary } from './summary.tsx';
import { useView } from './view.ts';

export function App({ data, steerer }: { readonly data: LiveData; readonly steerer: Steerer }) {
  const shown = useShown(data);
  const steering = useSteering(steerer);
  const chosen = useChosenService();
  const view = useView();
  const isOpen = chosen !== undefined;
  useEffect(() => data.look(chosen), [data, chosen]);
  useEffect(() => {
    document.title = describeTitle(shown);
  }, [shown.services]);
  useReturningFocus(chosen);
  const canSteer = shown.about?.has_token !== false;
  const list = useMemo(
    () => (
      <ServiceList
        services={shown.services}
        memory={shown.memory}
        view={view}
        chosen={chosen}
        isKnown={shown.about !== undefined}
        steerer={steerer}
        busy={steering.busy}
        canSteer={canSteer}
      />
    ),
    [shown.services, shown.memory, view, chosen, shown.about !== undefined, steerer, steering.busy, canSteer],
  );
  return (
    <div class={isOpen ? 'page split' : 'page'}>
      <main>
        <Head shown={shown} steerer={steerer} />
        <Banners shown={shown} steerer={steerer} />
        <Summary services={shown.services} memory={shown.memory} times={shown.times} view={view} />
        {list}
      </main>
      {isOpen && (
        <ServiceDetailPanel
          key={chosen}
          name={chosen}
          shown={shown}
          steerer={steerer}
          isBusy={steering.busy.has(chosen)}
        />
      )}
      <Dialogs steering={steering} steerer={steerer} isLocked={shown.isLocked} />
    </div>
  );
}

function Head({ shown: { about, link }, steerer }: { readonly shown: Shown; readonly steerer: Steerer }) {
  return (
    <header>
      <h1>lazy-proxy</h1>
      {about !== undefined && (
        <p class="about">
          {about.version}
          {about.engines.map(({ name, answers }) => (
            <span key={name}>
              {' · '}
              {name} {!answers && <b class="bad">does not answer</b>}
            </span>
          ))}
          {` · up ${formatDuration(about.uptime_ms - (about.uptime_ms > 3_600_000 ? about.uptime_ms % 60_000 : 0))}`}
          {about.phase !== 'serving' && ` · ${about.phase}`}
        </p>
      )}
      {token.read() !== undefined && (
        <button type="button" class="plain small" onClick={() => steerer.forgetToken()}>
          Forget the token
        </button>
      )}
      <p class={`link ${link.kind}`} role="status">
        <svg class="shape" viewBox="0 0 12 12" width="10" height="10" aria-hidden="true">
          {link.kind === 'cut' ? (
            <path d="M2 2l8 8M10 2l-8 8" stroke="currentColor" stroke-width="2.5" />
          ) : (
            <circle cx="6" cy="6" r="5" fill="currentColor" />
          )}
        </svg>
        {describeLink(link)}
      </p>
    </header>
  );
}

function describeLink(link: Shown['link']): string {
  switch (link.kind) {
    case 'connecting':
      return 'connecting …';
    case 'live':
      return 'live';
    case 'polling':
      return 'asked every 2 s';
    case 'locked':
      return 'asks for the token';
    case 'cut':
      return `cut off since ${formatClockTime(link.sinceMs, { seconds: true })}`;
  }
}

function describeTitle({ services }: Shown): string {
  const awake = services.filter(({ life }) => life === 'awake' || life === 'waking').length;
  return services.length === 0 ? 'lazy-proxy' : `${awake} awake · lazy-proxy`;
}

/** Closing the details leads back to where they were opened. */
function useReturningFocus(chosen: string | undefined): void {
  const last = useRef<string | undefined>(undefined);
  useEffect(() => {
    const from = last.current;
    last.current = chosen;
    if (chosen !== undefined || from === undefined) return;
    document.getElementById(rowId(from))?.focus();
  }, [chosen]);
}
