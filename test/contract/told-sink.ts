import type { Backend, BackendSink, LabelledWorkload, SharedView } from '../../src/backends/backend.ts';
import type { Observation } from '../../src/model/running/observation.ts';
import { type Workload, type WorkloadRef, workloadKey, workloadRefKey } from '../../src/model/workload.ts';

const UNTIL_TIMEOUT_MS = 30_000;

/** A sink that remembers what it was told, and lets a test wait for what is to come. */
export class ToldSink implements BackendSink {
  readonly observations: { readonly key: string; readonly observation: Observation }[] = [];
  readonly startedKeys: string[] = [];
  readonly reachability: { readonly reachable: boolean; readonly reason: string | undefined }[] = [];
  /** The last one that was told. */
  labels: readonly LabelledWorkload[] = [];
  view: SharedView | undefined;
  readonly #looks = new Set<() => void>();

  observed(key: string, observation: Observation): void {
    this.observations.push({ key, observation });
    this.#look();
  }

  labelled(snapshot: readonly LabelledWorkload[]): void {
    this.labels = snapshot;
    this.#look();
  }

  started(ref: WorkloadRef): void {
    this.startedKeys.push(workloadRefKey(ref));
    this.#look();
  }

  reachable(reachable: boolean, reason?: string): void {
    this.reachability.push({ reachable, reason });
    this.#look();
  }

  shared(view: SharedView): void {
    this.view = view;
    this.#look();
  }

  /** Has the workload watched; what is known of it counts as told. */
  watch(backend: Backend, workload: Workload): void {
    const key = workloadKey(workload);
    this.observed(key, backend.watch(workload));
  }

  isReachable(): boolean {
    return this.reachability.at(-1)?.reachable === true;
  }

  last(key: string): Observation | undefined {
    return this.observations.findLast((told) => told.key === key)?.observation;
  }

  state(key: string): string | undefined {
    return this.last(key)?.state;
  }

  /** Resolves as soon as `holds` of what was told. */
  until(holds: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        this.#looks.delete(look);
        clearTimeout(timer);
        finish();
      };
      const look = () => {
        if (holds()) settle(resolve);
      };
      const fail = () => settle(() => reject(new Error(`never told: ${what}; but ${this.#describe()}`)));
      const timer = setTimeout(fail, UNTIL_TIMEOUT_MS);
      this.#looks.add(look);
      look();
    });
  }

  /** Resolves as soon as this was told of it last. */
  async untilState(key: string, state: Observation['state']): Promise<void> {
    await this.until(() => this.state(key) === state, `${key} ${state}`);
  }

  #look(): void {
    for (const look of [...this.#looks]) look();
  }

  #describe(): string {
    const told = this.observations.map(({ key, observation }) => `${key} ${observation.state}`);
    return JSON.stringify({ told, reachability: this.reachability, labels: this.labels, view: this.view });
  }
}
