/** The workloads that opt in by label or annotation: picked out of what a watch brings, or listed once. */
import { findOptIns, optInLabels, withoutReplicas } from '../../model/label-names.ts';
import { type KubernetesResource, workloadRefKey } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import { Deadline } from '../../system/waiting/deadline.ts';
import type { LabelledWorkload, LabelOptions } from '../backend.ts';
import { sortLabels } from '../label-feed.ts';
import { collectionPath } from './api/api-paths.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { KubeClient } from './api/kube-client.ts';
import { type Environment, loadKubeAccess } from './api/kube-config.ts';
import { KubeUnreachable } from './api/kube-errors.ts';
import { listObjects } from './api/kube-list.ts';
import { refOf, selectWorkload, type WorkloadRecord } from './workload-record.ts';

/** The workloads that take part, sorted by key, so that equal snapshots look equal. */
export function selectAnnotated(
  records: Iterable<WorkloadRecord>,
  { labels: areCounted, labelPrefixes }: LabelOptions,
): readonly LabelledWorkload[] {
  if (!areCounted) return [];
  return [...records]
    .flatMap((record): readonly LabelledWorkload[] => {
      const { annotations, createdMs } = record;
      const optIns = findOptIns(record.labels, labelPrefixes).map(({ label }) => label);
      if (optIns.length === 0 && findOptIns(annotations, labelPrefixes).length === 0) return [];
      const byLabel = Object.fromEntries(optIns.map((label) => [label, record.labels[label] ?? '']));
      const labels = sortLabels({ ...byLabel, ...withoutReplicas(annotations, labelPrefixes) });
      return [{ ref: refOf(record), labels, createdMs }];
    })
    .sort((a, b) => (workloadRefKey(a.ref) < workloadRefKey(b.ref) ? -1 : 1));
}

export interface ClusterQueryOptions extends LabelOptions {
  /** Where the credentials are found. */
  readonly env: Environment;
  readonly clock: Clock;
  /** How long to wait for the answers. */
  readonly timeoutMs: number;
  /** Empty: all of the cluster. */
  readonly namespaces: readonly string[];
  readonly discover: 'all' | 'labelled';
  /** Default: the pod's service account, else a kubeconfig file. */
  readonly access?: KubeAccess;
}

/**
 * The annotations as they are now, without observing: connects, lists, and is gone.
 * @throws {Error} where the API server can't be asked.
 */
export async function readAnnotatedWorkloads(
  options: ClusterQueryOptions,
): Promise<readonly LabelledWorkload[]> {
  const { clock, timeoutMs } = options;
  const access = options.access ?? (await loadKubeAccess(options.env));
  const client = new KubeClient({ access, clock });
  const over = new AbortController();
  const deadline = new Deadline({
    ...{ clock, timeoutMs, parent: over.signal },
    expired: () => {
      const message = `the API server at ${access.server} did not answer within ${timeoutMs / 1000} s`;
      return new KubeUnreachable(message);
    },
  });
  try {
    return selectAnnotated(await listWorkloads(client, { ...options, signal: deadline.signal }), options);
  } finally {
    over.abort(new Error('the other lists are not needed any more'));
    deadline.end();
    client.close();
  }
}

async function listWorkloads(
  client: KubeClient,
  options: ClusterQueryOptions & { readonly signal: AbortSignal },
): Promise<readonly WorkloadRecord[]> {
  const { namespaces, discover, labelPrefixes, signal } = options;
  const labels = optInLabels(labelPrefixes);
  const queries = discover === 'all' ? [{}] : labels.map((label) => ({ labelSelector: `${label}=true` }));
  const list = async (
    resource: KubernetesResource,
    {
      scope,
      query,
    }: { readonly scope: string | undefined; readonly query: { readonly labelSelector?: string } },
  ) => {
    const path = collectionPath(`${resource}s`, scope);
    const select = selectWorkload.bind(undefined, resource);
    return (await listObjects<WorkloadRecord>(client, { path, query, select, signal })).items;
  };
  const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
  const places = scopes.flatMap((scope) => queries.map((query) => ({ scope, query })));
  const lists = places.flatMap((place) => [list('deployment', place), list('statefulset', place)]);
  const records = (await Promise.all(lists)).flat();
  return [...new Map(records.map((record) => [workloadRefKey(refOf(record)), record])).values()];
}
