import { MISSING, type Observation, UNKNOWN } from '../../model/observation.ts';
import { EngineRefusal } from '../engine/errors.ts';
import type { ObservationSource } from '../engine/workload-observer.ts';
import { observeService } from './observe-service.ts';
import type { ServiceCatalog } from './service-catalog.ts';
import type { ServiceLocator } from './service-locator.ts';
import { isLive, readPhase, type Unrest } from './service-tasks.ts';
import type { SwarmClient } from './swarm-client.ts';
import type { ServiceView } from './swarm-shapes.ts';

export const NO_MANAGER = 'the engine is no swarm manager';
const UNMANAGED: Observation = { ...MISSING, detail: NO_MANAGER };
const NO_NODES: ReadonlySet<string> = new Set();

export interface ServiceSourceOptions {
  readonly catalog: ServiceCatalog;
  readonly client: SwarmClient;
  readonly locator: ServiceLocator;
  /** A service was read, and its labels have changed. */
  readonly relabelled: () => void;
  /** The engine says that it manages no swarm: has it listed again. */
  readonly refused: (session: AbortSignal) => Promise<void>;
}

/** Looks at services and their tasks. */
export class ServiceSource implements ObservationSource {
  readonly noun = 'service';
  readonly #options: ServiceSourceOptions;
  readonly #unrest = new Map<string, Unrest>();

  constructor(options: ServiceSourceOptions) {
    this.#options = options;
  }

  /** Whether a service was on its way to another state when it was last looked at. */
  unrestOf(name: string): Unrest {
    return this.#unrest.get(name) ?? 'none';
  }

  watch(name: string): void {
    this.#options.locator.watch(name);
  }

  unwatch(name: string): void {
    this.#unrest.delete(name);
    this.#options.locator.unwatch(name);
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
      // Also while a new leader is elected; the list tells which of both.
      if (!(error instanceof EngineRefusal) || error.status !== 503) throw error;
      await this.#options.refused(session);
      if (catalog.nodeId !== undefined) throw error;
      return this.#missing(name);
    }
  }

  #missing(name: string): Observation {
    const { catalog, locator } = this.#options;
    this.#unrest.delete(name);
    locator.setMissing(name);
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
    const { catalog, locator } = this.#options;
    const lostNodes = await this.#findLostNodes(view, session);
    const { state, unrest } = readPhase(view, lostNodes);
    const isAwake = state === 'running';
    const reach = await locator.findReach(view, { name, isAwake, session });
    const hasVirtualAddresses = await locator.hasVirtualAddresses();
    this.#unrest.set(name, catalog.isOutdated(view) ? 'moving' : unrest);
    const nodeId = catalog.nodeId ?? '';
    return observeService(view, { reach, nodeId, lostNodes, hasVirtualAddresses });
  }

  /** Asked only where tasks of other nodes are to end, or haven't: a node that is down never tells. */
  async #findLostNodes({ tasks }: ServiceView, session: AbortSignal): Promise<ReadonlySet<string>> {
    const { catalog, client } = this.#options;
    const isUncertain = tasks.some(
      (task) => isLive(task) && task.DesiredState !== 'running' && task.NodeID !== catalog.nodeId,
    );
    if (!isUncertain) return NO_NODES;
    const nodes = await client.nodes(session);
    return new Set(nodes.filter(({ Status }) => Status?.State === 'down').map(({ ID }) => ID));
  }
}
