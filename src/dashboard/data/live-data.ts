/**
 * What the page shows, kept up to date while somebody looks. Of a service, it is asked for as soon as the proxy tells that something has
 * happened to it; of those that are awake every few seconds, since no event tells how many clients there are between the first and
 * the last one; of all seldom, since nothing happens to those that sleep without an event. A service that has not changed stays the same
 * object, so that nothing of it is drawn anew.
 */
import type { Life } from '../../model/running/workload-report.ts';
import { formatProblem, type Problem } from '../../model/problem.ts';
import type {
  AboutAnswer,
  EffectiveConfig,
  EffectiveValue,
  FindingAnswer,
  ReloadAnswer,
  ServiceAnswer,
  ServiceDetailAnswer,
} from '../../status/api/answers.ts';
import { type ApiError, askJson, servicePath, token } from './client.ts';
import { monotonicMs, nowMs, schedule } from '../clock.ts';
import { oncePerWorkload } from '../service/describe-service.ts';
import { EventFeed, type FeedEvent, type FeedState } from './event-feed.ts';

const POLL_MS = 2_000;
const POLL_WHILE_LIVE_MS = 5_000;
/** All that is shown, while events come, ms. */
const ALL_WHILE_LIVE_MS = 30_000;
/** The engine is asked for it, and it changes slowly. */
const MEMORY_MS = 10_000;
/** How long the next try waits, when the proxy does not answer. */
const RETRY_MS = 3_000;
/** Events that come together are one reason to ask. */
const GATHER_MS = 100;
/** Where more services than that have changed, all are asked for. */
const MAX_CHANGED = 20;

/** Whether the proxy is heard: `live` by its events; `locked` until it has the token; `cut` since when and why. */
export type Link =
  | { readonly kind: 'connecting' | 'live' | 'polling' | 'locked' }
  | { readonly kind: 'cut'; readonly sinceMs: number; readonly why: string };

/** By service, the bytes that its workload takes, or took when that was last measured. */
export type Memory = ReadonlyMap<string, number>;

export interface Shown {
  readonly link: Link;
  /** Reading needs the token, which is missing or wrong. */
  readonly isLocked: boolean;
  readonly about: AboutAnswer | undefined;
  readonly services: readonly ServiceAnswer[];
  readonly memory: Memory;
  /** How long all services together were in each state since the proxy follows them, ms. */
  readonly times: Readonly<Partial<Record<Life, number>>>;
  readonly reload: ReloadAnswer | undefined;
  readonly problems: readonly FindingAnswer[];
  /** Of the service that is looked at. */
  readonly detail: ServiceDetailAnswer | undefined;
  /** Its values by field. */
  readonly config: Readonly<Record<string, EffectiveValue>> | undefined;
  /** Why there is no detail: there is no such service (any more). */
  readonly detailProblem: string | undefined;
}

const NO_DETAIL = { detail: undefined, config: undefined, detailProblem: undefined };
const NOTHING: Shown = {
  link: { kind: 'connecting' },
  isLocked: false,
  about: undefined,
  services: [],
  memory: new Map(),
  times: {},
  reload: undefined,
  problems: [],
  ...NO_DETAIL,
};

/** `start()`, then `subscribe()`; it lives as long as the page. */
export class LiveData {
  #shown = NOTHING;
  readonly #subscribers = new Set<() => void>();
  readonly #texts = new Map<string, string>();
  readonly #feed: EventFeed;
  #feedState: FeedState = 'closed';
  #wanted: string | undefined;
  /** Whose configuration is known, and of which generation. */
  #configOf: string | undefined;
  #memoryDueMs = 0;
  #isAsking = false;
  /** All of it is to be asked for. */
  #isDirty = false;
  /** Services of which an event has told since they were last asked for. */
  #changed = new Set<string>();
  /** Whether it is to be asked for as well what is wrong, and how the proxy is. */
  #wantsRest = false;
  #allDueMs = 0;
  #lastAskMs = 0;
  #cancel: () => void = () => {};
  #cancelGather: (() => void) | undefined;

  constructor() {
    this.#feed = new EventFeed({
      onEvent: (event) => this.#gather(event),
      onState: (state) => {
        if (state === this.#feedState) return;
        this.#feedState = state;
        // What happened between the last answer and now is told by nobody.
        if (this.#shown.link.kind !== 'connecting') this.refresh();
      },
    });
  }

  get shown(): Shown {
    return this.#shown;
  }

  subscribe(callback: () => void): () => void {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  }

  start(): void {
    document.addEventListener('visibilitychange', () => this.#followSight());
    this.#followSight();
    if (document.hidden) this.refresh();
  }

  /** Whoever does not look costs the proxy nothing. */
  #followSight(): void {
    if (document.hidden) return this.#feed.close();
    this.#feed.open();
    this.refresh();
  }

