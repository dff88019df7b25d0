/**
 * One cluster, once the way to it is found. Input: the workloads that are followed, and what its watches bring. Output: what is
 * known of them, the requests that scale them, and what the listener is told. Loaded when a cluster is found: a proxy may live
 * without one.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { LabelPrefixes } from '../../model/label-names.ts';
import type { Observation } from '../../model/running/observation.ts';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  toWorkloadRef,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../../model/workload.ts';
import type { CallCounts } from '../../system/call-counts.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { LabelledWorkload, LabelOptions, SharedView } from '../backend.ts';
import { selectAnnotated } from './annotated-workloads.ts';
import { KubeClient } from './api/kube-client.ts';
import { isPassing } from './api/kube-errors.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { type ClusterListener, ClusterView, type ClusterViewOptions } from './cluster-view.ts';
import { explainStart } from './explain-start.ts';
import { LOSES_VOLUMES } from './observe-workload.ts';
import { RequestedPauses, type ScaleContext, scaleToZero, scaleUp } from './scale-workload.ts';
import { ContestWatch } from './sharing/contest-watch.ts';
import { WorkloadSharing } from './sharing/workload-sharing.ts';
import { refOf } from './workload-record.ts';

export interface ClusterOptions
  extends Pick<ClusterViewOptions, 'clock' | 'logger' | 'namespaces' | 'discover' | 'clusterDomain'> {
  readonly access: KubeAccess;
  readonly labelPrefixes: LabelPrefixes;
  /** A replica of the proxy that is silent for so long counts as dead. */
  readonly leaseDurationMs: number;
  /** Where the Leases are by which replicas share workloads; default: the proxy's own namespace. */
  readonly leaseNamespace: string | undefined;
  /** Tells the replicas apart; default: the machine's name and something random. */
  readonly identity?: string;
  readonly listener: Omit<ClusterListener, 'changed' | 'removed'> & {
    /** What other replicas of the proxy do with the same workloads. */
    shared(view: SharedView): void;
  };
}

/** Nothing is asked before `start()`. Whoever creates it closes it. */
export class Cluster {
  /** What the proxy itself runs in; undefined where that isn't known. */
  readonly own: WorkloadRef | undefined;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #client: KubeClient;
  readonly #view: ClusterView;
  readonly #sharing: WorkloadSharing;
  readonly #contest: ContestWatch;
  readonly #pauses: RequestedPauses;
  /** The warnings about starts that could not be explained: a refusal lasts, so each is logged once. */
  readonly #unexplained = new Set<string>();
  #labelPrefixes: LabelPrefixes;

