/**
 * What is known of one namespace, or of the whole cluster. Input: lists and watches of its Deployments, StatefulSets,
 * Services and EndpointSlices. Output: what changes, told as it comes; what is known now, without I/O. Where the lists hold
 * only workloads that opt in, each other workload that is followed has a list and a watch of its own.
 */
import { type LabelPrefixes, optInLabels } from '../../model/label-names.ts';
import { isSameData } from '../../model/same-data.ts';
import type { KubernetesResource } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import { collectionPath, type ListedResource, namespacedName, type ScalableRef } from './api/api-paths.ts';
import { Informer, type InformerOptions, type InformerState } from './api/informer.ts';
import type { KubeClient } from './api/kube-client.ts';
import { compareVersions, type ObjectChange } from './api/object-cache.ts';
import type { PartState } from './reachability.ts';
import { type ServiceRecord, type SliceRecord, selectService, selectSlice } from './service-record.ts';
import { isAtLeast, selectWorkload, type WorkloadRecord } from './workload-record.ts';

export interface NamespaceCatalogOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Undefined: all of the cluster. */
  readonly namespace: string | undefined;
  /** Only workloads with the label `<prefix>.enabled=true` are listed; undefined: all are. */
  readonly narrowTo: LabelPrefixes | undefined;
  readonly listener: CatalogListener;
}

export interface CatalogListener {
  workload(change: WorkloadChange): void;
  /** The Service `namespace/name`, or one of its EndpointSlices, has changed. */
  service(key: string): void;
  /** A watch is in force: more may be known now. */
  synced(): void;
  /** The state of one of the watches; undefined when it is closed. `part` names the watch, also in the log. */
  part(part: string, state: PartState | undefined): void;
}

export interface WorkloadChange {
  readonly before: WorkloadRecord | undefined;
  readonly after: WorkloadRecord | undefined;
  /** The workload was there before anybody looked. */
  readonly firstLook: boolean;
}

/** `unlisted`: not asked yet, or in vain. `outside`: not in the namespaces that are watched. */
export type Finding =
  | { readonly kind: 'unlisted' | 'outside' }
  | { readonly kind: 'listed'; readonly record: WorkloadRecord | undefined };

/** One list with its watch. */
interface Feed<T> {
  /** What is watched, for the log: `deployments in shop`. */
  readonly part: string;
  readonly informer: Informer<T>;
  /** Why the API server refuses it; undefined where it doesn't. */
  refusedWith: string | undefined;
}

type FeedOptions<T> = Pick<InformerOptions<T>, 'path' | 'query' | 'select' | 'changed'> & {
  readonly part: string;
  readonly synced: () => void;
};

/** One of all, or one for each label that opts in: the API server can't be asked for one label or another. */
type WorkloadFeeds = Readonly<Record<KubernetesResource, readonly Feed<WorkloadRecord>[]>>;

/** Whoever creates it closes it. */
export class NamespaceCatalog {
  readonly namespace: string | undefined;
  readonly #options: NamespaceCatalogOptions;
  readonly #services: Feed<ServiceRecord>;
  readonly #slices: Feed<SliceRecord>;
  /** EndpointSlices by the `namespace/name` of the Service that they belong to, and by their own. */
  readonly #slicesOf = new Map<string, Map<string, SliceRecord>>();
  /** Workloads that somebody follows; those that the lists leave out have a feed. */
  readonly #followed = new Map<string, { readonly ref: ScalableRef; feed?: Feed<WorkloadRecord> }>();
  /** Feeds that are starting or closing; `start()` and `close()` wait for them. */
  readonly #pending = new Set<Promise<void>>();
  #workloads: WorkloadFeeds;
  #narrowTo: LabelPrefixes | undefined;
  #closed = false;

