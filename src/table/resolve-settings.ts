import { resolveBackend, resolveNamespaces } from '../config/rules/engine-defaults.ts';
import type { Environment } from '../config/environment.ts';
import type { FileConfig } from '../config/file.ts';
import type { DOCKER_KEYS, KUBERNETES_KEYS, SettingsDraft } from '../config/read-settings.ts';
import { resolveStatus } from '../config/values/status-listen.ts';
import type { Origin, Sourced } from '../model/origin.ts';
import type {
  BackendName,
  DockerSettings,
  KubernetesSettings,
  RelaySetting,
  Settings,
} from '../model/settings.ts';

/** Process-wide settings given on the command line; absent = not given. */
export interface SettingsFlags {
  /** 0 = off. */
  readonly statusPort?: number | undefined;
  readonly backend?: BackendName | undefined;
  readonly dockerSocket?: string | undefined;
  /** Of every engine, as the prefix. */
  readonly labels?: boolean | undefined;
  readonly labelPrefix?: string | undefined;
  readonly joinNetworks?: boolean | undefined;
}

/** The keys under which origins of settings are kept: their paths in the file. */
export type SettingName =
  | 'status'
  | 'backend'
  | 'relay'
  | 'udp_queue_total'
  | 'max_starting'
  | `docker.${(typeof DOCKER_KEYS)[number]}`
  | `kubernetes.${(typeof KUBERNETES_KEYS)[number]}`;

/** The settings in force, and where each was written. */
export interface ResolvedSettings {
  readonly settings: Settings;
  readonly origins: Readonly<Record<SettingName, Origin>>;
}

const RELAY_DEFAULT: RelaySetting = 'auto';
const UDP_QUEUE_TOTAL_DEFAULT = 33_554_432;
const DOCKER_DEFAULTS: DockerSettings = {
  socket: '/var/run/docker.sock',
  labels: true,
  imageLabels: true,
  labelPrefix: 'lazy-tcp-proxy',
  joinNetworks: true,
  labelUrls: [],
};
const KUBERNETES_DEFAULTS: KubernetesSettings = {
  namespaces: [],
  labels: true,
  labelPrefix: 'lazy-tcp-proxy',
  discover: 'all',
  clusterDomain: 'cluster.local',
  leaseDurationMs: 15_000,
  leaseNamespace: undefined,
};

interface SettingsLayers {
  readonly environment: Environment;
  readonly flags: SettingsFlags;
}

/** Merges the layers: flag > environment > file > built-in. */
export function resolveSettings(
  input: SettingsLayers & { readonly file: Pick<FileConfig, 'settings'> | undefined },
): ResolvedSettings {
  const { environment, flags } = input;
  const file: SettingsDraft = input.file?.settings ?? {};
  const status = resolveStatus(file.status, [
    fromFlag('--status-port', flags.statusPort),
    environment.statusPort,
  ]);
  const backend = resolveBackend(file, { environment, backend: flags.backend });
  const relay = firstSet([environment.relay, file.relay], RELAY_DEFAULT);
  const udpQueueTotal = firstSet([file.udp_queue_total], UDP_QUEUE_TOTAL_DEFAULT);
  const maxStarting = firstSet<Settings['maxStarting']>([file.max_starting], 'auto');
  const docker = resolveDocker(file, input);
  const kubernetes = resolveKubernetes(file, input);
  return {
    settings: {
      status: status.value,
      backend: backend.value,
      relay: relay.value,
      udpQueueTotalBytes: udpQueueTotal.value,
      maxStarting: maxStarting.value,
      docker: valuesOf<DockerSettings>(docker),
      kubernetes: valuesOf<KubernetesSettings>(kubernetes),
    },
    origins: {
      status: status.origin,
      backend: backend.origin,
      relay: relay.origin,
      udp_queue_total: udpQueueTotal.origin,
      max_starting: maxStarting.origin,
      'docker.socket': docker.socket.origin,
      'docker.labels': docker.labels.origin,
      'docker.image_labels': docker.imageLabels.origin,
      'docker.label_prefix': docker.labelPrefix.origin,
      'docker.join_networks': docker.joinNetworks.origin,
      'docker.label_urls': docker.labelUrls.origin,
      'kubernetes.namespaces': kubernetes.namespaces.origin,
      'kubernetes.labels': kubernetes.labels.origin,
      'kubernetes.label_prefix': kubernetes.labelPrefix.origin,
      'kubernetes.discover': kubernetes.discover.origin,
      'kubernetes.cluster_domain': kubernetes.clusterDomain.origin,
      'kubernetes.lease_duration': kubernetes.leaseDurationMs.origin,
      'kubernetes.lease_namespace': kubernetes.leaseNamespace.origin,
    },
  };
}

type Resolved<T> = { readonly [K in keyof T]: Sourced<T[K]> };

function resolveDocker(
  file: SettingsDraft,
  { environment, flags }: SettingsLayers,
): Resolved<DockerSettings> {
  const { socket, labels, imageLabels, labelPrefix, joinNetworks, labelUrls } = DOCKER_DEFAULTS;
  const fromSocketFlag = fromFlag('--docker-socket', flags.dockerSocket);
  return {
    socket: firstSet([fromSocketFlag, environment.dockerSocket, file.docker_socket], socket),
    labels: firstSet([fromFlag('--no-labels', flags.labels), file.docker_labels], labels),
    imageLabels: firstSet([file.docker_image_labels], imageLabels),
    labelPrefix: firstSet(
      [fromFlag('--label-prefix', flags.labelPrefix), file.docker_label_prefix],
      labelPrefix,
    ),
    joinNetworks: firstSet(
      [fromFlag('--join-networks', flags.joinNetworks), file.docker_join_networks],
      joinNetworks,
    ),
    labelUrls: firstSet([file.docker_label_urls], labelUrls),
  };
}

function resolveKubernetes(
  file: SettingsDraft,
  { environment, flags }: SettingsLayers,
): Resolved<KubernetesSettings> {
  const builtIn = KUBERNETES_DEFAULTS;
  return {
    namespaces: resolveNamespaces(file, { environment }),
    labels: firstSet([fromFlag('--no-labels', flags.labels), file.kubernetes_labels], builtIn.labels),
    labelPrefix: firstSet(
      [fromFlag('--label-prefix', flags.labelPrefix), file.kubernetes_label_prefix],
      builtIn.labelPrefix,
    ),
    discover: firstSet([file.kubernetes_discover], builtIn.discover),
    clusterDomain: firstSet([file.kubernetes_cluster_domain], builtIn.clusterDomain),
    leaseDurationMs: firstSet([file.kubernetes_lease_duration], builtIn.leaseDurationMs),
    leaseNamespace: firstSet<string | undefined>([file.kubernetes_lease_namespace], builtIn.leaseNamespace),
  };
}

function valuesOf<T>(resolved: Resolved<T>): T {
  const pairs = Object.entries<Sourced<unknown>>(resolved).map(([key, { value }]) => [key, value]);
  return Object.fromEntries(pairs) as T;
}

function firstSet<T>(layers: readonly (Sourced<T> | undefined)[], builtIn: T): Sourced<T> {
  return layers.find((layer) => layer !== undefined) ?? { value: builtIn, origin: { kind: 'default' } };
}

function fromFlag<T>(flag: string, value: T | undefined): Sourced<T> | undefined {
  return value === undefined ? undefined : { value, origin: { kind: 'flag', flag } };
}
