/**
 * Deployments and StatefulSets of a Kubernetes cluster behind the backend port. Input: what the API server's watches
 * bring. Output: calls of the sink. Guarantees: it never polls; a client of an awake workload costs no request, though
 * the workload's use is published; silence of the API server is never taken for an answer.
 */
import { setMaxListeners } from 'node:events';
import { type Observation, UNKNOWN } from '../../model/running/observation.ts';
import { type KubernetesWorkload, type Workload, workloadKey } from '../../model/workload.ts';
import { abortable } from '../../system/waiting/abortable.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import { describeError } from '../../system/message-of.ts';
import type { Backend, BackendSink, LabelOptions } from '../backend.ts';
import { LabelFeed } from '../label-feed.ts';
import { type Environment, loadKubeAccess } from './api/kube-config.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import type { Cluster, ClusterOptions } from './cluster.ts';
import { WatchedWorkloads } from './watched-workloads.ts';

export interface KubernetesBackendOptions
  extends LabelOptions,
    Omit<ClusterOptions, 'access' | 'labelPrefixes' | 'listener'> {
  /** Where the credentials are found. */
  readonly env: Environment;
  /** Default: the pod's service account, else a kubeconfig file. */
  readonly access?: KubeAccess;
}

/** A backend for the cluster that the environment names; nothing is loaded or connected before `open()`. */
export function createKubernetesBackend(options: KubernetesBackendOptions): KubernetesBackend {
  return new KubernetesBackend(options);
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
  readonly #connected: Promise<Cluster>;
  #connect: (cluster: Cluster) => void = () => {};
  #cluster: Cluster | undefined;
  #labelOptions: LabelOptions;
  #sink: BackendSink | undefined;
  #running: Promise<void> | undefined;

  /** The calls of the API server; undefined while there is none. */
  get calls(): Cluster['calls'] | undefined {
    return this.#cluster?.calls;
  }

  constructor(options: KubernetesBackendOptions) {
    const { clock } = options;
    this.#options = options;
    this.#labelOptions = options;
    // Every wake under way listens for the end: many are no leak.
    setMaxListeners(0, this.#lifetime.signal);
    this.#connected = new Promise((resolve) => {
      this.#connect = resolve;
    });
    this.#watched = new WatchedWorkloads({
      view: (workload) => this.#cluster?.observe(workload) ?? UNKNOWN,
      observed: (key, observation) => this.#sink?.observed(key, observation),
    });
    this.#feed = new LabelFeed({
      ...{ clock, labelOptions: options },
      select: (counted) => this.#cluster?.listAnnotated(counted),
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
    this.#cluster?.follow(target);
    return this.#watched.watch(target);
  }

  unwatch(workload: Workload): void {
    const target = kubernetesOf(workload);
    this.#watched.unwatch(target);
    this.#cluster?.unfollow(target);
  }

  async wake(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const cluster = await abortable(this.#connected, signal);
    const { signal: linked, unlink } = linkSignals([signal, this.#lifetime.signal]);
    try {
      await cluster.wake(kubernetesOf(workload), linked);
    } finally {
      unlink();
    }
  }

  async sleep(workload: Workload, { evenInUse }: { readonly evenInUse: boolean }): Promise<void> {
    if (this.#cluster === undefined) throw new Error('the Kubernetes API server does not answer');
    await this.#cluster.sleep(kubernetesOf(workload), { evenInUse, signal: this.#lifetime.signal });
  }

  async explain(workload: Workload): Promise<string | undefined> {
    return this.#cluster?.explain(kubernetesOf(workload), this.#lifetime.signal);
  }

  setInUse(workload: Workload, use: { readonly inUse: boolean }): void {
    const key = workloadKey(workload);
    if (use.inUse) this.#inUse.add(key);
    else this.#inUse.delete(key);
    this.#cluster?.setInUse(key, use);
  }

  /** Looks again at what no watch tells, as a safety net. */
  async recheck(): Promise<void> {
    await this.#cluster?.recheck(this.#lifetime.signal);
    this.#watched.lookAtAll();
  }

  /** Other annotations count from now on, after a reload. */
  setLabelOptions({ labels, labelPrefixes }: LabelOptions): void {
    this.#labelOptions = { labels, labelPrefixes };
    this.#cluster?.setLabelPrefixes(labelPrefixes);
    this.#feed.setLabelOptions(this.#labelOptions);
  }

  async close(): Promise<void> {
    this.#sink = undefined;
    this.#feed.close();
    this.#lifetime.abort(new Error('the proxy is shutting down'));
    await this.#cluster?.close();
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
    this.#cluster = cluster;
    for (const workload of this.#watched.list()) cluster.follow(workload);
    for (const key of this.#inUse) cluster.setInUse(key, { inUse: true });
    if (cluster.own !== undefined) this.#sink?.own?.([cluster.own]);
    this.#connect(cluster);
    await cluster.start(signal);
    if (signal.aborted) return;
    this.#feed.flush();
    this.#watched.lookAtAll();
    cluster.tellReachability();
  }

  /** Undefined where the backend was closed before. */
  async #findCluster(failed: () => void): Promise<Cluster | undefined> {
    const { env, access, clock } = this.#options;
    const { signal } = this.#lifetime;
    let told: string | undefined;
    for (let failures = 1; !signal.aborted; failures++) {
      try {
        const found = access ?? (await loadKubeAccess(env));
        const { Cluster } = await import('./cluster.ts');
        if (signal.aborted) return undefined;
        return new Cluster({ ...this.#clusterOptions, access: found });
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

  get #clusterOptions(): Omit<ClusterOptions, 'access'> {
    return {
      ...{ ...this.#options, labelPrefixes: this.#labelOptions.labelPrefixes },
      listener: {
        workload: (key) => this.#watched.look(key),
        service: (key) => this.#watched.lookAtService(key),
        synced: () => this.#watched.lookAtAll(),
        annotated: () => this.#feed.touch(),
        started: (ref) => this.#sink?.started?.(ref),
        reachable: (reachable, reason) => this.#sink?.reachable(reachable, reason),
        shared: (view) => this.#sink?.shared?.(view),
      },
    };
  }
}

function kubernetesOf(workload: Workload): KubernetesWorkload {
  if (workload.kind !== 'kubernetes') throw new TypeError(`a ${workload.kind} is not in Kubernetes`);
  return workload;
}
