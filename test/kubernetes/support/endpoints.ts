import type { KubeObject } from './admin-client.ts';

/** The addresses of a Service's endpoints that are ready, out of all EndpointSlices of its namespace. */
export function listReadyAddresses(
  slices: ReadonlyMap<string, KubeObject>,
  service: string,
): readonly string[] {
  return [...slices.values()]
    .filter(({ metadata }) => metadata.labels['kubernetes.io/service-name'] === service)
    .flatMap(({ endpoints }) => endpoints ?? [])
    .filter(({ conditions }) => conditions.ready)
    .flatMap(({ addresses }) => addresses);
}
