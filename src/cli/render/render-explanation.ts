/** `lazy-proxy explain` as lines. Input: what the API answers of one service. Output: lines without control characters. Pure. */
import { escapeText } from '../../model/text/escape-text.ts';
import type { EffectiveValue, ServiceDetailAnswer, WakeAnswer } from '../../status/api/answers.ts';
import type { Screen } from './render-status.ts';
import {
  CONDITIONS,
  countOf,
  describeFinding,
  describeLease,
  describeLeast,
  describeNext,
  describePhases,
  describeState,
  describeWhy,
  formatAgo,
  formatBytes,
  formatListener,
  formatMoment,
  formatSpan,
  SLEEP_WORDS,
  spanOf,
  type Times,
} from './service-words.ts';
import { renderTable, wrapText } from './table.ts';

export interface ExplanationParts {
  /** Each value in force with its origin, by field. */
  readonly values: Readonly<Record<string, EffectiveValue>>;
  /** Whether `--show-secrets` shows no more of them. */
  readonly areSecretsShown: boolean;
  /** Whether the proxy has a token, which shows what is hidden. */
  readonly hasToken: boolean;
  readonly times: Times;
  readonly screen: Screen;
}

/** Stands for a secret. */
const HIDDEN = '***';
const MAX_WAKES = 10;
const MAX_CHANGES = 20;
const MAX_LEASES = 20;

/** A section of lines below a title; left out where it has none. */
interface Section {
  readonly title: string;
  readonly lines: readonly string[];
}

export function renderExplanation(service: ServiceDetailAnswer, parts: ExplanationParts): readonly string[] {
  const { times, screen } = parts;
  const { text, style } = describeState(service);
  const since = service.since === undefined ? '' : `, for ${spanOf(service.since, times)}`;
  const head = `${screen.paint(escapeText(service.name), 'bold')}: ${screen.paint(escapeText(text), style)}${escapeText(since)}`;
  const sections: readonly Section[] = [
    { title: 'Now', lines: listFacts(service, times) },
    {
      title: service.life === 'awake' ? 'Kept awake by' : 'Wanted by',
      lines: listLeases(service, times),
    },
    { title: 'Woken by', lines: listWakers(service, times) },
    { title: 'Ports', lines: service.listeners.map(describeListener) },
    { title: 'HTTPS', lines: (service.certificates ?? []).map((one) => describeCertificate(one, times)) },
    { title: 'Last wakes', lines: listWakes(service.wakes, parts) },
    { title: 'States', lines: listChanges(service, times) },
    { title: 'Problems', lines: service.problems.map(describeFinding) },
  ];
  return [
    head,
    ...sections.flatMap(({ title, lines }) =>
      lines.length === 0
        ? []
        : ['', screen.paint(title, 'bold'), ...lines.flatMap((line) => indent(line, screen))],
    ),
    ...renderValues(parts),
  ];
}

function listFacts(service: ServiceDetailAnswer, times: Times): readonly string[] {
  const { kind, workload, id, availability, memory, shares_with: shared = [] } = service;
  const next = describeNext(service, times);
  const why = describeWhy(service, times);
  const { usual_wake_ms: usual, last_sleep: slept, stays_awake: staysAwake } = service;
  const { sleep_failure: sleepFailure } = service;
  const isProcess = kind === 'process';
  return [
    `workload: ${workload}${id === undefined || id === '' ? '' : ` (${isProcess ? 'process ' : ''}${id})`}`,
    ...(shared.length === 0 ? [] : [`shared with: ${shared.join(', ')}`]),
    ...(why === '' ? [] : [`why: ${why}`]),
    ...(next === '' ? [] : [`next: ${next}`]),
    ...(sleepFailure === undefined || why.includes(sleepFailure)
      ? []
      : [`could not be put to sleep: ${sleepFailure}`]),
    ...(staysAwake === undefined || staysAwake === why ? [] : [`stays awake: ${staysAwake}`]),
    ...(service.awake_until === undefined || why.includes('min_awake')
      ? []
      : [describeLeast(service.awake_until, times)]),
    ...(service.last_active === undefined
      ? []
      : [`last used: ${describeLastUse(service.last_active, times)}`]),
    ...(slept === undefined ? [] : [`last sleep: ${formatMoment(slept.at, times)}, ${slept.reason}`]),
    ...(usual === undefined ? [] : [`a wake takes: ${formatSpan(usual)} as a rule`]),
    ...(availability === 'on_demand' ? [] : [`availability: ${availability}, so clients don't wake it`]),
    ...describeMemory(memory),
    ...describeTimes(service),
  ];
}