  constructor(options: NamespaceCatalogOptions) {
    const { namespace, narrowTo, listener } = options;
    this.#options = options;
    this.namespace = namespace;
    this.#narrowTo = narrowTo;
    this.#workloads = this.#createWorkloadFeeds();
    this.#services = this.#createFeed({
      ...this.#place('services'),
      select: selectService,
      changed: ({ key }) => listener.service(key),
    });
    this.#slices = this.#createFeed({
      ...this.#place('endpointslices'),
      select: selectSlice,
      changed: (change) => {
        for (const key of this.#takeSlice(change)) listener.service(key);
      },
    });
  }

  /** Resolves after the first list of each, or its failure. */
  async start(): Promise<void> {
    await Promise.all(this.#feeds().map((feed) => this.#start(feed)));
    await this.#settle();
  }

  /** Whether each list of workloads has come at least once, or is refused. */
  get isSettled(): boolean {
    return this.#workloadFeeds().every(
      ({ informer, refusedWith }) => informer.listed || refusedWith !== undefined,
    );
  }

  /** Whether everything was looked at, and nothing was found. */
  get isEmpty(): boolean {
    return this.#feeds().every(({ informer }) => informer.listed && informer.all().next().done === true);
  }

  /** Whether the watch of workloads of this kind is in force now. */
  isSynced(resource: KubernetesResource): boolean {
    return this.#workloads[resource].every(({ informer }) => informer.synced);
  }

  /** Every workload in the lists once, also those that take no part. */
  *workloads(): IterableIterator<WorkloadRecord> {
    for (const feeds of Object.values(this.#workloads))
      for (const feed of feeds)
        for (const [key] of feed.informer.all()) {
          const isFirst = feeds.find(({ informer }) => informer.get(key) !== undefined) === feed;
          const record = isFirst ? newestOf(feeds, key) : undefined;
          if (record !== undefined) yield record;
        }
  }

  find(ref: ScalableRef): Finding {
    if (!this.#isListed(ref.resource)) return { kind: 'unlisted' };
    const record = this.#listedWorkload(ref);
    if (this.#narrowTo === undefined) return { kind: 'listed', record };
    const informer = this.#followed.get(keyOf(ref))?.feed?.informer;
    if (informer?.listed !== true)
      return record === undefined ? { kind: 'unlisted' } : { kind: 'listed', record };
    return { kind: 'listed', record: newer(record, informer.get(namespacedName(ref.namespace, ref.name))) };
  }

  /** The Service `namespace/name`. */
  service(key: string): ServiceRecord | undefined {
    return this.#services.informer.get(key);
  }

  /** The EndpointSlices of the Service `namespace/name`. */
  slices(serviceKey: string): readonly SliceRecord[] {
    return [...(this.#slicesOf.get(serviceKey)?.values() ?? [])];
  }

  /** Follows a workload also where it doesn't opt in by label. */
  follow(ref: ScalableRef): void {
    if (!this.#followed.has(keyOf(ref))) this.#followed.set(keyOf(ref), { ref });
    this.#followUnlisted();
  }

  unfollow(ref: ScalableRef): void {
    const feed = this.#followed.get(keyOf(ref))?.feed;
    this.#followed.delete(keyOf(ref));
    if (feed !== undefined) this.#await(this.#close(feed));
  }

  /** Lists the workloads anew, by other labels, unless all are listed. */
  narrowTo(prefixes: LabelPrefixes): void {
    if (this.#narrowTo === undefined || isSameData(prefixes, this.#narrowTo)) return;
    this.#narrowTo = prefixes;
    this.#await(Promise.all(this.#workloadFeeds().map((feed) => this.#close(feed))));
    this.#workloads = this.#createWorkloadFeeds();
    for (const feed of this.#workloadFeeds()) void this.#start(feed);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const followed = [...this.#followed.values()].flatMap(({ feed }) => feed ?? []);
    await Promise.all([...this.#feeds(), ...followed].map((feed) => this.#close(feed)));
    await this.#settle();
  }

  #feeds(): readonly Feed<unknown>[] {
    return [...this.#workloadFeeds(), this.#services, this.#slices];
  }

  #workloadFeeds(): readonly Feed<WorkloadRecord>[] {
    return Object.values(this.#workloads).flat();
  }

  /** Whether all has been listed once that a workload of this kind is judged by. */
  #isListed(resource: KubernetesResource): boolean {
    const feeds = [...this.#workloads[resource], this.#services, this.#slices];
    return feeds.every(({ informer }) => informer.listed);
  }

  #listedWorkload({ resource, namespace, name }: ScalableRef): WorkloadRecord | undefined {
    return newestOf(this.#workloads[resource], namespacedName(namespace, name));
  }

  /** Opens a feed for each followed workload that the narrowed lists leave out; once open, it stays. */
  #followUnlisted(): void {
    if (this.#closed || this.#narrowTo === undefined) return;
    for (const followed of this.#followed.values()) {
      const { ref, feed } = followed;
      if (feed !== undefined || !this.#isListed(ref.resource) || this.#listedWorkload(ref) !== undefined)
        continue;
      followed.feed = this.#createFollowingFeed(ref);
      this.#await(this.#start(followed.feed));
    }
  }

  #createWorkloadFeeds(): WorkloadFeeds {
    return {
      deployment: this.#createFeedsOf('deployment'),
      statefulset: this.#createFeedsOf('statefulset'),
    };
  }

  #createFeedsOf(resource: KubernetesResource): readonly Feed<WorkloadRecord>[] {
    const place = this.#place(`${resource}s`);
    if (this.#narrowTo === undefined) return [this.#createWorkloadFeed(resource, place)];
    const labels = optInLabels(this.#narrowTo);
    return labels.map((label) =>
      this.#createWorkloadFeed(resource, {
        ...place,
        ...(labels.length > 1 && { part: `${place.part} with the label ${label}` }),
        query: { labelSelector: `${label}=true` },
      }),
    );
  }

  #createWorkloadFeed(
    resource: KubernetesResource,
    place: Omit<FeedOptions<WorkloadRecord>, 'select' | 'changed'>,
  ): Feed<WorkloadRecord> {
    const feed = this.#createFeed<WorkloadRecord>({
      ...place,
      select: (object) => selectWorkload(resource, object),
      changed: (change, { firstLook }) => {
        this.#followUnlisted();
        const others = this.#workloads[resource].filter((other) => other !== feed);
        const news = leaveOutKnown(change, newestOf(others, change.key));
        if (news !== undefined) this.#options.listener.workload({ ...news, firstLook });
      },
    });
    return feed;
  }

  #createFollowingFeed({ resource, namespace, name }: ScalableRef): Feed<WorkloadRecord> {
    const { listener } = this.#options;
    return this.#createFeed<WorkloadRecord>({
      part: `${resource} ${namespace}/${name}`,
      path: collectionPath(`${resource}s`, namespace),
      query: { fieldSelector: `metadata.name=${name}` },
      select: (object) => selectWorkload(resource, object),
      changed: ({ before, after }, { firstLook }) => listener.workload({ before, after, firstLook }),
      synced: () => listener.synced(),
    });
  }

  #place(resource: ListedResource): Pick<FeedOptions<unknown>, 'part' | 'path' | 'synced'> {
    const part = this.namespace === undefined ? resource : `${resource} in ${this.namespace}`;
    const synced = () => {
      this.#followUnlisted();
      this.#options.listener.synced();
    };
    return { part, path: collectionPath(resource, this.namespace), synced };
  }

  #createFeed<T>({ part, synced, ...options }: FeedOptions<T>): Feed<T> {
    const { client, clock } = this.#options;
    const state = (state: InformerState) => this.#stateChanged(feed, { state, synced });
    const feed: Feed<T> = {
      part,
      informer: new Informer<T>({ client, clock, ...options, state }),
      refusedWith: undefined,
    };
    return feed;
  }

  #stateChanged(
    feed: Feed<unknown>,
    { state, synced }: { readonly state: InformerState; readonly synced: () => void },
  ): void {
    const { logger, listener } = this.#options;
    const { part } = feed;
    if (state.synced) {
      feed.refusedWith = undefined;
      listener.part(part, { kind: 'synced' });
      return synced();
    }
    const { reason } = state;
    const by = state.refusal === undefined ? 'silence' : 'refusal';
    if (by === 'refusal' && reason !== feed.refusedWith) {
      feed.refusedWith = reason;
      logger.error({ event: 'watch-refused', part }, `cannot watch ${part}: ${reason}`);
    }
    listener.part(part, { kind: 'failed', reason, by });
  }

  #start({ part, informer }: Feed<unknown>): Promise<void> {
    this.#options.listener.part(part, { kind: 'pending' });
    return informer.start();
  }

  #close({ part, informer }: Feed<unknown>): Promise<void> {
    this.#options.listener.part(part, undefined);
    return informer.close();
  }

  #await(work: Promise<unknown>): void {
    const done = work.then(() => void this.#pending.delete(done));
    this.#pending.add(done);
  }

  async #settle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  /** Sorts a slice in under its Service, and returns the keys of the Services that it touches. */
  #takeSlice({ key, before, after }: ObjectChange<SliceRecord>): ReadonlySet<string> {
    const namespace = key.slice(0, key.indexOf('/'));
    const touched = new Set<string>();
    if (before !== undefined) {
      const serviceKey = namespacedName(namespace, before.service);
      const slices = this.#slicesOf.get(serviceKey);
      slices?.delete(key);
      if (slices?.size === 0) this.#slicesOf.delete(serviceKey);
      touched.add(serviceKey);
    }
    if (after !== undefined) {
      const serviceKey = namespacedName(namespace, after.service);
      const slices = this.#slicesOf.get(serviceKey) ?? new Map<string, SliceRecord>();
      this.#slicesOf.set(serviceKey, slices.set(key, after));
      touched.add(serviceKey);
    }
    return touched;
  }
}

