/**
 * Chooses the address that the proxy asks for on a network that it joins. Input: the addresses that containers of the network
 * have configured, sleeping ones included, and the network's address ranges. Output: addresses that none of them has. An
 * engine looks only at addresses in use, and would give the proxy the address of a container that sleeps.
 */
import type { EngineClient } from '../engine-client.ts';
import type { EndpointAddresses, InspectedNetwork, ListedContainer } from '../engine-shapes.ts';
import { familyOf, findFreeAddress, isSameAddress } from './free-address.ts';
import { isSameNetwork, type NetworkRef } from './needed-networks.ts';

const FAMILIES = [
  { kind: 'ipv4', field: 'IPv4Address' },
  { kind: 'ipv6', field: 'IPv6Address' },
] as const;

/** With these drivers, devices that the engine doesn't know may have addresses. So those are asked for that it would give itself. */
const SHARED_DRIVERS = new Set(['macvlan', 'ipvlan']);

/**
 * What to ask for when joining `network`; undefined where the engine may choose: nobody has an address configured there.
 * @param options.avoid addresses that were refused.
 * @throws {EngineUnreachable | EngineRefusal}
 */
export async function chooseOwnAddresses(
  client: EngineClient,
  options: {
    readonly network: NetworkRef;
    readonly ownId: string;
    readonly avoid: readonly string[];
    readonly signal: AbortSignal;
  },
): Promise<EndpointAddresses | undefined> {
  const { network, ownId, avoid, signal } = options;
  const names = [network.name, network.id].filter((text) => text !== undefined);
  const containers = await client.list(signal, names);
  const configured = containers
    .filter(({ Id }) => Id !== ownId)
    .flatMap((container) => listConfiguredAddresses(container, network));
  if (configured.length === 0) return undefined;
  const found = await client.inspectNetwork(network.id ?? network.name, signal);
  return found && pickAddresses(found, { configured, avoid });
}

/** Pure: see {@link chooseOwnAddresses}. */
export function pickAddresses(
  network: InspectedNetwork,
  { configured, avoid }: { readonly configured: readonly string[]; readonly avoid: readonly string[] },
): EndpointAddresses | undefined {
  const pools = network.IPAM?.Config ?? [];
  const taken = [
    ...configured,
    ...avoid,
    ...pools.flatMap(({ Gateway, AuxiliaryAddresses }) => [
      Gateway ?? '',
      ...Object.values(AuxiliaryAddresses ?? {}),
    ]),
    ...Object.values(network.Containers ?? {}).flatMap(({ IPv4Address, IPv6Address }) => [
      IPv4Address ?? '',
      IPv6Address ?? '',
    ]),
  ];
  const from = SHARED_DRIVERS.has(network.Driver ?? '') ? 'bottom' : 'top';
  const chosen = FAMILIES.flatMap(({ kind, field }) => {
    if (!configured.some((address) => address.includes(':') === (kind === 'ipv6'))) return [];
    const ranges = pools.map(({ IPRange, Subnet }) => IPRange || Subnet || '');
    const free = ranges
      .filter((range) => familyOf(range) === kind)
      .map((range) => findFreeAddress({ range, from }, taken))
      .find((address) => address !== undefined);
    return free === undefined ? [] : [[field, free] as const];
  });
  return chosen.length === 0 ? undefined : Object.fromEntries(chosen);
}

/** The addresses that a container has configured on a network, whether or not it runs. */
export function listConfiguredAddresses(
  { NetworkSettings }: Pick<ListedContainer, 'NetworkSettings'>,
  network: NetworkRef,
): readonly string[] {
  return Object.entries(NetworkSettings?.Networks ?? {}).flatMap(([name, endpoint]) => {
    const ref = { name, id: endpoint?.NetworkID || undefined };
    if (!isSameNetwork(ref, network)) return [];
    const { IPv4Address = '', IPv6Address = '' } = endpoint?.IPAMConfig ?? {};
    return [IPv4Address, IPv6Address].filter((address) => address !== '');
  });
}

/** An address that is in both lists. */
export function findCommonAddress(own: readonly string[], configured: readonly string[]): string | undefined {
  return own.find((address) => configured.some((other) => isSameAddress(address, other)));
}
