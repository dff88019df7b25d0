import { setMaxListeners } from 'node:events';
import {
  describeWorkloadRef,
  type KubernetesWorkload,
  toWorkloadRef,
  workloadKey,
} from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import { linkSignals } from '../../system/link-signals.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { SharedView } from '../backend.ts';
import { type ClusterListener, ClusterView, type ClusterViewOptions } from './cluster-view.ts';
import { ContestWatch } from './sharing/contest-watch.ts';
import { explainStart } from './explain-start.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { KubeClient } from './api/kube-client.ts';
import { isPassing } from './api/kube-errors.ts';
import { LOSES_VOLUMES } from './observe-workload.ts';
import { RequestedPauses } from './requested-pauses.ts';
import { type ScaleContext, scaleToZero, scaleUp } from './scale-workload.ts';
import { WorkloadSharing } from './sharing/workload-sharing.ts';

export interface ClusterSessionOptions extends Omit<ClusterViewOptions, 'client' | 'listener'> {
  readonly access: KubeAccess;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly leaseDurationMs: number;
  /** Where the Leases are by which replicas of the proxy share workloads. */
  readonly leaseNamespace: string;
  /** Tells the replicas apart. */
  readonly identity: string;
  readonly listener: SessionListener;
}

export interface SessionListener extends Omit<ClusterListener, 'changed' | 'removed'> {
  shared(view: SharedView): void;
}

/** The work with one cluster, from its credentials on. Whoever creates it closes it. */
export class ClusterSession {
  readonly view: ClusterView;
  readonly #options: ClusterSessionOptions;
  readonly #client: KubeClient;
  readonly #sharing: WorkloadSharing;
  readonly #contest: ContestWatch;
  readonly #lifetime = new AbortController();
  readonly #pauses: RequestedPauses;
  readonly #unexplained = new Set<string>();
  #labelPrefix: string;

  /** @throws {Error} where the API server's address can't be used. */
  constructor(options: ClusterSessionOptions) {
    const { access, clock, logger, listener, leaseNamespace: namespace } = options;
    this.#options = options;
    this.#pauses = new RequestedPauses(clock);
    this.#labelPrefix = options.labelPrefix;
    // Every wake under way listens for the end: many are no leak.
    setMaxListeners(0, this.#lifetime.signal);
    const client = new KubeClient({ access, clock });
    this.#client = client;
    const { identity, leaseDurationMs } = options;
    const told = (view: SharedView) => listener.shared(view);
    const parts = { client, clock, logger, namespace, identity, leaseDurationMs, told };
    const sharing = new WorkloadSharing(parts);
    this.#sharing = sharing;
    const contested = (keys: ReadonlySet<string>) => sharing.setContested(keys);
    const contest = new ContestWatch({ clock, logger, contested });
    this.#contest = contest;
    this.view = new ClusterView({
      ...{ ...options, client },
      listener: {
        workload: (key) => listener.workload(key),
        service: (key) => listener.service(key),
        synced: () => listener.synced(),
        annotated: () => listener.annotated(),
        started: (ref) => listener.started(ref),
        reachable: (reachable, reason) => listener.reachable(reachable, reason),
        changed: (before, after) => contest.changed(before, after),
        removed: (ref) => contest.removed(ref),
      },
    });
  }

  /** Resolves after the first look at everything, or its failure. */
  async start(): Promise<void> {
    await Promise.all([this.view.start(this.#lifetime.signal), this.#sharing.start()]);
  }

  /** @throws {WakeError} when the API server refuses; the signal's reason when it aborts. */
  async wake(ref: KubernetesWorkload, signal: AbortSignal): Promise<void> {
    const { signal: linked, unlink } = linkSignals([signal, this.#lifetime.signal]);
    try {
      await scaleUp(this.#scaleContext(), { ref, signal: linked });
    } finally {
      this.view.hindered(ref, undefined);
      unlink();
    }
  }

  /** @throws {Error} where the API server doesn't answer or refuses, or another proxy uses the workload. */
  async sleep(ref: KubernetesWorkload, { evenInUse }: { readonly evenInUse: boolean }): Promise<void> {
    const what = `cannot scale ${describeWorkloadRef(toWorkloadRef(ref))} to 0`;
    if (!this.view.isSynced(ref)) throw new Error(`${what}: the API server does not answer`);
    try {
      const finding = this.view.find(ref);
      if (finding.kind === 'listed' && finding.record?.losesVolumes && !ref.allowDataLoss)
        throw new Error(LOSES_VOLUMES);
      const reason = evenInUse ? undefined : await this.#sharing.refuseSleep(workloadKey(ref));
      if (reason !== undefined) throw new Error(reason);
      const didIt = await scaleToZero(this.#scaleContext(), { ref, signal: this.#lifetime.signal });
      if (didIt) this.#contest.slept(toWorkloadRef(ref));
    } catch (cause) {
      throw new Error(`${what}: ${describeError(cause)}`, { cause });
    }
  }

  /** Why its pods aren't ready, as far as the API server tells. Never rejects. */
  async explain(ref: KubernetesWorkload): Promise<string | undefined> {
    const { signal } = this.#lifetime;
    try {
      return await explainStart({ client: this.#client, ref, signal });
    } catch (error) {
      if (!signal.aborted) this.#tellUnexplained(error);
      return undefined;
    }
  }

  setInUse(key: string, use: { readonly inUse: boolean }): void {
    this.#sharing.setInUse(key, use);
  }

  setLabelPrefix(labelPrefix: string): void {
    this.#labelPrefix = labelPrefix;
    this.view.setLabelPrefix(labelPrefix);
  }

  recheck(): Promise<void> {
    return this.view.recheck(this.#lifetime.signal);
  }

  /** Gives back what it holds, and ends. Idempotent. */
  async close(): Promise<void> {
    this.#lifetime.abort(new Error('the proxy is shutting down'));
    this.#contest.close();
    await Promise.all([this.#sharing.close(), this.view.close()]);
    this.#client.close();
  }

  /** What is refused stays so until somebody gives the right: it is told once. */
  #tellUnexplained(error: unknown): void {
    const { logger } = this.#options;
    const message = `cannot ask why a start has failed: ${describeError(error)}`;
    if (isPassing(error) || this.#unexplained.has(message))
      return logger.debug({ event: 'explain' }, message);
    this.#unexplained.add(message);
    logger.warn({ event: 'explain' }, `${message}; everything else works without`);
  }

  #scaleContext(): ScaleContext {
    const { view } = this;
    return {
      client: this.#client,
      clock: this.#options.clock,
      labelPrefix: this.#labelPrefix,
      find: (ref) => view.find(ref),
      answered: (ref, answer) => view.answered(ref, answer),
      hindered: (ref, why) => view.hindered(ref, why),
      pauses: this.#pauses,
    };
  }
}
