import { workloadRefName } from '../../model/workload.ts';
import type { LabelledWorkload } from '../backend.ts';
import { type LabelOptions, sortLabels } from '../label-feed.ts';

/** The workloads that take part, sorted by name, so that equal snapshots look equal. */
export function selectLabelled(
  workloads: readonly LabelledWorkload[],
  options: LabelOptions,
): readonly LabelledWorkload[] {
  if (!options.labels) return [];
  const label = `${options.labelPrefix}.enabled`;
  return workloads
    .filter(({ labels }) => Object.hasOwn(labels, label))
    .map(({ ref, labels }) => ({ ref, labels: sortLabels(labels) }))
    .sort((a, b) => compareText(workloadRefName(a.ref), workloadRefName(b.ref)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
