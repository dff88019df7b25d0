/**
 * What is known of a cluster's workloads, and what becomes of it. Input: the catalog, and the answers to our own calls.
 * Output: observations, without I/O; changes, told as they come; whether the API server tells all there is to know.
 */
import { isDeepStrictEqual } from 'node:util';
import type { LabelPrefixes } from '../../model/label-names.ts';
import { MISSING, type Observation, UNKNOWN } from '../../model/running/observation.ts';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  toWorkloadRef,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../../model/workload.ts';
import { namespacedName, type ScalableRef } from './api/api-paths.ts';
import {
  type Finding,
  NamespaceCatalog,
  type NamespaceCatalogOptions,
  type WorkloadChange,
} from './namespace-catalog.ts';
import { NamespaceCheck } from './namespace-check.ts';
import { observeWorkload } from './observe-workload.ts';
import { type PartState, Reachability } from './reachability.ts';
import { isAtLeast, refOf, type WorkloadRecord } from './workload-record.ts';

export interface ClusterViewOptions extends Pick<NamespaceCatalogOptions, 'client' | 'clock' | 'logger'> {
  /** Empty: all of the cluster. */
  readonly namespaces: readonly string[];
  /** `labelled`: only workloads that opt in by label are listed, and each other one that is followed by itself. */
  readonly discover: 'all' | 'labelled';
  readonly labelPrefixes: LabelPrefixes;
  /** Of Service names; for example `cluster.local`. */
  readonly clusterDomain: string;
  readonly listener: ClusterListener;
}

export interface ClusterListener {
  /** More may be known of the workload with this key. */
  workload(key: string): void;
  /** More may be known of the Service `namespace/name`. */
  service(key: string): void;
  /** More may be known of everything. */
  synced(): void;
  /** Annotations may have changed, or are known now. */
  annotated(): void;
  /** The watch has brought a workload, or another state of it. */
  changed(before: WorkloadRecord | undefined, after: WorkloadRecord): void;
  removed(ref: WorkloadRef): void;
  started(ref: WorkloadRef): void;
  reachable(reachable: boolean, reason?: string): void;
}

/** Whoever creates it closes it. */
export class ClusterView {
  readonly #listener: ClusterListener;
  readonly #clusterDomain: string;
  /** One of the whole cluster, or one of each namespace. */
  readonly #catalogs: readonly NamespaceCatalog[];
  readonly #answers = new ScaleAnswers();
  readonly #hindrances = new Map<string, string>();
  readonly #reachability: Reachability;
  readonly #namespaces: NamespaceCheck;

  constructor(options: ClusterViewOptions) {
    const { client, clock, logger, namespaces, discover, labelPrefixes, listener } = options;
    this.#listener = listener;
    this.#clusterDomain = options.clusterDomain;
    this.#reachability = new Reachability((reachable, reason) => listener.reachable(reachable, reason));
    const part = (name: string, state: PartState | undefined) => this.#partChanged(name, state);
    const isEmpty = (name: string) => this.#catalogOf(name)?.isEmpty ?? false;
    this.#namespaces = new NamespaceCheck({ client, logger, namespaces, isEmpty, part });
    const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
    const catalog = {
      ...{ client, clock, logger },
      narrowTo: discover === 'labelled' ? labelPrefixes : undefined,
      listener: {
        workload: (change: WorkloadChange) => this.#workloadChanged(change),
        service: (key: string) => this.#serviceChanged(key),
        synced: () => this.#synced(),
        part,
      },
    };
    this.#catalogs = scopes.map((namespace) => new NamespaceCatalog({ ...catalog, namespace }));
  }

  /** Resolves after the first look at everything, or its failure. */
  async start(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#catalogs.map((catalog) => catalog.start()));
    await this.#namespaces.check(signal);
  }

  /** Tells whether the API server is reachable, now and on each change. */
  tellReachability(): void {
    this.#reachability.begin();
  }

