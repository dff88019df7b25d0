import type { LabelPrefixes } from './label-names.ts';
import type { Webhook } from './webhook.ts';
import type { FrontDoor, FrontPolicy } from './web.ts';

/** The engines whose workloads the proxy can serve beside local processes. */
export const BACKEND_NAMES = ['docker', 'kubernetes'] as const;

/** `docker`: containers, and the services of a Swarm. `kubernetes`: Deployments and StatefulSets. */
export type BackendName = (typeof BACKEND_NAMES)[number];

/** How the bytes of TCP connections are relayed. */
export const RELAY_SETTINGS = ['auto', 'stream', 'splice'] as const;

/** `stream`: through Node's streams. `splice`: by the kernel, on Linux. `auto`: the second where it can be had. */
export type RelaySetting = (typeof RELAY_SETTINGS)[number];

/** A quarter of it, which is one listener's part, has room for some of the longest datagrams. */
export const MIN_UDP_QUEUE_TOTAL_BYTES = 1_048_576;
export const MAX_UDP_QUEUE_TOTAL_BYTES = 2 ** 34;

/** Process-wide settings: flag > environment > file > built-in. */
export interface Settings {
  /** Where the status server listens. */
  readonly status: { readonly address: string; readonly port: number } | 'off';
  /** Who may ask the status server for what. */
  readonly access: StatusAccess;
  /** Whose labels count, and whose workload a service has that names none. */
  readonly backend: BackendName;
  readonly relay: RelaySetting;
  /** What all UDP clients together may have kept while services wake, in bytes; at least `MIN_UDP_QUEUE_TOTAL_BYTES`. */
  readonly udpQueueTotalBytes: number;
  /** How many workloads the proxy starts at once; the others wait their turn. `auto`: four for each processor core. */
  readonly maxStarting: number | 'auto';
  /** How many workloads may be awake, and how much memory they may take, all together and by group. */
  readonly limits: Omit<RoomLimits, 'groups'>;
  readonly groups: RoomLimits['groups'];
  /** Where what happens is told, of every service and of the proxy itself. */
  readonly webhooks: readonly Webhook[];
  /** Whose forwarding headers and PROXY headers count: canonical addresses and CIDR ranges; empty = nobody's. */
  readonly trustedProxies: readonly string[];
  readonly http: HttpSettings;
  readonly traefik: TraefikSettings;
  /** The folder of what the proxy keeps: an absolute path, or `off`. */
  readonly stateDir: string;
  readonly docker: DockerSettings;
  readonly kubernetes: KubernetesSettings;
}

/** How many workloads may be awake at once; undefined = as many as are wanted. */
export interface RoomLimits {
  /** At least 1. */
  readonly maxAwake: number | undefined;
  /** What the workloads that are awake may take together, by what each may take, in bytes. */
  readonly memoryBytes: number | undefined;
  /** By the name of a group. */
  readonly groups: Readonly<Record<string, GroupLimits>>;
}

export interface GroupLimits {
  /** At least 1. */
  readonly maxAwake: number;
}

/** The front doors; where both lists are empty, there are none. */
export interface HttpSettings extends FrontPolicy {
  /** Where plain HTTP is served. */
  readonly listen: readonly FrontPlace[];
  /** Where TLS is. */
  readonly https: readonly FrontPlace[];
}

/** What Traefik is told beside hosts and ports, by `GET /traefik`. */
export interface TraefikSettings {
  /** The name or address by which Traefik reaches the proxy; undefined = that by which it has asked. */
  readonly proxyHost: string | undefined;
  /** Its entry point for every router; `''` = its default ones. */
  readonly entryPoint: string;
  /** Its certificate resolver for every router; `''` = none. */
  readonly certResolver: string;
}

export type FrontPlace = Pick<FrontDoor, 'address' | 'port'>;

export interface StatusAccess {
  /** What whoever changes something, or reads secrets, has to show; undefined = nobody may. One of the two at most is set. */
  readonly token: string | undefined;
  /** The file that holds it, an absolute path. */
  readonly tokenFile: string | undefined;
  /** Whether reading needs it, too. */
  readonly protect: boolean;
  /** Whether anybody may read what workloads have printed. */
  readonly showOutput: boolean;
  /** Names by which browsers may ask, beside those that nobody else can own; lower case. */
  readonly allowedHosts: readonly string[];
}

export interface DockerSettings {
  /** Path of the engine's socket, or a `tcp://`, `http://`, `https://` or `unix://` URL as in `DOCKER_HOST`. */
  readonly socket: string;
  /** False leaves the labels of every container out. */
  readonly labels: boolean;
  /** False leaves out what a container has from its image. */
  readonly imageLabels: boolean;
  readonly labelPrefixes: LabelPrefixes;
  /** Join the networks of the containers that are served, when running in a container. */
  readonly joinNetworks: boolean;
  /** Host names, addresses and CIDR ranges to which the URLs of labels may lead though they could not; canonical. */
  readonly labelUrls: readonly string[];
}

export interface KubernetesSettings {
  /** The namespaces whose workloads are served; empty = all. */
  readonly namespaces: readonly string[];
  /** False leaves the annotations and labels of every workload out. */
  readonly labels: boolean;
  readonly labelPrefixes: LabelPrefixes;
  /** `labelled`: only workloads with the label `<prefix>.enabled` are looked at; `all`: those with the annotation, too. */
  readonly discover: 'all' | 'labelled';
  /** What the names of Services end in, without a dot in front. */
  readonly clusterDomain: string;
  /** How long the proxy that puts workloads to sleep may be silent before another one takes over; at least 3 s. */
  readonly leaseDurationMs: number;
  /** Where the proxies keep their leases; undefined = the proxy's own namespace. */
  readonly leaseNamespace: string | undefined;
}
