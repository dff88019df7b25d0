/**
 * Follows one kind of object: lists it once, then watches it from there on. It tells each change once and in order, also
 * those that happened while the API server was away. It lists again only where the watch can't be resumed.
 *
 * It is ours because the client library's informer stops at the first error that is not a 410, lists everything in one
 * page, keeps whole objects, and can't tell whether it is up to date; and because a pod would have to load that library.
 */
import type { Clock } from '../../../system/clock.ts';
import { Deadline } from '../../../system/waiting/deadline.ts';
import { describeError } from '../../../system/message-of.ts';
import { namespacedName } from './api-paths.ts';
import type { KubeObject, KubeStatus } from './api-shapes.ts';
import type { KubeClient } from './kube-client.ts';
import {
  asError,
  KubeRefusal,
  KubeStarting,
  KubeUnreachable,
  refusalOf,
  retryDelayMs,
} from './kube-errors.ts';
import { isGone, listObjects, type ObjectList } from './kube-list.ts';
import { type CacheEntry, compareVersions, ObjectCache, type ObjectChange } from './object-cache.ts';
import { checkNames } from './object-names.ts';
import type { WatchEvent } from './kube-watch.ts';
import { type WatchEnd, WatchPace } from './watch-pace.ts';

export interface InformerOptions<T> {
  readonly client: KubeClient;
  /** Of the list: `/apis/apps/v1/namespaces/shop/deployments`, or `/apis/apps/v1/deployments` for all namespaces. */
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  readonly clock: Clock;
  /** Picks what is kept of an object. A method, so that its parameter may be declared as the kind that is listed. */
  select(object: KubeObject): T;
  /**
   * Called after `get` and `all` show the change, and all that the same list brought.
   * @param options.firstLook whether the object was there before the informer was first in sync.
   */
  changed(change: ObjectChange<T>, options: { readonly firstLook: boolean }): void;
  /** Called on each change of `synced`, and where the reason changes. */
  state(state: InformerState): void;
}

export type InformerState =
  | { readonly synced: true }
  /** `refusal` where the API server answered. */
  | { readonly synced: false; readonly reason: string; readonly refusal?: KubeRefusal };

/** The API server ends each watch by then, so that a connection that is dead without a sign doesn't stay. */
const WATCH_SECONDS = 300;
/** A watch that the API server has not ended by then is dead. */
const WATCH_DEADLINE_MS = 315_000;
/** A watch that lasted this long was in order: the next one may begin at once. */
const STEADY_MS = 1_000;

/** How the watch has gone so far: see {@link WatchEnd}. */
type Session = { -readonly [field in 'opened' | 'steady']: WatchEnd[field] };

