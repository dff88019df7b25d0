/** A swarm of one node, on an engine of its own: joining one changes an engine for good. */
import Docker from 'dockerode';
import { type PrivateEngine, startPrivateEngine } from '../../../scripts/private-engine.mjs';
import { freePorts } from '../../support/free-ports.ts';
import { engineAddress } from './engine-address.ts';
import { waitUntil } from './wait-until.ts';

/** Networks of the swarm; other private engines use what is below and above. */
const ADDRESS_POOL = '198.19.64.0/20';
const NANOSECONDS_PER_MS = 1e6;

const GATEWAY_BRIDGE = 'docker_gwbridge';

export interface SwarmEngine {
  readonly engine: PrivateEngine;
  readonly docker: Docker;
  /** Makes the engine the manager of a new swarm. */
  init(): Promise<void>;
  /** Removes the engine, and the swarm with it. Idempotent. */
  stop(): Promise<void>;
}

/** Starts an engine that is in no swarm yet; whoever starts it stops it. */
export async function startSwarmEngine(): Promise<SwarmEngine> {
  const engine = await startPrivateEngine({ swarm: true });
  const docker = new Docker(engineAddress(engine.host));
  return {
    engine,
    docker,
    async init() {
      // A test that is tried again finds it done.
      if ((await docker.info()).Swarm?.ControlAvailable) return;
      await createGatewayBridge(docker, engine.gatewaySubnet);
      const [control = 0, data = 0] = await freePorts(2);
      await docker.swarmInit({
        ListenAddr: `127.0.0.1:${control}`,
        AdvertiseAddr: '127.0.0.1',
        DataPathPort: data,
        DefaultAddrPool: [ADDRESS_POOL],
        SubnetSize: 26,
      });
    },
    stop: () => engine.stop(),
  };
}

/** The bridge that a swarm would make itself, with addresses out of Docker's own pools. */
async function createGatewayBridge(docker: Docker, subnet: string): Promise<void> {
  await docker.createNetwork({
    Name: GATEWAY_BRIDGE,
    IPAM: { Config: [{ Subnet: subnet }] },
    Options: {
      'com.docker.network.bridge.name': GATEWAY_BRIDGE,
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
    },
  });
}

/** A service as a test wants it. */
export interface ServiceSpec {
  readonly name: string;
  readonly image: string;
  readonly cmd: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Of the service, not of its containers. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Default 0. */
  readonly replicas?: number;
  readonly isGlobal?: true;
  /** Published on this node alone; without a port of the host, each task has one of its own. */
  readonly ports?: readonly { readonly target: number; readonly published?: number }[];
  readonly networks?: readonly string[];
  readonly endpointMode?: 'vip' | 'dnsrr';
  /** When a task that has ended is replaced; default `any`. */
  readonly restartCondition?: 'none' | 'on-failure' | 'any';
  /** Default: any. */
  readonly maxRestarts?: number;
  /** What a node must fulfil; for example `node.labels.disk == ssd`. */
  readonly constraints?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[]; readonly intervalMs: number };
}

/** A service, and what somebody else does to it. */
export interface TestService {
  readonly id: string;
  readonly name: string;
  replicas(): Promise<number>;
  labels(): Promise<Readonly<Record<string, string>>>;
  /** As `docker service scale`. */
  scale(replicas: number): Promise<void>;
  remove(): Promise<void>;
  /** Its containers that run, or are about to. */
  containers(): Promise<readonly string[]>;
  /** Resolves when it has no container any more. */
  gone(): Promise<void>;
}

export async function createService(docker: Docker, spec: ServiceSpec): Promise<TestService> {
  const { id } = await docker.createService(toCreateOptions(spec) as unknown as Docker.CreateServiceOptions);
  const service = docker.getService(id);
  const inspect = () => service.inspect();
  const containers = async () => {
    const filters = { label: [`com.docker.swarm.service.id=${id}`] };
    return (await docker.listContainers({ all: true, filters })).map(({ Id }) => Id);
  };
  return {
    id,
    name: spec.name,
    containers,
    replicas: async () => (await inspect()).Spec.Mode.Replicated.Replicas,
    labels: async () => (await inspect()).Spec.Labels,
    remove: () => service.remove(),
    async scale(replicas) {
      const { Version, Spec } = await inspect();
      await service.update({ ...Spec, version: Version.Index, Mode: { Replicated: { Replicas: replicas } } });
    },
    gone: () =>
      waitUntil(async () => (await containers()).length === 0, { what: 'the end of its tasks' }).then(ignore),
  };
}

/** Removes every service whose name begins so, and waits for the end of its containers. */
export async function removeServices(docker: Docker, prefix: string): Promise<void> {
  const services = await docker.listServices().catch(() => []);
  const own = services.filter(({ Spec }) => Spec?.Name?.startsWith(prefix));
  await Promise.all(own.map(({ ID }) => docker.getService(ID).remove()));
  for (const { ID } of own) {
    const filters = { label: [`com.docker.swarm.service.id=${ID}`] };
    await waitUntil(async () => (await docker.listContainers({ all: true, filters })).length === 0, {
      timeoutMs: 30_000,
      what: 'the end of the tasks',
    });
  }
}

function toCreateOptions(spec: ServiceSpec) {
  const { name, image, cmd, env = {}, labels = {}, replicas = 0, healthcheck } = spec;
  const check = healthcheck && {
    Test: healthcheck.test,
    Interval: healthcheck.intervalMs * NANOSECONDS_PER_MS,
    Retries: 100,
  };
  return {
    Name: name,
    Labels: labels,
    Mode: spec.isGlobal ? { Global: {} } : { Replicated: { Replicas: replicas } },
    TaskTemplate: {
      ContainerSpec: {
        Image: image,
        Args: cmd,
        Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
        StopGracePeriod: 5_000 * NANOSECONDS_PER_MS,
        ...(check && { Healthcheck: check }),
      },
      Networks: (spec.networks ?? []).map((Target) => ({ Target })),
      Placement: { Constraints: spec.constraints ?? [] },
      RestartPolicy: {
        Condition: spec.restartCondition ?? 'any',
        Delay: 100 * NANOSECONDS_PER_MS,
        MaxAttempts: spec.maxRestarts ?? 0,
      },
    },
    EndpointSpec: {
      Mode: spec.endpointMode ?? 'vip',
      Ports: (spec.ports ?? []).map(({ target, published }) => ({
        ...{ Protocol: 'tcp', TargetPort: target, PublishMode: 'host' },
        ...(published !== undefined && { PublishedPort: published }),
      })),
    },
  };
}

function ignore(): void {}
