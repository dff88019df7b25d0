/**
 * What is known of a cluster's workloads, and what becomes of it. Input: the catalog, and the answers to our own calls.
 * Output: observations, without I/O; changes, told as they come; whether the API server tells all there is to know.
 */
import { isDeepStrictEqual } from 'node:util';
import { MISSING, type Observation, UNKNOWN } from '../../model/observation.ts';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  toWorkloadRef,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../../model/workload.ts';
import type { ScalableRef } from './api/api-paths.ts';
import { NamespaceCheck } from './namespace-check.ts';
import type { WorkloadChange } from './namespace-feeds.ts';
import { observeWorkload } from './observe-workload.ts';
import { type PartState, Reachability } from './reachability.ts';
import type { FeedContext } from './resource-feed.ts';
import { type ScaleAnswer, ScaleAnswers } from './scale-answers.ts';
import { refOf } from './select-annotated.ts';
import { type Finding, WorkloadCatalog } from './workload-catalog.ts';
import type { WorkloadRecord } from './workload-record.ts';

export interface ClusterViewOptions extends Omit<FeedContext, 'part'> {
  /** Empty: all of the cluster. */
  readonly namespaces: readonly string[];
  readonly discover: 'all' | 'labelled';
  readonly labelPrefix: string;
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
  readonly #catalog: WorkloadCatalog;
  readonly #answers = new ScaleAnswers();
  readonly #hindrances = new Map<string, string>();
  readonly #reachability: Reachability;
  readonly #namespaces: NamespaceCheck;

  constructor(options: ClusterViewOptions) {
    const { client, logger, namespaces, listener, clusterDomain } = options;
    this.#listener = listener;
    this.#clusterDomain = clusterDomain;
    this.#reachability = new Reachability((reachable, reason) => listener.reachable(reachable, reason));
    const part = (name: string, state: PartState | undefined) => this.#partChanged(name, state);
    const isEmpty = (name: string) => this.#catalog.isEmpty(name);
    this.#namespaces = new NamespaceCheck({ client, logger, namespaces, isEmpty, part });
    this.#catalog = new WorkloadCatalog({
      ...{ ...options, part },
      listener: {
        workload: (change) => this.#workloadChanged(change),
        service: (key) => this.#serviceChanged(key),
        synced: () => this.#synced(),
      },
    });
  }

  /** Resolves after the first look at everything, or its failure. */
  async start(signal: AbortSignal): Promise<void> {
    await this.#catalog.start();
    await this.#namespaces.check(signal);
  }

  /** Tells from now on whether the API server is reachable, beginning with now. */
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
        return { ...MISSING, detail };
      }
      case 'listed': {
        const { namespace, service: name } = workload;
        const service = this.#catalog.service(namespace, name);
        const slices = this.#catalog.slices(namespace, name);
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
    const finding = this.#catalog.find(ref);
    if (finding.kind !== 'listed') return finding;
    return { kind: 'listed', record: this.#answers.apply(toRef(ref), finding.record) };
  }

  /** The API server has answered to a call of our own. */
  answered(ref: ScalableRef, answer: ScaleAnswer): void {
    this.#answers.put(toRef(ref), answer);
    this.#listener.workload(workloadRefKey(toRef(ref)));
  }

  /** What hinders a wake that is under way; undefined where nothing does any more. */
  hindered(ref: ScalableRef, why: string | undefined): void {
    const key = workloadRefKey(toRef(ref));
    if (why === undefined && !this.#hindrances.delete(key)) return;
    if (why !== undefined) this.#hindrances.set(key, why);
    this.#listener.workload(key);
  }

  /** All workloads; undefined while they aren't known. */
  records(): readonly WorkloadRecord[] | undefined {
    return this.#catalog.all();
  }

  /** Whether the API server tells of this workload's changes now. */
  isSynced({ namespace, resource }: ScalableRef): boolean {
    return this.#catalog.isSynced(namespace, resource);
  }

  follow(ref: ScalableRef): void {
    this.#catalog.follow(ref);
  }

  unfollow(ref: ScalableRef): void {
    this.#catalog.unfollow(ref);
  }

  setLabelPrefix(labelPrefix: string): void {
    this.#catalog.setLabelPrefix(labelPrefix);
  }

  /** Asks again for what no watch tells. */
  recheck(signal: AbortSignal): Promise<void> {
    return this.#namespaces.check(signal);
  }

  close(): Promise<void> {
    return this.#catalog.close();
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
    // What may not be listed is not waited for.
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

function toRef({ resource, namespace, name }: ScalableRef): WorkloadRef {
  return { kind: 'kubernetes', resource, namespace, name };
}
