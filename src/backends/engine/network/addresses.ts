import type { InspectedContainer, InspectedEndpoint } from '../engine-shapes.ts';

/** The addresses of the host, for a proxy on the host. */
export const LOOPBACK: readonly string[] = ['127.0.0.1', '::1'];

/**
 * Addresses at which a running container answers, best first: those on networks that the proxy is on itself, then
 * IPv4 before IPv6, and within each user-defined networks before the default bridge.
 * A container that shares another one's network has none of its own: see {@link sharedNetworkOwner}.
 * @param options.ownNetworks ids or names of the networks that the proxy's own container is on.
 * @param options.hostAddresses where the host's own network answers, seen from the proxy; default: the loopback.
 */
export function chooseHosts(
  container: InspectedContainer,
  options: {
    readonly ownNetworks?: ReadonlySet<string>;
    readonly hostAddresses?: readonly string[];
  } = {},
): readonly string[] {
  if (container.HostConfig?.NetworkMode === 'host') return options.hostAddresses ?? LOOPBACK;
  const own = options.ownNetworks ?? new Set();
  const endpoints = Object.entries(container.NetworkSettings?.Networks ?? {}).flatMap(([name, endpoint]) =>
    endpoint === null ? [] : [{ name, endpoint, isOwn: own.has(name) || own.has(endpoint.NetworkID ?? '') }],
  );
  endpoints.sort((a, b) => Number(isDefaultBridge(a.name)) - Number(isDefaultBridge(b.name)));
  const shared = endpoints.filter((entry) => entry.isOwn).map((entry) => entry.endpoint);
  const others = endpoints.filter((entry) => !entry.isOwn).map((entry) => entry.endpoint);
  return [...new Set([...listAddresses(shared), ...listAddresses(others)])];
}

/** The container whose network this one uses (`network_mode: container:x`), by id or name. */
export function sharedNetworkOwner(container: Pick<InspectedContainer, 'HostConfig'>): string | undefined {
  const mode = container.HostConfig?.NetworkMode ?? '';
  return mode.startsWith('container:') ? mode.slice('container:'.length) : undefined;
}

/** The network of containers that name none, as Docker and Podman call it. */
export function isDefaultBridge(network: string): boolean {
  return network === 'bridge' || network === 'podman';
}

function listAddresses(endpoints: readonly InspectedEndpoint[]): string[] {
  const addresses = [
    ...endpoints.map((endpoint) => endpoint.IPAddress ?? ''),
    ...endpoints.map((endpoint) => endpoint.GlobalIPv6Address ?? ''),
  ];
  return addresses.filter((address) => address !== '');
}
