/** What is said of a service, and in which order services stand. Pure. */
import type { SleepKind } from '../../model/running/sleep.ts';
import type {
  LeaseAnswer,
  ListenerAnswer,
  PhasesAnswer,
  ServiceAnswer,
  WakeAnswer,
} from '../../status/api/answers.ts';
import { formatClockTime, nowMs, parseTime } from '../clock.ts';
import { formatAge, formatAgo, formatCount, formatDuration, joinWords } from '../format.ts';

/** A state with a word, a colour and a shape of its own. */
export type Look = 'failed' | 'waking' | 'awake' | 'stopping' | 'asleep' | 'unknown';

const WORDS: Readonly<Record<string, string>> = {
  missing: 'missing',
  paused: 'paused',
  stopping: 'going to sleep',
};

const PHASES: Readonly<Record<string, string>> = {
  room: 'waits for room',
  queue: 'waits for its turn',
  dependencies: 'waits for what it depends on',
  engine: 'is being started',
  health: 'health check',
  port: 'until its port answers',
};

/** Why something slept, where no more is known. */
export const SLEEP_WORDS: Readonly<Record<SleepKind, string>> = {
  idle: 'nobody used it',
  schedule: 'its schedule',
  hub: 'its hub stopped',
  user: 'what depends on it slept',
  hand: 'by hand',
  silence: 'it did not answer',
  room: 'another one needed its room',
  others: 'somebody else stopped it',
  itself: 'it ended by itself',
};

const KEEPERS: Readonly<Record<string, string>> = {
  hub: 'by a service that needs it',
  user: 'by a service that depends on it',
  schedule: 'by its schedule',
  window: 'by its window',
  replica: 'by clients of another replica',
  standby: 'by another replica',
  busy: 'by its own work',
  renamed: 'by clients that came under its old name',
  hold: 'by hand',
};

/** Of a workload that the proxy has found awake. */
const BEFORE_THE_PROXY = 'before the proxy first looked';

/** Whether it runs all the same, though its start has failed: it has a time to be put to sleep. */
export function stillRuns({ life, sleeps_at: sleepsAt }: ServiceAnswer): boolean {
  return life === 'failed' && sleepsAt !== undefined;
}

export function lookOf({ life = 'unknown' }: ServiceAnswer): Look {
  return life;
}

/** A look in a word, as it is said of all services that have it. */
export function nameLook(look: Look, services: readonly ServiceAnswer[]): string {
  if (look === 'stopping') return 'going to sleep';
  const such = services.filter((service) => lookOf(service) === look);
  return look === 'unknown' && such.length > 0 && such.every(({ state }) => state === 'missing')
    ? 'missing'
    : look;
}

export function wordOf(service: ServiceAnswer): string {
  const look = lookOf(service);
  return look === 'failed' ? 'failed' : (WORDS[service.state ?? ''] ?? look);
}

/** Why it is in its state. */
export function describeWhy(service: ServiceAnswer): { readonly first: string; readonly second?: string } {
  switch (lookOf(service)) {
    case 'failed': {
      const { failure: first = 'the last wake failed', why, next_stop: nextStop } = service;
      const kept = describeKept(why, nextStop);
      return { first, ...second(kept ?? describeFailedWake(service)) };
    }
    case 'waking':
      return describeWaking(service);
    case 'awake':
      return { first: describeUse(service), ...second(describeLastWake(service)) };
    case 'stopping': {
      const { why, stopping } = service;
      const waits =
        why.waiting === 0 ? undefined : `${formatCount(why.waiting, 'client')} will wake it again`;
      return { first: stopping?.reason ?? 'somebody stops it', ...second(waits) };
    }
    case 'asleep': {
      const { last_sleep: sleep, waits_for: waitsFor } = service;
      if (waitsFor !== undefined)
        return { first: waitsFor, second: `${formatCount(service.why.waiting, 'client')} waiting` };
      const since = service.since === undefined ? '' : `since ${at(service.since)}`;
      return {
        first: `${since}${describeSleep(sleep, service.since)}`,
        // A hold that goes on although somebody else has stopped it.
        ...second(describeKept(service.why, service.next_stop) ?? describeLastWake(service)),
      };
    }
    case 'unknown':
      return {
        first:
          service.state === 'missing'
            ? `there is no ${service.workload}`
            : 'the engine has not told its state',
      };
  }
}

