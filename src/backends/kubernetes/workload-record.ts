import { endsLikeOptIn, endsLikeReplicas } from '../../model/label-names.ts';
import type { KubernetesResource, WorkloadRef } from '../../model/workload.ts';
import { parseTimestamp } from '../../system/clock.ts';
import type { ScalableRef } from './api/api-paths.ts';
import type { Condition, ManagedFields, ScalableWorkload } from './api/api-shapes.ts';
import { compareVersions } from './api/object-cache.ts';

/** What is kept of a Deployment or a StatefulSet. */
export interface WorkloadRecord {
  readonly resource: KubernetesResource;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  /** When it was made, ms since the epoch; undefined where that isn't told. */
  readonly createdMs?: number | undefined;
  /** Grows with every change of what is wanted, its replicas among that. */
  readonly generation: number;
  /** How many pods are wanted. */
  readonly replicas: number;
  /** Who set that, as far as the API server keeps track; several where they agree. */
  readonly replicasManagers: readonly string[];
  /** Whether its controller has seen what is wanted now. */
  readonly isObserved: boolean;
  /** How many pods there are. */
  readonly currentReplicas: number;
  readonly readyReplicas: number;
  /** Whether volumes of its pods are deleted when it is scaled down. */
  readonly losesVolumes: boolean;
  /** Between the polite signal and the kill of its pods; undefined where it is 10 s, or not told. */
  readonly graceMs?: number;
  /** What its controller can't do, in its own words; undefined where nothing. */
  readonly trouble: string | undefined;
  /** Those that opt in; no other label is of use. */
  readonly labels: Readonly<Record<string, string>>;
  /** All but the bulky ones where it may have opted in, else only those that count replicas. */
  readonly annotations: Readonly<Record<string, string>>;
}

/** A copy of the whole manifest, which costs memory, and a counter, which changes without meaning. */
const IRRELEVANT_ANNOTATIONS = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  'deployment.kubernetes.io/revision',
]);

/** What is kept of a Deployment or StatefulSet, as the API server sends it. */
export function selectWorkload(resource: KubernetesResource, object: ScalableWorkload): WorkloadRecord {
  const { metadata, spec, status } = object;
  const labels = pick(metadata.labels, endsLikeOptIn);
  return {
    resource,
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    resourceVersion: metadata.resourceVersion ?? '',
    createdMs: parseTimestamp(metadata.creationTimestamp ?? '') || undefined,
    generation: metadata.generation ?? 0,
    replicas: spec?.replicas ?? 1,
    replicasManagers: findReplicasManagers(metadata.managedFields ?? []),
    isObserved: (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0),
    currentReplicas: status?.replicas ?? 0,
    readyReplicas: status?.readyReplicas ?? 0,
    losesVolumes:
      (spec?.volumeClaimTemplates ?? []).length > 0 &&
      spec?.persistentVolumeClaimRetentionPolicy?.whenScaled === 'Delete',
    ...selectGrace(spec?.template?.spec?.terminationGracePeriodSeconds),
    trouble: findTrouble(status?.conditions ?? []),
    labels,
    annotations: selectAnnotations(metadata.annotations ?? {}, {
      mayOptIn: Object.keys(labels).length > 0,
    }),
  };
}

function selectGrace(seconds: number | null | undefined): Pick<WorkloadRecord, 'graceMs'> {
  return seconds == null || seconds === 10 ? {} : { graceMs: seconds * 1_000 };
}

/** Pods that may not be created, before a rollout that takes too long, which says less. */
function findTrouble(conditions: readonly Condition[]): string | undefined {
  const failure = conditions.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True');
  const stuck = conditions.find(({ type, status }) => type === 'Progressing' && status === 'False');
  const { reason, message } = failure ?? stuck ?? {};
  return message ?? reason;
}

/** In a large cluster most workloads take no part: next to nothing is kept of them. */
function selectAnnotations(
  annotations: Readonly<Record<string, string>>,
  { mayOptIn }: { readonly mayOptIn: boolean },
): Readonly<Record<string, string>> {
  const takesPart = mayOptIn || Object.keys(annotations).some(endsLikeOptIn);
  if (!takesPart) return pick(annotations, endsLikeReplicas);
  return pick(annotations, (key) => !IRRELEVANT_ANNOTATIONS.has(key));
}

function findReplicasManagers(entries: readonly ManagedFields[]): readonly string[] {
  return entries.flatMap(({ manager, fieldsV1 }) =>
    manager !== undefined && ownsReplicas(fieldsV1?.['f:spec']) ? [manager] : [],
  );
}

function ownsReplicas(spec: unknown): boolean {
  return typeof spec === 'object' && spec !== null && 'f:replicas' in spec;
}

function pick(
  all: Readonly<Record<string, string>> | null | undefined,
  isWanted: (key: string) => boolean,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(all ?? {}).filter(([key]) => isWanted(key)));
}

/** Whether resource version `a` is at least as new as `b`; true where they can't be compared. */
export function isAtLeast(a: string, b: string): boolean {
  return (compareVersions(a, b) ?? 0) >= 0;
}

/** A Deployment or StatefulSet, as one of all kinds of workload. */
export function refOf({ resource, namespace, name }: ScalableRef): WorkloadRef {
  return { kind: 'kubernetes', resource, namespace, name };
}
