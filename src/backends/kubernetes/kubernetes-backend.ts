/**
 * Deployments and StatefulSets of a Kubernetes cluster behind the backend port. Input: what the API server's watches
 * bring. Output: what the sink is told. Guarantees: asks for nothing by the clock, and for nothing at all on behalf of a
 * client of an awake workload, but publishes which workloads are in use; never takes silence for an answer.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Observation, UNKNOWN } from '../../model/observation.ts';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  type Workload,
  type WorkloadRef,
  workloadKey,
  workloadRefKey,
} from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { Backend, BackendSink } from '../backend.ts';
import { LabelFeed, type LabelOptions } from '../label-feed.ts';
import { ClusterConnection } from './cluster-connection.ts';
import { ClusterSession } from './cluster-session.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import type { Environment } from './api/kube-config.ts';
import { selectAnnotated } from './select-annotated.ts';
import { WorkloadObserver } from './workload-observer.ts';

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
  /** After which a replica of the proxy that is silent counts as dead. */
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

/** Whoever opens it closes it. */
export class KubernetesBackend implements Backend {
  readonly kind = 'kubernetes';
  readonly ownsWorkloads = false;
  readonly #options: KubernetesBackendOptions;
  readonly #observer: WorkloadObserver;
  readonly #feed: LabelFeed;
  readonly #connection: ClusterConnection;
  #labelOptions: LabelOptions;
  #sink: BackendSink | undefined;
  /** What the proxy itself runs in. */
  #own: WorkloadRef | undefined;

  constructor(options: KubernetesBackendOptions) {
    const { clock } = options;
    this.#options = options;
    this.#labelOptions = options;
    this.#observer = new WorkloadObserver({
      view: (workload) => this.#session?.view.observe(workload) ?? UNKNOWN,
      observed: (key, observation) => this.#sink?.observed(key, observation),
    });
    this.#feed = new LabelFeed({
      ...{ clock, labelOptions: options },
      select: (counted) => {
        const records = this.#session?.view.records();
        return records && selectAnnotated(records, counted);
      },
      tell: (snapshot) => this.#sink?.labelled(snapshot),
    });
    this.#connection = new ClusterConnection({
      ...{ env: options.env, access: options.access, clock },
      createSession: (access) => this.#createSession(access),
      started: (session) => this.#started(session),
      failed: (reason) => this.#sink?.reachable(false, reason),
    });
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
    await this.#connection.open();
  }

  watch(workload: Workload): Observation {
    const target = kubernetesOf(workload);
    this.#session?.view.follow(target);
    return this.#observer.watch(target);
  }

  unwatch(workload: Workload): void {
    const target = kubernetesOf(workload);
    this.#observer.unwatch(target);
    this.#session?.view.unfollow(target);
  }

  async wake(workload: Workload, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const session = await this.#connection.whenConnected(signal);
    await session.wake(kubernetesOf(workload), signal);
  }

  async sleep(workload: Workload, options: { readonly evenInUse: boolean }): Promise<void> {
    const target = kubernetesOf(workload);
    if (this.#session === undefined) throw new Error('the Kubernetes API server does not answer');
    if (this.#own !== undefined && workloadRefKey(this.#own) === workloadKey(target))
      throw new Error(`cannot scale ${describeWorkloadRef(this.#own)} to 0: the proxy itself runs in it`);
    await this.#session.sleep(target, options);
  }

  async explain(workload: Workload): Promise<string | undefined> {
    return this.#session?.explain(kubernetesOf(workload));
  }

  setInUse(workload: Workload, use: { readonly inUse: boolean }): void {
    this.#connection.setInUse(workloadKey(workload), use);
  }

  /** Looks again at what no watch tells, as a safety net. */
  async recheck(): Promise<void> {
    await this.#session?.recheck();
    this.#observer.lookAtAll();
  }

  /** Other annotations count from now on, after a reload. */
  setLabelOptions({ labels, labelPrefix }: LabelOptions): void {
    this.#labelOptions = { labels, labelPrefix };
    this.#session?.setLabelPrefix(labelPrefix);
    this.#feed.setLabelOptions(this.#labelOptions);
  }

  async close(): Promise<void> {
    this.#sink = undefined;
    this.#feed.close();
    await this.#connection.close();
  }

  /** Workloads are left as they are: the same as `close()`, without waiting for it. */
  destroy(): void {
    void this.close();
  }

  get #session(): ClusterSession | undefined {
    return this.#connection.session;
  }

  #createSession(access: KubeAccess): ClusterSession {
    const { leaseNamespace, identity } = this.#options;
    const session = new ClusterSession({
      ...this.#options,
      access,
      labelPrefix: this.#labelOptions.labelPrefix,
      leaseNamespace: leaseNamespace ?? access.namespace ?? 'default',
      identity: identity ?? createIdentity(),
      listener: {
        workload: (key) => this.#observer.look(key),
        service: (key) => this.#observer.lookAtService(key),
        synced: () => this.#observer.lookAtAll(),
        annotated: () => this.#feed.touch(),
        started: (ref) => this.#sink?.started?.(ref),
        reachable: (reachable, reason) => this.#sink?.reachable(reachable, reason),
        shared: (view) => this.#sink?.shared?.(view),
      },
    });
    for (const workload of this.#observer.workloads()) session.view.follow(workload);
    this.#own = access.own && { kind: 'kubernetes', ...access.own };
    if (this.#own !== undefined) this.#sink?.own?.([this.#own]);
    return session;
  }

  /** The first look is over. */
  #started(session: ClusterSession): void {
    this.#feed.flush();
    this.#observer.lookAtAll();
    session.view.tellReachability();
  }
}

/** Other than that of the process before on the same machine, whose Leases may still stand. */
function createIdentity(): string {
  return `${hostname()}-${randomBytes(4).toString('hex')}`;
}

function kubernetesOf(workload: Workload): KubernetesWorkload {
  if (workload.kind !== 'kubernetes') throw new TypeError(`a ${workload.kind} is not in Kubernetes`);
  return workload;
}