  /** Which service's details are wanted; undefined = none. */
  look(name: string | undefined): void {
    if (name === this.#wanted) return;
    this.#wanted = name;
    this.#configOf = undefined;
    this.#show(NO_DETAIL);
    if (name !== undefined) this.refresh();
  }

  /** Asks now, or as soon as the question that is under way is answered. */
  refresh(): void {
    this.#isDirty = true;
    this.#cancel();
    if (!this.#isAsking) void this.#ask();
  }

  /** The longer it takes to answer, the less often it is asked for. */
  #gather({ kind, service }: FeedEvent): void {
    if (service === undefined || this.#changed.size >= MAX_CHANGED) this.#isDirty = true;
    else this.#changed.add(service);
    // A wake may have made a problem, or mended one.
    if (kind === 'woken') this.#wantsRest = true;
    this.#cancelGather ??= schedule(Math.max(GATHER_MS, 2 * this.#lastAskMs), () => {
      this.#cancelGather = undefined;
      this.#cancel();
      if (!this.#isAsking) void this.#ask();
    });
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    let waitMs: number | undefined;
    try {
      while (this.#isDirty || this.#changed.size > 0 || this.#wantsRest) {
        const startMs = monotonicMs();
        await (this.#isDirty ? this.#askAll() : this.#askChanged());
        this.#lastAskMs = monotonicMs() - startMs;
      }
      waitMs = this.#feedState === 'open' ? POLL_WHILE_LIVE_MS : POLL_MS;
    } catch (error) {
      this.#isDirty = false;
      this.#changed.clear();
      this.#wantsRest = false;
      waitMs = this.#takeFailure(error as ApiError);
    }
    this.#isAsking = false;
    if (waitMs !== undefined && !document.hidden) this.#cancel = schedule(waitMs, () => this.#poll());
  }

  /** Asks for all, or for what may have changed without an event. */
  #poll(): void {
    const awake = this.#shown.services.filter(({ life }) => life !== 'asleep');
    const isAllDue = this.#feedState !== 'open' || monotonicMs() >= this.#allDueMs;
    if (isAllDue || this.#shown.link.kind === 'cut' || awake.length > MAX_CHANGED) return this.refresh();
    for (const { name } of awake) this.#changed.add(name);
    this.#wantsRest = true;
    if (!this.#isAsking) void this.#ask();
  }

  async #askAll(): Promise<void> {
    this.#isDirty = false;
    this.#changed.clear();
    this.#wantsRest = false;
    const wantsMemory = this.#takeMemoryTurn();
    const [services, rest, detail] = await Promise.all([
      askJson<readonly ServiceAnswer[]>(`api/services?day=true${wantsMemory ? '&memory=true' : ''}`),
      this.#askRest(),
      this.#askDetail(),
    ]);
    const config = await this.#askConfig(rest.reload.generation);
    this.#allDueMs = monotonicMs() + ALL_WHILE_LIVE_MS;
    this.#show({
      ...{ link: this.#heard, isLocked: false, ...rest, ...detail, ...config },
      services: this.#share(services),
      memory: collectMemory(services, { before: this.#shown.memory, isWhole: wantsMemory }),
      times: sumTimes(oncePerWorkload(services)),
    });
  }

  /** Only what has changed: with many services, all of them each time would cost the proxy more than what it does for its clients. */
  async #askChanged(): Promise<void> {
    const names = [...this.#changed];
    const wantsRest = this.#wantsRest;
    this.#changed.clear();
    this.#wantsRest = false;
    const [services, rest, detail] = await Promise.all([
      this.#askOnly(names),
      wantsRest ? this.#askRest() : {},
      this.#wanted !== undefined && names.includes(this.#wanted) ? this.#askDetail() : {},
    ]);
    const told = new Map(services.map((service) => [service.name, service]));
    this.#show({
      ...{ link: this.#heard, ...rest, ...detail },
      services: this.#share(this.#shown.services.map((service) => told.get(service.name) ?? service)),
      memory: addMemory(services, this.#shown.memory),
    });
  }

  async #askOnly(names: readonly string[]): Promise<readonly ServiceAnswer[]> {
    if (names.length === 0) return [];
    const memory = this.#takeMemoryTurn() ? '&memory=true' : '';
    const only = names.map((name) => `&only=${encodeURIComponent(name)}`).join('');
    return await askJson<readonly ServiceAnswer[]>(`api/services?day=true${memory}${only}`);
  }

  async #askRest(): Promise<Pick<Shown, 'about' | 'problems'> & { readonly reload: ReloadAnswer }> {
    const [about, problems, reload] = await Promise.all([
      askJson<AboutAnswer>('api'),
      askJson<readonly Problem[]>('problems'),
      askJson<ReloadAnswer>('api/reload'),
    ]);
    return { about, problems: problems.map(toFinding), reload };
  }

  /** Whether it is time to ask for memory again. */
  #takeMemoryTurn(): boolean {
    if (nowMs() < this.#memoryDueMs) return false;
    this.#memoryDueMs = nowMs() + MEMORY_MS;
    return true;
  }

  get #heard(): Link {
    return { kind: this.#feedState === 'open' ? 'live' : 'polling' };
  }

  /** @returns ms until it is tried again; undefined = not before something changes. */
  #takeFailure(error: ApiError): number | undefined {
    const { link } = this.#shown;
    const sinceMs = link.kind === 'cut' ? link.sinceMs : nowMs();
    const isRefused = error.status === 401;
    if (isRefused && token.read() !== undefined) {
      // It was the right one once; who may read without one goes on.
      token.keep(undefined);
      return 0;
    }
    const cut = { kind: 'cut', sinceMs, why: error.message } as const;
    this.#show({ isLocked: isRefused, link: isRefused ? { kind: 'locked' } : cut });
    return isRefused ? undefined : RETRY_MS;
  }