  /** @throws {Error} where the API server's address can't be used. */
  constructor(options: ClusterOptions) {
    const { access, clock, logger, leaseNamespace, leaseDurationMs, identity, listener } = options;
    this.own = access.own && refOf(access.own);
    this.#clock = clock;
    this.#logger = logger;
    this.#labelPrefixes = options.labelPrefixes;
    this.#pauses = new RequestedPauses(clock);
    const client = new KubeClient({ access, clock });
    this.#client = client;
    const sharing = new WorkloadSharing({
      ...{ client, clock, logger, leaseDurationMs },
      namespace: leaseNamespace ?? access.namespace ?? 'default',
      identity: identity ?? createIdentity(),
      told: (view) => listener.shared(view),
    });
    this.#sharing = sharing;
    const contest = new ContestWatch({ clock, logger, contested: (keys) => sharing.setContested(keys) });
    this.#contest = contest;
    this.#view = new ClusterView({
      ...{ ...options, client },
      listener: {
        ...listener,
        changed: (before, after) => contest.changed(before, after),
        removed: (ref) => contest.removed(ref),
      },
    });
  }

  /** The calls of the API server. */
  get calls(): CallCounts {
    return this.#client.calls;
  }

  /** Resolves after the first look at everything, or its failure. */
  async start(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#view.start(signal), this.#sharing.start()]);
  }

  /** Tells whether the API server is reachable, now and on each change. */
  tellReachability(): void {
    this.#view.tellReachability();
  }

  follow(workload: KubernetesWorkload): void {
    this.#view.follow(workload);
  }

  unfollow(workload: KubernetesWorkload): void {
    this.#view.unfollow(workload);
  }

  observe(workload: KubernetesWorkload): Observation {
    return this.#view.observe(workload);
  }

  /** The workloads whose annotations try to opt in; undefined before all were listed. */
  listAnnotated(counted: LabelOptions): readonly LabelledWorkload[] | undefined {
    const records = this.#view.records();
    return records && selectAnnotated(records, counted);
  }

  setLabelPrefixes(labelPrefixes: LabelPrefixes): void {
    this.#labelPrefixes = labelPrefixes;
    this.#view.setLabelPrefixes(labelPrefixes);
  }

  setInUse(workload: string, use: { readonly inUse: boolean }): void {
    this.#sharing.setInUse(workload, use);
  }

  /** See `Backend.wake`. */
  async wake(ref: KubernetesWorkload, signal: AbortSignal): Promise<void> {
    try {
      await scaleUp(this.#scaleContext, { ref, scale: ref.scale, signal });
    } finally {
      this.#view.hindered(ref, undefined);
    }
  }

  /** See `Backend.sleep`. */
  async sleep(
    ref: KubernetesWorkload,
    { evenInUse, signal }: { readonly evenInUse: boolean; readonly signal: AbortSignal },
  ): Promise<void> {
    const what = `cannot scale ${describeWorkloadRef(toWorkloadRef(ref))} to 0`;
    if (this.own !== undefined && workloadRefKey(this.own) === workloadKey(ref))
      throw new Error(`${what}: the proxy itself runs in it`);
    if (!this.#view.isSynced(ref)) throw new Error(`${what}: the API server does not answer`);
    try {
      const finding = this.#view.find(ref);
      if (finding.kind === 'listed' && finding.record?.losesVolumes && !ref.allowDataLoss)
        throw new Error(LOSES_VOLUMES);
      const reason = evenInUse ? undefined : await this.#sharing.refuseSleep(workloadKey(ref));
      if (reason !== undefined) throw new Error(reason);
      const didIt = await scaleToZero(this.#scaleContext, { ref, signal });
      if (didIt) this.#contest.slept(toWorkloadRef(ref));
    } catch (cause) {
      throw new Error(`${what}: ${describeError(cause)}`, { cause });
    }
  }

  /** Why its pods aren't ready, as far as the API server tells; never rejects. */
  async explain(ref: KubernetesWorkload, signal: AbortSignal): Promise<string | undefined> {
    try {
      return await explainStart({ client: this.#client, ref, signal });
    } catch (error) {
      if (!signal.aborted) this.#tellUnexplained(error);
      return undefined;
    }
  }

  /** Looks again at what no watch tells. */
  recheck(signal: AbortSignal): Promise<void> {
    return this.#view.recheck(signal);
  }

  /** Leaves the workloads as they are. */
  async close(): Promise<void> {
    this.#contest.close();
    await Promise.all([this.#sharing.close(), this.#view.close()]);
    this.#client.close();
  }

  get #scaleContext(): ScaleContext {
    return {
      client: this.#client,
      view: this.#view,
      labelPrefixes: this.#labelPrefixes,
      clock: this.#clock,
      pauses: this.#pauses,
    };
  }

  /** Logs a refusal once. */
  #tellUnexplained(error: unknown): void {
    const message = `cannot ask why a start has failed: ${describeError(error)}`;
    if (isPassing(error) || this.#unexplained.has(message))
      return this.#logger.debug({ event: 'explain' }, message);
    this.#unexplained.add(message);
    this.#logger.warn({ event: 'explain' }, `${message}; everything else works without`);
  }
}

/** Never that of an earlier process on the same machine, whose Leases may still stand. */
function createIdentity(): string {
  return `${hostname()}-${randomBytes(4).toString('hex')}`;
}
