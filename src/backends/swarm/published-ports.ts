import { type Endpoint, portKey } from '../../model/observation.ts';
import type { ServicePort, SwarmService, SwarmTask } from './swarm-shapes.ts';

/** Where published ports answer, seen from the proxy. */
export interface PublishedSide {
  /** An address of this node. */
  readonly host: string;
  /**
   * Addresses of this node's tasks, by task id, where the proxy runs on the host and reaches them: the engine's own port
   * proxy takes connections for a task before the task itself does, which would lose the client that woke it.
   */
  readonly direct: ReadonlyMap<string, string>;
}

/**
 * Where the ports that a service publishes answer.
 * @param options.tasks those that run on this node: ports in `host` mode are on the nodes of the tasks alone.
 * @param options.isRunning false: the ports are told, without endpoints.
 */
export function mapPublishedPorts(
  service: SwarmService,
  options: {
    readonly side: PublishedSide;
    readonly tasks: readonly SwarmTask[];
    readonly isRunning: boolean;
  },
): Readonly<Record<string, readonly Endpoint[]>> {
  const { side, tasks, isRunning } = options;
  const ports = new Map<string, Map<string, Endpoint>>();
  for (const published of service.Endpoint?.Ports ?? []) {
    const { Protocol: protocol, TargetPort: target } = published;
    if ((protocol !== 'tcp' && protocol !== 'udp') || target === undefined) continue;
    const key = portKey(protocol, target);
    const known = ports.get(key) ?? new Map<string, Endpoint>();
    ports.set(key, known);
    const endpoints =
      published.PublishMode === 'host'
        ? tasks.flatMap((task) => listTaskEndpoints(task, { published, side }))
        : toEndpoints(side.host, published.PublishedPort);
    if (isRunning) for (const endpoint of endpoints) known.set(`${endpoint.host} ${endpoint.port}`, endpoint);
  }
  return Object.fromEntries([...ports].map(([key, endpoints]) => [key, [...endpoints.values()]]));
}

function listTaskEndpoints(
  task: SwarmTask,
  { published, side }: { readonly published: ServicePort; readonly side: PublishedSide },
): readonly Endpoint[] {
  const direct = side.direct.get(task.ID);
  if (direct !== undefined) return toEndpoints(direct, published.TargetPort);
  return (task.Status?.PortStatus?.Ports ?? [])
    .filter((port) => port.Protocol === published.Protocol && port.TargetPort === published.TargetPort)
    .flatMap((port) => toEndpoints(side.host, port.PublishedPort));
}

function toEndpoints(host: string, port: number | undefined): readonly Endpoint[] {
  return port === undefined || port === 0 ? [] : [{ host, port }];
}
