/**
 * Deployments and StatefulSets of a Kubernetes cluster behind the backend port. Input: what the API server's watches
 * bring. Output: calls of the sink. Guarantees: it never polls; a client of an awake workload costs no request, though
 * the workload's use is published; silence of the API server is never taken for an answer.
 */
import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { hostname } from 'node:os';
import { type Observation, UNKNOWN } from '../../model/observation.ts';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  toWorkloadRef,
  type Workload,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../../model/workload.ts';
import { abortable } from '../../system/abortable.ts';
import { backoffMs } from '../../system/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { Backend, BackendSink, LabelOptions } from '../backend.ts';
import { LabelFeed } from '../label-feed.ts';
import { selectAnnotated } from './annotated-workloads.ts';
import { KubeClient } from './api/kube-client.ts';
import { type Environment, loadKubeAccess } from './api/kube-config.ts';
import { isPassing } from './api/kube-errors.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { ClusterView } from './cluster-view.ts';
import { explainStart } from './explain-start.ts';
import { LOSES_VOLUMES } from './observe-workload.ts';
import { RequestedPauses, type ScaleContext, scaleToZero, scaleUp } from './scale-workload.ts';
import { ContestWatch } from './sharing/contest-watch.ts';
import { WorkloadSharing } from './sharing/workload-sharing.ts';
import { WatchedWorkloads } from './watched-workloads.ts';
import { refOf } from './workload-record.ts';

export interface KubernetesBackendOptions extends LabelOptions {
  /** Where the credentials are found. */
  readonly env: Environment;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Empty: all of the cluster. */
  readonly namespaces: readonly string[];
  /** `labelled`: only workloads with the opting-in label, and those of the file, are listed; `all`: everything is. */
  readonly discover: 'all' | 'labelled';
  /** Of Service names; for example `cluster.local`. */
  readonly clusterDomain: string;
  /** A replica of the proxy that is silent for so long counts as dead. */
  readonly leaseDurationMs: number;
  /** Where the Leases are by which replicas share workloads; default: the proxy's own namespace. */
  readonly leaseNamespace: string | undefined;
  /** Tells the replicas apart; default: the machine's name and something random. */
  readonly identity?: string;
  /** Default: the pod's service account, else a kubeconfig file. */
  readonly access?: KubeAccess;
}

/** A backend for the cluster that the environment names; nothing is loaded or connected before `open()`. */
export function createKubernetesBackend(options: KubernetesBackendOptions): KubernetesBackend {
  return new KubernetesBackend(options);
}

/** What there is once the way to a cluster is found. */
interface Cluster {
  readonly client: KubeClient;
  readonly view: ClusterView;
  readonly sharing: WorkloadSharing;
  readonly contest: ContestWatch;
}

/** A kubeconfig may appear later. */
const RETRY_ACCESS = { firstMs: 1_000, maxMs: 30_000 };

/** Whoever opens it closes it. */
export class KubernetesBackend implements Backend {
  readonly kind = 'kubernetes';
  readonly ownsWorkloads = false;
  readonly #options: KubernetesBackendOptions;
  readonly #lifetime = new AbortController();
  readonly #watched: WatchedWorkloads;
  readonly #feed: LabelFeed;
  /** Keys of the workloads that clients use; a cluster that is found later is told of them. */
  readonly #inUse = new Set<string>();
  readonly #pauses: RequestedPauses;
  /** The warnings about starts that could not be explained: a refusal lasts, so each is logged once. */
  readonly #unexplained = new Set<string>();
  readonly #connected: Promise<Cluster>;
  #connect: (cluster: Cluster) => void = () => {};
  #cluster: Cluster | undefined;
  #labelOptions: LabelOptions;
  #sink: BackendSink | undefined;
  /** What the proxy itself runs in. */
  #own: WorkloadRef | undefined;
  #running: Promise<void> | undefined;

  /** The calls of the API server; undefined while there is none. */
  get calls(): KubeClient['calls'] | undefined {
    return this.#cluster?.client.calls;
  }

