import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { KubeObject } from './api/api-shapes.ts';
import { Informer, type InformerState } from './api/informer.ts';
import type { KubeClient } from './api/kube-client.ts';
import type { ObjectChange } from './api/object-cache.ts';
import type { PartState } from './reachability.ts';

/** What every feed needs. */
export interface FeedContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told on each change; undefined when the feed ends. `part` tells feeds apart, and is fit for the log. */
  readonly part: (part: string, state: PartState | undefined) => void;
}

export interface FeedOptions<T> {
  /** What is followed, for the log: `deployments in shop`. */
  readonly part: string;
  readonly path: string;
  /** Selectors. */
  readonly query?: Readonly<Record<string, string>>;
  select(object: KubeObject): T;
  /** `firstLook`: it was there before anybody looked. */
  changed(change: ObjectChange<T>, options: { readonly firstLook: boolean }): void;
  /** Everything there is has been told, and nothing is missed from now on. */
  synced(): void;
}

/** An informer that also knows whether it ever saw a whole list, and tells how it stands. Whoever creates it closes it. */
export class ResourceFeed<T> {
  readonly #context: FeedContext;
  readonly #options: FeedOptions<T>;
  readonly #informer: Informer<T>;
  #listed = false;
  #refusedWith: string | undefined;

  constructor(context: FeedContext, options: FeedOptions<T>) {
    const { client, clock } = context;
    const { path, query } = options;
    this.#context = context;
    this.#options = options;
    this.#informer = new Informer<T>({
      ...{ client, clock, path },
      ...(query === undefined ? {} : { query }),
      select: (object) => options.select(object),
      changed: (change) => options.changed(change, { firstLook: !this.#listed }),
      state: (state) => this.#stateChanged(state),
    });
  }

  /** Whether what is known is, or was once, all there is. */
  get listed(): boolean {
    return this.#listed;
  }

  /** Whether there is nothing to wait for: all was listed once, or may not be. */
  get settled(): boolean {
    return this.#listed || this.#refusedWith !== undefined;
  }

  /** Whether what is known is kept up to date now. */
  get synced(): boolean {
    return this.#informer.synced;
  }

  get(key: string): T | undefined {
    return this.#informer.get(key);
  }

  *values(): IterableIterator<T> {
    for (const [, value] of this.#informer.all()) yield value;
  }

  /** Resolves after the first list, or the first failure. */
  start(): Promise<void> {
    this.#context.part(this.#options.part, { kind: 'pending' });
    return this.#informer.start();
  }

  async close(): Promise<void> {
    this.#context.part(this.#options.part, undefined);
    await this.#informer.close();
  }

  #stateChanged(state: InformerState): void {
    const { part, synced } = this.#options;
    if (state.synced) {
      this.#listed = true;
      this.#refusedWith = undefined;
      this.#context.part(part, { kind: 'synced' });
      return synced.call(this.#options);
    }
    const by = state.refusal === undefined ? 'silence' : 'refusal';
    if (by === 'refusal') this.#logRefusal(state.reason);
    this.#context.part(part, { kind: 'failed', reason: state.reason, by });
  }

  #logRefusal(reason: string): void {
    if (reason === this.#refusedWith) return;
    this.#refusedWith = reason;
    const { part } = this.#options;
    this.#context.logger.error({ event: 'watch-refused', part }, `cannot watch ${part}: ${reason}`);
  }
}