  async #askDetail(): Promise<Partial<Shown>> {
    const wanted = this.#wanted;
    if (wanted === undefined) return {};
    try {
      const detail = await askJson<ServiceDetailAnswer>(servicePath(wanted));
      return this.#wanted === wanted ? { detail, detailProblem: undefined } : {};
    } catch (error) {
      if ((error as ApiError).status !== 404) throw error;
      return { ...NO_DETAIL, detailProblem: (error as ApiError).message };
    }
  }

  /** It changes with a reload alone, and with who asks. */
  async #askConfig(generation: number): Promise<Partial<Shown>> {
    const wanted = this.#wanted;
    const key = `${generation} ${token.read() === undefined} ${wanted}`;
    if (wanted === undefined || key === this.#configOf) return {};
    try {
      const path = `api/config?service=${encodeURIComponent(wanted)}`;
      const { services } = await askJson<EffectiveConfig>(path);
      if (this.#wanted !== wanted) return {};
      this.#configOf = key;
      return { config: services[wanted] };
    } catch (error) {
      if ((error as ApiError).status !== 404) throw error;
      return { config: undefined };
    }
  }

  #share(services: readonly ServiceAnswer[]): readonly ServiceAnswer[] {
    const before = new Map(this.#shown.services.map((service) => [service.name, service]));
    const shared = services.map((service) => {
      const known = before.get(service.name);
      if (known === service) return known;
      const text = JSON.stringify(service, leaveOutMoving);
      if (known !== undefined && this.#texts.get(service.name) === text) return known;
      this.#texts.set(service.name, text);
      return service;
    });
    const names = new Set(shared.map(({ name }) => name));
    for (const name of this.#texts.keys()) if (!names.has(name)) this.#texts.delete(name);
    const isSame =
      shared.length === this.#shown.services.length &&
      shared.every((service, index) => service === this.#shown.services[index]);
    return isSame ? this.#shown.services : shared;
  }

  #show(change: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...change };
    for (const callback of this.#subscribers) callback();
  }
}

/** What changes all the time, and is not drawn in a row. */
const MOVING: ReadonlySet<string> = new Set(['memory', 'time_ms', 'bytes_up', 'bytes_down']);

function leaveOutMoving(key: string, value: unknown): unknown {
  return MOVING.has(key) ? undefined : value;
}

function sumTimes(services: readonly ServiceAnswer[]): Readonly<Partial<Record<Life, number>>> {
  const sums: Partial<Record<Life, number>> = {};
  for (const { time_ms: times = {} } of services)
    for (const [life, ms] of Object.entries(times) as [Life, number][]) sums[life] = (sums[life] ?? 0) + ms;
  return sums;
}

/** What is known of these services alone; where all of it was asked for, what is not told is not known any more. */
function collectMemory(
  services: readonly ServiceAnswer[],
  { before, isWhole }: { readonly before: Memory; readonly isWhole: boolean },
): Memory {
  const told = isWhole ? services.filter(({ memory }) => memory !== undefined) : services;
  const names = new Set(told.map(({ name }) => name));
  const left = [...before].filter(([name]) => names.has(name));
  return addMemory(services, left.length === before.size ? before : new Map(left));
}

function addMemory(services: readonly ServiceAnswer[], before: Memory): Memory {
  const memory = new Map(before);
  for (const { name, memory: now } of services) {
    const bytes = now?.bytes ?? now?.last_bytes;
    if (bytes !== undefined) memory.set(name, bytes);
  }
  const isSame =
    memory.size === before.size && [...memory].every(([name, bytes]) => before.get(name) === bytes);
  return isSame ? before : memory;
}

function toFinding(problem: Problem): FindingAnswer {
  const { code, severity, message, origin } = problem;
  const text = formatProblem(problem);
  if (origin.kind !== 'file') return { code, severity, message, text };
  const { file, line, column } = origin;
  return { code, severity, message, text, file, line, column };
}
