import type { EngineConnection } from '../engine/engine-connection.ts';
import type { Reach } from './observe-service.ts';
import type { SwarmClient } from './swarm-client.ts';
import type { ServiceView, SwarmNetwork, SwarmService } from './swarm-shapes.ts';

/** There in every network namespace as soon as the kernel balances anything. */
const IPVS_FILE = '/proc/net/ip_vs';

/** Says how services are reached, and has the proxy join their networks. */
export class ServiceLocator {
  readonly #engine: EngineConnection;
  readonly #client: SwarmClient;
  readonly #nodeId: () => string | undefined;
  readonly #watched = new Set<string>();
  /** By id or name, as services name them. A network never changes. */
  readonly #networks = new Map<string, SwarmNetwork>();
  #hasVirtualAddresses: Promise<boolean> | undefined;

  constructor(options: {
    readonly engine: EngineConnection;
    readonly client: SwarmClient;
    /** This engine's own node. */
    readonly nodeId: () => string | undefined;
  }) {
    this.#engine = options.engine;
    this.#client = options.client;
    this.#nodeId = options.nodeId;
  }

  watch(name: string): void {
    this.#watched.add(name);
  }

  unwatch(name: string): void {
    this.#watched.delete(name);
    this.#engine.membership.forget({ kind: 'swarm', name });
  }

  /** The service doesn't exist: it needs no network. */
  setMissing(name: string): void {
    this.#engine.membership.forget({ kind: 'swarm', name });
  }

  /** The engine was away: its networks may be others by now. */
  forgetNetworks(): void {
    this.#networks.clear();
    this.#hasVirtualAddresses = undefined;
  }

  /** Whether the kernel balances the services' virtual addresses. */
  hasVirtualAddresses(): Promise<boolean> {
    this.#hasVirtualAddresses ??= this.#engine.system.readFile(IPVS_FILE).then(
      () => true,
      () => false,
    );
    return this.#hasVirtualAddresses;
  }

  /**
   * How a service is reached; where its tasks run, the proxy is on its networks then, if it can be.
   * @throws {EngineUnreachable | EngineRefusal}
   */
  async findReach(
    view: ServiceView,
    options: { readonly name: string; readonly isAwake: boolean; readonly session: AbortSignal },
  ): Promise<Reach> {
    const { name, isAwake, session } = options;
    const networks = await this.#findNetworks(view.service, session);
    const attachable = networks.filter(({ Attachable }) => Attachable === true);
    if (this.#watched.has(name)) {
      const needed = attachable.map(({ Id, Name }) => ({ id: Id, name: Name ?? Id }));
      this.#engine.membership.need({ kind: 'swarm', name }, needed);
    }
    const place = isAwake
      ? await this.#engine.membership.settle({ kind: 'swarm', name }, session)
      : await this.#engine.membership.whereabouts(session);
    if (networks.some(({ Driver }) => Driver === 'host'))
      return { kind: 'host-network', hosts: place.hostAddresses };
    const shared = networks.filter(({ Id }) => place.networkNames.has(Id));
    // What sleeps isn't waited for; the look after the start tells whether the joining has worked.
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
    const located = new Map<string, string>();
    if (!service.Endpoint?.Ports?.some(({ PublishMode }) => PublishMode === 'host')) return located;
    for (const task of tasks) {
      const id = task.Status?.ContainerStatus?.ContainerID ?? '';
      if (task.NodeID !== this.#nodeId() || task.Status?.State !== 'running' || id === '') continue;
      const address = await this.#findBridgeAddress(id, session);
      if (address !== undefined) located.set(task.ID, address);
    }
    return located;
  }

  async #findBridgeAddress(id: string, session: AbortSignal): Promise<string | undefined> {
    const container = await this.#engine.client.inspect(id, session);
    const own = container?.NetworkSettings?.Networks?.['bridge']?.IPAddress;
    if (own) return own;
    // What is on an overlay network has its way out, and its ports, on this one.
    const gateway = await this.#client.network('docker_gwbridge', session);
    return gateway?.Containers?.[id]?.IPv4Address?.split('/')[0] || undefined;
  }

  async #findNetworks(service: SwarmService, session: AbortSignal): Promise<readonly SwarmNetwork[]> {
    const { TaskTemplate, Networks } = service.Spec ?? {};
    const targets = (TaskTemplate?.Networks ?? Networks ?? []).flatMap(({ Target }) => Target ?? []);
    const found = await Promise.all(targets.map((target) => this.#findNetwork(target, session)));
    return found.filter((network) => network !== undefined);
  }

  async #findNetwork(target: string, session: AbortSignal): Promise<SwarmNetwork | undefined> {
    const known = this.#networks.get(target) ?? (await this.#client.network(target, session));
    if (known !== undefined) this.#networks.set(target, known);
    return known;
  }
}
