import type { WorkloadRef } from '../../../model/workload.ts';
import type { EngineClient } from '../engine-client.ts';
import type { EndpointAddresses, InspectedContainer } from '../engine-shapes.ts';
import { LOOPBACK, sharedNetworkOwner } from './addresses.ts';
import { isSameNetwork, type NetworkRef } from './needed-networks.ts';
import { findOwnContainer, listOwnIds, type OwnSystem } from './own-container.ts';

/** Where the proxy runs, and on which of the engine's networks it is. */
export interface OwnPlace {
  /** The container it runs in; undefined where it runs in none. */
  readonly containerId: string | undefined;
  /** The workloads that must never be put to sleep, since the proxy runs in them: that container, and its Swarm service. */
  readonly refs: readonly WorkloadRef[];
  /** Whether the engine lets it join networks. */
  readonly canJoin: boolean;
  readonly networks: readonly OwnNetwork[];
  /** Names and ids of these. */
  readonly networkNames: ReadonlySet<string>;
  /** Addresses at which the host's own network answers, best first. */
  readonly hostAddresses: readonly string[];
}

export interface OwnNetwork extends NetworkRef {
  readonly id: string;
  /** The proxy's own there. */
  readonly addresses: readonly string[];
  /** The proxy itself joined it, perhaps before a restart. */
  readonly isMarked: boolean;
}

/** The place of a proxy on the host, or of one that nothing is known of. */
export const OUTSIDE: OwnPlace = {
  containerId: undefined,
  refs: [],
  canJoin: false,
  networks: [],
  networkNames: new Set(),
  hostAddresses: LOOPBACK,
};

/** The mark stays with the container. So a proxy that was killed still leaves, after its next start, what it had joined. */
const MARK = 'lazy-proxy.joined';
/** On every container that belongs to a Swarm service. */
const SWARM_SERVICE_LABEL = 'com.docker.swarm.service.name';
/** Earlier versions marked with `swarm` what they joined for the sake of services. */
const MARKS: ReadonlySet<string | undefined> = new Set(['true', 'swarm']);
/** An option of engines from 28 on; older ones ignore it. */
const LAST_CHOICE_FOR_DEFAULT_ROUTE = -1000;

/** How the proxy joins a network. @param addresses undefined = whatever the engine gives. */
export function endpointFor(addresses: EndpointAddresses | undefined): Readonly<Record<string, unknown>> {
  const endpoint = { GwPriority: LAST_CHOICE_FOR_DEFAULT_ROUTE, DriverOpts: { [MARK]: 'true' } };
  return addresses === undefined ? endpoint : { ...endpoint, IPAMConfig: addresses };
}

/** Reads where the proxy is. It finds out only once in which container that is. */
export class OwnPlaceReader {
  readonly #client: EngineClient;
  readonly #system: OwnSystem;
  #id: string | undefined;
  #isKnown = false;
  #ownIds: Promise<readonly string[]> | undefined;

  constructor(options: { readonly client: EngineClient; readonly system: OwnSystem }) {
    this.#client = options.client;
    this.#system = options.system;
  }

  /** The next reading finds out again in which container the proxy is. */
  forget(): void {
    this.#isKnown = false;
  }

  /** Whether a container may be the proxy's own, as far as this machine tells without the engine. */
  async mayBeOwn(id: string): Promise<boolean> {
    this.#ownIds ??= listOwnIds(this.#system);
    return (await this.#ownIds).includes(id);
  }

  /** @throws {EngineUnreachable | EngineRefusal} */
  async read(signal: AbortSignal): Promise<OwnPlace> {
    const inspect = (container: string) => this.#client.inspect(container, signal);
    const own = this.#isKnown ? this.#id && (await inspect(this.#id)) : await this.#find(inspect);
    if (!own) return OUTSIDE;
    const owner = sharedNetworkOwner(own);
    const holder = owner === undefined ? own : await inspect(owner);
    return describePlace(own, holder ?? own);
  }

  async #find(
    inspect: (container: string) => Promise<InspectedContainer | undefined>,
  ): Promise<InspectedContainer | undefined> {
    const own = await findOwnContainer({ system: this.#system, inspect });
    this.#id = own?.Id;
    this.#isKnown = true;
    return own;
  }
}

/** @param holder whose networks it uses: itself, or the container whose network it shares. */
export function describePlace(own: InspectedContainer, holder: InspectedContainer): OwnPlace {
  const refs = listOwnRefs(own);
  if (holder.HostConfig?.NetworkMode === 'host') return { ...OUTSIDE, containerId: own.Id, refs };
  const endpoints = Object.entries(holder.NetworkSettings?.Networks ?? {});
  const networks = endpoints.map(([name, endpoint]): OwnNetwork => {
    const { NetworkID: id = '', IPAddress = '', GlobalIPv6Address = '' } = endpoint ?? {};
    const addresses = [IPAddress, GlobalIPv6Address].filter((address) => address !== '');
    return { name, id, addresses, isMarked: MARKS.has(endpoint?.DriverOpts?.[MARK]) };
  });
  // Networks that the proxy stays on come first: those that it joined for workloads may be left again.
  const ordered = endpoints
    .map(([, endpoint], index) => ({ endpoint, isMarked: networks[index]?.isMarked ?? false }))
    .sort((a, b) => Number(a.isMarked) - Number(b.isMarked))
    .map(({ endpoint }) => endpoint);
  const gateways = [
    ...ordered.map((endpoint) => endpoint?.Gateway ?? ''),
    ...ordered.map((endpoint) => endpoint?.IPv6Gateway ?? ''),
  ];
  return {
    containerId: own.Id,
    refs,
    canJoin: holder === own && own.HostConfig?.NetworkMode !== 'none',
    networks,
    networkNames: new Set(networks.flatMap(({ name, id }) => [name, id]).filter((text) => text !== '')),
    hostAddresses: [...new Set(gateways.filter((gateway) => gateway !== ''))],
  };
}

function listOwnRefs({ Name = '', Config }: InspectedContainer): readonly WorkloadRef[] {
  const service = Config?.Labels?.[SWARM_SERVICE_LABEL];
  return [
    { kind: 'docker', name: Name.replace(/^\//, '') },
    ...(service === undefined ? [] : [{ kind: 'swarm', name: service } as const]),
  ];
}

/** The network of this place that `ref` means. */
export function findOwnNetwork(place: OwnPlace, ref: NetworkRef): OwnNetwork | undefined {
  return place.networks.find((network) => isSameNetwork(network, ref));
}
