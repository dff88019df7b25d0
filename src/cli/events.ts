import { escapeJson } from '../model/text/escape-text.ts';
import { describeCause } from '../model/running/wake.ts';
import { formatTimestamp, parseTimestamp } from '../system/clock.ts';
import { EXIT_OK } from '../system/exit-codes.ts';
import { messageOf } from '../system/message-of.ts';
import type { PhasesAnswer, ServiceDetailAnswer, WakeAnswer } from '../status/api/answers.ts';
import { countOf, describePhases, SLEEP_WORDS, type Times } from './render/service-words.ts';
import type { CommandParts, ProxyRefusal } from './running-proxy.ts';
import { timesOf } from './status.ts';

/** How long after a stream has ended the proxy is asked again, ms. */
const RETRY_MS = 1_000;
/** Services that are asked for at the same time. */
const PARALLEL = 8;
const DAY_MS = 86_400_000;
/** Of an event of a proxy, it is many times longer than any. */
const MAX_BLOCK_CHARACTERS = 1_048_576;
/** Between the end of a wake and the change of state that it makes, ms. */
const WAKE_SLACK_MS = 1_500;

export interface EventsOptions {
  /** undefined = all. */
  readonly service: string | undefined;
  /** One JSON document a line. */
  readonly json: boolean;
  /** What is known of the last 24 hours, in place of what happens from now on. */
  readonly past: boolean;
}

/** An event of `GET /api/events`. */
export interface ProxyEvent {
  readonly event: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/**
 * Tells what happens until a signal ends it; where the proxy goes away it is asked again, and what was missed is told then. Returns
 * the exit status.
 * @throws where the proxy refuses, has no such service at first, or doesn't answer then.
 */
export async function events(options: EventsOptions, parts: CommandParts): Promise<number> {
  const { proxy, io } = parts;
  if (options.past) return tellPast(options, parts);
  // Of one that is only mistyped nothing would ever be told.
  if (options.service !== undefined) await proxy.getService(options.service);
  const ended = new AbortController();
  const { signal } = ended;
  const forget = io.onSignal(['SIGINT', 'SIGTERM'], () => ended.abort());
  let lastId: string | undefined;
  let isAway = false;
  let wasThere = false;
  const teller = createTeller();
  try {
    while (!signal.aborted) {
      try {
        const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId };
        const stream = await proxy.open('/api/events', { headers, signal });
        // Nothing may happen for long: whoever looks at a terminal is told that it is right.
        if (!wasThere && io.terminal !== undefined)
          io.stderr(
            `lazy-proxy: what happens at ${proxy.url} is told from now on; Ctrl-C ends it, --past tells what was`,
          );
        wasThere = true;
        isAway = false;
        for await (const block of readBlocks(stream.setEncoding('utf8'))) {
          const { id, event } = parseBlock(block);
          lastId = id ?? lastId;
          if (event !== undefined && (options.json || teller.isNews(event)))
            show(event, { ...options, write: io.stdout, times: timesOf(io) });
        }
      } catch (error) {
        if (signal.aborted) break;
        if (!wasThere || (error as ProxyRefusal).code === 'proxy-refusal') throw error;
        // Node's word where an answer is cut off.
        const isCut = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
        const why = isCut ? `${proxy.url} has ended the connection` : messageOf(error);
        if (!isAway) io.stderr(`lazy-proxy: ${why}; it is asked again each second`);
        isAway = true;
      }
      await io.clock.sleep(RETRY_MS, signal).catch(() => {});
    }
    return EXIT_OK;
  } finally {
    forget();
    ended.abort();
  }
}

/** Tells what the proxy still knows of its services: their wakes, and how their states have changed. Oldest first. */
async function tellPast(options: EventsOptions, { proxy, io }: CommandParts): Promise<number> {
  const { service } = options;
  const names =
    service === undefined
      ? ((await proxy.get('/api/services')) as readonly { readonly name: string }[]).map(({ name }) => name)
      : [service];
  const found: ProxyEvent[] = [];
  const rest = names.values();
  const work = async () => {
    for (const name of rest) {
      const detail = await proxy.getService(name).catch((error: ProxyRefusal) => {
        // It has gone meanwhile.
        if (service === undefined && error.status === 404) return undefined;
        throw error;
      });
      if (detail !== undefined) found.push(...listPast(detail as ServiceDetailAnswer, io.clock.nowMs()));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, work));
  const inOrder = found.toSorted((a, b) => parseTimestamp(atOf(a)) - parseTimestamp(atOf(b)));
  for (const event of inOrder) show(event, { ...options, write: io.stdout, times: timesOf(io) });
  if (inOrder.length === 0)
    io.stderr('lazy-proxy: nothing is known to have happened within the last 24 hours');
  return EXIT_OK;
}

