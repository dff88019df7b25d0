import { isDefaultBridge } from './addresses.ts';
import type { InspectedContainer } from '../engine-shapes.ts';

/** A network as a container names it. */
export interface NetworkRef {
  readonly name: string;
  /** Undefined where the engine doesn't tell it yet: in a container that never ran. */
  readonly id: string | undefined;
}

/** Not networks that a container can join: the host's network, none at all, and a swarm's internal one. */
const NOT_JOINABLE = new Set(['host', 'none', 'ingress']);

/**
 * The networks on which a container is reached. The default bridge counts only where there is no other network: a container
 * with a network of its own was not meant to be reached there.
 */
export function listNeededNetworks(
  container: Pick<InspectedContainer, 'NetworkSettings'>,
): readonly NetworkRef[] {
  const all = Object.entries(container.NetworkSettings?.Networks ?? {})
    .filter(([name]) => !NOT_JOINABLE.has(name))
    .map(([name, endpoint]): NetworkRef => ({ name, id: endpoint?.NetworkID || undefined }));
  const userDefined = all.filter(({ name }) => !isDefaultBridge(name));
  return userDefined.length > 0 ? userDefined : all;
}

/** Compares ids, so that a network that was made anew under a name is not taken for the old one; names where an id is missing. */
export function isSameNetwork(ref: NetworkRef, other: NetworkRef): boolean {
  if (ref.id === undefined || other.id === undefined) return ref.name === other.name;
  return ref.id === other.id;
}
