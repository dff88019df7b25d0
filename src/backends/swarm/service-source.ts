import { MISSING, type Observation, UNKNOWN } from '../../model/running/observation.ts';
import type { WorkloadRef } from '../../model/workload.ts';
import type { EngineConnection } from '../engine/engine-connection.ts';
import { EngineRefusal } from '../engine/errors.ts';
import type { ObservationSource } from '../engine/workload-observer.ts';
import { observeService, type Reach } from './observe-service.ts';
import type { ServiceCatalog } from './service-catalog.ts';
import { isLive, readPhase, type Unrest } from './service-tasks.ts';
import type { SwarmClient } from './swarm-client.ts';
import type { ServiceView, SwarmNetwork, SwarmService } from './swarm-shapes.ts';

export const NO_MANAGER = 'the engine is no swarm manager';
const UNMANAGED: Observation = { ...MISSING, detail: NO_MANAGER, mayExist: true };
const NO_NODES: ReadonlySet<string> = new Set();

/** The kernel makes it in every network namespace as soon as it balances anything. */
const IPVS_FILE = '/proc/net/ip_vs';

export interface ServiceSourceOptions {
  readonly engine: EngineConnection;
  readonly catalog: ServiceCatalog;
  readonly client: SwarmClient;
  /** A service was read, and its labels have changed. */
  readonly relabelled: () => void;
  /** The engine says that it manages no swarm: lists everything again. */
  readonly refused: (session: AbortSignal) => Promise<void>;
}

/** Looks at services and their tasks: what they do, and where they answer. The proxy joins their networks for that. */
export class ServiceSource implements ObservationSource {
  readonly noun = 'service';
  readonly #options: ServiceSourceOptions;
  readonly #watched = new Set<string>();
  readonly #unrest = new Map<string, Unrest>();
  /** By id or name, as services name them. A network never changes. */
  readonly #networks = new Map<string, SwarmNetwork>();
  #hasVirtualAddresses: Promise<boolean> | undefined;

  constructor(options: ServiceSourceOptions) {
    this.#options = options;
  }

  /** Whether a service was on its way to another state when it was last looked at. */
  unrestOf(name: string): Unrest {
    return this.#unrest.get(name) ?? 'none';
  }

  watch(name: string): void {
    this.#watched.add(name);
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#unrest.delete(name);
    this.#options.engine.membership.forget(refOf(name));
  }

  /** The engine was away: its networks may be others by now. */
  forgetNetworks(): void {
    this.#networks.clear();
    this.#hasVirtualAddresses = undefined;
  }

  recall(name: string): Observation {
    const { catalog } = this.#options;
    return catalog.idOf(name) === undefined ? this.#missing(name) : UNKNOWN;
  }

  async inspect(name: string, session: AbortSignal): Promise<Observation> {
    const { catalog } = this.#options;
    try {
      const id = catalog.idOf(name);
      const view = id === undefined ? undefined : (catalog.takeAtRest(id) ?? (await this.#ask(id, session)));
      session.throwIfAborted();
      return view === undefined ? this.#missing(name) : await this.#observe(view, { name, session });
    } catch (error) {
      // Managers answer so while they elect a leader, too; the list tells which of both it is.
      if (!(error instanceof EngineRefusal) || error.status !== 503) throw error;
      await this.#options.refused(session);
      if (catalog.nodeId !== undefined) throw error;
      return this.#missing(name);
    }
  }

  #missing(name: string): Observation {
    const { catalog, engine } = this.#options;
    this.#unrest.delete(name);
    engine.membership.forget(refOf(name));
    return catalog.nodeId === undefined ? UNMANAGED : MISSING;
  }

  async #ask(id: string, session: AbortSignal): Promise<ServiceView | undefined> {
    const { catalog, client, relabelled } = this.#options;
    const [service, tasks] = await Promise.all([client.serviceById(id, session), client.tasks(id, session)]);
    if (service === undefined) {
      catalog.remove(id);
      return undefined;
    }
    if (catalog.put(service) === 'relabelled') relabelled();
    return { service, tasks };
  }

