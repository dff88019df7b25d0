import type { BackendSink, LabelledWorkload } from '../../src/backends/backend.ts';
import type { Observation } from '../../src/model/running/observation.ts';
import type { WorkloadRef } from '../../src/model/workload.ts';

/** A sink that remembers what it was told, and lets a test wait for what is to come. */
export class RecordingSink implements BackendSink {
  readonly observations: { readonly key: string; readonly observation: Observation }[] = [];
  /** Ends of runs, and how many observations came before each. */
  readonly ends: { readonly key: string; readonly byOthers: boolean; readonly after: number }[] = [];
  readonly snapshots: (readonly LabelledWorkload[])[] = [];
  readonly reachability: { readonly reachable: boolean; readonly reason: string | undefined }[] = [];
  readonly owns: (readonly WorkloadRef[])[] = [];
  readonly starts: WorkloadRef[] = [];
  readonly #waiters = new Set<() => void>();

  observed(key: string, observation: Observation): void {
    this.observations.push({ key, observation });
    this.#wake();
  }

  runEnded(key: string, { byOthers }: { readonly byOthers: boolean }): void {
    this.ends.push({ key, byOthers, after: this.observations.length });
    this.#wake();
  }

  labelled(snapshot: readonly LabelledWorkload[]): void {
    this.snapshots.push(snapshot);
    this.#wake();
  }

  own(refs: readonly WorkloadRef[]): void {
    this.owns.push(refs);
    this.#wake();
  }

  started(workload: WorkloadRef): void {
    this.starts.push(workload);
    this.#wake();
  }

  reachable(reachable: boolean, reason?: string): void {
    this.reachability.push({ reachable, reason });
    this.#wake();
  }

  last(key: string): Observation | undefined {
    return this.observations.findLast((told) => told.key === key)?.observation;
  }

  states(key: string): readonly string[] {
    return this.observations.filter((told) => told.key === key).map((told) => told.observation.state);
  }

  /** Resolves as soon as `isTrue` holds of what was told. */
  async until(isTrue: (sink: RecordingSink) => boolean): Promise<void> {
    while (!isTrue(this)) await new Promise<void>((resolve) => this.#waiters.add(resolve));
  }

  #wake(): void {
    for (const wake of this.#waiters) wake();
    this.#waiters.clear();
  }
}