/** What is known of a workload by the feed that knows the newest. */
function newestOf(feeds: readonly Feed<WorkloadRecord>[], key: string): WorkloadRecord | undefined {
  return feeds.reduce<WorkloadRecord | undefined>(
    (known, { informer }) => newer(known, informer.get(key)),
    undefined,
  );
}

/**
 * What a change of one feed tells beyond what the others know; undefined where that is nothing. A workload with the labels
 * of several feeds comes by each of them. One that leaves a feed has lost its label; where it is gone, all feeds tell so.
 */
function leaveOutKnown(
  { before, after }: Pick<WorkloadChange, 'before' | 'after'>,
  known: WorkloadRecord | undefined,
): Pick<WorkloadChange, 'before' | 'after'> | undefined {
  if (known === undefined) return { before, after };
  const isNews =
    after !== undefined && (compareVersions(after.resourceVersion, known.resourceVersion) ?? 1) > 0;
  return isNews ? { before: newer(before, known), after } : undefined;
}

function newer(a: WorkloadRecord | undefined, b: WorkloadRecord | undefined): WorkloadRecord | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return isAtLeast(a.resourceVersion, b.resourceVersion) ? a : b;
}

function keyOf({ resource, namespace, name }: ScalableRef): string {
  return `${resource}/${namespace}/${name}`;
}
