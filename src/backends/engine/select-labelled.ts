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
    .filter(({ labels, imageOptsIn }) => imageOptsIn || findOptIns(labels, options.labelPrefix).length > 0)
    .map(({ labels, ref, createdMs, imageOptsIn }) => ({
      ...{ ref, labels: sortLabels(labels), createdMs },
      ...(imageOptsIn && { imageOptsIn }),
    }))
    .sort((a, b) => compareText(workloadRefName(a.ref), workloadRefName(b.ref)));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