/** Why it sleeps; apart from it, where it was found asleep since, as by a proxy that was started anew. */
function describeSleep(sleep: ServiceAnswer['last_sleep'], since: string | undefined): string {
  if (sleep === undefined) return '';
  const isOther = since !== undefined && parseTime(since) - parseTime(sleep.at) > SLEEP_SLACK_MS;
  return isOther ? `; last sleep ${at(sleep.at)}: ${sleep.reason}` : `: ${sleep.reason}`;
}

/** A sleep is noted as soon as it is under way; it may take as long as a `stop_timeout`. */
const SLEEP_SLACK_MS = 60_000;

function second(text: string | undefined) {
  return text === undefined ? {} : { second: text };
}

function describeFailedWake({ last_wake: wake }: ServiceAnswer): string | undefined {
  if (wake === undefined || wake.result !== 'failed') return undefined;
  return `wake tried ${at(wake.at)} ${describeCause(wake.cause)}`;
}

function describeLastWake({ last_wake: wake }: ServiceAnswer): string | undefined {
  // Of what sleeps again, as after a restart of the proxy or of the workload.
  if (wake?.result === 'failed')
    return `the last wake failed, ${at(wake.at)}: ${wake.reason ?? 'no reason is known'}`;
  if (wake === undefined || wake.result !== 'ready') return undefined;
  if (wake.cause === BEFORE_THE_PROXY) return `it ran ${wake.cause}, ${at(wake.at)}`;
  return `woken ${at(wake.at)} ${describeCause(wake.cause)} in ${describePhases(wake)}`;
}

function describeWaking(service: ServiceAnswer): { readonly first: string; readonly second?: string } {
  const { waking, why } = service;
  if (waking === undefined) return { first: 'is being started' };
  const waits =
    why.waiting === 0
      ? ''
      : `${formatCount(why.waiting, 'client')} ${why.waiting === 1 ? 'waits' : 'wait'} · `;
  return {
    first: `${PHASES[waking.phase] ?? waking.phase}${service.waits_for === undefined ? '' : `: ${service.waits_for}`}`,
    second: `${waits}woken ${describeCause(waking.cause)}`,
  };
}

/** Who uses it or keeps it. */
function describeUse({
  why,
  stays_awake: staysAwake,
  sleep_failure: sleepFailure,
  next_stop: nextStop,
  last_active: lastActive,
  awake_until: awakeUntil,
}: ServiceAnswer): string {
  const uses = [
    ...(why.connections > 0 ? [formatCount(why.connections, 'connection')] : []),
    ...(why.flows > 0 ? [formatCount(why.flows, 'UDP flow')] : []),
  ];
  const kept = describeKept(why, nextStop);
  const parts = [
    ...(uses.length > 0
      ? [`${joinWords(uses)}${describeOldest(why.oldest, why.connections + why.flows)}`]
      : []),
    ...(kept === undefined ? [] : [kept]),
  ];
  if (parts.length > 0) return parts.join('; ');
  if (staysAwake !== undefined) return staysAwake;
  if (sleepFailure !== undefined) return `could not be put to sleep: ${sleepFailure}`;
  const least = awakeUntil === undefined ? '' : `; awake at least until ${at(awakeUntil)}`;
  if (lastActive === null) return `nobody has used it yet${least}`;
  const lastUse = lastActive === undefined ? '' : `, last used ${formatAgo(nowMs() - parseTime(lastActive))}`;
  return `nobody uses it${lastUse}${least}`;
}

