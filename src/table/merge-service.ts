import {
  type Draft,
  FIELD_NAMES,
  type FieldName,
  fieldSpec,
  hasEffect,
  type MergedValues,
} from '../config/fields.ts';
import { isWorkloadField, workloadFieldOf } from '../config/rules/workload-of.ts';
import type { Origin } from '../model/origin.ts';
import type { ListenerSpec, Service, ServiceUrl, TargetPort } from '../model/service.ts';
import { DEFAULT_REST, type RestPolicy } from '../model/running/sleep.ts';
import type { TableEntry } from '../model/table.ts';
import { asksForLogin, NO_WEB, type WebPolicy } from '../model/web.ts';
import type { Workload, WorkloadKind, WorkloadRef } from '../model/workload.ts';

/** A service before its layers are merged. */
export interface ServiceSource {
  readonly name: string;
  /** Where its name was written. */
  readonly origin: Origin;
  /** What it stands for. */
  readonly ref: WorkloadRef;
  readonly isOfFile: boolean;
  /** When its workload was made, ms since the epoch; undefined where no engine tells. */
  readonly createdMs?: number | undefined;
  /** The label by which its workload has opted in; undefined where none has, or labels don't count. */
  readonly optIn: Origin | undefined;
  /** Highest layer first; the built-in values come after the last. */
  readonly layers: readonly Draft[];
}

const DEFAULT_ORIGIN: Origin = { kind: 'default' };

/**
 * What a merge needs of each field, by kind of workload. Prepared once: each change needs it for each field of each
 * service.
 */
const FIELDS_OF = {
  docker: describeFields('docker'),
  swarm: describeFields('swarm'),
  kubernetes: describeFields('kubernetes'),
  process: describeFields('process'),
} as const satisfies Readonly<Record<WorkloadKind, unknown>>;

/**
 * Merges field by field: the highest layer that sets a field wins, also with 0 or an empty value. A field that has no
 * effect on the workload's kind counts as unset in every layer, so that `defaults:` may hold it for the other services.
 */
export function mergeService(source: ServiceSource): TableEntry {
  const { name, ref, isOfFile } = source;
  const layers = source.optIn === undefined ? source.layers : [...source.layers, openedBy(source.optIn)];
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const ownField = workloadFieldOf(ref);
  // A workload of labels has named itself by opting in.
  const named = isOfFile ? source.origin : (source.optIn ?? source.origin);
  for (const { field, builtIn, isEffective, hasOrigin } of FIELDS_OF[ref.kind]) {
    const found = isEffective ? findHighest(field, layers) : undefined;
    values[field] = found === undefined ? builtIn : found.value;
    if (field === ownField) origins[field] = found?.origin ?? named;
    else if (hasOrigin) origins[field] = found?.origin ?? DEFAULT_ORIGIN;
  }
  const dependantsBy = origins['dependants']?.kind === 'label' ? 'labels' : 'file';
  const dependsOnBy = origins['depends_on']?.kind === 'label' ? 'labels' : 'file';
  const own = { name, ref, isOfFile, dependantsBy, dependsOnBy, origins } as const;
  return { service: toService(own, values as MergedValues), origins };
}

/** A workload that opts in by label may be the dependant of hubs by label, unless the file says otherwise. */
function openedBy(origin: Origin): Draft {
  return { dependant_of_labels: { value: true, origin } };
}

function describeFields(kind: WorkloadKind) {
  return FIELD_NAMES.map((field) => {
    const isEffective = hasEffect(field, kind);
    const hasOrigin = isEffective && !isWorkloadField(field);
    return { field, builtIn: fieldSpec(field).builtIn, isEffective, hasOrigin };
  });
}

/** A plain loop, because it runs for each field of each service. */
function findHighest(field: FieldName, layers: readonly Draft[]): Draft[FieldName] {
  for (const layer of layers) {
    const found = layer[field];
    if (found !== undefined) return found;
  }
  return undefined;
}

