import type { KubernetesResource } from '../../../model/workload.ts';

/** Names one Deployment or StatefulSet. */
export interface ScalableRef {
  readonly resource: KubernetesResource;
  readonly namespace: string;
  readonly name: string;
}

/** What is listed and watched. */
export type ListedResource = 'deployments' | 'statefulsets' | 'services' | 'endpointslices';

const GROUPS: Readonly<Record<ListedResource, string>> = {
  deployments: '/apis/apps/v1',
  statefulsets: '/apis/apps/v1',
  services: '/api/v1',
  endpointslices: '/apis/discovery.k8s.io/v1',
};

/** Of one namespace, or, where that is undefined, of the whole cluster. */
export function collectionPath(resource: ListedResource, namespace: string | undefined): string {
  const group = GROUPS[resource];
  if (namespace === undefined) return `${group}/${resource}`;
  return `${group}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
}

export function workloadPath({ resource, namespace, name }: ScalableRef): string {
  return `${collectionPath(`${resource}s`, namespace)}/${encodeURIComponent(name)}`;
}

export function scalePath(ref: ScalableRef): string {
  return `${workloadPath(ref)}/scale`;
}

export function namespacePath(name: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(name)}`;
}

/** By this name objects of one resource are told apart. */
export function namespacedName(namespace: string, name: string): string {
  return `${namespace}/${name}`;
}
