/**
 * The fields of a swarm manager's answers that are read, and no others; all optional, as in `engine-shapes.ts`.
 */

/** The answer of `GET /services/{id}`. */
export interface SwarmService {
  readonly ID: string;
  /** RFC 3339. */
  readonly CreatedAt?: string;
  readonly Version?: { readonly Index?: number };
  readonly Spec?: ServiceSpec;
  readonly Endpoint?: {
    readonly Spec?: { readonly Mode?: string };
    readonly Ports?: readonly ServicePort[] | null;
    readonly VirtualIPs?: readonly { readonly NetworkID?: string; readonly Addr?: string }[] | null;
  };
}

/** Sent back as it was read, with the fields that it holds beside these. */
export interface ServiceSpec {
  readonly Name?: string;
  readonly Labels?: Readonly<Record<string, string>> | null;
  readonly Mode?: {
    readonly Replicated?: { readonly Replicas?: number } | null;
    readonly Global?: object | null;
    readonly ReplicatedJob?: object | null;
    readonly GlobalJob?: object | null;
  };
  readonly TaskTemplate?: {
    readonly ContainerSpec?: {
      readonly Healthcheck?: { readonly Test?: readonly string[] | null } | null;
      /** In ns; 10 s where absent. */
      readonly StopGracePeriod?: number | null;
    };
    readonly Networks?: readonly { readonly Target?: string }[] | null;
    readonly RestartPolicy?: RestartPolicy | null;
    /** Replaces every task when it is changed. */
    readonly ForceUpdate?: number;
  };
  /** Where old clients put them. */
  readonly Networks?: readonly { readonly Target?: string }[] | null;
}

export interface RestartPolicy {
  /** `any` where absent, else `on-failure` or `none`. */
  readonly Condition?: string;
  /** For each replica; 0 or absent: any number. */
  readonly MaxAttempts?: number;
}

export interface ServicePort {
  /** `tcp`, `udp` or `sctp`. */
  readonly Protocol?: string;
  readonly TargetPort?: number;
  /** 0 or absent where each task gets a port of its own. */
  readonly PublishedPort?: number;
  /** `ingress`: on every node; `host`: on the nodes that run a task. */
  readonly PublishMode?: string;
}

/** An entry of `GET /tasks`: one container that a service has, had or will have. */
export interface SwarmTask {
  readonly ID: string;
  readonly ServiceID?: string;
  readonly NodeID?: string;
  readonly CreatedAt?: string;
  /** Which of the service's replicas it is. */
  readonly Slot?: number;
  /** Of the service's template that it was made from. */
  readonly Spec?: { readonly ForceUpdate?: number };
  /** What it is meant to become: `running`, `shutdown`, `remove` … */
  readonly DesiredState?: string;
  readonly Status?: {
    readonly State?: string;
    readonly Err?: string;
    readonly ContainerStatus?: { readonly ContainerID?: string } | null;
    readonly PortStatus?: { readonly Ports?: readonly ServicePort[] | null };
  };
  readonly NetworksAttachments?:
    | readonly {
        readonly Network?: { readonly ID?: string };
        readonly Addresses?: readonly string[] | null;
      }[]
    | null;
}

/** An entry of `GET /nodes`. */
export interface SwarmNode {
  readonly ID: string;
  readonly Status?: { readonly State?: string };
}

/** The answer of `GET /networks/{id}`. */
export interface SwarmNetwork {
  readonly Id: string;
  readonly Name?: string;
  readonly Driver?: string;
  /** Whether containers that belong to no service may join it. */
  readonly Attachable?: boolean;
  /** Those of this node, by id. */
  readonly Containers?: Readonly<Record<string, { readonly IPv4Address?: string }>> | null;
}

/** Of the answer of `GET /info`. */
export interface EngineInfo {
  readonly Swarm?: { readonly NodeID?: string; readonly ControlAvailable?: boolean };
}

/** A service with its tasks. */
export interface ServiceView {
  readonly service: SwarmService;
  readonly tasks: readonly SwarmTask[];
}

/** What an engine tells of its swarm; `none` where it manages none. */
export type SwarmView =
  | { readonly kind: 'none' }
  | { readonly kind: 'manager'; readonly nodeId: string; readonly services: readonly ServiceView[] };
