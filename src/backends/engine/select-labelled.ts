import { findOptIns } from '../../model/opt-in.ts';
import { workloadRefName } from '../../model/workload.ts';
import type { LabelledWorkload } from '../backend.ts';
import { type LabelOptions, sortLabels } from '../label-feed.ts';

/** The workloads that take part, sorted by name, so that equal snapshots look equal. */
export function selectLabelled(
  workloads: readonly LabelledWorkload[],
  options: LabelOptions,
): readonly LabelledWorkload[] {
  if (!options.labels) return [];
  return workloads
    .filter(({ labels }) => findOptIns(labels, options.labelPrefix).length > 0)
    .map(({ ref, labels, createdMs }) => ({ ref, labels: sortLabels(labels), createdMs }))
    .sort((a, b) => compareText(workloadRefName(a.ref), workloadRefName(b.ref)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
