import type { EngineCall } from '../engine/call-deadlines.ts';
import { type EngineClient, parseAnswer, pathSegment } from '../engine/engine-client.ts';
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

/** Calls of the engine API about swarm services. Each throws {@link EngineRefusal} or EngineUnreachable. */
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
    const tasks = await this.#get<readonly SwarmTask[]>('/tasks', { call: 'list tasks', signal });
    const byService = new Map<string, SwarmTask[]>();
    for (const task of tasks) {
      const others = byService.get(task.ServiceID ?? '');
      if (others === undefined) byService.set(task.ServiceID ?? '', [task]);
      else others.push(task);
    }
    const views = services.map((service): ServiceView => {
      return { service, tasks: byService.get(service.ID) ?? [] };
    });
    return { kind: 'manager', nodeId: Swarm.NodeID ?? '', services: views };
  }

  /** By id, or by name; undefined where there is none. */
  service(service: string, signal: AbortSignal): Promise<SwarmService | undefined> {
    const path = `/services/${encodeURIComponent(service)}`;
    return orUndefined(this.#get<SwarmService>(path, { call: 'inspect service', signal }));
  }

  /** Those of one service, past ones among them. */
  tasks(serviceId: string, signal: AbortSignal): Promise<readonly SwarmTask[]> {
    const query = { filters: { service: [serviceId] } };
    return this.#get('/tasks', { call: 'list tasks', signal, query });
  }

  nodes(signal: AbortSignal): Promise<readonly SwarmNode[]> {
    return this.#get('/nodes', { call: 'list nodes', signal });
  }

  /** By id or name; undefined where there is none. */
  network(network: string, signal: AbortSignal): Promise<SwarmNetwork | undefined> {
    const path = `/networks/${encodeURIComponent(network)}`;
    return orUndefined(this.#get<SwarmNetwork>(path, { call: 'inspect network', signal }));
  }

  /** Refused where the service was changed since it was read. */
  async update(
    service: SwarmService,
    { spec, signal }: { readonly spec: ServiceSpec; readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#engine.call({
      call: 'update service',
      method: 'POST',
      path: `/services/${pathSegment(service.ID)}/update`,
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

  /** Frees idle connections; calls in flight end through their own signals. */
  close(): void {
    this.#engine.close();
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