function toService(
  own: Pick<Service, 'name' | 'isOfFile' | 'dependantsBy' | 'dependsOnBy'> & {
    readonly ref: WorkloadRef;
    readonly origins: Readonly<Record<string, Origin>>;
  },
  values: MergedValues,
): Service {
  const { name, ref, isOfFile, dependantsBy, dependsOnBy, origins } = own;
  const needs = values.depends_on;
  const web = toWeb(values, origins);
  const tcp = [...(asksForLogin(web) ? values.ports.map(toHttp) : values.ports), ...values.http_ports];
  return {
    name,
    workload: toWorkload(ref, values),
    listeners: [...tcp, ...values.udp_ports],
    availability: values.availability,
    allowList: values.allow_list,
    blockList: values.block_list,
    wakeList: values.wake_list,
    wakeOn: values.wake_on,
    proxyProtocol: values.proxy_protocol,
    acceptProxyProtocol: values.accept_proxy_protocol,
    idleTimeoutMs: values.idle_timeout,
    startTimeoutMs: values.start_timeout,
    stopTimeoutMs: values.stop_timeout,
    rest: toRest(values, origins),
    maxPending: values.max_pending,
    maxConnections: values.max_connections,
    maxConnectionsPerAddress: values.max_connections_per_address,
    tcpKeepAliveMs: values.tcp_keepalive,
    httpHealthcheck: toUrl(values.http_healthcheck, origins['http_healthcheck']),
    httpHealthcheckStatus: values.http_healthcheck_status,
    webhookUrl: toUrl(values.webhook_url, origins['webhook_url']),
    webhooks: values.webhooks,
    dependants: values.dependants,
    dependantsBy,
    group: values.group,
    memoryBytes: values.memory,
    dependsOn: needs === 'compose' ? [] : needs,
    dependsOnBy: needs === 'compose' ? 'compose' : dependsOnBy,
    dependantOfLabels: values.dependant_of_labels,
    isOfFile,
    cronStart: values.cron_start || undefined,
    cronStop: values.cron_stop || undefined,
    awake: values.awake,
    timezone: values.timezone,
    udp: {
      readiness: values.udp_readiness,
      flowTimeoutMs: values.udp_flow_timeout,
      maxQueuedDatagrams: values.udp_queue_datagrams,
      maxQueuedBytes: values.udp_queue_bytes,
      maxQueueAgeMs: values.udp_queue_age,
    },
    web,
    tls: values.tls === 'off' ? undefined : values.tls,
  };
}

/** Whoever asks for a login must not be reached by raw bytes, which carry none. */
function toHttp(listener: ListenerSpec): ListenerSpec {
  return { ...listener, mode: 'http', isOfPorts: true };
}

const WEB_FIELDS = [
  ...(['hosts', 'http_port', 'tls_hosts', 'https_port', 'waiting_page', 'basic_auth', 'api_key'] as const),
  ...(['wake_paths', 'blocked', 'traefik_hosts', 'traefik_tcp_hosts'] as const),
] satisfies readonly FieldName[];

function toWeb(values: MergedValues, origins: Readonly<Record<string, Origin>>): WebPolicy {
  if (WEB_FIELDS.every((field) => origins[field]?.kind === 'default')) return NO_WEB;
  return {
    hosts: values.hosts,
    port: values.http_port ?? (values.hosts.length === 0 ? undefined : findOnlyTarget(values)),
    tlsHosts: values.tls_hosts,
    httpsPort: values.https_port,
    waitingPage: values.waiting_page,
    basicAuth: values.basic_auth,
    apiKeys: values.api_key,
    wakePaths: values.wake_paths,
    blocked: values.blocked,
    traefikHosts: values.traefik_hosts,
    traefikTcpHosts: values.traefik_tcp_hosts,
  };
}

/** The only target port of a service's TCP ports; undefined where there is none, or several. */
function findOnlyTarget({ ports, http_ports }: MergedValues): TargetPort | undefined {
  const [first, ...others] = [...ports, ...http_ports].map(({ targetPort }) => targetPort);
  return others.every((target) => target === first) ? first : undefined;
}

const REST_FIELDS = [
  ...(['idle_when', 'idle_ignore_below', 'busy_check'] as const),
  ...(['stop_signal', 'min_awake', 'sleep', 'pause_after'] as const),
] satisfies readonly FieldName[];

function toRest(values: MergedValues, origins: Readonly<Record<string, Origin>>): RestPolicy {
  if (REST_FIELDS.every((field) => (origins[field] ?? DEFAULT_ORIGIN).kind === 'default'))
    return DEFAULT_REST;
  const { pause_after: pauseAfter, busy_check: check } = values;
  const url = check !== 'off' && check.kind === 'url' ? toUrl(check.url, origins['busy_check']) : undefined;
  const command = check !== 'off' && check.kind === 'command' ? check : undefined;
  return {
    idleWhen: values.idle_when,
    ignoreBelow: values.idle_ignore_below,
    busyCheck: url === undefined ? command : { kind: 'url', url },
    way: values.sleep,
    pauseAfterMs: pauseAfter === 'never' ? undefined : pauseAfter,
    stopSignal: values.stop_signal || undefined,
    minAwakeMs: values.min_awake,
  };
}

function toUrl(url: string, origin: Origin | undefined): ServiceUrl | undefined {
  return url === '' ? undefined : { url, from: origin?.kind === 'label' ? 'label' : 'file' };
}

function toWorkload(ref: WorkloadRef, values: MergedValues): Workload {
  const scale = values.scale === undefined ? {} : { scale: values.scale };
  switch (ref.kind) {
    case 'docker':
      return { kind: 'docker', container: ref.name };
    case 'swarm':
      return { kind: 'swarm', service: ref.name, ...scale };
    case 'kubernetes':
      return {
        ...{ ...ref, service: values.service_name ?? ref.name, upstream: values.upstream },
        ...(values.allow_data_loss && { allowDataLoss: true }),
        ...scale,
      };
    case 'process':
      return {
        kind: 'process',
        name: ref.name,
        command: values.command ?? [],
        cwd: values.cwd,
        env: values.env,
      };
  }
}