  observe(workload: KubernetesWorkload): Observation {
    const finding = this.find(workload);
    switch (finding.kind) {
      case 'unlisted':
        return UNKNOWN;
      case 'outside': {
        const what = describeWorkloadRef(toWorkloadRef(workload));
        const detail = `${what}: namespace "${workload.namespace}" is not among those watched`;
        return { ...MISSING, detail, mayExist: true };
      }
      case 'listed': {
        const catalog = this.#catalogOf(workload.namespace);
        const serviceKey = namespacedName(workload.namespace, workload.service);
        const service = catalog?.service(serviceKey);
        const slices = catalog?.slices(serviceKey) ?? [];
        const { record } = finding;
        const observation = observeWorkload({
          ...{ workload, record, service, slices, clusterDomain: this.#clusterDomain },
        });
        const hindrance = this.#hindrances.get(workloadKey(workload));
        return hindrance === undefined ? observation : { ...observation, hindrance };
      }
    }
  }

  /** The newest that is known of a workload. */
  find(ref: ScalableRef): Finding {
    const finding: Finding = this.#catalogOf(ref.namespace)?.find(ref) ?? { kind: 'outside' };
    if (finding.kind !== 'listed') return finding;
    return { kind: 'listed', record: this.#answers.apply(refOf(ref), finding.record) };
  }

  /** The API server has answered to a call of our own. */
  answered(ref: ScalableRef, answer: ScaleAnswer): void {
    this.#answers.put(refOf(ref), answer);
    this.#listener.workload(workloadRefKey(refOf(ref)));
  }

  /** What hinders a wake that is under way; undefined where nothing does any more. */
  hindered(ref: ScalableRef, why: string | undefined): void {
    const key = workloadRefKey(refOf(ref));
    if (why === undefined && !this.#hindrances.delete(key)) return;
    if (why !== undefined) this.#hindrances.set(key, why);
    this.#listener.workload(key);
  }

  /** Every workload in the lists, also those that take no part; undefined while there is no whole list yet. */
  records(): readonly WorkloadRecord[] | undefined {
    if (!this.#catalogs.every(({ isSettled }) => isSettled)) return undefined;
    return this.#catalogs.flatMap((catalog) => [...catalog.workloads()]);
  }

  /** Whether the API server tells of this workload's changes now. */
  isSynced({ namespace, resource }: ScalableRef): boolean {
    return this.#catalogOf(namespace)?.isSynced(resource) ?? false;
  }

  /** Follows a workload also where it doesn't opt in by label. */
  follow(ref: ScalableRef): void {
    this.#catalogOf(ref.namespace)?.follow(ref);
  }

  unfollow(ref: ScalableRef): void {
    this.#catalogOf(ref.namespace)?.unfollow(ref);
  }

  /** Other labels opt in from now on. */
  setLabelPrefixes(labelPrefixes: LabelPrefixes): void {
    for (const catalog of this.#catalogs) catalog.narrowTo(labelPrefixes);
  }

  /** Asks again for what no watch tells. */
  recheck(signal: AbortSignal): Promise<void> {
    return this.#namespaces.check(signal);
  }

  async close(): Promise<void> {
    await Promise.all(this.#catalogs.map((catalog) => catalog.close()));
  }

  #catalogOf(name: string): NamespaceCatalog | undefined {
    return this.#catalogs.find(({ namespace }) => namespace === undefined || namespace === name);
  }

  #workloadChanged({ before, after, firstLook }: WorkloadChange): void {
    const record = after ?? before;
    if (record === undefined) return;
    const ref = refOf(record);
    this.#listener.workload(workloadRefKey(ref));
    if (!isSameToFeed(before, after)) this.#listener.annotated();
    if (after === undefined) return this.#listener.removed(ref);
    this.#namespaces.seen(after.namespace);
    this.#listener.changed(before, after);
    const isAwake = after.replicas > 0;
    if (isAwake && !firstLook && (before?.replicas ?? 0) === 0) this.#listener.started(ref);
  }

  #serviceChanged(key: string): void {
    this.#namespaces.seen(key.slice(0, key.indexOf('/')));
    this.#listener.service(key);
  }

  #synced(): void {
    this.#listener.synced();
    this.#listener.annotated();
  }

  #partChanged(part: string, state: PartState | undefined): void {
    if (state === undefined) this.#reachability.remove(part);
    else this.#reachability.set(part, state);
    // Nobody waits for a list that is refused.
    if (state?.kind === 'failed' && state.by === 'refusal') this.#listener.annotated();
  }
}

/** Most changes are of a workload's status. */
function isSameToFeed(before: WorkloadRecord | undefined, after: WorkloadRecord | undefined): boolean {
  return (
    isDeepStrictEqual(before?.labels, after?.labels) &&
    isDeepStrictEqual(before?.annotations, after?.annotations)
  );
}

/** What the API server has answered to a change of a workload's replicas. */
export interface ScaleAnswer {
  readonly resourceVersion: string;
  readonly replicas: number;
}

/**
 * The answers to the proxy's own requests. They are mostly newer than what the watch has brought, and count until it
 * brings something at least as new, so that whoever waited for a request sees what it did.
 */
export class ScaleAnswers {
  readonly #answers = new Map<string, ScaleAnswer>();

  put(ref: WorkloadRef, answer: ScaleAnswer): void {
    this.#answers.set(workloadRefKey(ref), answer);
  }

  /** The newest that is known of a workload. @param watched what the watch has brought. */
  apply(ref: WorkloadRef, watched: WorkloadRecord | undefined): WorkloadRecord | undefined {
    const key = workloadRefKey(ref);
    const answer = this.#answers.get(key);
    if (answer === undefined) return watched;
    if (watched === undefined || isAtLeast(watched.resourceVersion, answer.resourceVersion)) {
      this.#answers.delete(key);
      return watched;
    }
    // The workload's controller can't have seen yet what was written just now.
    return { ...watched, ...answer, isObserved: answer.replicas === watched.replicas && watched.isObserved };
  }
}