/** When it was told, so that times never run backwards: a wake has begun long before. Pure. */
function atOf({ event, data }: ProxyEvent): string {
  const at = String(data['at']);
  if (event !== 'woken' || typeof data['at'] !== 'string') return at;
  return formatTimestamp(parseTimestamp(at) + tookMs(data as unknown as WakeAnswer));
}

function tookMs(phases: PhasesAnswer): number {
  const { room_ms = 0, queue_ms = 0, dependencies_ms = 0, engine_ms, health_ms, port_ms } = phases;
  return room_ms + queue_ms + dependencies_ms + engine_ms + health_ms + port_ms;
}

/** What happened to a service within the last 24 hours, in order; that a wake has made it awake, or failed, is told by the wake. Pure. */
export function listPast(
  { name: service, shares_with: sharers, wakes, timeline, last_sleep: slept }: ServiceDetailAnswer,
  nowMs: number,
): readonly ProxyEvent[] {
  const sinceMs = nowMs - DAY_MS;
  const of = { service, ...(sharers !== undefined && { shares_with: sharers }) };
  const isMadeBy = (wake: WakeAnswer, at: string) => {
    const afterMs = parseTimestamp(at) - parseTimestamp(wake.at);
    return afterMs >= -WAKE_SLACK_MS && afterMs <= tookMs(wake) + WAKE_SLACK_MS;
  };
  const isMadeByWake = (at: string) => wakes.some((wake) => isMadeBy(wake, at));
  const describeState = ({ at, life, sleep }: (typeof timeline)[number]): readonly ProxyEvent[] => {
    const isTold =
      life === 'waking' ||
      life === 'stopping' ||
      ((life === 'awake' || life === 'failed') && isMadeByWake(at));
    if (isTold) return [];
    const isSleep =
      (life === 'asleep' || life === 'failed') &&
      slept !== undefined &&
      Math.abs(parseTimestamp(at) - parseTimestamp(slept.at)) <= WAKE_SLACK_MS;
    if (isSleep) return [{ event: 'sleep', data: { at, ...of, kind: slept.kind, reason: slept.reason } }];
    // Of those before the last one the kind alone is known.
    if (sleep !== undefined)
      return [{ event: 'sleep', data: { at, ...of, kind: sleep, reason: SLEEP_WORDS[sleep] } }];
    return [{ event: 'state', data: { at, ...of, life } }];
  };
  const states = timeline.flatMap((change, place) =>
    describeState(change).map((event) => ({ event, place })),
  );
  // Times have whole seconds, within which the timeline knows the order.
  const placeOf = (wake: WakeAnswer) =>
    timeline.findLastIndex(({ at, life }) => (life === 'awake' || life === 'failed') && isMadeBy(wake, at));
  const woken = wakes.map((wake) => ({
    event: { event: 'woken', data: { ...of, ...wake } },
    place: placeOf(wake),
  }));
  return [...woken, ...states]
    .map(({ event, place }) => ({ event, place, ms: parseTimestamp(atOf(event)) }))
    .filter(({ ms }) => ms >= sinceMs)
    .sort((a, b) => a.ms - b.ms || a.place - b.place)
    .map(({ event }) => event);
}

/**
 * Tells which events are news to who reads lines: of a wake, that it begins and how it ended. Its phases, and the states that it makes,
 * are told by these two.
 */
export function createTeller(): { readonly isNews: (event: ProxyEvent) => boolean } {
  const waking = new Set<unknown>();
  return {
    isNews({ event, data: { service, life } }) {
      switch (event) {
        case 'wake': {
          const isKnown = waking.has(service);
          waking.add(service);
          return !isKnown;
        }
        case 'woken':
          waking.delete(service);
          return true;
        case 'state':
          return life !== 'waking' && !(waking.has(service) && (life === 'awake' || life === 'failed'));
        case 'reset':
          waking.clear();
          return true;
        default:
          return true;
      }
    },
  };
}

