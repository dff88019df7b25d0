/** Which resource a request's path names, and which objects its selectors let through. */
import type { KubeObject } from '../../../src/backends/kubernetes/api/api-shapes.ts';

/** Group, version and kind of what the scripted API server keeps. */
export const KUBE_RESOURCES = {
  deployments: { group: 'apps', apiVersion: 'apps/v1', kind: 'Deployment' },
  statefulsets: { group: 'apps', apiVersion: 'apps/v1', kind: 'StatefulSet' },
  services: { group: '', apiVersion: 'v1', kind: 'Service' },
  endpointslices: { group: 'discovery.k8s.io', apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
  leases: { group: 'coordination.k8s.io', apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' },
  namespaces: { group: '', apiVersion: 'v1', kind: 'Namespace' },
} as const;

export type KubeResource = keyof typeof KUBE_RESOURCES;

/** What a request is about. */
export interface KubeTarget {
  readonly resource: KubeResource;
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Undefined: the collection. */
  readonly name: string | undefined;
  readonly subresource: 'scale' | undefined;
}

/** Undefined where there is nothing at that path. */
export function parseKubePath(path: string): KubeTarget | undefined {
  const [, apiVersion = '', rest = ''] = /^\/(?:api|apis)\/(v1|[^/]+\/v1)\/(.+)$/.exec(path) ?? [];
  const parts = rest.split('/').map(decodeURIComponent);
  const namespace = parts[0] === 'namespaces' && parts.length > 2 ? parts[1] : undefined;
  const [resource = '', name, subresource] = namespace === undefined ? parts : parts.slice(2);
  const known = Object.hasOwn(KUBE_RESOURCES, resource) ? (resource as KubeResource) : undefined;
  if (known === undefined || KUBE_RESOURCES[known].apiVersion !== apiVersion) return undefined;
  if (subresource !== undefined && subresource !== 'scale') return undefined;
  return { resource: known, namespace, name, subresource };
}

/** By which objects of one resource are told apart: `namespace/name`, or the name of what is in no namespace. */
export function kubeKey(object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

/** Whether `object` is in the namespace and matches `labelSelector` (equality alone) and `fieldSelector` (name alone). */
export function isSelected(
  object: KubeObject,
  selection: { readonly namespace: string | undefined; readonly query: URLSearchParams },
): boolean {
  const { namespace, query } = selection;
  const { metadata } = object;
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  const labels = parseSelector(query.get('labelSelector'));
  if (!labels.every(([key, value]) => matchesLabel(metadata.labels?.[key], value))) return false;
  return parseSelector(query.get('fieldSelector')).every(([field, value]) => {
    if (field === 'metadata.name') return metadata.name === value;
    if (field === 'metadata.namespace') return metadata.namespace === value;
    throw new Error(`the scripted API server knows no field selector ${field}`);
  });
}

function matchesLabel(actual: string | undefined, wanted: string | undefined): boolean {
  return wanted === undefined ? actual !== undefined : actual === wanted;
}

function parseSelector(selector: string | null): readonly (readonly [string, string | undefined])[] {
  return (selector ?? '')
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const [key = '', value] = part.split(/==?/);
      return [key, value] as const;
    });
}
