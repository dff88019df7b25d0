import { MISSING, type Observation, UNKNOWN } from '../../model/running/observation.ts';
import type { WorkloadRef } from '../../model/workload.ts';
import { type Cancel, type Clock, parseTimestamp } from '../../system/clock.ts';
import type { EngineConnection } from '../engine/engine-connection.ts';
import type { InspectedContainer, InspectedState, ListedContainer } from '../engine/engine-shapes.ts';
import { chooseHosts, sharedNetworkOwner } from '../engine/network/addresses.ts';
import { listNeededNetworks } from '../engine/network/needed-networks.ts';
import type { ObservationSource } from '../engine/workload-observer.ts';
import type { ContainerCache } from './container-cache.ts';
import { type ContainerPlace, observeInspected, observeListed } from './observe.ts';

/** The part of a container that tells its networks; entries of lists have it too. */
type Attached = Pick<InspectedContainer, 'HostConfig' | 'NetworkSettings'> | ListedContainer;

/** Within this time a renamed container is watched under its new name, or will not be. */
const RENAME_MS = 2_000;

/**
 * Looks at containers: their state, and where they answer, for which the proxy joins their networks. It inspects what the
 * cache doesn't tell. Owns timers: `close()`.
 */
export class ContainerSource implements ObservationSource {
  readonly noun = 'container';
  /** Whether lists don't tell enough of containers at rest. */
  inspectsAll = false;
  readonly #engine: EngineConnection;
  readonly #cache: ContainerCache;
  readonly #clock: Clock;
  readonly #watched = new Set<string>();
  readonly #renames = new Set<Cancel>();
  /** By the name of a watched container, the id or name of the one whose network it uses. */
  readonly #owners = new Map<string, string>();

  constructor(options: {
    readonly engine: EngineConnection;
    readonly cache: ContainerCache;
    readonly clock: Clock;
  }) {
    this.#engine = options.engine;
    this.#cache = options.cache;
    this.#clock = options.clock;
  }

  watch(name: string): void {
    this.#watched.add(name);
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#owners.delete(name);
    this.#engine.membership.forget(refOf(name));
  }

  /** A watched container has another name. The proxy stays on its networks for a moment, in which it may be watched under that. */
  rename({ from, to }: { readonly from: string; readonly to: string }): void {
    if (!this.#watched.has(from)) return;
    const { membership } = this.#engine;
    membership.rename({ from: refOf(from), to: refOf(to) });
    const cancel = this.#clock.schedule(RENAME_MS, () => {
      this.#renames.delete(cancel);
      if (!this.#watched.has(to)) membership.forget(refOf(to));
    });
    this.#renames.add(cancel);
  }

  close(): void {
    for (const cancel of this.#renames) cancel();
    this.#renames.clear();
  }

  /** The container whose network `name` uses, by id or name; undefined where there is none, or it isn't known. */
  ownerOf(name: string): string | undefined {
    return this.#owners.get(name);
  }

  /** The watched containers that use the network of this one, which is known by id and perhaps by name. */
  listUsers({ id, name }: { readonly id: string; readonly name: string | undefined }): readonly string[] {
    return [...this.#owners].flatMap(([user, owner]) => (owner === id || owner === name ? [user] : []));
  }

  recall(name: string, session: AbortSignal): Observation {
    const known = this.#cache.get(name);
    if (known === undefined) return this.#missing(name);
    // A list doesn't tell how much memory a container may take.
    const observation = this.inspectsAll ? undefined : known.listed && observeListed(known.listed);
    if (observation === undefined || known.listed === undefined) return UNKNOWN;
    this.#joinAtRest(name, { container: known.listed, session });
    const stoppedBy = this.#cache.stoppedBy(known.id);
    return { ...observation, ...(stoppedBy !== undefined && { stoppedBy }) };
  }

  async inspect(name: string, session: AbortSignal): Promise<Observation> {
    const { client } = this.#engine;
    const id = this.#cache.get(name)?.id;
    const container = id === undefined ? undefined : await client.inspect(id, session);
    if (container !== undefined && container.Name === `/${name}`) {
      const place = await this.#locate(container, { name, session });
      const { apiVersion } = client;
      const stoppedBy = this.#cache.stoppedBy(container.Id);
      return observeInspected(container, { place, apiVersion, stoppedBy });
    }
    // Renamed meanwhile: what was seen belongs to another name, and the event of that will follow.
    session.throwIfAborted();
    return this.#missing(name);
  }

  #missing(name: string): Observation {
    this.#engine.membership.forget(refOf(name));
    return MISSING;
  }

  /** The proxy joins the networks of a container at rest, too, so that clients there can reach the proxy. */
  #joinAtRest(
    name: string,
    { container, session }: { readonly container: ListedContainer; readonly session: AbortSignal },
  ): void {
    this.#noteOwner(name, container);
    // Where the other container can't be inspected now, the look after the start tries again.
    if (sharedNetworkOwner(container) === undefined) this.#need(name, container);
    else void this.#findHolder(container, session).then((holder) => this.#need(name, holder), ignore);
  }

  /** Where a container answers that was just inspected. If it runs, this waits until the proxy is on its networks, or can't be. */
  async #locate(
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
        stranded: `it lost its network when the container "${holder.Name?.slice(1) ?? owner}" stopped, and has to be started again`,
      };
    const { networkNames, hostAddresses } = await this.#engine.membership.settle(refOf(name), session);
    return { hosts: chooseHosts(holder, { ownNetworks: networkNames, hostAddresses }) };
  }

  #noteOwner(name: string, container: Attached): void {
    const owner = sharedNetworkOwner(container);
    if (owner === undefined || !this.#watched.has(name)) this.#owners.delete(name);
    else this.#owners.set(name, owner);
  }

  #need(name: string, holder: Attached | undefined): void {
    if (this.#watched.has(name) && holder !== undefined)
      this.#engine.membership.need(refOf(name), listNeededNetworks(holder));
  }

  /** The container whose networks this one uses, mostly itself. */
  async #findHolder<T extends Attached>(
    container: T,
    session: AbortSignal,
  ): Promise<T | InspectedContainer | undefined> {
    const owner = sharedNetworkOwner(container);
    return owner === undefined ? container : await this.#engine.client.inspect(owner, session);
  }
}

/** Each start of the owner makes its network anew. A container that uses it keeps the network of the moment when it started. */
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
