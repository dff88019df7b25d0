import type { Endpoint, EndpointSlice, Service } from './api/api-shapes.ts';

/** What is kept of a Service. */
export interface ServiceRecord {
  /** Without one, nothing but its owner knows which pods are behind it. */
  readonly hasSelector: boolean;
  readonly ports: readonly ServicePortRecord[];
}

export interface ServicePortRecord extends SlicePort {
  /** The name of a container's port; undefined where it leads to a number. */
  readonly targetName: string | undefined;
}

/** What is kept of an EndpointSlice. */
export interface SliceRecord {
  readonly name: string;
  /** The Service's name; `''` where it belongs to none. */
  readonly service: string;
  readonly ports: readonly SlicePort[];
  readonly endpoints: readonly SliceEndpoint[];
}

export interface SlicePort {
  /** `''` where it has none. */
  readonly name: string;
  /** `TCP`, `UDP` or `SCTP`. */
  readonly protocol: string;
  readonly port: number;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  /** Whether new connections may go there: never where the pod terminates. */
  readonly isReady: boolean;
  /** Whether its pod is about to go, or stays though it should have gone. */
  readonly isTerminating: boolean;
  /** Whether its pod still answers, terminating or not. */
  readonly isServing: boolean;
  /** The pod's name; undefined where no pod is behind it. */
  readonly pod: string | undefined;
}

interface PortObject {
  readonly name?: string | null;
  readonly protocol?: string | null;
  readonly port?: number | null;
}

/** Names the pod behind an endpoint. */
interface PodReference {
  readonly targetRef?: { readonly kind?: string; readonly name?: string } | null;
}

const SERVICE_LABEL = 'kubernetes.io/service-name';

/** What is kept of a Service, as the API server sends it. */
export function selectService({ spec }: Service): ServiceRecord {
  return {
    hasSelector: Object.keys(spec?.selector ?? {}).length > 0,
    ports: (spec?.ports ?? []).map(({ name, protocol, port, targetPort }) => ({
      ...{ name: name ?? '', protocol: protocol ?? 'TCP', port },
      targetName: typeof targetPort === 'string' ? targetPort : undefined,
    })),
  };
}

/** What is kept of an EndpointSlice, as the API server sends it. */
export function selectSlice({ metadata, ports, endpoints }: EndpointSlice): SliceRecord {
  return {
    name: metadata.name,
    service: metadata.labels?.[SERVICE_LABEL] ?? '',
    ports: selectPorts(ports),
    endpoints: (endpoints ?? []).map(selectEndpoint),
  };
}

/** A slice's port without a number stands for all ports, which is of no use here. */
function selectPorts(ports: readonly PortObject[] | null | undefined): readonly SlicePort[] {
  return (ports ?? []).flatMap(({ name, protocol, port }) =>
    typeof port === 'number' ? [{ name: name ?? '', protocol: protocol ?? 'TCP', port }] : [],
  );
}

/**
 * A condition that nobody has set counts as ready: the API says so. Where a Service publishes addresses that aren't
 * ready, all are told as ready, those that terminate among them.
 */
function selectEndpoint({ addresses, conditions, targetRef }: Endpoint & PodReference): SliceEndpoint {
  const isReady = conditions?.ready ?? true;
  const isTerminating = conditions?.terminating ?? false;
  return {
    addresses,
    isReady: isReady && !isTerminating,
    isTerminating,
    isServing: conditions?.serving ?? isReady,
    pod: targetRef?.kind === 'Pod' ? targetRef.name : undefined,
  };
}