function show(
  event: ProxyEvent,
  {
    service,
    json,
    write,
    times,
  }: Omit<EventsOptions, 'past'> & { readonly write: (line: string) => void; readonly times: Times },
): void {
  const { service: of } = event.data;
  if (service === undefined ? !json && isRepetition(event) : of !== undefined && of !== service) return;
  if (json) return write(escapeJson(JSON.stringify({ event: event.event, ...event.data })));
  write(describeEvent(event, times));
}

/** Whether the same is told of a service with the same workload that comes first by name: one line is for all. Pure. */
export function isRepetition({ data: { service, shares_with: sharers } }: ProxyEvent): boolean {
  return Array.isArray(sharers) && sharers.some((other) => other < String(service));
}

/** What happened, on one line that begins with its time; not yet escaped. Pure. */
export function describeEvent({ event, data }: ProxyEvent, times: Times): string {
  const at = typeof data['at'] === 'string' ? `${times.local(atOf({ event, data })).slice(0, 19)} ` : '';
  return `${at}${describe(event, data)}`;
}

function describe(event: string, data: ProxyEvent['data']): string {
  const { life, state, reason, cause, client, more, generation, problems } = data;
  const service = nameAll(data);
  const because = reason === undefined ? '' : `: ${reason}`;
  switch (event) {
    case 'state':
      if (life === 'failed') return `${service} has failed${because}`;
      if (life === 'unknown' && state === undefined) return `what ${service} does is not known`;
      return `${service} is ${life === 'unknown' ? state : life === 'stopping' ? 'going to sleep' : life}${because}`;
    case 'wake':
      return `${service} is waking, ${describeCause(String(cause))}`;
    case 'woken':
      return describeWoken(data as unknown as WakeAnswer, service);
    case 'sleep':
      return `${service} has gone to sleep${because}`;
    case 'use':
      return data['in_use'] === true ? `${service} is in use` : `nobody uses ${service} any more`;
    case 'refusal':
      return `${service} refused ${client}${because}${typeof more === 'number' && more > 0 ? ` (and ${more} more)` : ''}`;
    case 'reload':
      return data['result'] === 'applied'
        ? `another configuration is in force (generation ${generation})`
        : `what is in the file is refused: ${countOf(Number(problems), 'problem')}; lazy-proxy status has the lines`;
    case 'reset':
      return 'what happened before is not known any more';
    default:
      return `${event} ${JSON.stringify(data)}`;
  }
}

/** The service, with those that have the same workload. */
function nameAll({ service, shares_with: sharers }: ProxyEvent['data']): string {
  return Array.isArray(sharers) ? `${service} (with ${sharers.join(', ')})` : String(service);
}

function describeWoken(wake: WakeAnswer, service: string): string {
  const { cause, result, reason } = wake;
  const outcome = { ready: 'was woken', failed: 'did not wake', ended: 'was stopped while it woke' }[result];
  return `${service} ${outcome} ${describeCause(cause)}, after ${describePhases(wake)}${reason === undefined ? '' : `: ${reason}`}`;
}

/** The blocks of a stream of Server-Sent Events: what stands between blank lines. */
async function* readBlocks(chunks: AsyncIterable<string>): AsyncGenerator<string> {
  let text = '';
  for await (const chunk of chunks) {
    const blocks = `${text}${chunk}`.split('\n\n');
    text = blocks.pop() ?? '';
    yield* blocks;
    if (text.length > MAX_BLOCK_CHARACTERS) throw new Error('what it says is no event');
  }
}

/** What a block holds; no event where it is a comment, or what it holds can't be read. Pure. */
export function parseBlock(block: string): { readonly id?: string; readonly event?: ProxyEvent } {
  const fields = new Map(
    block.split('\n').flatMap((line): readonly [string, string][] => {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      return name === undefined || value === undefined ? [] : [[name, value]];
    }),
  );
  const [id, event, data] = ['id', 'event', 'data'].map((name) => fields.get(name));
  const shown = { ...(id !== undefined && { id }) };
  if (event === undefined || data === undefined) return shown;
  return { ...shown, event: { event, data: JSON.parse(data) as ProxyEvent['data'] } };
}
