/** What the API says of a service, in words. Input: its JSON, and what time it is. Output: text, not yet escaped. Pure. */
import type {
  FindingAnswer,
  LeaseAnswer,
  ListenerAnswer,
  PhasesAnswer,
  ServiceAnswer,
} from '../../status/api/answers.ts';
import type { SleepKind } from '../../model/running/sleep.ts';
import type { Style } from './table.ts';

/** The time now, and how to read and write a timestamp; both know the zone of who looks. */
export interface Times {
  readonly nowMs: number;
  readonly parse: (timestamp: string) => number;
  /** `2026-11-26 17:30:05.000 +01:00` */
  readonly local: (timestamp: string) => string;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;
/** Beyond it a time of day alone says too little. */
const TODAY_MS = 18 * 3_600_000;

/** `4 s`, `12 min`, `3 h 5 min`, `2 d 4 h`. */
export function formatSpan(ms: number): string {
  const index = UNITS.findIndex(([, unit]) => ms >= unit);
  if (index < 0) return ms > 0 ? `${Math.round(ms)} ms` : '0 s';
  const [name, unit] = UNITS[index] ?? UNITS[3];
  const count = Math.floor(ms / unit);
  const [lower, lowerUnit] = UNITS[index + 1] ?? [undefined, 1];
  const rest = Math.floor((ms - count * unit) / lowerUnit);
  const isWorthIt = lower !== undefined && rest > 0 && (name === 'h' || name === 'd');
  return `${count} ${name}${isWorthIt ? ` ${rest} ${lower}` : ''}`;
}

/** How long a timestamp is gone, in whole seconds, since it has no more of them; `0 s` where it is ahead. */
export function spanOf(timestamp: string | undefined, times: Times): string {
  if (timestamp === undefined) return '';
  return formatSpan(wholeSeconds(times.nowMs - times.parse(timestamp)));
}

/** `just now`, `4 s ago`. */
export function formatAgo(timestamp: string, times: Times): string {
  const span = spanOf(timestamp, times);
  return span === '0 s' ? JUST_NOW : `${span} ago`;
}

/** For a column that says since when: `just now`, `4 s`. */
export function formatSince(timestamp: string | undefined, times: Times): string {
  const span = spanOf(timestamp, times);
  return span === '0 s' ? JUST_NOW : span;
}

const JUST_NOW = 'just now';

function wholeSeconds(ms: number): number {
  return Math.max(0, Math.floor(ms / 1_000)) * 1_000;
}

/** `17:30`, or `2026-11-27 08:30` where that is not near; with `seconds`: `17:30:05`. */
export function formatMoment(timestamp: string, times: Times & { readonly seconds?: boolean }): string {
  const end = times.seconds === true ? 'YYYY-MM-DD HH:MM:SS'.length : 'YYYY-MM-DD HH:MM'.length;
  const local = times.local(timestamp).slice(0, end);
  const isNear = Math.abs(times.parse(timestamp) - times.nowMs) < TODAY_MS;
  return isNear ? local.slice('YYYY-MM-DD '.length) : local;
}

/** Within it a day needs no year. */
const MONTHS_MS = 300 * 86_400_000;

/** The same of what is to come, for a column: `17:30`, `11-27 08:30`. */
function formatComing(timestamp: string, times: Times): string {
  const moment = formatMoment(timestamp, times);
  const isNear = times.parse(timestamp) - times.nowMs < MONTHS_MS;
  return isNear && moment.length > 'HH:MM'.length ? moment.slice('YYYY-'.length) : moment;
}

export function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Of a service that sleeps and keeps its memory. */
function isPaused({ life, state }: Pick<ServiceAnswer, 'life' | 'state'>): boolean {
  return life === 'asleep' && state === 'paused';
}

/** The state in one word. */
export function describeState(service: ServiceAnswer): { readonly text: string; readonly style: Style } {
  const { life, state } = service;
  const styles: Readonly<Record<string, Style>> = {
    asleep: 'dim',
    waking: 'cyan',
    awake: 'green',
    failed: 'red',
  };
  if (life === 'stopping') return { text: 'going to sleep', style: 'cyan' };
  if (isPaused(service)) return { text: 'paused', style: 'dim' };
  const style = life === undefined ? undefined : styles[life];
  if (life !== undefined && style !== undefined) return { text: life, style };
  return { text: state ?? 'unknown', style: 'yellow' };
}

/** Why it is in its state, on one line: who keeps it awake, why it failed, why it sleeps. */
export function describeWhy(service: ServiceAnswer, times: Times): string {
  const { life, state, failure, waking, last_sleep: lastSleep, unavailable, why } = service;
  const { waits_for: waitsFor } = service;
  const waiting = why.waiting > 0 ? `; ${countOf(why.waiting, 'client')} waiting` : '';
  if (waking !== undefined) return `${waking.cause}: ${describeWaking(service, times)}${waiting}`;
  if (life === 'stopping') return `${service.stopping?.reason ?? ''}${waiting}`;
  if (failure !== undefined) {
    const kept = [...new Set(why.kept_by)].map((kind) => `; ${describeKind(kind, why.oldest, times)}`);
    return `${failure}${waiting}${kept.join('')}`;
  }
  if (life === 'awake') return describeAwake(service, times);
  if (waitsFor !== undefined) return `${waitsFor}${waiting}`;
  if (state === 'missing') return `there is no ${service.workload}`;
  // A hold that goes on although somebody else has stopped it.
  const kept = [...new Set(why.kept_by)].map((kind) => `; ${describeKind(kind, why.oldest, times)}`).join('');
  if (unavailable !== undefined) return `${unavailable}${kept}`;
  if (lastSleep !== undefined) return `${describeSleep(lastSleep, service.since, times)}${kept}`;
  const { last_wake: wake } = service;
  if (wake?.result !== 'failed') return '';
  // Before a restart of the proxy, or of the workload.
  return `the last wake failed, ${formatMoment(wake.at, times)}${wake.reason === undefined ? '' : `: ${wake.reason}`}`;
}

/** Why it sleeps; with its time, where it was found asleep since, as by a proxy that was started anew. */
function describeSleep(
  { at, reason }: NonNullable<ServiceAnswer['last_sleep']>,
  since: string | undefined,
  times: Times,
): string {
  const isOther = since !== undefined && times.parse(since) - times.parse(at) > SLEEP_SLACK_MS;
  return isOther ? `last sleep ${formatMoment(at, times)}: ${reason}` : reason;
}

/** Why something slept, where no more is known. */
export const SLEEP_WORDS: Readonly<Record<SleepKind, string>> = {
  idle: 'nobody used it',
  schedule: 'by its schedule',
  hub: 'its hub stopped',
  user: 'what depends on it stopped',
  hand: 'by hand',
  silence: 'it answered no datagram',
  room: 'another one needed its room',
  others: 'somebody else stopped it',
  itself: 'it ended by itself',
};

/** A sleep is noted as soon as it is under way; it may take as long as a `stop_timeout`. */
const SLEEP_SLACK_MS = 60_000;

const PHASES: Readonly<Record<string, string>> = {
  room: 'waits for room',
  queue: 'waits for its turn to start',
  dependencies: 'waits for what it depends on',
  engine: 'is being started',
  health: 'its health check is awaited',
  port: 'its port is awaited',
};

/** How far a wake has come. */
export function describeWaking(service: ServiceAnswer, times: Times): string {
  const { waking, usual_wake_ms: usual, waits_for: waitsFor } = service;
  if (waking === undefined) return '';
  const usually = usual === undefined ? '' : `, usually ${formatSpan(usual)}`;
  const lacking = waitsFor === undefined ? '' : `: ${waitsFor}`;
  return `${PHASES[waking.phase] ?? waking.phase} (${spanOf(waking.since, times)}${usually})${lacking}`;
}

function describeAwake(service: ServiceAnswer, times: Times): string {
  const { why, last_active: lastActive, stays_awake: staysAwake } = service;
  const { connections, flows, kept_by: kept, oldest } = why;
  const isClient = oldest?.kind === 'connection' || oldest?.kind === 'flow';
  const clients = [
    ...(connections > 0 ? [countOf(connections, 'connection')] : []),
    ...(flows > 0 ? [countOf(flows, 'flow')] : []),
    ...(isClient && oldest.peer !== undefined
      ? [`${connections + flows > 1 ? 'oldest' : 'from'} ${oldest.peer}, ${spanOf(oldest.since, times)}`]
      : []),
  ];
  const others = [...new Set(kept)].map((kind) => describeKind(kind, oldest, times));
  const groups = [clients, others].filter(({ length }) => length > 0);
  if (groups.length > 0) return groups.map((parts) => parts.join(', ')).join('; ');
  if (staysAwake !== undefined) return staysAwake;
  if (service.sleep_failure !== undefined) return `could not be put to sleep: ${service.sleep_failure}`;
  const least = service.awake_until === undefined ? '' : `; ${describeLeast(service.awake_until, times)}`;
  if (lastActive === null) return `nobody has used it yet${least}`;
  return lastActive === undefined ? '' : `nobody uses it; last used ${formatAgo(lastActive, times)}${least}`;
}

/** Of its `min_awake`: `awake at least until 17:30`. */
export function describeLeast(awakeUntil: string, times: Times): string {
  const left = times.parse(awakeUntil) - times.nowMs;
  const moment =
    left < 120_000 ? `for ${formatSpan(wholeSeconds(left))}` : `until ${formatMoment(awakeUntil, times)}`;
  return `awake at least ${moment} (min_awake)`;
}

function describeKind(kind: string, oldest: LeaseAnswer | undefined, times: Times): string {
  const one = oldest?.kind === kind ? oldest : undefined;
  switch (kind) {
    case 'hub':
      return one?.hub === undefined ? 'a hub that runs' : `needed by ${one.hub}`;
    case 'user':
      return one?.user === undefined ? 'a service that depends on it' : `${one.user} depends on it`;
    case 'hold':
      return one?.until === undefined
        ? 'held by hand'
        : `held by hand until ${formatMoment(one.until, times)}`;
    case 'window':
      return one?.until === undefined ? 'its window' : `its window until ${formatMoment(one.until, times)}`;
    case 'schedule':
      return 'its schedule';
    default:
      return KINDS[kind] ?? kind;
  }
}

const KINDS: Readonly<Record<string, string>> = {
  replica: 'clients of another replica of the proxy',
  standby: 'another replica of the proxy puts it to sleep',
  busy: 'it is busy, as its busy_check says',
  renamed: 'clients that came under its old name',
};

/** One lease, for a list. */
export function describeLease(lease: LeaseAnswer, times: Times): string {
  const { kind, since, peer, listener, waiting, bytes_up: up, bytes_down: down } = lease;
  const age = spanOf(since, times);
  if (kind !== 'connection' && kind !== 'flow') return `${describeKind(kind, lease, times)}, for ${age}`;
  const bytes =
    up === undefined || down === undefined ? '' : `, ${formatBytes(up)} up, ${formatBytes(down)} down`;
  return `${kind} of ${peer ?? '?'} to ${listener ?? '?'}, for ${age}${waiting === true ? ', waits' : ''}${bytes}`;
}

/** What happens to it next, and when. */
export function describeNext(service: ServiceAnswer, times: Times): string {
  const { life, sleeps_at: sleepsAt, next_start: start, next_stop: stop, why } = service;
  const isAwake = life === 'awake' || life === 'waking';
  if (sleepsAt !== undefined && (isAwake || isPaused(service))) {
    const leftMs = wholeSeconds(times.parse(sleepsAt) - times.nowMs);
    const what = isPaused(service) ? 'stops' : why.kept_by.includes('busy') ? 'asked again' : 'sleeps';
    return leftMs === 0 ? `${what} any moment` : `${what} in ${formatSpan(leftMs)}`;
  }
  if (isAwake) {
    if (why.kept_by.includes('hold')) {
      const until = why.oldest?.kind === 'hold' ? why.oldest.until : undefined;
      return until === undefined ? 'held by hand' : `hold ends at ${formatComing(until, times)}`;
    }
    if (why.oldest?.kind === 'window' && why.oldest.until !== undefined)
      return `window ends at ${formatComing(why.oldest.until, times)}`;
    if (stop !== undefined) return `sleeps at ${formatComing(stop, times)}`;
    return life === 'awake' && why.leases === 0 ? 'stays awake' : '';
  }
  if (life === 'failed' && service.next_try !== undefined) {
    const leftMs = wholeSeconds(times.parse(service.next_try) - times.nowMs);
    return leftMs === 0 ? 'tried again any moment' : `tried again in ${formatSpan(leftMs)}`;
  }
  // It runs all the same.
  if (life === 'failed' && sleepsAt !== undefined) {
    const leftMs = wholeSeconds(times.parse(sleepsAt) - times.nowMs);
    return leftMs === 0 ? 'stops any moment' : `stops in ${formatSpan(leftMs)}`;
  }
  if (life === 'stopping') {
    if (service.why.waiting > 0) return 'then it is woken again';
    const until = service.stopping?.until;
    if (until === undefined) return '';
    return `asleep within ${formatSpan(wholeSeconds(times.parse(until) - times.nowMs))}`;
  }
  if (service.waits_for !== undefined) return 'wakes as soon as it can';
  if (start === undefined && isShut(service)) return 'nobody gets in: no port of it is open';
  return start === undefined ? '' : `wakes at ${formatComing(start, times)}`;
}

/** Whether no client gets to it, though it has ports. */
function isShut({ availability, listeners }: ServiceAnswer): boolean {
  const isOpen = ({ condition }: ListenerAnswer) => condition === 'bound' || condition === 'pending';
  return availability === 'on_demand' && listeners.length > 0 && !listeners.some(isOpen);
}

/** A problem on one line: `lazy-proxy.yaml:7:5: error: idle_timout: …`, `process db: warning: …`. */
export function describeFinding({
  text,
  severity,
  message,
}: Pick<FindingAnswer, 'text' | 'severity' | 'message'>): string {
  const end = ` ${severity} ${message}`;
  return text.endsWith(end) ? `${text.slice(0, -end.length)}: ${severity}: ${message}` : text;
}

/** Whether a port is open, in words. */
export const CONDITIONS: Readonly<Record<ListenerAnswer['condition'], string>> = {
  bound: 'open',
  pending: 'not open yet',
  failed: 'not open',
  lost: 'taken',
};

export function formatListener({ address, port, protocol }: ListenerAnswer): string {
  const host = address === '' ? '*' : address.includes(':') ? `[${address}]` : address;
  return `${host}:${port}/${protocol}`;
}

/** Without what took no time. */
export function describePhases(wake: PhasesAnswer): string {
  const phases = [
    ['room', wake.room_ms ?? 0],
    ['queue', wake.queue_ms ?? 0],
    ['dependencies', wake.dependencies_ms ?? 0],
    ['engine', wake.engine_ms],
    ['health', wake.health_ms],
    ['port', wake.port_ms],
  ] as const;
  const total = phases.reduce((sum, [, ms]) => sum + ms, 0);
  const parts = phases.filter(([, ms]) => ms > 0).map(([name, ms]) => `${name} ${ms} ms`);
  return `${total} ms${parts.length > 1 ? ` (${parts.join(', ')})` : ''}`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1_024 ** power;
  return `${power === 0 ? value : value.toFixed(1)} ${units[power]}`;
}
