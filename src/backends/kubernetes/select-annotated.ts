import { findOptIns } from '../../model/opt-in.ts';
import { type WorkloadRef, workloadRefKey } from '../../model/workload.ts';
import type { LabelledWorkload } from '../backend.ts';
import { type LabelOptions, sortLabels } from '../label-feed.ts';
import { REPLICAS_SUFFIX, type WorkloadRecord } from './workload-record.ts';

/** The workloads that take part, sorted by key, so that equal snapshots look equal. */
export function selectAnnotated(
  records: Iterable<WorkloadRecord>,
  { labels, labelPrefix }: LabelOptions,
): readonly LabelledWorkload[] {
  if (!labels) return [];
  const remembered = labelPrefix + REPLICAS_SUFFIX;
  return [...records]
    .filter((record) => {
      const { labels: own, annotations } = record;
      return findOptIns(own, labelPrefix).length > 0 || findOptIns(annotations, labelPrefix).length > 0;
    })
    .map((record) => {
      const { [remembered]: _, ...settings } = record.annotations;
      const optIns = findOptIns(record.labels, labelPrefix).map((name) => [name, record.labels[name] ?? '']);
      const labels = sortLabels({ ...Object.fromEntries(optIns), ...settings });
      return { ref: refOf(record), labels, createdMs: record.createdMs };
    })
    .sort((a, b) => (workloadRefKey(a.ref) < workloadRefKey(b.ref) ? -1 : 1));
}

/** Names the workload of a record. */
export function refOf({ resource, namespace, name }: WorkloadRecord): WorkloadRef {
  return { kind: 'kubernetes', resource, namespace, name };
}