/** Who keeps it awake, or would if it woke; undefined where nobody does. */
function describeKept(why: ServiceAnswer['why'], nextStop: string | undefined): string | undefined {
  const kinds = [...new Set(why.kept_by)];
  const describe = (kind: string) => describeKeeper(kind, { nextStop, oldest: why.oldest });
  const kept = kinds.filter((kind) => kind !== 'hold').map(describe);
  const parts = [
    ...(kept.length > 0 ? [`kept ${joinWords(kept)}`] : []),
    ...(kinds.includes('hold') ? [`held ${describe('hold')}`] : []),
  ];
  return parts.length === 0 ? undefined : parts.join('; ');
}

function describeOldest(oldest: LeaseAnswer | undefined, count: number): string {
  if (oldest?.peer === undefined) return '';
  const age = formatAge(nowMs() - parseTime(oldest.since));
  return `${count > 1 ? ', the oldest' : ''} from ${hostOf(oldest.peer)} for ${age}`;
}

function describeKeeper(
  kind: string,
  { nextStop, oldest }: { readonly nextStop: string | undefined; readonly oldest: LeaseAnswer | undefined },
): string {
  const words = KEEPERS[kind] ?? `by ${kind}`;
  if (kind === 'schedule' && nextStop !== undefined) return `${words} until ${at(nextStop)}`;
  if (oldest?.kind !== kind) return words;
  if (kind === 'hub' && oldest.hub !== undefined) return `by ${oldest.hub}, which needs it`;
  if (kind === 'user' && oldest.user !== undefined) return `by ${oldest.user}, which depends on it`;
  return oldest.until === undefined ? words : `${words} until ${at(oldest.until)}`;
}

export interface Next {
  /** Ms since the epoch. */
  readonly countdownTo?: number;
  readonly text?: string;
  readonly note: string;
  /** In place of the note, once the countdown is over. */
  readonly overdue?: string;
}

/** What comes next: its sleep, or what it waits for. */
export function describeNext(service: ServiceAnswer): Next {
  const { sleeps_at: sleepsAt, next_start: nextStart, next_stop: nextStop, why, waking } = service;
  switch (lookOf(service)) {
    case 'waking': {
      const usualMs = service.usual_wake_ms;
      if (waking === undefined || usualMs === undefined) return { note: 'first wake: no past one to go by' };
      const readyMs = parseTime(waking.since) + usualMs;
      const usual = formatDuration(usualMs);
      return {
        countdownTo: readyMs,
        note: `until it is ready; ${usual} as a rule`,
        overdue: `longer than the usual ${usual}`,
      };
    }
    case 'awake':
      if (sleepsAt !== undefined && why.kept_by.includes('busy'))
        return {
          countdownTo: parseTime(sleepsAt),
          note: 'until it is asked again',
          overdue: 'it is asked again',
        };
      if (sleepsAt !== undefined)
        return {
          countdownTo: parseTime(sleepsAt),
          note: `until it sleeps, ${at(sleepsAt)}`,
          overdue: 'now it goes to sleep',
        };
      if (why.kept_by.includes('hold')) {
        const until = why.oldest?.kind === 'hold' ? why.oldest.until : undefined;
        return until === undefined
          ? { text: 'held', note: 'sleeps when the hold is over and nobody uses it' }
          : { text: at(until), note: 'its hold ends' };
      }
      if (why.oldest?.kind === 'window' && why.oldest.until !== undefined)
        return { text: at(why.oldest.until), note: 'its window ends' };
      if (nextStop !== undefined) return { text: at(nextStop), note: 'its schedule puts it to sleep' };
      if (why.kept_by.length > 0 && why.kept_by.every((kind) => kind === 'hub' || kind === 'user'))
        if (why.connections + why.flows === 0)
          return { text: 'needed', note: 'sleeps when nothing needs it and nobody uses it' };
      if (why.leases > 0) return { text: 'in use', note: 'sleeps when nobody has used it for a while' };
      return {
        text: 'stays awake',
        note: service.stays_awake === undefined ? describeKeptAwake(service) : '',
      };
    case 'stopping': {
      if (why.waiting > 0) return { note: 'woken again as soon as it has stopped' };
      const until = service.stopping?.until;
      if (until === undefined) return { note: 'until it has stopped' };
      return {
        countdownTo: parseTime(until),
        note: 'until it is asleep, at most',
        overdue: 'it is ended by force',
      };
    }
    default:
      if (service.next_try !== undefined)
        return {
          countdownTo: parseTime(service.next_try),
          note: 'until it is tried again',
          overdue: 'it is tried again',
        };
      if (stillRuns(service) && sleepsAt !== undefined)
        return {
          countdownTo: parseTime(sleepsAt),
          note: 'it runs all the same; until it is stopped',
          overdue: 'now it is stopped',
        };
      if (nextStart !== undefined) return { text: at(nextStart), note: 'its schedule wakes it' };
      if (service.state === 'missing') return { note: 'wakes once it exists' };
      return { note: describeWaker(service) };
  }
}

