/** Kubernetes API objects as the API server sends them, in the parts that are read here. */

export interface ObjectMeta {
  readonly name: string;
  /** Absent for what belongs to no namespace. */
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  /** Grows with every change of `spec`. */
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string | null;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly managedFields?: readonly ManagedFields[] | null;
}

/** Which fields somebody set last. */
export interface ManagedFields {
  readonly manager?: string;
  readonly operation?: 'Apply' | 'Update';
  /** `scale` where it was set through that subresource. */
  readonly subresource?: string;
  readonly time?: string;
  /** A tree of `f:<field>` keys. */
  readonly fieldsV1?: Readonly<Record<string, unknown>>;
}

export interface KubeObject {
  /** Absent in lists. */
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

/** One page of a list. */
export interface KubeList<T extends KubeObject> {
  readonly metadata: {
    readonly resourceVersion?: string;
    /** Asks for the next page; absent or empty on the last. */
    readonly continue?: string;
  };
  readonly items: readonly T[] | null;
}

/** What a refusal looks like, as an answer or as the object of an ERROR event. */
export interface KubeStatus {
  readonly kind?: string;
  readonly code?: number;
  /** One word: `NotFound`, `Conflict`, `Expired` … */
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** apps/v1, the parts that both kinds of workload have. */
export interface ScalableWorkload extends KubeObject {
  readonly spec?: {
    /** 1 where absent. */
    readonly replicas?: number | null;
    /** StatefulSets only. */
    readonly serviceName?: string;
    /** StatefulSets only. */
    readonly volumeClaimTemplates?: readonly unknown[] | null;
    /** What becomes of their volumes; StatefulSets only. */
    readonly persistentVolumeClaimRetentionPolicy?: { readonly whenScaled?: 'Retain' | 'Delete' } | null;
    /** Of its pods. */
    readonly selector?: LabelSelector | null;
    readonly template?: {
      readonly spec?: { readonly terminationGracePeriodSeconds?: number | null } | null;
    } | null;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    /** Pods that exist, ready or not. */
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly conditions?: readonly Condition[] | null;
  };
}

export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>> | null;
  readonly matchExpressions?:
    | readonly {
        readonly key: string;
        readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
        readonly values?: readonly string[] | null;
      }[]
    | null;
}

/** Of workloads, and of pods. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word. */
  readonly reason?: string;
  readonly message?: string;
}

/** autoscaling/v1, the `scale` subresource. */
export interface Scale extends KubeObject {
  readonly spec?: { readonly replicas?: number | null };
  readonly status?: { readonly replicas?: number; readonly selector?: string };
}

/** v1. */
export interface Service extends KubeObject {
  readonly spec?: {
    readonly type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** `None` for a headless one. */
    readonly clusterIP?: string;
    readonly externalName?: string;
    readonly selector?: Readonly<Record<string, string>> | null;
    readonly ports?: readonly ServicePort[] | null;
  };
}

export type KubeProtocol = 'TCP' | 'UDP' | 'SCTP';

export interface ServicePort {
  /** May be absent where there is only one. */
  readonly name?: string;
  /** TCP where absent. */
  readonly protocol?: KubeProtocol;
  readonly port: number;
  /** A number, or the name of a container's port. */
  readonly targetPort?: number | string;
}

/** discovery.k8s.io/v1; the label `kubernetes.io/service-name` names its Service. */
export interface EndpointSlice extends KubeObject {
  readonly addressType?: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints?: readonly Endpoint[] | null;
  readonly ports?: readonly EndpointPort[] | null;
}

export interface Endpoint {
  readonly addresses: readonly string[];
  readonly conditions?: {
    /** Unknown, to be read as true, where absent or null. */
    readonly ready?: boolean | null;
    readonly serving?: boolean | null;
    readonly terminating?: boolean | null;
  };
}

export interface EndpointPort {
  /** The Service port's name; empty where that has none. */
  readonly name?: string | null;
  readonly protocol?: KubeProtocol | null;
  readonly port?: number | null;
}

/** coordination.k8s.io/v1. */
export interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    /** RFC 3339 with microseconds, as `renewTime`. */
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

/** v1. */
export interface Pod extends KubeObject {
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly Condition[] | null;
    readonly initContainerStatuses?: readonly ContainerStatus[] | null;
    readonly containerStatuses?: readonly ContainerStatus[] | null;
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly state?: ContainerState;
  /** Of its run before. */
  readonly lastState?: ContainerState;
}

export interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string } | null;
  readonly terminated?: { readonly exitCode: number; readonly reason?: string } | null;
}

/** v1. */
export interface KubeEvent extends KubeObject {
  readonly reason?: string;
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
}
