import { type WorkloadRef, workloadRefKey } from '../../model/workload.ts';
import type { LabelledWorkload } from '../backend.ts';
import { type LabelOptions, sortLabels } from '../label-feed.ts';
import { ENABLED_SUFFIX, REPLICAS_SUFFIX, type WorkloadRecord } from './workload-record.ts';

/** The workloads that take part, sorted by key, so that equal snapshots look equal. */
export function selectAnnotated(
  records: Iterable<WorkloadRecord>,
  { labels, labelPrefix }: LabelOptions,
): readonly LabelledWorkload[] {
  if (!labels) return [];
  const enabled = labelPrefix + ENABLED_SUFFIX;
  const remembered = labelPrefix + REPLICAS_SUFFIX;
  return [...records]
    .filter((record) => Object.hasOwn(record.labels, enabled) || Object.hasOwn(record.annotations, enabled))
    .map((record) => {
      const { [remembered]: _, ...settings } = record.annotations;
      const label = record.labels[enabled];
      return {
        ref: refOf(record),
        labels: sortLabels({ ...(label === undefined ? {} : { [enabled]: label }), ...settings }),
      };
    })
    .sort((a, b) => (workloadRefKey(a.ref) < workloadRefKey(b.ref) ? -1 : 1));
}

/** Names the workload of a record. */
export function refOf({ resource, namespace, name }: WorkloadRecord): WorkloadRef {
  return { kind: 'kubernetes', resource, namespace, name };
}
