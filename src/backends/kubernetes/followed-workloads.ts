import { collectionPath, namespacedName, type ScalableRef } from './api/api-paths.ts';
import type { WorkloadChange } from './namespace-feeds.ts';
import { type FeedContext, ResourceFeed } from './resource-feed.ts';
import { selectWorkload, type WorkloadRecord } from './workload-record.ts';

interface Followed {
  readonly ref: ScalableRef;
  feed: ResourceFeed<WorkloadRecord> | undefined;
}

/** Workloads that have a feed of their own each, because the lists leave them out. Whoever creates it closes it. */
export class FollowedWorkloads {
  readonly #options: {
    readonly context: FeedContext;
    readonly workload: (change: WorkloadChange) => void;
    readonly synced: () => void;
  };
  readonly #followed = new Map<string, Followed>();
  readonly #pending = new Set<Promise<void>>();
  #closed = false;

  constructor(options: {
    readonly context: FeedContext;
    readonly workload: (change: WorkloadChange) => void;
    readonly synced: () => void;
  }) {
    this.#options = options;
  }

  /** Undefined where it has no feed, or that one has seen nothing yet. */
  find(ref: ScalableRef): { readonly record: WorkloadRecord | undefined } | undefined {
    const feed = this.#followed.get(keyOf(ref))?.feed;
    return feed?.listed === true ? { record: feed.get(namespacedName(ref.namespace, ref.name)) } : undefined;
  }

  /** It may get a feed from now on. */
  want(ref: ScalableRef): void {
    if (!this.#followed.has(keyOf(ref))) this.#followed.set(keyOf(ref), { ref, feed: undefined });
  }

  drop(ref: ScalableRef): void {
    const followed = this.#followed.get(keyOf(ref));
    this.#followed.delete(keyOf(ref));
    if (followed?.feed !== undefined) this.#await(followed.feed.close());
  }

  /** Opens a feed for each that needs one; what has one keeps it. */
  update(needsFeed: (ref: ScalableRef) => boolean): void {
    if (this.#closed) return;
    for (const followed of this.#followed.values()) {
      if (followed.feed !== undefined || !needsFeed(followed.ref)) continue;
      followed.feed = this.#createFeed(followed.ref);
      this.#await(followed.feed.start());
    }
  }

  /** Resolves when every feed has had its first look. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const feeds = [...this.#followed.values()].flatMap(({ feed }) => (feed === undefined ? [] : [feed]));
    await Promise.all(feeds.map((feed) => feed.close()));
    await this.settled();
  }

  #createFeed(ref: ScalableRef): ResourceFeed<WorkloadRecord> {
    const { context, workload, synced } = this.#options;
    const { resource, namespace, name } = ref;
    return new ResourceFeed<WorkloadRecord>(context, {
      part: `${resource} ${namespace}/${name}`,
      path: collectionPath(`${resource}s`, namespace),
      query: { fieldSelector: `metadata.name=${name}` },
      select: (object) => selectWorkload(resource, object),
      changed: ({ before, after }, { firstLook }) => workload({ before, after, firstLook }),
      synced,
    });
  }

  #await(work: Promise<void>): void {
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }
}

function keyOf({ resource, namespace, name }: ScalableRef): string {
  return `${resource}/${namespace}/${name}`;
}
