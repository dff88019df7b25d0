import { describeWorkloadRef, type WorkloadRef, workloadRefKey } from '../../../model/workload.ts';
import type { Cancel, Clock } from '../../../system/clock.ts';
import type { Logger } from '../../../system/log/logger.ts';
import { judge, RETRY_AFTER_MS, type ReplicasStep, type Standing, UNCONTESTED } from './contest.ts';
import { refOf, type WorkloadRecord } from '../workload-record.ts';

export interface ContestWatchOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Called on each change, with the keys of all workloads that are contested now. */
  readonly contested: (keys: ReadonlySet<string>) => void;
}

/**
 * Follows the workloads that the proxy has put to sleep, and tells which of them something else keeps awake. Owns timers:
 * `close()`.
 */
export class ContestWatch {
  readonly #options: ContestWatchOptions;
  /** The standings of workloads that the proxy has put to sleep, by key. */
  readonly #standings = new Map<string, Standing>();
  readonly #warned = new Set<string>();
  /** Timers of contested workloads, by key. */
  readonly #retries = new Map<string, Cancel>();

  constructor(options: ContestWatchOptions) {
    this.#options = options;
  }

  /** The proxy has put a workload to sleep. */
  slept(ref: WorkloadRef): void {
    const key = workloadRefKey(ref);
    const step = { kind: 'slept', atMs: this.#options.clock.monotonicMs() } as const;
    this.#standings.set(key, judge(this.#standings.get(key) ?? UNCONTESTED, step));
  }

  /** The watch has brought a change. */
  changed(before: WorkloadRecord | undefined, after: WorkloadRecord): void {
    const ref = refOf(after);
    const standing = this.#standings.get(workloadRefKey(ref));
    if (standing === undefined || before === undefined) return;
    const isOtherwise = after.generation !== before.generation && after.replicas === before.replicas;
    if (isOtherwise) return this.#reconsider(ref, 'its spec was changed');
    const step: ReplicasStep = {
      kind: 'changed',
      atMs: this.#options.clock.monotonicMs(),
      before: before.replicas,
      after: after.replicas,
      managers: after.replicasManagers,
    };
    this.#replace(ref, { standing, next: judge(standing, step), replicas: after.replicas });
  }

  /** A workload was deleted: a later one of its name is another workload. */
  removed(ref: WorkloadRef): void {
    const standing = this.#standings.get(workloadRefKey(ref));
    if (standing !== undefined) this.#replace(ref, { standing, next: UNCONTESTED, replicas: 0 });
  }

  /** Tells nothing more. Idempotent. */
  close(): void {
    for (const cancel of this.#retries.values()) cancel();
    this.#retries.clear();
  }

  /** A contested workload may be put to sleep again; where that is undone once more, it is contested as before. */
  #reconsider(ref: WorkloadRef, why: string): void {
    const standing = this.#standings.get(workloadRefKey(ref));
    if (standing?.contestedBy === undefined) return;
    const workload = describeWorkloadRef(ref);
    this.#options.logger.info(
      { event: 'contest-over', workload },
      `${workload} is put to sleep again when it idles, to see whether that holds: ${why}`,
    );
    this.#replace(ref, { standing, next: judge(standing, { kind: 'reconsidered' }), replicas: 0 });
  }

  #replace(
    ref: WorkloadRef,
    step: { readonly standing: Standing; readonly next: Standing; readonly replicas: number },
  ): void {
    const { standing, next, replicas } = step;
    const key = workloadRefKey(ref);
    if (next === UNCONTESTED) this.#standings.delete(key);
    else this.#standings.set(key, next);
    const { contestedBy } = next;
    if ((contestedBy === undefined) === (standing.contestedBy === undefined)) return;
    this.#retries.get(key)?.();
    this.#retries.delete(key);
    if (contestedBy !== undefined) {
      this.#warn(ref, { contestedBy, replicas });
      const retry = () => this.#reconsider(ref, 'an hour has passed');
      this.#retries.set(key, this.#options.clock.schedule(RETRY_AFTER_MS, retry));
    }
    const contested = [...this.#standings].filter(([, { contestedBy }]) => contestedBy !== undefined);
    this.#options.contested(new Set(contested.map(([key]) => key)));
  }

  #warn(
    ref: WorkloadRef,
    { contestedBy, replicas }: { readonly contestedBy: string; readonly replicas: number },
  ): void {
    const key = workloadRefKey(ref);
    if (this.#warned.has(key)) return;
    this.#warned.add(key);
    const workload = describeWorkloadRef(ref);
    this.#options.logger.warn(
      { event: 'contested', workload, manager: contestedBy, replicas },
      `${contestedBy} sets replicas of ${workload} back to ${replicas}, so it is left awake; ` +
        'an HPA or a GitOps tool that owns replicas has to ignore them, see docs/kubernetes.md; its sleep is tried again in an hour, ' +
        `or when its spec is changed, or once it is scaled to 0 by hand${howToScale(ref)}`,
    );
  }
}

/** The command, for people. */
function howToScale(ref: WorkloadRef): string {
  if (ref.kind !== 'kubernetes') return '';
  const { namespace, resource, name } = ref;
  return `: kubectl -n ${namespace} scale ${resource}/${name} --replicas=0`;
}
