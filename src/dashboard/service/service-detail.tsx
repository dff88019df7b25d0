/** All of one service, beside the list; on a narrow screen, over it. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { SleepKind } from '../../model/running/sleep.ts';
import type { LeaseAnswer, ServiceDetailAnswer, WakeAnswer } from '../../status/api/answers.ts';
import { ActionButtons } from './action-buttons.tsx';
import { Findings } from '../banners.tsx';
import { formatClockTime, nowMs, parseTime } from '../clock.ts';
import {
  describeCause,
  describeCondition,
  describeNext,
  describePhases,
  describeResult,
  describeWhy,
  formatListener,
  lookOf,
  SLEEP_WORDS,
} from './describe-service.ts';
import { DayTimeline } from './day-timeline.tsx';
import { EffectiveValues } from './effective-values.tsx';
import { formatAge, formatBytes, formatCount, formatDuration, showText } from '../format.ts';
import { useHalfMinute } from '../data/hooks.ts';
import type { Shown } from '../data/live-data.ts';
import { Foreign, NextStep, PortLink, Scrolled, Shape, StateBadge, UrlLink } from '../parts.tsx';
import type { Steerer } from '../data/steering.ts';
import { WakeTimes } from './wake-times.tsx';

const HIDDEN = '***';
/** What programs print for terminals. */
const COLOURS = new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*m`, 'g');

export function close(): void {
  window.location.hash = '';
}

export function ServiceDetailPanel({
  name,
  shown,
  steerer,
  isBusy,
}: {
  readonly name: string;
  readonly shown: Shown;
  readonly steerer: Steerer;
  readonly isBusy: boolean;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    const follow = (event: KeyboardEvent) => {
      if (event.key === 'Escape' && document.querySelector('dialog[open]') === null) close();
    };
    window.addEventListener('keydown', follow);
    return () => window.removeEventListener('keydown', follow);
  }, []);
  const detail = shown.detail?.name === name ? shown.detail : undefined;
  return (
    <aside class="detail" aria-labelledby="detail-name">
      <div class="detail-head">
        <h2 id="detail-name" tabIndex={-1} ref={heading}>
          <Foreign text={name} />
        </h2>
        <button type="button" class="close" aria-label="Close the details" onClick={close}>
          ✕
        </button>
      </div>
      {detail !== undefined ? (
        <>
          <ActionButtons service={detail} steerer={steerer} isBusy={isBusy} canSteer={hasToken(shown)} />
          <Detail detail={detail} shown={shown} steerer={steerer} />
        </>
      ) : (
        <p class="told">{shown.detailProblem ?? 'Asking the proxy …'}</p>
      )}
    </aside>
  );
}

function Detail({
  detail,
  shown,
  steerer,
}: {
  readonly detail: ServiceDetailAnswer;
  readonly shown: Shown;
  readonly steerer: Steerer;
}) {
  useHalfMinute();
  const why = describeWhy(detail);
  return (
    <>
      <p class="kind">
        <Foreign text={detail.workload} />
        {detail.id !== undefined && detail.id !== '' && (
          <>
            {' '}
            <code>
              <Foreign text={detail.id} />
            </code>
          </>
        )}
        {detail.shares_with !== undefined && (
          <>
            , shared with <Foreign text={detail.shares_with.join(', ')} />: what is done to one is done to all
          </>
        )}
      </p>
      <div class="why big">
        <StateBadge service={detail} /> <Foreign text={why.first} />
        {why.second !== undefined && (
          <small>
            <Foreign text={why.second} />
          </small>
        )}
      </div>
      <p class="next">
        <NextStep next={describeNext(detail)} />
      </p>
      <LastOutput detail={detail} steerer={steerer} canShow={hasToken(shown)} />
      {detail.problems.length > 0 && (
        <Part title="Problems">
          <Findings findings={detail.problems} />
        </Part>
      )}
      <Part title="Last 24 hours">
        <DayTimeline timeline={detail.timeline} />
      </Part>
      <Leases detail={detail} />
      <Wakes wakes={detail.wakes} steerer={steerer} canShow={hasToken(shown)} />
      <Listeners detail={detail} />
      <Certificates detail={detail} />
      <Part title="Wakes for">
        <Wakers detail={detail} />
      </Part>
      <Part title="Since the proxy follows it">
        <Figures detail={detail} memory={shown.memory.get(detail.name)} />
      </Part>
      {shown.config !== undefined && (
        <Part title="Values in force">
          <EffectiveValues values={shown.config} />
        </Part>
      )}
    </>
  );
}

export function Part({ title, children }: { readonly title: string; readonly children: ComponentChildren }) {
  return (
    <section class="part">
      <h3>{title}</h3>
      {children}
    </section>
  );
}

interface OutputParts {
  readonly steerer: Steerer;
  /** Whether there is a token that shows it. */
  readonly canShow: boolean;
}

/** Until the proxy has told, it may have one. */
function hasToken({ about }: Shown): boolean {
  return about?.has_token !== false;
}

/** What the workload had printed when its last start failed. */
function LastOutput({
  detail,
  ...parts
}: {
  readonly detail: ServiceDetailAnswer;
} & OutputParts) {
  const { wakes } = detail;
  const worked = wakes.findIndex(({ result }) => result === 'ready');
  const failed = worked < 0 ? wakes : wakes.slice(0, worked);
  const last = failed.find(
    ({ output = [], output_problem: problem }) => output.length > 0 || problem !== undefined,
  );
  if (lookOf(detail) !== 'failed' || last === undefined) return null;
  const when = last === wakes[0] ? '' : `, woken ${formatClockTime(parseTime(last.at), { seconds: true })}`;
  return (
    <Part title={`What it printed last${when}`}>
      <Output lines={last.output ?? []} problem={last.output_problem} {...parts} />
    </Part>
  );
}

function Output({
  lines,
  problem,
  steerer,
  canShow,
}: { readonly lines: readonly string[]; readonly problem?: string | undefined } & OutputParts) {
  if (problem !== undefined)
    return (
      <p class="hint">
        It can't be read: <Foreign text={problem} />
      </p>
    );
  if (lines.length === 1 && lines[0] === HIDDEN)
    return (
      <p class="hint">
        Hidden, since it may hold secrets. The log has it; <code>status.show_output: true</code> shows it to
        all{canShow ? '.' : ', and who has the token sees it, once status.token is set.'}
        {canShow && (
          <button
            type="button"
            class="plain"
            onClick={() => steerer.ask({ kind: 'token', job: undefined, problem: undefined })}
          >
            Show it with the token
          </button>
        )}
      </p>
    );
  return (
    <Scrolled label="Output" kind="out">
      <pre>{lines.map((line) => `${showText(line.replace(COLOURS, ''))}\n`).join('')}</pre>
    </Scrolled>
  );
}

const LEASE_WORDS: Readonly<Record<string, string>> = {
  connection: 'connection',
  flow: 'UDP flow',
  hub: 'needed by',
  schedule: 'its schedule',
  window: 'its window',
  replica: 'clients of another replica',
  standby: 'another replica puts it to sleep',
  busy: 'busy, as its busy_check says',
  renamed: 'clients under its old name',
  hold: 'held by hand',
};

function Leases({ detail }: { readonly detail: ServiceDetailAnswer }) {
  const { leases, leases_omitted: omitted = 0 } = detail;
  if (leases.length === 0) return null;
  return (
    <Part title={lookOf(detail) === 'awake' ? 'Kept awake by' : 'Wanted by'}>
      <Scrolled label="Who keeps it awake">
        <table>
          <thead>
            <tr>
              <th scope="col">Who</th>
              <th scope="col">Since</th>
              <th scope="col">Port</th>
              <th scope="col">To it / back</th>
            </tr>
          </thead>
          <tbody>
            {leases.map((lease, index) => (
              <tr key={`${lease.kind} ${lease.peer ?? index} ${lease.listener ?? ''}`}>
                <td>
                  <Foreign text={describeLease(lease)} />
                </td>
                <td title={lease.since}>{formatAge(nowMs() - parseTime(lease.since))}</td>
                <td>
                  <Foreign text={lease.listener ?? ''} />
                </td>
                <td>{describeBytes(lease)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
      {omitted > 0 && <p class="hint">and {formatCount(omitted, 'client')} more</p>}
    </Part>
  );
}

function describeLease({ kind, peer, hub, waiting, until }: LeaseAnswer): string {
  const words = LEASE_WORDS[kind] ?? kind;
  if (peer !== undefined)
    return `${peer}${waiting === true ? ', waiting' : ''}${kind === 'flow' ? ' (UDP)' : ''}`;
  if (hub !== undefined) return `${words} ${hub}`;
  return until === undefined ? words : `${words} until ${formatClockTime(parseTime(until))}`;
}

function describeBytes({ bytes_up: up, bytes_down: down }: LeaseAnswer): string {
  return up === undefined || down === undefined ? '' : `${formatBytes(up)} / ${formatBytes(down)}`;
}

function Wakes({ wakes, ...parts }: { readonly wakes: readonly WakeAnswer[] } & OutputParts) {
  return (
    <Part title="Last wakes">
      {wakes.length === 0 ? (
        <p class="hint">None since the proxy follows it.</p>
      ) : (
        <>
          <WakeTimes wakes={wakes} />
          <ol class="wakes">
            {wakes.slice(0, 20).map((wake) => (
              <li key={wake.at + wake.cause}>
                <Shape
                  look={wake.result === 'ready' ? 'awake' : wake.result === 'failed' ? 'failed' : 'asleep'}
                />{' '}
                <time dateTime={wake.at}>{formatClockTime(parseTime(wake.at), { seconds: true })}</time>{' '}
                <Foreign text={describeCause(wake.cause)} />: {describeResult(wake)}
                {wake.result === 'ready' ? ' in ' : ' after '}
                {describePhases(wake)}
                {wake.reason !== undefined && (
                  <small>
                    <Foreign text={wake.reason} />
                  </small>
                )}
                {wake.output !== undefined && wake.output.length > 0 && (
                  <details>
                    <summary>what it printed</summary>
                    <Output lines={wake.output} {...parts} />
                  </details>
                )}
              </li>
            ))}
          </ol>
        </>
      )}
    </Part>
  );
}

function Listeners({ detail }: { readonly detail: ServiceDetailAnswer }) {
  const { listeners, urls = [] } = detail;
  if (listeners.length === 0) return null;
  return (
    <Part title="Ports">
      {urls.length > 0 && (
        <p class="ports">
          {urls.map((url) => (
            <UrlLink key={url} url={url} isFailed={lookOf(detail) === 'failed'} />
          ))}
        </p>
      )}
      <Scrolled label="Ports">
        <table>
          <thead>
            <tr>
              <th scope="col">Listens</th>
              <th scope="col">Leads to</th>
              <th scope="col">State</th>
              <th scope="col">Clients</th>
              <th scope="col">Turned away</th>
            </tr>
          </thead>
          <tbody>
            {listeners.map((listener) => (
              <tr key={formatListener(listener)}>
                <td>
                  <PortLink listener={listener} isFailed={lookOf(detail) === 'failed'} />
                </td>
                <td>
                  <Foreign text={String(listener.target_port)} />
                </td>
                <td>
                  {describeCondition(listener)}
                  {listener.error !== undefined && (
                    <small>
                      <Foreign text={listener.error} />
                    </small>
                  )}
                </td>
                <td>{listener.connections}</td>
                <td>
                  <Foreign text={describeTurnedAway(listener)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrolled>
    </Part>
  );
}

function Certificates({ detail: { certificates = [] } }: { readonly detail: ServiceDetailAnswer }) {
  if (certificates.length === 0) return null;
  return (
    <Part title="HTTPS">
      <ul class="plain-list">
        {certificates.map((certificate) => (
          <li key={certificate.host}>
            <Foreign text={certificate.host} />
            <small>
              <Foreign text={describeCertificate(certificate)} />
            </small>
          </li>
        ))}
      </ul>
    </Part>
  );
}

function describeCertificate({
  kind,
  path,
  until,
}: NonNullable<ServiceDetailAnswer['certificates']>[number]): string {
  if (kind === 'none') return 'no certificate, so nobody gets it over HTTPS';
  if (kind === 'self-signed') return 'made by the proxy, for devices that trust its authority';
  return `${path}${until === undefined ? '' : `, good until ${until.slice(0, 10)}`}`;
}

function describeTurnedAway({
  blocked,
  refused = {},
  dropped = {},
}: ServiceDetailAnswer['listeners'][number]): string {
  const counts = [
    ...(blocked > 0 ? [`${blocked} blocked`] : []),
    ...Object.entries(refused).map(([limit, count]) => `${count} refused (${limit})`),
    ...Object.entries(dropped).flatMap(([reason, count]) =>
      count > 0 ? [`${count} dropped (${reason})`] : [],
    ),
  ];
  return counts.length === 0 ? '–' : counts.join(', ');
}

function Wakers({
  detail: { woken_by: wakers, dependants, depends_on: needed },
}: {
  readonly detail: ServiceDetailAnswer;
}) {
  return (
    <>
      {wakers.length === 0 ? (
        <p class="hint">Nothing now.</p>
      ) : (
        <ul class="plain-list">
          {wakers.slice(0, 30).map((waker) => (
            <li key={JSON.stringify(waker)}>
              <Foreign text={describeWaker(waker)} />
            </li>
          ))}
        </ul>
      )}
      {dependants.length > 0 && (
        <p>
          Wakes with it: <Foreign text={dependants.join(', ')} />
        </p>
      )}
      {needed.length > 0 && (
        <p>
          Wakes before it: <Foreign text={needed.map(describeNeeded).join(', ')} />
        </p>
      )}
    </>
  );
}

function describeNeeded({ name, condition, of }: ServiceDetailAnswer['depends_on'][number]): string {
  return `${name} (${condition}${of === undefined ? '' : `, for ${of}`})`;
}

function describeWaker(waker: ServiceDetailAnswer['woken_by'][number]): string {
  const { kind, listener, hosts, with_data: isData, only_from: from, at, cron, hub, user } = waker;
  const ofHosts = hosts === undefined ? '' : ` for ${hosts.join(', ')}`;
  if (listener !== undefined)
    return `a ${kind}${ofHosts} at ${listener}${isData ? ' that sends something' : ''}${from === undefined ? '' : ' from its wake_list'}`;
  if (hub !== undefined) return `${hub}, which needs it`;
  if (user !== undefined) return `${user}, which depends on it`;
  const when = at === undefined ? '' : ` at ${formatClockTime(parseTime(at))}`;
  if (kind === 'window') return `its window${when}`;
  return `its schedule${when}${cron === undefined ? '' : ` (${cron})`}`;
}

function Figures({
  detail,
  memory,
}: {
  readonly detail: ServiceDetailAnswer;
  readonly memory: number | undefined;
}) {
  const times = Object.entries(detail.time_ms ?? {}).filter(([, ms]) => ms >= 1_000);
  const sleeps = Object.entries(detail.sleeps ?? {});
  return (
    <dl>
      {times.map(([life, ms]) => (
        <div key={life}>
          <dt>{life}</dt>
          <dd>{formatDuration(ms)}</dd>
        </div>
      ))}
      {sleeps.length > 0 && (
        <div>
          <dt>sleeps</dt>
          <dd>
            {sleeps.map(([kind, count]) => `${count} × ${SLEEP_WORDS[kind as SleepKind] ?? kind}`).join(', ')}
          </dd>
        </div>
      )}
      {memory !== undefined && (
        <div>
          <dt>memory</dt>
          <dd>
            {formatBytes(memory)}
            {detail.life === 'awake' ? '' : ' when it was last seen awake'}
          </dd>
        </div>
      )}
      {detail.last_active !== undefined && (
        <div>
          <dt>last used</dt>
          <dd>{detail.last_active === null ? 'never' : formatClockTime(parseTime(detail.last_active))}</dd>
        </div>
      )}
    </dl>
  );
}
