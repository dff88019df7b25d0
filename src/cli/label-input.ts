import type { LabelledContainer } from '../backends/backend.ts';
import { type LabelReading, parseLabels } from '../config/labels.ts';

/** The labels of the engine's containers, read; a container whose labels are the same is not read again. */
export class LabelInput {
  #readings = new Map<string, { readonly text: string; readonly reading: LabelReading }>();

  /** One reading per container that opts in or tries to. */
  get readings(): readonly LabelReading[] {
    return [...this.#readings.values()].map(({ reading }) => reading);
  }

  /** Whether a mistake in its labels keeps a container from being served. */
  isRefused(container: string): boolean {
    return this.#readings.get(container)?.reading.kind === 'refused';
  }

  /** Takes the newest snapshot, whole. */
  take(snapshot: readonly LabelledContainer[], prefix: string): void {
    const known = this.#readings;
    this.#readings = new Map(
      snapshot.map((container) => {
        const text = JSON.stringify([prefix, container.name, container.labels]);
        const before = known.get(container.name);
        const reading = before?.text === text ? before.reading : parseLabels(container, { prefix });
        return [container.name, { text, reading }];
      }),
    );
  }
}
