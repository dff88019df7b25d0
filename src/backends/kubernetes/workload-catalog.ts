/**
 * Everything that is known of workloads and their Services. Input: the feeds of each namespace, or of the whole cluster.
 * Output: what changes, told as it comes; what is known now, without I/O.
 */
import type { KubernetesResource } from '../../model/workload.ts';
import { namespacedName, type ScalableRef } from './api/api-paths.ts';
import { FollowedWorkloads } from './followed-workloads.ts';
import { NamespaceFeeds, type WorkloadChange } from './namespace-feeds.ts';
import type { FeedContext } from './resource-feed.ts';
import type { ServiceRecord, SliceRecord } from './service-record.ts';
import { isAtLeast, type WorkloadRecord } from './workload-record.ts';

export interface CatalogOptions extends FeedContext {
  /** Empty: all of the cluster. */
  readonly namespaces: readonly string[];
  /** `labelled`: only workloads that opt in by label are listed, and each other one that is followed by itself. */
  readonly discover: 'all' | 'labelled';
  readonly labelPrefix: string;
  readonly listener: CatalogListener;
}

export interface CatalogListener {
  workload(change: WorkloadChange): void;
  /** The Service `namespace/name`, or one of its EndpointSlices, has changed. */
  service(key: string): void;
  /** A feed has caught up: more may be known now. */
  synced(): void;
}

/** `unlisted`: not asked yet, or in vain. `outside`: not in the namespaces that are watched. */
export type Finding =
  | { readonly kind: 'unlisted' | 'outside' }
  | { readonly kind: 'listed'; readonly record: WorkloadRecord | undefined };

/** Whoever creates it closes it. */
export class WorkloadCatalog {
  readonly #options: CatalogOptions;
  readonly #scopes: readonly NamespaceFeeds[];
  readonly #followed: FollowedWorkloads;

  constructor(options: CatalogOptions) {
    const { namespaces, listener, discover, labelPrefix } = options;
    this.#options = options;
    const workload = (change: WorkloadChange) => {
      this.#follow();
      listener.workload(change);
    };
    const synced = () => {
      this.#follow();
      listener.synced();
    };
    const narrowTo = discover === 'labelled' ? labelPrefix : undefined;
    const feeds = { context: options, workload, service: listener.service, synced, narrowTo };
    const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
    this.#scopes = scopes.map((namespace) => new NamespaceFeeds({ ...feeds, namespace }));
    this.#followed = new FollowedWorkloads({
      context: options,
      workload: listener.workload,
      synced: listener.synced,
    });
  }

  /** Resolves after the first look at everything, or its failure. */
  async start(): Promise<void> {
    await Promise.all(this.#scopes.map((scope) => scope.start()));
    await this.#followed.settled();
  }

  /** Every workload in the lists, also those that take no part; undefined while there is no whole list yet. */
  all(): readonly WorkloadRecord[] | undefined {
    if (!this.#scopes.every(({ isSettled }) => isSettled)) return undefined;
    return this.#scopes.flatMap((scope) => [...scope.workloads()]);
  }

  find(ref: ScalableRef): Finding {
    const scope = this.#scopeOf(ref.namespace);
    if (scope === undefined) return { kind: 'outside' };
    if (!scope.isListed(ref.resource)) return { kind: 'unlisted' };
    const record = scope.workload(ref);
    if (!scope.isNarrow) return { kind: 'listed', record };
    const followed = this.#followed.find(ref);
    if (followed === undefined)
      return record === undefined ? { kind: 'unlisted' } : { kind: 'listed', record };
    return { kind: 'listed', record: newer(record, followed.record) };
  }

  service(namespace: string, name: string): ServiceRecord | undefined {
    return this.#scopeOf(namespace)?.service(namespacedName(namespace, name));
  }

  slices(namespace: string, service: string): readonly SliceRecord[] {
    return this.#scopeOf(namespace)?.slices(namespacedName(namespace, service)) ?? [];
  }

  /** Whether a workload of this kind is told of at once when it changes. */
  isSynced(namespace: string, resource: KubernetesResource): boolean {
    return this.#scopeOf(namespace)?.isSynced(resource) ?? false;
  }

  /** Whether a namespace was looked at, and nothing was found there. */
  isEmpty(namespace: string): boolean {
    return this.#scopeOf(namespace)?.isEmpty ?? false;
  }

  /** Follows a workload also where it doesn't opt in by label. */
  follow(ref: ScalableRef): void {
    this.#followed.want(ref);
    this.#follow();
  }

  unfollow(ref: ScalableRef): void {
    this.#followed.drop(ref);
  }

  /** Another label opts in from now on. */
  setLabelPrefix(labelPrefix: string): void {
    if (this.#options.discover === 'all') return;
    for (const scope of this.#scopes) scope.narrowTo(labelPrefix);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#scopes.map((scope) => scope.close()), this.#followed.close()]);
  }

  /** Whoever is followed and doesn't stand in the narrowed lists gets a feed of its own. */
  #follow(): void {
    if (this.#options.discover === 'all') return;
    this.#followed.update((ref) => {
      const scope = this.#scopeOf(ref.namespace);
      return scope?.isNarrow === true && scope.isListed(ref.resource) && scope.workload(ref) === undefined;
    });
  }

  #scopeOf(namespace: string): NamespaceFeeds | undefined {
    return this.#scopes.find((scope) => scope.namespace === undefined || scope.namespace === namespace);
  }
}

function newer(a: WorkloadRecord | undefined, b: WorkloadRecord | undefined): WorkloadRecord | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return isAtLeast(a.resourceVersion, b.resourceVersion) ? a : b;
}
