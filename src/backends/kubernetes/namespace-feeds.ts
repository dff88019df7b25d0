import { optInLabel } from '../../model/opt-in.ts';
import type { KubernetesResource } from '../../model/workload.ts';
import { collectionPath, type ListedResource, namespacedName, type ScalableRef } from './api/api-paths.ts';
import type { ObjectChange } from './api/object-cache.ts';
import { type FeedContext, ResourceFeed } from './resource-feed.ts';
import { type ServiceRecord, type SliceRecord, selectService, selectSlice } from './service-record.ts';
import { SliceIndex } from './slice-index.ts';
import { selectWorkload, type WorkloadRecord } from './workload-record.ts';

export interface NamespaceFeedsOptions {
  readonly context: FeedContext;
  /** Undefined: all of the cluster. */
  readonly namespace: string | undefined;
  /** Only workloads with the label `<narrowTo>.enabled=true`; undefined: all. */
  readonly narrowTo: string | undefined;
  readonly workload: (change: WorkloadChange) => void;
  readonly service: (key: string) => void;
  readonly synced: () => void;
}

export interface WorkloadChange {
  readonly before: WorkloadRecord | undefined;
  readonly after: WorkloadRecord | undefined;
  /** It was there before anybody looked. */
  readonly firstLook: boolean;
}

const RESOURCES: readonly KubernetesResource[] = ['deployment', 'statefulset'];

/** The workloads, Services and EndpointSlices of one namespace or of the whole cluster. Whoever creates it closes it. */
export class NamespaceFeeds {
  readonly namespace: string | undefined;
  readonly #options: NamespaceFeedsOptions;
  readonly #services: ResourceFeed<ServiceRecord>;
  readonly #slices: ResourceFeed<SliceRecord>;
  readonly #index = new SliceIndex();
  #workloads: Readonly<Record<KubernetesResource, ResourceFeed<WorkloadRecord>>>;
  #narrowTo: string | undefined;
  #retired: Promise<unknown> = Promise.resolve();

  constructor(options: NamespaceFeedsOptions) {
    const { namespace, service, narrowTo } = options;
    this.#options = options;
    this.namespace = namespace;
    this.#narrowTo = narrowTo;
    this.#workloads = this.#createWorkloadFeeds();
    const services = {
      changed: ({ key }: ObjectChange<ServiceRecord>) => service(key),
      select: selectService,
    };
    this.#services = new ResourceFeed(options.context, { ...this.#place('services'), ...services });
    const changed = (change: ObjectChange<SliceRecord>) => this.#index.apply(change).forEach(service);
    const slices = { changed, select: selectSlice };
    this.#slices = new ResourceFeed(options.context, { ...this.#place('endpointslices'), ...slices });
  }

  /** Whether some workloads may be there that are not listed. */
  get isNarrow(): boolean {
    return this.#narrowTo !== undefined;
  }

  get isEmpty(): boolean {
    const feeds = this.#feeds();
    return feeds.every((feed) => feed.listed && feed.values().next().done === true);
  }

  /** Whether all has been listed once that a workload of this kind is judged by. */
  isListed(resource: KubernetesResource): boolean {
    return this.#workloads[resource].listed && this.#services.listed && this.#slices.listed;
  }

  /** Whether all workloads are known that may be. */
  get isSettled(): boolean {
    return RESOURCES.every((resource) => this.#workloads[resource].settled);
  }

  isSynced(resource: KubernetesResource): boolean {
    return this.#workloads[resource].synced;
  }

  workload({ resource, namespace, name }: ScalableRef): WorkloadRecord | undefined {
    return this.#workloads[resource].get(namespacedName(namespace, name));
  }

  *workloads(): IterableIterator<WorkloadRecord> {
    for (const resource of RESOURCES) yield* this.#workloads[resource].values();
  }

  service(key: string): ServiceRecord | undefined {
    return this.#services.get(key);
  }

  slices(serviceKey: string): readonly SliceRecord[] {
    return this.#index.of(serviceKey);
  }

  /** Resolves after the first list of each, or its failure. */
  async start(): Promise<void> {
    await Promise.all(this.#feeds().map((feed) => feed.start()));
  }

  /** Lists the workloads anew, by another label. */
  narrowTo(labelPrefix: string): void {
    if (labelPrefix === this.#narrowTo) return;
    this.#narrowTo = labelPrefix;
    const before = Object.values(this.#workloads);
    this.#retired = Promise.all([this.#retired, ...before.map((feed) => feed.close())]);
    this.#workloads = this.#createWorkloadFeeds();
    for (const feed of Object.values(this.#workloads)) void feed.start();
  }

  async close(): Promise<void> {
    await Promise.all([this.#retired, ...this.#feeds().map((feed) => feed.close())]);
  }

  #feeds(): readonly ResourceFeed<unknown>[] {
    return [...Object.values(this.#workloads), this.#services, this.#slices];
  }

  #createWorkloadFeeds(): Readonly<Record<KubernetesResource, ResourceFeed<WorkloadRecord>>> {
    return {
      deployment: this.#createWorkloadFeed('deployment'),
      statefulset: this.#createWorkloadFeed('statefulset'),
    };
  }

  #createWorkloadFeed(resource: KubernetesResource): ResourceFeed<WorkloadRecord> {
    const { context, workload } = this.#options;
    const label = this.#narrowTo;
    return new ResourceFeed<WorkloadRecord>(context, {
      ...this.#place(`${resource}s`),
      ...(label === undefined ? {} : { query: { labelSelector: `${optInLabel(label)}=true` } }),
      select: (object) => selectWorkload(resource, object),
      changed: ({ before, after }, { firstLook }) => workload({ before, after, firstLook }),
    });
  }

  #place(resource: ListedResource) {
    const { synced } = this.#options;
    const part = this.namespace === undefined ? resource : `${resource} in ${this.namespace}`;
    return { part, path: collectionPath(resource, this.namespace), synced };
  }
}
