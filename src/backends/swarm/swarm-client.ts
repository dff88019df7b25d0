import type { EngineCall } from '../engine/call-deadlines.ts';
import { type EngineClient, parseAnswer } from '../engine/engine-client.ts';
import { checkId, pathSegment } from '../engine/engine-ids.ts';
import { EngineRefusal } from '../engine/errors.ts';
import type {
  EngineInfo,
  ServiceSpec,
  ServiceView,
  SwarmNetwork,
  SwarmNode,
  SwarmService,
  SwarmTask,
  SwarmView,
} from './swarm-shapes.ts';

/**
 * Calls of the engine API about swarm services. Each throws {@link EngineRefusal} or EngineUnreachable, the former also where an
 * answer holds an id that is none: what is handed out may become part of a path.
 */
export class SwarmClient {
  readonly #engine: EngineClient;

  constructor(engine: EngineClient) {
    this.#engine = engine;
  }

  /** Everything, in three calls. */
  async view(signal: AbortSignal): Promise<SwarmView> {
    const Swarm = await this.#readSwarm(signal);
    if (Swarm?.ControlAvailable !== true) return { kind: 'none' };
    const services = await this.#get<readonly SwarmService[]>('/services', { call: 'list services', signal });
    for (const { ID } of services) checkId('service', ID);
    const tasks = await this.#listTasks({ signal });
    const byService = new Map<string, SwarmTask[]>();
    for (const task of tasks) {
      const others = byService.get(task.ServiceID ?? '');
      if (others === undefined) byService.set(task.ServiceID ?? '', [task]);
      else others.push(task);
    }
    const views = services.map((service): ServiceView => {
      return { service, tasks: byService.get(service.ID) ?? [] };
    });
    return { kind: 'manager', nodeId: Swarm.NodeID ? checkId('node', Swarm.NodeID) : '', services: views };
  }

  /** Undefined where there is none. */
  async serviceById(id: string, signal: AbortSignal): Promise<SwarmService | undefined> {
    return this.#inspectService(checkId('service', id), signal);
  }

  /** Undefined where there is none; the engine takes ids and their beginnings for names, too. */
  async serviceByName(name: string, signal: AbortSignal): Promise<SwarmService | undefined> {
    return this.#inspectService(pathSegment(name), signal);
  }

  /** Those of one service, past ones among them. */
  async tasks(serviceId: string, signal: AbortSignal): Promise<readonly SwarmTask[]> {
    return this.#listTasks({ signal, query: { filters: { service: [checkId('service', serviceId)] } } });
  }

  async nodes(signal: AbortSignal): Promise<readonly SwarmNode[]> {
    const nodes = await this.#get<readonly SwarmNode[]>('/nodes', { call: 'list nodes', signal });
    for (const { ID } of nodes) checkId('node', ID);
    return nodes;
  }

  /** By id or name; undefined where there is none. */
  async network(network: string, signal: AbortSignal): Promise<SwarmNetwork | undefined> {
    const path = `/networks/${pathSegment(network)}`;
    const found = await orUndefined(this.#get<SwarmNetwork>(path, { call: 'inspect network', signal }));
    if (found !== undefined) checkId('network', found.Id);
    return found;
  }

  /** Refused where the service was changed since it was read. */
  async update(
    service: SwarmService,
    { spec, signal }: { readonly spec: ServiceSpec; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#engine.call({
      call: 'update service',
      method: 'POST',
      path: `/services/${checkId('service', service.ID)}/update`,
      query: { version: service.Version?.Index ?? 0 },
      body: { ...spec },
      signal,
    });
  }

  /** Engines that know no swarms leave it out, and a filter before the engine may not let the question through. */
  async #readSwarm(signal: AbortSignal): Promise<EngineInfo['Swarm']> {
    try {
      return (await this.#get<EngineInfo>('/info', { call: 'info', signal })).Swarm;
    } catch (error) {
      if (error instanceof EngineRefusal && error.status < 500) return undefined;
      throw error;
    }
  }

  async #inspectService(segment: string, signal: AbortSignal): Promise<SwarmService | undefined> {
    const path = `/services/${segment}`;
    const found = await orUndefined(this.#get<SwarmService>(path, { call: 'inspect service', signal }));
    if (found !== undefined) checkId('service', found.ID);
    return found;
  }

  async #listTasks(options: {
    readonly signal: AbortSignal;
    readonly query?: Readonly<Record<string, unknown>>;
  }): Promise<readonly SwarmTask[]> {
    const tasks = await this.#get<readonly SwarmTask[]>('/tasks', { call: 'list tasks', ...options });
    for (const { ID, ServiceID, NodeID, Status } of tasks) {
      checkId('task', ID);
      // What isn't given to anybody yet has none.
      if (ServiceID) checkId('service', ServiceID);
      if (NodeID) checkId('node', NodeID);
      if (Status?.ContainerStatus?.ContainerID) checkId('container', Status.ContainerStatus.ContainerID);
    }
    return tasks;
  }

  async #get<T>(
    path: string,
    options: {
      readonly call: EngineCall;
      readonly signal: AbortSignal;
      readonly query?: Readonly<Record<string, unknown>>;
    },
  ): Promise<T> {
    return parseAnswer(await this.#engine.call({ method: 'GET', path, ...options })) as T;
  }
}

async function orUndefined<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof EngineRefusal && error.status === 404) return undefined;
    throw error;
  }
}
