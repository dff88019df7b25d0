import { type Endpoint, type Observation, portKey } from '../../model/running/observation.ts';
import { readProject } from '../engine/read-project.ts';
import { readMode } from './replicas.ts';
import { describeTasks, readPhase, type ServicePhase } from './service-tasks.ts';
import type { ServicePort, ServiceView, SwarmService, SwarmTask } from './swarm-shapes.ts';

/** How the proxy reaches the tasks of a service. */
export type Reach =
  /** It is on these networks with them, or will be as soon as they run. */
  | { readonly kind: 'networks'; readonly ids: ReadonlySet<string> }
  /** They use the network of their node itself. */
  | { readonly kind: 'host-network'; readonly hosts: readonly string[] }
  /** Only through the ports that the service publishes. */
  | { readonly kind: 'published'; readonly side: PublishedSide };

export interface ServiceSurroundings {
  readonly reach: Reach;
  /** This engine's own node. */
  readonly nodeId: string;
  readonly lostNodes: ReadonlySet<string>;
  /** Whether the kernel balances the services' virtual addresses. */
  readonly hasVirtualAddresses: boolean;
}

/** A service that can't be scaled counts as missing, although it exists. */
export function observeUnscalable(problem: string): Observation {
  return { state: 'missing', id: '', hosts: [], health: 'none', detail: problem, problem, mayExist: true };
}

/** What a service and its tasks say about it. */
export function observeService(view: ServiceView, surroundings: ServiceSurroundings): Observation {
  const { service } = view;
  const mode = readMode(service.Spec ?? {});
  if (mode.kind === 'unscalable') return observeUnscalable(mode.problem);
  const phase = readPhase(view, surroundings.lostNodes);
  const { state } = phase;
  const isWanted = mode.replicas > 0;
  const project = readProject(service.Spec?.Labels);
  const detail = isWanted && state !== 'running' ? describeTasks(view) : undefined;
  return {
    state,
    id: service.ID,
    ...(isWanted && service.Version?.Index !== undefined && { run: String(service.Version.Index) }),
    ...(project !== undefined && { project }),
    health: readHealth(view, state),
    ...(detail === undefined ? {} : { detail }),
    ...readGrace(view),
    ...readAddresses(view, { phase, surroundings }),
  };
}

/** A task with a health check counts as running only when that has passed; one that fails is replaced. */
function readHealth({ service }: ServiceView, state: ServicePhase['state']): Observation['health'] {
  const test = service.Spec?.TaskTemplate?.ContainerSpec?.Healthcheck?.Test ?? [];
  if (test.length === 0 || test[0] === 'NONE') return 'none';
  return state === 'running' ? 'healthy' : 'starting';
}

function readGrace({ service }: ServiceView): Pick<Observation, 'ownGraceMs'> {
  const graceMs = (service.Spec?.TaskTemplate?.ContainerSpec?.StopGracePeriod ?? 10e9) / 1e6;
  return graceMs === 10_000 ? {} : { ownGraceMs: graceMs };
}

function readAddresses(
  view: ServiceView,
  { phase, surroundings }: { readonly phase: ServicePhase; readonly surroundings: ServiceSurroundings },
): Pick<Observation, 'hosts' | 'ports' | 'problem'> {
  const { reach, nodeId } = surroundings;
  const isRunning = phase.state === 'running';
  const here = phase.running.filter((task) => task.NodeID === nodeId);
  switch (reach.kind) {
    case 'networks':
      return { hosts: isRunning ? listAddresses(view, { phase, ids: reach.ids, surroundings }) : [] };
    case 'host-network':
      return { hosts: here.length > 0 ? reach.hosts : [] };
    case 'published': {
      const ports = mapPublishedPorts(view.service, { side: reach.side, tasks: here, isRunning });
      const hosts = [...new Set(Object.values(ports).flatMap((list) => list.map(({ host }) => host)))];
      if (Object.keys(ports).length > 0) return { hosts, ports };
      return { hosts, ports, problem: 'it publishes no port, and the proxy is on none of its networks' };
    }
  }
}

/**
 * A virtual address stays the same as long as the service exists, and the engine itself follows which tasks are behind
 * it, on every node: tasks of other nodes come and go without an event. Services without one (`endpoint_mode: dnsrr`)
 * are reached at the tasks' own addresses, and so are all where the kernel has no IPVS to balance it.
 */
function listAddresses(
  { service }: ServiceView,
  {
    phase,
    ids,
    surroundings,
  }: {
    readonly phase: ServicePhase;
    readonly ids: ReadonlySet<string>;
    readonly surroundings: ServiceSurroundings;
  },
): readonly string[] {
  const virtual = (service.Endpoint?.VirtualIPs ?? []).filter(({ NetworkID }) => ids.has(NetworkID ?? ''));
  if (surroundings.hasVirtualAddresses && virtual.length > 0)
    return virtual.map(({ Addr }) => withoutMask(Addr ?? ''));
  const attachments = phase.running.flatMap((task) => task.NetworksAttachments ?? []);
  const addresses = attachments
    .filter(({ Network }) => ids.has(Network?.ID ?? ''))
    .flatMap(({ Addresses }) => (Addresses ?? []).map(withoutMask));
  return [...new Set(addresses)];
}

/** `10.0.1.7/24` → `10.0.1.7` */
function withoutMask(address: string): string {
  return address.split('/')[0] ?? '';
}

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
function mapPublishedPorts(
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
