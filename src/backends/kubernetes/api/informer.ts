/**
 * Follows one kind of object: lists it once, then watches it from there on. What changes is told once and in order,
 * also what changed while the API server was away. A list is made again only where the watch can't be resumed.
 */
import { linkSignals } from '../../../system/link-signals.ts';
import type { KubeObject, KubeStatus } from './api-shapes.ts';
import { CALL_DEADLINES_MS, WATCH_SECONDS } from './call-deadlines.ts';
import type { InformerOptions, InformerState } from './informer-options.ts';
import type { WatchEvent } from './kube-client.ts';
import {
  asError,
  describeError,
  KubeRefusal,
  KubeStarting,
  KubeUnreachable,
  refusalOf,
  retryDelayMs,
} from './kube-errors.ts';
import { isGone, listObjects, type ObjectList } from './kube-list.ts';
import { type CacheEntry, ObjectCache, type ObjectChange } from './object-cache.ts';
import { checkNames } from './object-names.ts';
import { compareVersions } from './resource-version.ts';
import { type WatchEnd, WatchPace } from './watch-pace.ts';

export type { InformerOptions, InformerState } from './informer-options.ts';

/** A watch that stood so long was in order, and what ended it is no reason to wait. */
const STEADY_MS = 1_000;

/** What is known so far of a look at the API server: see {@link WatchEnd}. */
type Session = { -readonly [field in 'opened' | 'steady']: WatchEnd[field] };

/** Whoever creates it closes it. */
export class Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #cache = new ObjectCache<T>();
  readonly #lifetime = new AbortController();
  /** Of what was known when that became too old to watch from. */
  #lastVersion: string | undefined;
  /** The API server has failed to answer last. */
  #isOverloaded = false;
  #told: InformerState | undefined;
  #settled: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
  }

  /** Whether what is known is kept up to date; while it isn't, what was last known stands. */
  get synced(): boolean {
    return this.#told?.synced === true;
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

  /** Nothing is told any more. Idempotent. */
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
    const overdue = new AbortController();
    const { signal, unlink } = linkSignals([this.#lifetime.signal, overdue.signal]);
    const cancel = clock.schedule(CALL_DEADLINES_MS.watch, () =>
      overdue.abort(new KubeUnreachable('a watch did not end in its time')),
    );
    try {
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
      cancel();
      unlink();
    }
  }

  #expire(): void {
    this.#lastVersion = this.#cache.version ?? this.#lastVersion;
    this.#cache.expire();
  }

  /** A server that is overloaded is spared: etcd is asked only where its memory is older than what is known. */
  async #list(): Promise<void> {
    const known = this.#lastVersion;
    const kept =
      this.#isOverloaded && known !== undefined ? await this.#listFrom({ fromMemory: true }) : undefined;
    const isEnough = kept !== undefined && (compareVersions(kept.resourceVersion, known ?? '') ?? -1) >= 0;
    const { resourceVersion, items } = isEnough ? kept : await this.#listFrom({});
    for (const change of this.#cache.replace(items, resourceVersion)) this.#options.changed(change);
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
      if (change !== undefined) this.#options.changed(change);
    }
  }

  #take({ type, object }: WatchEvent): ObjectChange<T> | undefined {
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        return this.#cache.put(this.#entry(checkNames(object as KubeObject)));
      case 'DELETED':
        return this.#cache.remove(
          this.#key(checkNames(object as KubeObject)),
          versionOf(object as KubeObject),
        );
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
    return { key: this.#key(object), version: versionOf(object), value: this.#options.select(object) };
  }

  #key(object: KubeObject): string {
    return this.#options.keyOf?.(object) ?? `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
  }

  #tell(state: InformerState): void {
    const told = this.#told;
    this.#told = state;
    const isNews =
      told?.synced !== state.synced || (!told.synced && !state.synced && told.reason !== state.reason);
    if (isNews) this.#options.state(state);
    this.#settled();
  }
}

/** A watch can be resumed unless the API server said that it can't, or what it sends can't be understood. */
function needsList(error: Error | undefined): boolean {
  if (error === undefined || error instanceof KubeUnreachable) return false;
  return !(error instanceof KubeRefusal && error.status === 429);
}

function failure(error: Error): InformerState {
  const reason = describeError(error);
  return { synced: false, reason, ...(error instanceof KubeRefusal && { refusal: error }) };
}

function versionOf(object: KubeObject): string {
  return object.metadata.resourceVersion ?? '';
}