  async #observe(
    view: ServiceView,
    { name, session }: { readonly name: string; readonly session: AbortSignal },
  ): Promise<Observation> {
    const { catalog, engine } = this.#options;
    const lostNodes = await this.#findLostNodes(view, session);
    const { state, unrest } = readPhase(view, lostNodes);
    const isAwake = state === 'running';
    const reach = await this.#findReach(view, { name, isAwake, session });
    this.#hasVirtualAddresses ??= engine.system.readFile(IPVS_FILE).then(
      () => true,
      () => false,
    );
    const hasVirtualAddresses = await this.#hasVirtualAddresses;
    this.#unrest.set(name, catalog.isOutdated(view) ? 'moving' : unrest);
    const nodeId = catalog.nodeId ?? '';
    return observeService(view, { reach, nodeId, lostNodes, hasVirtualAddresses });
  }

  /** Asks only where tasks of other nodes are to end, or haven't: a node that is down never tells. */
  async #findLostNodes({ tasks }: ServiceView, session: AbortSignal): Promise<ReadonlySet<string>> {
    const { catalog, client } = this.#options;
    const isUncertain = tasks.some(
      (task) => isLive(task) && task.DesiredState !== 'running' && task.NodeID !== catalog.nodeId,
    );
    if (!isUncertain) return NO_NODES;
    const nodes = await client.nodes(session);
    return new Set(nodes.filter(({ Status }) => Status?.State === 'down').map(({ ID }) => ID));
  }

  /** How a service is reached; where its tasks run, the proxy is on its networks then, if it can be. */
  async #findReach(
    view: ServiceView,
    options: { readonly name: string; readonly isAwake: boolean; readonly session: AbortSignal },
  ): Promise<Reach> {
    const { name, isAwake, session } = options;
    const { membership } = this.#options.engine;
    const networks = await this.#findNetworks(view.service, session);
    const attachable = networks.filter(({ Attachable }) => Attachable === true);
    if (this.#watched.has(name)) {
      const needed = attachable.map(({ Id, Name }) => ({ id: Id, name: Name ?? Id }));
      membership.need(refOf(name), needed);
    }
    const place = isAwake
      ? await membership.settle(refOf(name), session)
      : await membership.whereabouts(session);
    if (networks.some(({ Driver }) => Driver === 'host'))
      return { kind: 'host-network', hosts: place.hostAddresses };
    const shared = networks.filter(({ Id }) => place.networkNames.has(Id));
    // Nobody waits for the networks of a service that sleeps; the look after its start tells whether the proxy is on them.
    const willJoin = !isAwake && place.canJoin ? attachable : [];
    const ids = new Set([...shared, ...willJoin].map(({ Id }) => Id));
    const [host] = place.hostAddresses;
    // A container without a gateway reaches no port of its host.
    if (ids.size > 0 || host === undefined) return { kind: 'networks', ids };
    const isOnHost = place.containerId === undefined;
    const direct = isAwake && isOnHost ? await this.#locateTasks(view, session) : new Map<string, string>();
    return { kind: 'published', side: { host, direct } };
  }

  /** The addresses that this node's containers have on its own bridges, of tasks with ports in `host` mode. */
  async #locateTasks(
    { service, tasks }: ServiceView,
    session: AbortSignal,
  ): Promise<ReadonlyMap<string, string>> {
    const { nodeId } = this.#options.catalog;
    const located = new Map<string, string>();
    if (!service.Endpoint?.Ports?.some(({ PublishMode }) => PublishMode === 'host')) return located;
    for (const task of tasks) {
      const id = task.Status?.ContainerStatus?.ContainerID ?? '';
      if (task.NodeID !== nodeId || task.Status?.State !== 'running' || id === '') continue;
      const address = await this.#findBridgeAddress(id, session);
      if (address !== undefined) located.set(task.ID, address);
    }
    return located;
  }

  async #findBridgeAddress(id: string, session: AbortSignal): Promise<string | undefined> {
    const { client, engine } = this.#options;
    const container = await engine.client.inspect(id, session);
    const own = container?.NetworkSettings?.Networks?.['bridge']?.IPAddress;
    if (own) return own;
    // A container on an overlay network has its way out, and its published ports, on this bridge.
    const gateway = await client.network('docker_gwbridge', session);
    return gateway?.Containers?.[id]?.IPv4Address?.split('/')[0] || undefined;
  }

  async #findNetworks(service: SwarmService, session: AbortSignal): Promise<readonly SwarmNetwork[]> {
    const { TaskTemplate, Networks } = service.Spec ?? {};
    const targets = (TaskTemplate?.Networks ?? Networks ?? []).flatMap(({ Target }) => Target ?? []);
    const found = await Promise.all(targets.map((target) => this.#findNetwork(target, session)));
    return found.filter((network) => network !== undefined);
  }

  async #findNetwork(target: string, session: AbortSignal): Promise<SwarmNetwork | undefined> {
    const known = this.#networks.get(target) ?? (await this.#options.client.network(target, session));
    if (known !== undefined) this.#networks.set(target, known);
    return known;
  }
}

function refOf(name: string): WorkloadRef {
  return { kind: 'swarm', name };
}
