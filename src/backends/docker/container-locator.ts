import type { WorkloadRef } from '../../model/workload.ts';
import { type Cancel, type Clock, parseTimestamp } from '../../system/clock.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { InspectedContainer, InspectedState, ListedContainer } from '../engine/engine-shapes.ts';
import { chooseHosts, sharedNetworkOwner } from '../engine/network/addresses.ts';
import { listNeededNetworks } from '../engine/network/needed-networks.ts';
import type { NetworkMembership } from '../engine/network/network-membership.ts';

/** What tells a container's networks: a list's entry has it, too. */
type Attached = Pick<InspectedContainer, 'HostConfig' | 'NetworkSettings'> | ListedContainer;

/** Where a running container answers. */
export interface ContainerPlace {
  /** Best first. */
  readonly hosts: readonly string[];
  /** Why nothing reaches it until it is started anew: the network that it uses has ended with its owner. */
  readonly stranded?: string;
  /** Why nothing ever will. */
  readonly problem?: string;
}

/** Until then whoever follows a renamed container has its new name, or nobody does. */
const RENAME_MS = 2_000;

/** Says at which addresses containers answer, and has the proxy join their networks. `close()` ends it. */
export class ContainerLocator {
  readonly #client: EngineClient;
  readonly #membership: NetworkMembership;
  readonly #clock: Clock;
  readonly #watched = new Set<string>();
  readonly #renames = new Set<Cancel>();
  readonly #owners = new Map<string, string>();

  constructor(options: {
    readonly client: EngineClient;
    readonly membership: NetworkMembership;
    readonly clock: Clock;
  }) {
    this.#client = options.client;
    this.#membership = options.membership;
    this.#clock = options.clock;
  }

  /** A watched container has another name: the proxy stays on its networks until it is watched under that, or isn't. */
  rename(names: { readonly from: string; readonly to: string }): void {
    if (!this.#watched.has(names.from)) return;
    this.#membership.rename({ from: refOf(names.from), to: refOf(names.to) });
    const cancel = this.#clock.schedule(RENAME_MS, () => {
      this.#renames.delete(cancel);
      if (!this.#watched.has(names.to)) this.#membership.forget(refOf(names.to));
    });
    this.#renames.add(cancel);
  }

  close(): void {
    for (const cancel of this.#renames) cancel();
    this.#renames.clear();
  }

  watch(name: string): void {
    this.#watched.add(name);
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#owners.delete(name);
    this.#membership.forget(refOf(name));
  }

  /** The container whose network `name` uses, by id or name, as far as is known. */
  ownerOf(name: string): string | undefined {
    return this.#owners.get(name);
  }

  /** The container doesn't exist: it needs no network. */
  setMissing(name: string): void {
    this.#membership.forget(refOf(name));
  }

  /** A container at rest: the proxy joins its networks, so that clients there can reach the proxy. */
  setAtRest(name: string, place: { readonly container: Attached; readonly session: AbortSignal }): void {
    const { container, session } = place;
    this.#noteOwner(name, container);
    // Where the other container can't be asked, the look after the start asks again.
    if (sharedNetworkOwner(container) === undefined) this.#need(name, container);
    else void this.#findHolder(container, session).then((holder) => this.#need(name, holder), ignore);
  }

  /** The watched containers that use the network of this one, which is known by id and perhaps by name. */
  listUsers({ id, name }: { readonly id: string; readonly name: string | undefined }): readonly string[] {
    return [...this.#owners].flatMap(([user, owner]) => (owner === id || owner === name ? [user] : []));
  }

  /**
   * Where a container answers that was just inspected; where it runs, the proxy is on its networks then, if it can be.
   * @throws {EngineUnreachable | EngineRefusal}
   */
  async locate(
    container: InspectedContainer,
    { name, session }: { readonly name: string; readonly session: AbortSignal },
  ): Promise<ContainerPlace> {
    this.#noteOwner(name, container);
    const owner = sharedNetworkOwner(container);
    const holder = await this.#findHolder(container, session);
    this.#need(name, holder);
    if (container.State?.Running !== true) return { hosts: [] };
    if (holder === undefined)
      return { hosts: [], problem: `the container whose network it uses, "${owner}", does not exist` };
    if (owner !== undefined && hasLostNetwork(container, holder))
      return {
        hosts: [],
        stranded: `it has lost its network with the container "${holder.Name?.slice(1) ?? owner}", and has to be started again`,
      };
    const { networkNames, hostAddresses } = await this.#membership.settle(refOf(name), session);
    return { hosts: chooseHosts(holder, { ownNetworks: networkNames, hostAddresses }) };
  }

  #noteOwner(name: string, container: Attached): void {
    const owner = sharedNetworkOwner(container);
    if (owner === undefined || !this.#watched.has(name)) this.#owners.delete(name);
    else this.#owners.set(name, owner);
  }

  #need(name: string, holder: Attached | undefined): void {
    if (this.#watched.has(name) && holder !== undefined)
      this.#membership.need(refOf(name), listNeededNetworks(holder));
  }

  /** The container whose networks it uses: itself, as a rule. */
  async #findHolder<T extends Attached>(
    container: T,
    session: AbortSignal,
  ): Promise<T | InspectedContainer | undefined> {
    const owner = sharedNetworkOwner(container);
    return owner === undefined ? container : await this.#client.inspect(owner, session);
  }
}

/** A network is made anew with each start of its owner; who uses it keeps the one that was there when it started. */
function hasLostNetwork({ State: user }: InspectedContainer, { State: owner }: InspectedContainer): boolean {
  if (owner?.Running !== true) return true;
  return startedMs(owner) > startedMs(user);
}

function startedMs(state: InspectedState | undefined): number {
  return parseTimestamp(state?.StartedAt ?? '') || 0;
}

function refOf(name: string): WorkloadRef {
  return { kind: 'docker', name };
}

function ignore(): void {}