  constructor(options: KubernetesBackendOptions) {
    const { clock } = options;
    this.#options = options;
    this.#labelOptions = options;
    this.#pauses = new RequestedPauses(clock);
    // Every wake under way listens for the end: many are no leak.
    setMaxListeners(0, this.#lifetime.signal);
    this.#connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    this.#watched = new WatchedWorkloads({
      view: (workload) => this.#cluster?.view.observe(workload) ?? UNKNOWN,
      observed: (key, observation) => this.#sink?.observed(key, observation),
    });
    this.#feed = new LabelFeed({
      ...{ clock, labelOptions: options },
      select: (counted) => {
        const records = this.#cluster?.view.records();
        return records && selectAnnotated(records, counted);
      },
      tell: (snapshot) => this.#sink?.labelled(snapshot),
    });
  }

  open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
    return new Promise((resolve) => {
      this.#running ??= this.#run(resolve).finally(resolve);
    });
  }

  watch(workload: Workload): Observation {
    const target = kubernetesOf(workload);
    this.#cluster?.view.follow(target);
    return this.#watched.watch(target);
  }

  unwatch(workload: Workload): void {
    const target = kubernetesOf(workload);
    this.#watched.unwatch(target);
    this.#cluster?.view.unfollow(target);
  }

  async wake(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const cluster = await abortable(this.#connected, signal);
    const ref = kubernetesOf(workload);
    const { signal: linked, unlink } = linkSignals([signal, this.#lifetime.signal]);
    try {
      await scaleUp(this.#scaleContext(cluster), { ref, scale: ref.scale, signal: linked });
    } finally {
      cluster.view.hindered(ref, undefined);
      unlink();
    }
  }

  async sleep(workload: Workload, { evenInUse }: { readonly evenInUse: boolean }): Promise<void> {
    const ref = kubernetesOf(workload);
    const cluster = this.#cluster;
    const what = `cannot scale ${describeWorkloadRef(toWorkloadRef(ref))} to 0`;
    if (cluster === undefined) throw new Error('the Kubernetes API server does not answer');
    if (this.#own !== undefined && workloadRefKey(this.#own) === workloadKey(ref))
      throw new Error(`${what}: the proxy itself runs in it`);
    const { view, sharing, contest } = cluster;
    if (!view.isSynced(ref)) throw new Error(`${what}: the API server does not answer`);
    try {
      const finding = view.find(ref);
      if (finding.kind === 'listed' && finding.record?.losesVolumes && !ref.allowDataLoss)
        throw new Error(LOSES_VOLUMES);
      const reason = evenInUse ? undefined : await sharing.refuseSleep(workloadKey(ref));
      if (reason !== undefined) throw new Error(reason);
      const { signal } = this.#lifetime;
      const didIt = await scaleToZero(this.#scaleContext(cluster), { ref, signal });
      if (didIt) contest.slept(toWorkloadRef(ref));
    } catch (cause) {
      throw new Error(`${what}: ${describeError(cause)}`, { cause });
    }
  }

  /** Why its pods aren't ready, as far as the API server tells. */
  async explain(workload: Workload): Promise<string | undefined> {
    const { signal } = this.#lifetime;
    if (this.#cluster === undefined) return undefined;
    const { client } = this.#cluster;
    try {
      return await explainStart({ client, ref: kubernetesOf(workload), signal });
    } catch (error) {
      if (!signal.aborted) this.#tellUnexplained(error);
      return undefined;
    }
  }

  setInUse(workload: Workload, use: { readonly inUse: boolean }): void {
    const key = workloadKey(workload);
    if (use.inUse) this.#inUse.add(key);
    else this.#inUse.delete(key);
    this.#cluster?.sharing.setInUse(key, use);
  }

  /** Looks again at what no watch tells, as a safety net. */
  async recheck(): Promise<void> {
    await this.#cluster?.view.recheck(this.#lifetime.signal);
    this.#watched.lookAtAll();
  }

  /** Other annotations count from now on, after a reload. */
  setLabelOptions({ labels, labelPrefixes }: LabelOptions): void {
    this.#labelOptions = { labels, labelPrefixes };
    this.#cluster?.view.setLabelPrefixes(labelPrefixes);
    this.#feed.setLabelOptions(this.#labelOptions);
  }

  async close(): Promise<void> {
    this.#sink = undefined;
    this.#feed.close();
    this.#lifetime.abort(new Error('the proxy is shutting down'));
    if (this.#cluster !== undefined) {
      const { client, view, sharing, contest } = this.#cluster;
      contest.close();
      await Promise.all([sharing.close(), view.close()]);
      client.close();
    }
    await this.#running;
  }

  /** Workloads are left as they are: the same as `close()`, without waiting for it. */
  destroy(): void {
    void this.close();
  }

  /** Finds a cluster, however long that takes, and has a first look at it. @param failed there is none yet. */
  async #run(failed: () => void): Promise<void> {
    const { signal } = this.#lifetime;
    const cluster = await this.#findCluster(failed);
    if (cluster === undefined) return;
    const { view, sharing } = cluster;
    this.#cluster = cluster;
    for (const key of this.#inUse) sharing.setInUse(key, { inUse: true });
    this.#connect(cluster);
    await Promise.all([view.start(signal), sharing.start()]);
    if (signal.aborted) return;
    this.#feed.flush();
    this.#watched.lookAtAll();
    view.tellReachability();
  }

  /** Undefined where the backend was closed before. */
  async #findCluster(failed: () => void): Promise<Cluster | undefined> {
    const { env, access, clock } = this.#options;
    const { signal } = this.#lifetime;
    let told: string | undefined;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const found = access ?? (await loadKubeAccess(env));
        if (signal.aborted) return undefined;
        return this.#createCluster(found);
      } catch (error) {
        const reason = describeError(error);
        if (reason !== told && !signal.aborted) this.#sink?.reachable(false, reason);
        told = reason;
        failed();
      }
      await clock.sleep(backoffMs(failures, RETRY_ACCESS), signal).catch(() => {});
    }
    return undefined;
  }

  /** Nothing is asked yet. @throws {Error} where the API server's address can't be used. */
  #createCluster(access: KubeAccess): Cluster {
    const { clock, logger, leaseNamespace, leaseDurationMs, identity } = this.#options;
    const client = new KubeClient({ access, clock });
    const sharing = new WorkloadSharing({
      ...{ client, clock, logger, leaseDurationMs },
      namespace: leaseNamespace ?? access.namespace ?? 'default',
      identity: identity ?? createIdentity(),
      told: (view) => this.#sink?.shared?.(view),
    });
    const contest = new ContestWatch({ clock, logger, contested: (keys) => sharing.setContested(keys) });
    const view = new ClusterView({
      ...{ ...this.#options, client, labelPrefixes: this.#labelOptions.labelPrefixes },
      listener: {
        workload: (key) => this.#watched.look(key),
        service: (key) => this.#watched.lookAtService(key),
        synced: () => this.#watched.lookAtAll(),
        annotated: () => this.#feed.touch(),
        changed: (before, after) => contest.changed(before, after),
        removed: (ref) => contest.removed(ref),
        started: (ref) => this.#sink?.started?.(ref),
        reachable: (reachable, reason) => this.#sink?.reachable(reachable, reason),
      },
    });
    for (const workload of this.#watched.list()) view.follow(workload);
    this.#own = access.own && refOf(access.own);
    if (this.#own !== undefined) this.#sink?.own?.([this.#own]);
    return { client, view, sharing, contest };
  }

  #scaleContext({ client, view }: Cluster): ScaleContext {
    const { labelPrefixes } = this.#labelOptions;
    return { client, view, labelPrefixes, clock: this.#options.clock, pauses: this.#pauses };
  }

  /** Logs a refusal once. */
  #tellUnexplained(error: unknown): void {
    const { logger } = this.#options;
    const message = `cannot ask why a start has failed: ${describeError(error)}`;
    if (isPassing(error) || this.#unexplained.has(message))
      return logger.debug({ event: 'explain' }, message);
    this.#unexplained.add(message);
    logger.warn({ event: 'explain' }, `${message}; everything else works without`);
  }
}

/** Never that of an earlier process on the same machine, whose Leases may still stand. */
function createIdentity(): string {
  return `${hostname()}-${randomBytes(4).toString('hex')}`;
}

function kubernetesOf(workload: Workload): KubernetesWorkload {
  if (workload.kind !== 'kubernetes') throw new TypeError(`a ${workload.kind} is not in Kubernetes`);
  return workload;
}