/** Who uses it goes past the proxy where none of its ports is open. */
function describeKeptAwake({ listeners }: ServiceAnswer): string {
  const isReached = listeners.length === 0 || listeners.some(({ condition }) => condition === 'bound');
  return isReached ? 'nothing puts it to sleep' : 'none of its ports is open here';
}

/** What wakes it next, of what sleeps. */
function describeWaker({ waits_for: waitsFor, availability, listeners }: ServiceAnswer): string {
  if (waitsFor !== undefined) return 'wakes as soon as it can';
  if (availability !== 'on_demand') return 'clients don’t wake it';
  if (listeners.length === 0) return 'wakes with others';
  const isReached = listeners.some(({ condition }) => condition === 'bound' || condition === 'pending');
  return isReached ? 'wakes for a client' : 'no client gets to it: none of its ports is open here';
}

/** Who woke it: `for 10.0.0.5:4242` and the like are the program's words. */
export function describeCause(cause: string): string {
  if (cause === 'cron_start') return 'by its schedule';
  return cause
    .replace(/^for (.*):\d+$/, (_, host: string) => `by ${host.replace(/^\[|\]$/g, '')}`)
    .replace(/^needed by (.*)$/, 'as $1 needs it');
}

/** `2.4 s: engine 0.3 s, health check 2.1 s`. */
export function describePhases(phases: PhasesAnswer): string {
  const parts = listPhases(phases).filter(({ ms }) => ms >= 50);
  const total = formatDuration(totalOf(phases));
  if (parts.length < 2) return total;
  return `${total}: ${parts.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(', ')}`;
}

export function listPhases(
  phases: PhasesAnswer,
): readonly { readonly key: string; readonly name: string; readonly ms: number }[] {
  return [
    { key: 'room', name: 'waiting for room', ms: phases.room_ms ?? 0 },
    { key: 'queue', name: 'waiting its turn', ms: phases.queue_ms ?? 0 },
    { key: 'dependencies', name: 'what it depends on', ms: phases.dependencies_ms ?? 0 },
    { key: 'engine', name: 'engine', ms: phases.engine_ms },
    { key: 'health', name: 'health check', ms: phases.health_ms },
    { key: 'port', name: 'port', ms: phases.port_ms },
  ];
}

export function totalOf(phases: PhasesAnswer): number {
  return listPhases(phases).reduce((sum, { ms }) => sum + ms, 0);
}

/** How a wake ended, in a word. */
export function describeResult({ result }: WakeAnswer): string {
  return { ready: 'ready', failed: 'failed', ended: 'ended before it was ready' }[result];
}

/** Whether a port is open, in words. */
export function describeCondition({ condition }: Pick<ListenerAnswer, 'condition'>): string {
  return { bound: 'open', pending: 'not open yet', failed: 'not open', lost: 'taken' }[condition];
}

/** `:8010`, `127.0.0.1:8010`, `[::1]:53/udp`. */
export function formatListener({ address, port, protocol }: ListenerAnswer): string {
  const host = address.includes(':') ? `[${address}]` : address;
  return `${host}:${port}${protocol === 'udp' ? '/udp' : ''}`;
}