/** Whoever creates it closes it. */
export class Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #cache = new ObjectCache<T>();
  readonly #lifetime = new AbortController();
  /** The version of what is known, once the API server has forgotten that version. */
  #lastVersion: string | undefined;
  /** The last answer of the API server was an error of its own (5xx). */
  #isOverloaded = false;
  #told: InformerState | undefined;
  #listed = false;
  #settled: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
  }

  /** Whether `get` and `all` are up to date; while they are not, they show what was known last. */
  get synced(): boolean {
    return this.#told?.synced === true;
  }

  /** Whether `get` and `all` were up to date at least once. */
  get listed(): boolean {
    return this.#listed;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  all(): IterableIterator<[string, T]> {
    return this.#cache.all();
  }

  /** Resolves when all was listed and the watch is in force, or after the first failure. It goes on by itself. */
  start(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#running = this.#run().finally(resolve);
    });
  }

  /** Calls nothing any more. Idempotent. */
  async close(): Promise<void> {
    this.#lifetime.abort(new Error('the informer was closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const lifetime = this.#lifetime.signal;
    const pace = new WatchPace();
    while (!lifetime.aborted) {
      const session: Session = { opened: false, steady: false };
      const error = await this.#follow(session).then(() => undefined, asError);
      if (lifetime.aborted) return;
      this.#isOverloaded = error instanceof KubeRefusal && error.status >= 500;
      if (needsList(error)) this.#expire();
      const starting = error instanceof KubeStarting;
      const delayMs = retryDelayMs(error, pace.next({ ...session, starting, gone: isGone(error) }));
      if (delayMs === 0) continue;
      if (error !== undefined) this.#tell(failure(error));
      await this.#options.clock.sleep(delayMs, lifetime).catch(() => {});
    }
  }

  /** Lists where that is needed, and watches until the watch ends. @throws whatever broke it. */
  async #follow(session: Session): Promise<void> {
    if (this.#cache.version === undefined) await this.#list();
    const { client, clock, path } = this.#options;
    const deadline = new Deadline({
      ...{ clock, timeoutMs: WATCH_DEADLINE_MS, parent: this.#lifetime.signal },
      expired: () => new KubeUnreachable('a watch did not end in its time'),
    });
    try {
      const { signal } = deadline;
      const events = await client.watch({ path, query: this.#watchQuery(), signal });
      const openedMs = clock.monotonicMs();
      session.opened = true;
      this.#tell({ synced: true });
      try {
        await this.#readEvents(events, session);
      } finally {
        if (clock.monotonicMs() - openedMs >= STEADY_MS) session.steady = true;
      }
    } finally {
      deadline.end();
    }
  }

  #expire(): void {
    this.#lastVersion = this.#cache.version ?? this.#lastVersion;
    this.#cache.expire();
  }

  /** Spares an overloaded server: it reads etcd only where its memory is older than what is known here. */
  async #list(): Promise<void> {
    const known = this.#lastVersion;
    const kept =
      this.#isOverloaded && known !== undefined ? await this.#listFrom({ fromMemory: true }) : undefined;
    const isEnough = kept !== undefined && (compareVersions(kept.resourceVersion, known ?? '') ?? -1) >= 0;
    const { resourceVersion, items } = isEnough ? kept : await this.#listFrom({});
    for (const change of this.#cache.replace(items, resourceVersion)) this.#tellChange(change);
  }

  #listFrom(place: { readonly fromMemory?: true }): Promise<ObjectList<CacheEntry<T>>> {
    const { client, path, query } = this.#options;
    const { signal } = this.#lifetime;
    const select = (object: KubeObject) => this.#entry(object);
    return listObjects(client, { path, ...(query && { query }), select, signal, ...place });
  }

  async #readEvents(events: AsyncIterable<WatchEvent>, session: Session): Promise<void> {
    for await (const event of events) {
      if (this.#lifetime.signal.aborted) return;
      const change = this.#take(event);
      session.steady = true;
      if (change !== undefined) this.#tellChange(change);
    }
  }

  #take({ type, object }: WatchEvent): ObjectChange<T> | undefined {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        return this.#cache.put(this.#entry(checkNames(object as KubeObject)));
      case 'DELETED':
        return this.#cache.remove(keyOf(checkNames(object as KubeObject)), versionOf(object as KubeObject));
      case 'BOOKMARK':
        this.#cache.advance(versionOf(object as KubeObject));
        return undefined;
      case 'ERROR':
        throw refusalOf(object as KubeStatus);
    }
  }

  #watchQuery(): Readonly<Record<string, string>> {
    const resourceVersion = this.#cache.version ?? '';
    const timeoutSeconds = String(WATCH_SECONDS);
    return { ...this.#options.query, resourceVersion, timeoutSeconds, allowWatchBookmarks: 'true' };
  }

  #entry(object: KubeObject): CacheEntry<T> {
    return { key: keyOf(object), version: versionOf(object), value: this.#options.select(object) };
  }

  #tellChange(change: ObjectChange<T>): void {
    this.#options.changed(change, { firstLook: !this.#listed });
  }

  #tell(state: InformerState): void {
    const told = this.#told;
    this.#told = state;
    if (state.synced) this.#listed = true;
    const isNews =
      told?.synced !== state.synced || (!told.synced && !state.synced && told.reason !== state.reason);
    if (isNews) this.#options.state(state);
    this.#settled();
  }
}

/** A watch can be resumed, unless the API server refuses that, or sends what can't be read. */
function needsList(error: Error | undefined): boolean {
  if (error === undefined || error instanceof KubeUnreachable) return false;
  return !(error instanceof KubeRefusal && error.status === 429);
}

function failure(error: Error): InformerState {
  const reason = describeError(error);
  return { synced: false, reason, ...(error instanceof KubeRefusal && { refusal: error }) };
}

function keyOf({ metadata }: KubeObject): string {
  return namespacedName(metadata.namespace ?? '', metadata.name);
}

function versionOf(object: KubeObject): string {
  return object.metadata.resourceVersion ?? '';
}