function describeLastUse(at: string | null, times: Times): string {
  return at === null ? 'never, since the proxy follows it' : formatAgo(at, times);
}

function describeMemory(memory: ServiceDetailAnswer['memory']): readonly string[] {
  if (memory?.bytes !== undefined) return [`memory: ${formatBytes(memory.bytes)}`];
  if (memory?.last_bytes !== undefined)
    return [`memory: about ${formatBytes(memory.last_bytes)} when it was last awake`];
  return memory?.problem === undefined ? [] : [`memory: not known: ${memory.problem}`];
}

function describeTimes({ time_ms: timeMs = {}, sleeps = {} }: ServiceDetailAnswer): readonly string[] {
  const lives = Object.entries(timeMs).filter(([, ms]) => ms >= 1_000);
  const counts = Object.entries(sleeps).filter(([, count]) => count > 0);
  const times = lives.map(([life, ms]) => `${life} ${formatSpan(ms)}`).join(', ');
  const reasons = counts.map(([kind, count]) => `${count} ${SLEEPS[kind] ?? kind}`).join(', ');
  return [
    ...(times === '' ? [] : [`since the proxy follows it: ${times}`]),
    ...(reasons === '' ? [] : [`stops: ${reasons}`]),
  ];
}

const SLEEPS: Readonly<Record<string, string>> = {
  idle: 'when idle',
  schedule: 'by its schedule',
  hub: 'with its hub',
  user: 'after what depends on it',
  hand: 'by hand',
  room: 'for another one',
  silence: 'since no datagram was answered',
  others: 'by somebody else',
  itself: 'by itself',
};

function listLeases(
  { leases, leases_omitted: omitted = 0 }: ServiceDetailAnswer,
  times: Times,
): readonly string[] {
  const left = omitted + Math.max(0, leases.length - MAX_LEASES);
  return [
    ...leases.slice(0, MAX_LEASES).map((lease) => describeLease(lease, times)),
    ...(left > 0 ? [`… and ${left} more`] : []),
  ];
}

function listWakers(
  { name, woken_by: wakers, availability }: ServiceDetailAnswer,
  times: Times,
): readonly string[] {
  const lines = wakers.map(
    ({ kind, listener, hosts = [], with_data: isData, only_from: from = [], at, cron, hub, user }) => {
      if (kind === 'hub') return `${hub ?? 'a hub'}, when that wakes`;
      if (kind === 'user') return `${user ?? 'a service'}, which depends on it`;
      if (kind === 'schedule')
        return `its schedule${cron === undefined ? '' : ` "${cron}"`}${at === undefined ? '' : `, next at ${formatMoment(at, times)}`}`;
      if (kind === 'window')
        return `its window${at === undefined ? '' : `, which opens at ${formatMoment(at, times)}`}`;
      const ofWhom = from.length === 0 ? '' : `, of a client on its wake_list (${showSome(from)})`;
      const ofHosts = hosts.length === 0 ? '' : ` for ${showSome(hosts)}`;
      return `a ${kind}${ofHosts} on ${listener ?? '?'}${isData === true ? ', once it sends something' : ''}${ofWhom}`;
    },
  );
  if (lines.length > 0) return lines;
  return [
    `${availability === 'manual' ? 'nobody but you' : 'nothing now; you can'}: lazy-proxy wake ${name}`,
  ];
}

/** The first three of a list, and how many more there are. */
function showSome(items: readonly string[]): string {
  const more = items.length > 3 ? [`${items.length - 3} more`] : [];
  return [...items.slice(0, 3), ...more].join(', ');
}

function describeListener(listener: ServiceDetailAnswer['listeners'][number]): string {
  const {
    target_port: target,
    condition,
    error,
    connections,
    blocked,
    refused = {},
    dropped = {},
  } = listener;
  const counts = [
    countOf(connections, listener.protocol === 'tcp' ? 'connection' : 'flow'),
    ...(blocked > 0 ? [`${blocked} blocked by the access list`] : []),
    ...Object.entries(refused).map(([reason, count]) => `${count} refused (${reason})`),
    ...Object.entries(dropped).map(([reason, count]) => `${count} dropped (${reason})`),
  ];
  return `${formatListener(listener)} → ${target}: ${CONDITIONS[condition]}, ${counts.join(', ')}${error === undefined ? '' : `; ${error}`}`;
}