/** Its own ports: an open front door is not one of them, and shown by the names in `urls`. */
export function listOwnPorts({ listeners }: ServiceAnswer): readonly ListenerAnswer[] {
  return listeners.filter(({ condition, hosts }) => hosts === undefined || condition !== 'bound');
}

/** `wiki.home.arpa`, `wiki.home.arpa:8443`. */
export function nameUrl(url: string): string {
  return url.replace(/^https?:\/\/|\/$/g, '');
}

/** Where a browser finds it, if it speaks HTTP; `undefined` for what certainly does not. `host` is where the page came from. */
export function linkOf(
  { address, port, protocol, target_port: target, scheme, hosts }: ListenerAnswer,
  host: string,
): string | undefined {
  // A front door leads nowhere by the name of the machine: the service's own URLs name the host.
  if (hosts !== undefined) return undefined;
  const isOwn = address === '' || address === '0.0.0.0' || address === '::';
  const name = isOwn ? host : address.includes(':') ? `[${address}]` : address;
  if (scheme !== undefined) return `${scheme}://${name}:${port}/`;
  if (protocol === 'udp' || NOT_HTTP.has(Number(target)) || NOT_HTTP.has(port)) return undefined;
  return `${HTTPS.has(Number(target)) || HTTPS.has(port) ? 'https' : 'http'}://${name}:${port}/`;
}

/** Ports of well-known protocols that are not HTTP. */
const NOT_HTTP: ReadonlySet<number> = new Set([
  ...[
    21, 22, 23, 25, 53, 110, 143, 389, 445, 465, 587, 636, 853, 993, 995, 1433, 1521, 1883, 2049, 3306, 3389,
  ],
  ...[5222, 5432, 5672, 5900, 6379, 6667, 8883, 9042, 11211, 25565, 27017, 64738],
]);
const HTTPS: ReadonlySet<number> = new Set([443, 8443, 9443]);

const RANK: Readonly<Record<Look, number>> = {
  ...{ failed: 0, waking: 1, awake: 2, stopping: 3, unknown: 4, asleep: 5 },
};

export type SortKey = 'state' | 'name' | 'active' | 'sleep';

export function sortServices(services: readonly ServiceAnswer[], key: SortKey): readonly ServiceAnswer[] {
  const compare = ORDERS[key];
  return services.toSorted((a, b) => compare(a, b) || (a.name < b.name ? -1 : 1));
}

const LAST = Number.MAX_SAFE_INTEGER;

const ORDERS: Readonly<Record<SortKey, (a: ServiceAnswer, b: ServiceAnswer) => number>> = {
  state: (a, b) => RANK[lookOf(a)] - RANK[lookOf(b)],
  name: () => 0,
  active: (a, b) => timeOf(b.last_active, 0) - timeOf(a.last_active, 0),
  sleep: (a, b) => timeOf(a.sleeps_at, LAST) - timeOf(b.sleeps_at, LAST),
};

function timeOf(text: string | null | undefined, missing: number): number {
  return text === undefined || text === null ? missing : parseTime(text);
}

/** The services without those whose workload another one has, too, that is in the list: sums count it once. */
export function oncePerWorkload(services: readonly ServiceAnswer[]): readonly ServiceAnswer[] {
  return services.filter(({ name, shares_with: others = [] }) => others.every((other) => name < other));
}

/** Whether every word of the filter is in its name, state, ports, workload or project. */
export function matchesFilter(service: ServiceAnswer, filter: string): boolean {
  const words = filter
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  if (words.length === 0) return true;
  const text = [
    ...[service.name, service.workload, service.kind, service.project ?? '', wordOf(service)],
    ...service.listeners.map(formatListener),
    ...(service.urls ?? []),
  ]
    .join(' ')
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

/** `192.168.1.20:50432` without its port. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
}

function at(time: string): string {
  return formatClockTime(parseTime(time));
}
