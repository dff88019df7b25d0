import type { Availability } from './availability.ts';
import type { RestPolicy } from './running/sleep.ts';
import type { AwakeWindow } from './awake-window.ts';
import type { ServiceTls, WebPolicy } from './web.ts';
import type { Webhook } from './webhook.ts';
import type { Workload } from './workload.ts';

export type Protocol = 'tcp' | 'udp';

/** A port's number, 1–65535, or, in Kubernetes, its name in the Service. */
export type TargetPort = number | string;

/** One socket to bind and the port of the awake workload behind it. */
export interface ListenerSpec {
  readonly protocol: Protocol;
  /** IP address to bind, canonical; `''` = every address of the machine, IPv4 and IPv6. */
  readonly address: string;
  /** 1–65535. */
  readonly port: number;
  readonly targetPort: TargetPort;
  /** `http`: a TCP listener that forwards each HTTP request, whatever host it names; absent = bytes are relayed. */
  readonly mode?: 'http';
  /** Of an HTTP listener: it stands under `ports`, and forwards requests because the service asks for a login. */
  readonly isOfPorts?: true;
}

/** When a UDP flow ends, and what is kept of its datagrams while the workload wakes (DESIGN 4.4). */
export interface UdpPolicy {
  readonly readiness: 'reply' | 'open';
  /** Silence after which a flow ends, where `idleTimeoutMs` is not shorter; at least 1. */
  readonly flowTimeoutMs: number;
  /** Datagrams kept per flow, at least 1. */
  readonly maxQueuedDatagrams: number;
  /** Bytes kept per flow, at least 1. */
  readonly maxQueuedBytes: number;
  /** Age after which a kept datagram is dropped; at least 1. */
  readonly maxQueueAgeMs: number;
}

/** HTTP statuses from `first` to `last`, both included; 100–599. */
export interface StatusRange {
  readonly first: number;
  readonly last: number;
}

/** A URL that the proxy asks, and who wrote it: who writes a label may not make it ask everywhere. */
export interface ServiceUrl {
  readonly url: string;
  /** `label`: a container's or Swarm service's label, or an annotation. */
  readonly from: 'file' | 'label';
}

/**
 * What has to be true of a dependency before its user starts. `started`: it runs; `healthy`: it is ready, as its own clients
 * would find it; `completed`: it was run for this wake, and has ended with exit status 0.
 */
export const DEPENDENCY_CONDITIONS = ['started', 'healthy', 'completed'] as const;

export type DependencyCondition = (typeof DEPENDENCY_CONDITIONS)[number];

/** One workload that another one needs. */
export interface Dependency {
  readonly name: string;
  readonly condition: DependencyCondition;
  /** The workload that needs it, where that is no service, but one that the service needs itself; absent = the service. */
  readonly of?: string;
}

/** One entry of the service table: total, frozen, every layer merged. */
export interface Service {
  readonly name: string;
  readonly workload: Workload;
  readonly listeners: readonly ListenerSpec[];
  /** Who starts and stops the workload. */
  readonly availability: Availability;
  /** Canonical addresses and CIDR ranges; empty = no restriction. */
  readonly allowList: readonly string[];
  readonly blockList: readonly string[];
  /** Who may wake it, canonical likewise; empty = everybody. Others are served while it is awake. */
  readonly wakeList: readonly string[];
  /** `data`: a TCP client has to send something before the service is started for it. */
  readonly wakeOn: 'connect' | 'data';
  /** Whether the upstream is told of each client by a PROXY header, and of which version. */
  readonly proxyProtocol: 'off' | 'v1' | 'v2';
  /** Whether each client comes through one of the trusted proxies, which tells of it by a PROXY header. */
  readonly acceptProxyProtocol: boolean;
  /** 0 = as soon as the last lease ends. */
  readonly idleTimeoutMs: number;
  /** One budget for start, readiness and dial. */
  readonly startTimeoutMs: number;
  /** Grace before the kill; undefined = the workload's own. */
  readonly stopTimeoutMs: number | undefined;
  readonly rest: RestPolicy;
  /** Clients that may wait for one start, at least 1. */
  readonly maxPending: number;
  /** Connections and flows at once, of all clients and of one address; 0 = as many as there are descriptors for. */
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Silence on a TCP connection after which the kernel asks the other end whether it is still there; 0 = never. */
  readonly tcpKeepAliveMs: number;
  /** `{{container}}` in it stands for the host of the awake workload. */
  readonly httpHealthcheck: ServiceUrl | undefined;
  /** Which answers of it count as ready; at least one range. */
  readonly httpHealthcheckStatus: readonly StatusRange[];
  readonly webhookUrl: ServiceUrl | undefined;
  /** Where what happens to it is told, beside those of the proxy. */
  readonly webhooks: readonly Webhook[];
  readonly dependants: readonly string[];
  /** Who named them: labels reach only what is open to them, and leave the rest to its own policy. */
  readonly dependantsBy: 'file' | 'labels';
  /** Whether hubs may have it as their dependant whose labels say so. */
  readonly dependantOfLabels: boolean;
  /** The group of which only some may be awake at once; undefined = none. */
  readonly group: string | undefined;
  /** The memory that it counts for while it is awake, in bytes; undefined = its container's limit. */
  readonly memoryBytes: number | undefined;
  /** What has to be awake before it; each edge once. */
  readonly dependsOn: readonly Dependency[];
  /** Who named them; `compose`: Compose's own labels, because the file or a label says so. */
  readonly dependsOnBy: 'file' | 'labels' | 'compose';
  /** Whether the file has it, or labels alone have made it. */
  readonly isOfFile: boolean;
  /** Five cron fields, `CRON_TZ=<zone>` and five fields, or `@every <n>s`. */
  readonly cronStart: string | undefined;
  readonly cronStop: string | undefined;
  /** When it is kept awake, in `timezone`; empty = never. */
  readonly awake: readonly AwakeWindow[];
  /** IANA time zone of its windows, and of those of both expressions that name none. */
  readonly timezone: string;
  readonly udp: UdpPolicy;
  /** What it asks of HTTP; `NO_WEB` where it asks nothing. */
  readonly web: WebPolicy;
  /** The certificate with which its TCP listeners end TLS; undefined = they pass bytes as they are. */
  readonly tls: ServiceTls | undefined;
}

/** The listen key: protocol + address + port. Two services can't hold the same one. */
export function listenKey(listener: Pick<ListenerSpec, 'protocol' | 'address' | 'port'>): string {
  return `${listener.protocol}/${formatListenAddress(listener)}`;
}

/** `*:80`, `127.0.0.1:80`, `[::1]:80`. */
export function formatListenAddress(listener: Pick<ListenerSpec, 'address' | 'port'>): string {
  const { address, port } = listener;
  if (address === '') return `*:${port}`;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