function describeCertificate(
  { host, kind, path, until }: NonNullable<ServiceDetailAnswer['certificates']>[number],
  times: Times,
): string {
  if (kind === 'none') return `${host}: no certificate, so nobody gets it over HTTPS`;
  if (kind === 'self-signed') return `${host}: made by the proxy, for devices that trust lazy-proxy ca`;
  return `${host}: ${path ?? '?'}${until === undefined ? '' : `, good until ${formatMoment(until, times)}`}`;
}

function listWakes(wakes: readonly WakeAnswer[], parts: ExplanationParts): readonly string[] {
  const left = wakes.length - MAX_WAKES;
  // What was printed before the last one that worked is no longer of interest.
  const worked = wakes.findIndex(({ result }) => result === 'ready');
  const failed = worked < 0 ? wakes : wakes.slice(0, worked);
  const told = failed.find(
    ({ output = [], output_problem: problem }) => output.length > 0 || problem !== undefined,
  );
  return [
    ...wakes.slice(0, MAX_WAKES).flatMap((wake) => describeWake(wake, parts, { isTold: wake === told })),
    ...(left > 0 ? [`… and ${left} more (status --json)`] : []),
  ];
}

/** What it has printed is shown of the newest one of which that is known, or why it isn't. */
function describeWake(
  wake: WakeAnswer,
  { times, hasToken }: ExplanationParts,
  { isTold }: { readonly isTold: boolean },
): readonly string[] {
  const { at, cause, result, reason, output = [], output_problem: problem } = wake;
  const outcome = { ready: 'ready after', failed: 'failed after', ended: 'ended after' }[result];
  const line = `${formatMoment(at, { ...times, seconds: true })} ${cause}: ${outcome} ${describePhases(wake)}${reason === undefined ? '' : `: ${reason}`}`;
  if (!isTold) return [line];
  if (problem !== undefined) return [line, `  what it had printed can't be read: ${problem}`];
  if (output.length === 1 && output[0] === HIDDEN)
    return [line, `  what it had printed is hidden: ${hasToken ? SHOWN_BY_TOKEN : NO_TOKEN}`];
  return [line, ...output.map((text) => `  | ${text}`)];
}

function listChanges({ timeline }: ServiceDetailAnswer, times: Times): readonly string[] {
  return timeline
    .slice(-MAX_CHANGES)
    .reverse()
    .map(({ at, life, sleep }) => {
      const why = sleep === undefined ? '' : `: ${SLEEP_WORDS[sleep]}`;
      return `${formatMoment(at, { ...times, seconds: true })} ${life}${why}`;
    });
}

const SHOWN_BY_TOKEN = 'the token shows it (--token)';
const NO_TOKEN = 'the proxy has no token that would show it (status.token), and status.show_output is off';

function renderValues({ values, areSecretsShown, hasToken, screen }: ExplanationParts): readonly string[] {
  // What somebody has set comes first: that is what one looks for.
  const isSet = ({ origin }: EffectiveValue) => origin !== 'default';
  const all = Object.entries(values);
  const inOrder = [...all.filter(([, value]) => isSet(value)), ...all.filter(([, value]) => !isSet(value))];
  const rows = inOrder.map(([field, { value, origin }]) => [
    { text: `  ${field}` },
    { text: typeof value === 'string' && value !== '' ? value : JSON.stringify(value) },
    { text: origin, style: origin === 'default' ? ('dim' as const) : ('plain' as const) },
  ]);
  if (rows.length === 0) return [];
  const columns = [
    { title: '  VALUE OF' },
    { title: 'IS', minColumns: 10 },
    { title: 'FROM', minColumns: 16 },
  ];
  const isHidden = rows.some(([, shown]) => shown?.text.includes(HIDDEN));
  const advice = areSecretsShown
    ? hasToken
      ? 'the token shows it (--token, with --show-secrets)'
      : 'the proxy has no token that would show it (status.token)'
    : '--show-secrets shows it';
  return [
    '',
    screen.paint('Values in force', 'bold'),
    ...renderTable(columns, rows, screen),
    ...(isHidden ? indent(`${HIDDEN} is a secret: ${advice}`, screen) : []),
  ];
}

/** A line of text that is anybody's, below a title. */
function indent(line: string, { columns }: Screen): readonly string[] {
  return wrapText(`  ${escapeText(line)}`, { columns, indent: '    ' });
}
