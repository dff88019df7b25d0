import type { BackendSink, LabelledWorkload, SharedView } from '../../../src/backends/backend.ts';
import type { Observation } from '../../../src/model/running/observation.ts';
import { type WorkloadRef, workloadRefKey } from '../../../src/model/workload.ts';

/** A sink that remembers all that a backend can tell, and lets a test wait for what is to come. */
export class ClusterSink implements BackendSink {
  readonly observations: { readonly key: string; readonly observation: Observation }[] = [];
  readonly snapshots: (readonly LabelledWorkload[])[] = [];
  readonly reachability: (true | string)[] = [];
  /** Keys. */
  readonly starts: string[] = [];
  readonly views: SharedView[] = [];
  readonly owns: (readonly WorkloadRef[])[] = [];
  readonly #waiters = new Set<() => void>();

  observed(key: string, observation: Observation): void {
    this.observations.push({ key, observation });
    this.#wake();
  }

  labelled(snapshot: readonly LabelledWorkload[]): void {
    this.snapshots.push(snapshot);
    this.#wake();
  }

  started(ref: WorkloadRef): void {
    this.starts.push(workloadRefKey(ref));
    this.#wake();
  }

  reachable(reachable: boolean, reason = ''): void {
    this.reachability.push(reachable || reason);
    this.#wake();
  }

  own(refs: readonly WorkloadRef[]): void {
    this.owns.push(refs);
  }

  shared(view: SharedView): void {
    this.views.push(view);
    this.#wake();
  }

  last(key: string): Observation | undefined {
    return this.observations.findLast((told) => told.key === key)?.observation;
  }

  /** One after the other, each told once however often it was repeated. */
  states(key: string): readonly string[] {
    const states = this.observations
      .filter((told) => told.key === key)
      .map(({ observation }) => observation.state);
    return states.filter((state, index) => state !== states[index - 1]);
  }

  /** Of the last snapshot, by key. */
  labels(): Readonly<Record<string, Readonly<Record<string, string>>>> {
    const snapshot = this.snapshots.at(-1) ?? [];
    return Object.fromEntries(snapshot.map(({ ref, labels }) => [workloadRefKey(ref), labels]));
  }

  /** Resolves as soon as `isTrue` holds of what was told. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  untilState(key: string, state: Observation['state']): Promise<void> {
    return this.until(() => this.last(key)?.state === state);
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
