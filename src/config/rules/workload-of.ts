import type { BackendName, Settings } from '../../model/settings.ts';
import type { KubernetesResource, WorkloadKind, WorkloadRef } from '../../model/workload.ts';
import type { Draft, FieldName } from '../fields.ts';

/** The fields that say what a service stands for; no two of them go together. */
export const WORKLOAD_FIELDS = [
  'container',
  'swarm_service',
  'deployment',
  'statefulset',
  'command',
] as const;
export type WorkloadField = (typeof WORKLOAD_FIELDS)[number];

/** Whether a field is one of these. */
export function isWorkloadField(field: FieldName): boolean {
  return WORKLOAD_FIELD_SET.has(field);
}

const WORKLOAD_FIELD_SET: ReadonlySet<FieldName> = new Set(WORKLOAD_FIELDS);

/** What a service of the file stands for if it doesn't say so. */
export interface EngineDefaults {
  /** The engine that has the workload. */
  readonly backend: BackendName;
  /** The namespaces that are served; empty = all. */
  readonly namespaces: readonly string[];
  /** The namespace of a Deployment or StatefulSet that names none. */
  readonly namespace: string;
}

const DEFAULT_NAMESPACE = 'default';

/** A workload that names no namespace is in the one that is served, if that is exactly one, else in `default`. */
export function toEngineDefaults({ backend, kubernetes: { namespaces } }: Settings): EngineDefaults {
  const [only = DEFAULT_NAMESPACE, ...others] = namespaces;
  return { backend, namespaces, namespace: others.length === 0 ? only : DEFAULT_NAMESPACE };
}

const KINDS: Readonly<Record<WorkloadField, WorkloadKind>> = {
  container: 'docker',
  swarm_service: 'swarm',
  deployment: 'kubernetes',
  statefulset: 'kubernetes',
  command: 'process',
};

const NOUNS: Readonly<Record<WorkloadField, string>> = {
  container: 'container',
  swarm_service: 'Swarm service',
  deployment: 'Deployment',
  statefulset: 'StatefulSet',
  command: 'local process',
};

/** Finds the field that says what a service stands for; undefined = the service's name does. */
export function findWorkloadField(has: (field: WorkloadField) => boolean): WorkloadField | undefined {
  return WORKLOAD_FIELDS.find(has);
}

/** The kind of workload of a service where this field says what it stands for. */
export function workloadKindOf(
  field: WorkloadField | undefined,
  { backend }: Pick<EngineDefaults, 'backend'>,
): WorkloadKind {
  return field === undefined ? backend : KINDS[field];
}

/** The workload that a service of the file stands for. */
export function workloadRefOf(
  { name, draft }: { readonly name: string; readonly draft: Draft },
  { backend, namespace }: EngineDefaults,
): WorkloadRef {
  const { container, swarm_service, deployment, statefulset, command } = draft;
  if (container !== undefined) return { kind: 'docker', name: container.value };
  if (swarm_service !== undefined) return { kind: 'swarm', name: swarm_service.value };
  if (deployment !== undefined) return kubernetesRef('deployment', { text: deployment.value, namespace });
  if (statefulset !== undefined) return kubernetesRef('statefulset', { text: statefulset.value, namespace });
  if (command !== undefined) return { kind: 'process', name };
  return backend === 'docker'
    ? { kind: 'docker', name }
    : kubernetesRef('deployment', { text: name, namespace });
}

/** The field of the file that names a workload. */
export function workloadFieldOf(ref: WorkloadRef): WorkloadField {
  switch (ref.kind) {
    case 'docker':
      return 'container';
    case 'swarm':
      return 'swarm_service';
    case 'kubernetes':
      return ref.resource;
    case 'process':
      return 'command';
  }
}

/** For messages: `container`, `Swarm service`, `Deployment`, `StatefulSet`, `local process`. */
export function workloadNoun(ref: WorkloadRef): string {
  return NOUNS[workloadFieldOf(ref)];
}

function kubernetesRef(
  resource: KubernetesResource,
  { text, namespace }: { readonly text: string; readonly namespace: string },
): WorkloadRef {
  const slash = text.indexOf('/');
  if (slash < 0) return { kind: 'kubernetes', resource, namespace, name: text };
  return { kind: 'kubernetes', resource, namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}
