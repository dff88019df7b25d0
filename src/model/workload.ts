/** What is started and stopped on behalf of a service. */
export type Workload = DockerWorkload | SwarmWorkload | KubernetesWorkload | ProcessWorkload;

export type WorkloadKind = Workload['kind'];

export interface DockerWorkload {
  readonly kind: 'docker';
  /** The container's name, without a leading slash. */
  readonly container: string;
}

export interface SwarmWorkload {
  readonly kind: 'swarm';
  /** The Swarm service's name, with the stack's prefix where it belongs to one. */
  readonly service: string;
  /** Replicas when it is woken; absent: as many as before. */
  readonly scale?: number;
}

export type KubernetesResource = 'deployment' | 'statefulset';

export interface KubernetesWorkload {
  readonly kind: 'kubernetes';
  readonly resource: KubernetesResource;
  readonly namespace: string;
  readonly name: string;
  /** The Kubernetes Service that selects the workload's pods, in the same namespace. */
  readonly service: string;
  /** `endpoints`: connect to the ready pods; `service`: to the Service's own name, which the cluster balances. */
  readonly upstream: 'endpoints' | 'service';
  /** Whether it may be put to sleep although that deletes its volumes; absent: no. */
  readonly allowDataLoss?: true;
  /** Replicas when it is woken; absent: as many as before. */
  readonly scale?: number;
}

export interface ProcessWorkload {
  readonly kind: 'process';
  /** The name of the service that owns the process. */
  readonly name: string;
  /** Program and arguments, at least one entry; no shell is involved. */
  readonly command: readonly string[];
  readonly cwd: string | undefined;
  /** Set on top of the proxy's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Names one workload of an engine, apart from how it is used. */
export type WorkloadRef =
  | { readonly kind: 'docker' | 'swarm' | 'process'; readonly name: string }
  | {
      readonly kind: 'kubernetes';
      readonly resource: KubernetesResource;
      readonly namespace: string;
      readonly name: string;
    };

export function toWorkloadRef(workload: Workload): WorkloadRef {
  switch (workload.kind) {
    case 'docker':
      return { kind: 'docker', name: workload.container };
    case 'swarm':
      return { kind: 'swarm', name: workload.service };
    case 'kubernetes': {
      const { kind, resource, namespace, name } = workload;
      return { kind, resource, namespace, name };
    }
    case 'process':
      return { kind: 'process', name: workload.name };
  }
}

/** Identity of a workload across table versions: the same key is the same running thing. */
export function workloadKey(workload: Workload): string {
  return workloadRefKey(toWorkloadRef(workload));
}

/** `docker/db`, `kubernetes/deployment/shop/db`: equal to the workload's key. */
export function workloadRefKey(ref: WorkloadRef): string {
  return ref.kind === 'kubernetes'
    ? `${ref.kind}/${ref.resource}/${ref.namespace}/${ref.name}`
    : `${ref.kind}/${ref.name}`;
}

/** The engine's name for a workload; in Kubernetes it tells workloads of one namespace apart only. */
export function workloadName(workload: Workload): string {
  return toWorkloadRef(workload).name;
}

/** The name under which a workload is known where no source gives its service another: `db`, `shop/db`. */
export function workloadRefName(ref: WorkloadRef): string {
  return ref.kind === 'kubernetes' ? `${ref.namespace}/${ref.name}` : ref.name;
}

/**
 * The order of the names of one workload's services, its main one first: that which has the workload's name, else the first by
 * name.
 */
export function compareServiceNames(ref: WorkloadRef): (a: string, b: string) => number {
  const rank = (name: string) => (name === ref.name || name === workloadRefName(ref) ? 0 : 1);
  return (a, b) => rank(a) - rank(b) || (a < b ? -1 : Number(a > b));
}

/** For messages: `container db`, `swarm service web`, `statefulset shop/db`. */
export function describeWorkloadRef(ref: WorkloadRef): string {
  switch (ref.kind) {
    case 'docker':
      return `container ${ref.name}`;
    case 'swarm':
      return `swarm service ${ref.name}`;
    case 'kubernetes':
      return `${ref.resource} ${workloadRefName(ref)}`;
    case 'process':
      return `process ${ref.name}`;
  }
}

/**
 * What a name means that no service has: it is of the same engine as its hub, and the dependants of a local process are
 * containers.
 * @param name as its engine knows it; in Kubernetes `namespace/name`, or the name, of a Deployment.
 */
export function unmanagedRef(name: string, hub: WorkloadRef): WorkloadRef {
  switch (hub.kind) {
    case 'docker':
    case 'process':
      return { kind: 'docker', name };
    case 'swarm':
      return { kind: 'swarm', name };
    case 'kubernetes': {
      const [namespace = hub.namespace, deployment = name] = name.includes('/') ? name.split('/') : [];
      return { kind: 'kubernetes', resource: 'deployment', namespace, name: deployment };
    }
  }
}
