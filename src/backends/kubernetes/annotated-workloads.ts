/** The workloads that opt in by label or annotation: picked out of what a watch brings, or listed once. */
import { findOptIns, optInLabel } from '../../model/opt-in.ts';
import { type KubernetesResource, workloadRefKey } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import { Deadline } from '../../system/deadline.ts';
import type { LabelledWorkload, LabelOptions } from '../backend.ts';
import { sortLabels } from '../label-feed.ts';
import { collectionPath } from './api/api-paths.ts';
import type { KubeAccess } from './api/kube-transport.ts';
import { KubeClient } from './api/kube-client.ts';
import { type Environment, loadKubeAccess } from './api/kube-config.ts';
import { KubeUnreachable } from './api/kube-errors.ts';
import { listObjects } from './api/kube-list.ts';
import { REPLICAS_SUFFIX, refOf, selectWorkload, type WorkloadRecord } from './workload-record.ts';

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
  const { namespaces, discover, labelPrefix, signal } = options;
  const query = discover === 'all' ? {} : { labelSelector: `${optInLabel(labelPrefix)}=true` };
  const list = async (resource: KubernetesResource, namespace: string | undefined) => {
    const path = collectionPath(`${resource}s`, namespace);
    const select = selectWorkload.bind(undefined, resource);
    return (await listObjects<WorkloadRecord>(client, { path, query, select, signal })).items;
  };
  const scopes = namespaces.length === 0 ? [undefined] : [...new Set(namespaces)];
  const lists = scopes.flatMap((scope) => [list('deployment', scope), list('statefulset', scope)]);
  return (await Promise.all(lists)).flat();
}
