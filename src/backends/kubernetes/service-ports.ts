/**
 * Where the ports of a Service answer. Input: the Service and its EndpointSlices. Output: the ready addresses, and for
 * each port, by number and by name, its endpoints. Pure.
 */
import { type Endpoint, portKey } from '../../model/running/observation.ts';
import type { Protocol } from '../../model/service.ts';
import type { ServiceRecord, SlicePort, SliceRecord } from './service-record.ts';

export interface ServicePorts {
  /** Every ready address once, of all families. */
  readonly hosts: readonly string[];
  /** By `portKey()`; a port without a ready endpoint is there, with an empty list. */
  readonly ports: Readonly<Record<string, readonly Endpoint[]>>;
}

/** Where each port of a Service answers at its ready pods. A port is matched by its name and protocol. */
export function mapToPods(service: ServiceRecord, slices: readonly SliceRecord[]): ServicePorts {
  const ordered = [...slices].sort((a, b) => (a.name < b.name ? -1 : 1));
  const find = ({ name, protocol }: SlicePort) =>
    distinct(
      ordered.flatMap((slice) => {
        const ports = slice.ports.filter((port) => port.name === name && port.protocol === protocol);
        const hosts = readyAddresses(slice);
        return ports.flatMap(({ port }) => hosts.map((host) => ({ host, port })));
      }),
    );
  return { hosts: [...new Set(ordered.flatMap(readyAddresses))], ports: mapPorts(service, find) };
}

/** The same for a Service whose own name is connected to, so that the cluster balances. */
export function mapToName(service: ServiceRecord, host: string): ServicePorts {
  return { hosts: [host], ports: mapPorts(service, ({ port }) => [{ host, port }]) };
}

/** Every port of a Service, none of which answers. */
export function mapToNothing(service: ServiceRecord): ServicePorts {
  return { hosts: [], ports: mapPorts(service, () => []) };
}

/** Whether any pod behind the Service is ready. */
export function hasReadyEndpoint(slices: readonly SliceRecord[]): boolean {
  return slices.some((slice) => readyAddresses(slice).length > 0);
}

/** Whether a ready pod behind the Service has a port. */
export function hasPort(slices: readonly SliceRecord[], port: Pick<SlicePort, 'name' | 'protocol'>): boolean {
  return slices.some(
    (slice) =>
      readyAddresses(slice).length > 0 &&
      slice.ports.some(({ name, protocol }) => name === port.name && protocol === port.protocol),
  );
}

function mapPorts(
  service: ServiceRecord,
  find: (port: SlicePort) => readonly Endpoint[],
): Readonly<Record<string, readonly Endpoint[]>> {
  return Object.fromEntries(
    service.ports.flatMap((port) => {
      const protocol = toProtocol(port.protocol);
      if (protocol === undefined) return [];
      const endpoints = find(port);
      const keys: (string | number)[] = port.name === '' ? [port.port] : [port.port, port.name];
      return keys.map((key) => [portKey(protocol, key), endpoints]);
    }),
  );
}

/** SCTP is nothing that the proxy could relay. */
function toProtocol(protocol: string): Protocol | undefined {
  if (protocol === 'TCP') return 'tcp';
  return protocol === 'UDP' ? 'udp' : undefined;
}

function readyAddresses(slice: SliceRecord): readonly string[] {
  return slice.endpoints.flatMap(({ isReady, addresses }) => (isReady ? addresses : []));
}

/** A pod that moves between slices is in both for a moment. */
function distinct(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  return [...new Map(endpoints.map((endpoint) => [`${endpoint.host} ${endpoint.port}`, endpoint])).values()];
}
