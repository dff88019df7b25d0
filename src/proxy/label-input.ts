import type { LabelledWorkload } from '../backends/backend.ts';
import { type LabelReading, parseLabels } from '../config/labels.ts';
import { type WorkloadRef, workloadRefKey } from '../model/workload.ts';

/** The labels of an engine's workloads, read; a workload whose labels are the same is not read again. */
export class LabelInput {
  #readings = new Map<string, { readonly text: string; readonly reading: LabelReading }>();

  /** One reading per workload that opts in or tries to. */
  get readings(): readonly LabelReading[] {
    return [...this.#readings.values()].map(({ reading }) => reading);
  }

  /** Whether a mistake in its labels keeps a workload from being served. */
  isRefused(ref: WorkloadRef): boolean {
    return this.#readings.get(workloadRefKey(ref))?.reading.kind === 'refused';
  }

  /** Takes the newest snapshot, whole. */
  take(snapshot: readonly LabelledWorkload[], prefix: string): void {
    const known = this.#readings;
    this.#readings = new Map(
      snapshot.map((workload) => {
        const key = workloadRefKey(workload.ref);
        const text = JSON.stringify([prefix, workload.createdMs, workload.labels, workload.imageOptsIn]);
        const before = known.get(key);
        const reading = before?.text === text ? before.reading : parseLabels(workload, { prefix });
        return [key, { text, reading }];
      }),
    );
  }
}
