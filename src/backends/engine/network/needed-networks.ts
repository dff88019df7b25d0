import { isDefaultBridge } from './addresses.ts';
import type { InspectedContainer } from '../engine-shapes.ts';

/** A network as a container's description names it. */
export interface NetworkRef {
  readonly name: string;
  /** Undefined where the engine doesn't tell it yet: in a container that never ran. */
  readonly id: string | undefined;
}

/** No bridges between containers: the host's network, none at all, and the inside of a swarm. */
const NOT_JOINABLE = new Set(['host', 'none', 'ingress']);

/**
 * The networks on which a container is reached. The default bridge counts only where there is no other: whoever has a
 * network of their own did not ask for company there.
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

/** A name alone must do where there is no id; else a network made anew under the name would pass for the old one. */
export function isSameNetwork(ref: NetworkRef, other: NetworkRef): boolean {
  if (ref.id === undefined || other.id === undefined) return ref.name === other.name;
  return ref.id === other.id;
}
