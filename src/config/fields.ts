import { formatStatuses } from '../model/text/format-statuses.ts';
import { formatMemory } from '../model/text/memory-size.ts';
import type { Sourced } from '../model/origin.ts';
import type { ListenerSpec, Protocol, Service, ServiceUrl } from '../model/service.ts';
import { DEFAULT_REST } from '../model/running/sleep.ts';
import type { TraefikHost } from '../model/web.ts';
import { NO_WEB } from '../model/web.ts';
import type { Workload, WorkloadKind } from '../model/workload.ts';
import { hideSecrets } from './secrets.ts';
import { AVAILABILITY_EXPECTED, parseAvailability } from './values/availability.ts';
import { parseAccessEntry } from './values/address.ts';
import { AWAKE_EXPECTED, formatAwake, parseAwake } from './values/awake-windows.ts';
import { MEMORY_EXPECTED, parseMemory } from './values/memory-size.ts';
import { DEPENDENCIES_EXPECTED, formatDependencies, parseDependencies } from './values/dependencies.ts';
import {
  DURATION_EXPECTED,
  formatDuration,
  parseDuration,
  parseIdleDuration,
  parseIdleSeconds,
  parsePositiveDuration,
  parsePositiveSeconds,
  parseSeconds,
  withinKeepalive,
} from './values/duration.ts';
import { parseKubernetesLabel, parseKubernetesWorkload } from './values/kubernetes-names.ts';
import {
  accept,
  type EnvironmentVariable,
  type FormWords,
  hintAtList,
  type Parsed,
  parseList,
  type Reading,
} from './values/parsed.ts';
import { HOSTS_EXPECTED, parseHosts, parseTraefikHosts } from './values/web/hosts.ts';
import { formatPorts, hintAtPorts, parsePort, parseTargetPort, type ValueContext } from './values/ports.ts';
import { hintAtCommand, parseCommand, parseDirectory, parseVariables } from './values/process.ts';
import { formatCron, parseCron, parseTimezone } from './values/schedule.ts';
import {
  BUSY_CHECK_EXPECTED,
  BUSY_CHECK_PARTS,
  formatBusyCheck,
  formatPauseAfter,
  formatTrafficRate,
  PAUSE_AFTER_EXPECTED,
  parseBusyCheck,
  parsePauseAfter,
  parseStopSignal,
  parseTrafficRate,
  RATE_EXPECTED,
  STOP_SIGNAL_EXPECTED,
} from './values/rest.ts';
import { parseStatuses, STATUSES_EXPECTED } from './values/web/statuses.ts';
import { choice, FLAG, parseChoice, parseCount, parseName, parseQualifiedName } from './values/text.ts';
import { parseHealthcheckUrl, parseHttpUrl } from './values/web/url.ts';
import { parseServiceWebhooks, WEBHOOKS } from './values/web/webhooks.ts';
import {
  formatTls,
  formatUsers,
  formatWaitingPage,
  formatWakePaths,
  KEYS_EXPECTED,
  parseApiKeys,
  parseTls,
  parseUsers,
  parseWaitingPage,
  parseWakePaths,
  TLS_EXPECTED,
  USERS_EXPECTED,
  WAITING_PAGE_EXPECTED,
  WAKE_PATHS_EXPECTED,
} from './values/web/web.ts';

/** How a field's value is written; `V` is its canonical form, `M` what a service keeps of it. */
interface FieldKind<V, M = V> extends FormWords {
  /**
   * Reads the value as the file gives it and tells all its mistakes at once. It is silent about a wrong form, which the
   * schema tells.
   */
  readonly parse: (raw: unknown, context: ValueContext) => Reading<V>;
  /** Whether a label holds a list, separated by commas; a blank label is an empty list. */
  readonly isList?: true;
  /** Where it is a mapping: its keys, each of which has a label of its own, and one of which is given. */
  readonly labelParts?: readonly string[];
  /** Whether the text of a label stands for a number. */
  readonly isNumber?: true;
  /** Whether it stands for true or false. */
  readonly isFlag?: true;
  /** Reads the value of the `*_secs` spelling; absent = the field has no such spelling. */
  readonly parseSecs?: (raw: unknown) => Parsed<V>;
  /** The value as the file writes it; absent = as it is. */
  readonly format?: (value: M) => unknown;
}

interface FieldUse {
  /** Whether a container label can set it. */
  readonly label: boolean;
  /** Whether `defaults:` can set it. */
  readonly inDefaults: boolean;
  /** The environment variable that sets it for every service. */
  readonly variable?: EnvironmentVariable;
  /** The workloads on which it has an effect; absent = all. Elsewhere it counts as unset. */
  readonly kinds?: readonly WorkloadKind[];
}

/** All there is to know of one field; `B` is undefined where it has no built-in value. */
export interface FieldSpec<V = unknown, B = V | undefined> extends FieldKind<V, never>, FieldUse {
  /** The value when no layer sets it; undefined = unset. */
  readonly builtIn: B;
  /** What a service has of it; undefined = unset, or the field doesn't fit the service's workload. */
  readonly of: (service: Service) => unknown;
}

const NAME = { parse: parseName, expected: 'a name' };
const KUBERNETES_WORKLOAD = { parse: parseKubernetesWorkload, expected: 'a name such as db or shop/db' };
const ADDRESSES = list(parseAccessEntry);
const PORTS = {
  expected: '[] for none',
  formHint: hintAtPorts,
  isList: true,
  format: formatPorts,
} as const;
const TCP_PORTS = { ...PORTS, parse: portsParser('tcp') };
const HTTP_PORTS = { ...PORTS, parse: portsParser('tcp', 'http') };
const HOSTS = { expected: HOSTS_EXPECTED, formHint: hintAtList, isList: true, parse: parseHosts } as const;
const TARGET_PORT = { parse: parseTargetPort, expected: 'a port from 1 to 65535', isNumber: true } as const;
const TRAEFIK_HOSTS = {
  parse: parseTraefikHosts,
  expected: '[] for none',
  isList: true,
  format: (hosts: readonly TraefikHost[]) => hosts.map(({ host, port }) => `${host}:${port}`),
} as const;
const UDP_PORTS = { ...PORTS, parse: portsParser('udp') };
const DURATION = {
  parse: parseDuration,
  parseSecs: parseSeconds,
  expected: DURATION_EXPECTED,
  format: formatDuration,
};
const IDLE_DURATION = { ...DURATION, parse: parseIdleDuration, parseSecs: parseIdleSeconds };
const POSITIVE_DURATION = { ...DURATION, parse: parsePositiveDuration, parseSecs: parsePositiveSeconds };
const KEEPALIVE = {
  ...DURATION,
  parse: withinKeepalive(parseDuration),
  parseSecs: withinKeepalive(parseSeconds),
};
const PAUSE_AFTER = {
  parse: parsePauseAfter,
  parseSecs: parseSeconds,
  expected: PAUSE_AFTER_EXPECTED,
  format: formatPauseAfter,
};
/** `''` = explicitly none. */
const STOP_SIGNAL = { parse: parseStopSignal, expected: STOP_SIGNAL_EXPECTED };
const COUNT = count(1, 1_000_000);
/** 0 = no bound. */
const BOUND = { ...count(0, 1_000_000), expected: '0 for none' };
/** `''` = explicitly none. */
const URL_KIND = {
  parse: parseHttpUrl,
  expected: '"" for none',
  format: ({ url }: ServiceUrl) => url,
};
/** `''` = explicitly none. */
const CRON = { parse: parseCron, expected: 'a cron expression such as "30 8 * * 1-5"', format: formatCron };

const SERVICE_ONLY = { label: false, inDefaults: false };
const SERVICE_AND_LABEL = { label: true, inDefaults: false };
const POLICY = { label: true, inDefaults: true };
const DOCKER: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker'] };
const SWARM: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['swarm'] };
const KUBERNETES: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['kubernetes'] };
const SCALED: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['swarm', 'kubernetes'] };
const PROCESS: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['process'] };
/** Swarm and Kubernetes stop in one way, with the grace period that the workload itself has. */
const STOPPED_BY_PROXY: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker', 'process'] };
const LABELLED: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker', 'swarm', 'kubernetes'] };

const IDLE_VARIABLE: EnvironmentVariable = {
  name: 'IDLE_TIMEOUT_SECS',
  parse: parseIdleSeconds,
  otherwise: 'what the file says applies, or else the default of 120',
};
const START_VARIABLE: EnvironmentVariable = {
  name: 'START_TIMEOUT_SECS',
  parse: parsePositiveSeconds,
  otherwise: 'what the file says applies, or else the default of 30',
};
const ZONE_VARIABLE: EnvironmentVariable = {
  name: 'TZ',
  // Some systems write `:Europe/Paris`.
  parse: (text) => parseTimezone(text.replace(/^:/, '')),
  otherwise: 'what the file says applies, or else UTC',
};

/**
 * Every field of a service, in the order in which it is printed: how it is read, who may set it, its built-in value, and
 * what a service has of it. Reading file, labels and environment, defaults, printing, and what a plan calls changed derive
 * from this table; the schema and the pages in docs/ are checked against it.
 */
export const FIELDS = {
  container: field(NAME, { ...SERVICE_ONLY, ...DOCKER, of: ofKind('docker', (it) => it.container) }),
  swarm_service: field(NAME, { ...SERVICE_ONLY, ...SWARM, of: ofKind('swarm', (it) => it.service) }),
  deployment: field(KUBERNETES_WORKLOAD, {
    ...SERVICE_ONLY,
    ...KUBERNETES,
    of: ofKind('kubernetes', (it) => (it.resource === 'deployment' ? qualifiedName(it) : undefined)),
  }),
  statefulset: field(KUBERNETES_WORKLOAD, {
    ...SERVICE_ONLY,
    ...KUBERNETES,
    of: ofKind('kubernetes', (it) => (it.resource === 'statefulset' ? qualifiedName(it) : undefined)),
  }),
  scale: field(count(1, 1_000), { ...SERVICE_AND_LABEL, ...SCALED, of: scaleOf }),
  service_name: field(
    { parse: parseKubernetesLabel, expected: 'a name' },
    { ...SERVICE_AND_LABEL, ...KUBERNETES, of: ofKind('kubernetes', (it) => it.service) },
  ),
  upstream: field(choice(['endpoints', 'service']), {
    ...POLICY,
    ...KUBERNETES,
    builtIn: 'endpoints',
    of: ofKind('kubernetes', (it) => it.upstream),
  }),
  command: field(
    {
      parse: parseCommand,
      expected: 'a list such as [node, server.js]',
      formHint: hintAtCommand,
      secret: 'arguments',
    },
    { ...SERVICE_ONLY, ...PROCESS, of: ofKind('process', (it) => it.command) },
  ),
  cwd: field(
    { parse: parseDirectory, expected: 'a directory' },
    { ...SERVICE_ONLY, ...PROCESS, of: ofKind('process', (it) => it.cwd) },
  ),
  env: field(
    {
      parse: parseVariables,
      expected: '{} for none',
      formHint: () => '; write name: value, one variable a line',
      secret: 'values',
    },
    { ...SERVICE_ONLY, ...PROCESS, builtIn: {}, of: ofKind('process', (it) => it.env) },
  ),
  ports: field(TCP_PORTS, { ...SERVICE_AND_LABEL, builtIn: [], of: (it) => listenersOf(it, 'ports') }),
  udp_ports: field(UDP_PORTS, {
    ...SERVICE_AND_LABEL,
    builtIn: [],
    of: (it) => listenersOf(it, 'udp_ports'),
  }),
  allow_list: field(ADDRESSES, { ...POLICY, builtIn: [], of: (it) => it.allowList }),
  block_list: field(ADDRESSES, { ...POLICY, builtIn: [], of: (it) => it.blockList }),
  wake_list: field(ADDRESSES, { ...POLICY, builtIn: [], of: (it) => it.wakeList }),
  wake_on: field(choice(['connect', 'data']), { ...POLICY, builtIn: 'connect', of: (it) => it.wakeOn }),
  proxy_protocol: field(choice(['off', 'v1', 'v2']), {
    ...POLICY,
    builtIn: 'off',
    of: (it) => it.proxyProtocol,
  }),
  // No label can set it: whoever starts a container may not say whose word counts for who a client is.
  accept_proxy_protocol: field(FLAG, {
    label: false,
    inDefaults: true,
    builtIn: false,
    of: (it) => it.acceptProxyProtocol,
  }),
  http_ports: field(HTTP_PORTS, {
    ...SERVICE_AND_LABEL,
    builtIn: [],
    of: (it) => listenersOf(it, 'http_ports'),
  }),
  hosts: field(HOSTS, { ...SERVICE_AND_LABEL, builtIn: NO_WEB.hosts, of: (it) => it.web.hosts }),
  http_port: field(TARGET_PORT, { ...SERVICE_AND_LABEL, of: (it) => it.web.port }),
  tls_hosts: field(HOSTS, { ...SERVICE_AND_LABEL, builtIn: NO_WEB.tlsHosts, of: (it) => it.web.tlsHosts }),
  https_port: field(TARGET_PORT, {
    ...SERVICE_ONLY,
    builtIn: NO_WEB.httpsPort,
    of: (it) => it.web.httpsPort,
  }),
  tls: field(
    { parse: parseTls, expected: TLS_EXPECTED, isFlag: true, keys: ['cert', 'key'], format: formatTls },
    { ...SERVICE_AND_LABEL, builtIn: 'off', of: (it) => it.tls ?? 'off' },
  ),
  waiting_page: field(
    { parse: parseWaitingPage, expected: WAITING_PAGE_EXPECTED, format: formatWaitingPage },
    { ...POLICY, builtIn: NO_WEB.waitingPage, of: (it) => it.web.waitingPage },
  ),
  // No defaults: beside `ports` these two turn bytes into requests.
  basic_auth: field(
    { parse: parseUsers, expected: USERS_EXPECTED, isList: true, format: formatUsers, secret: 'all' },
    { ...SERVICE_AND_LABEL, builtIn: NO_WEB.basicAuth, of: (it) => it.web.basicAuth },
  ),
  api_key: field(
    { parse: parseApiKeys, expected: KEYS_EXPECTED, isList: true, secret: 'all' },
    { ...SERVICE_AND_LABEL, builtIn: NO_WEB.apiKeys, of: (it) => it.web.apiKeys },
  ),
  wake_paths: field(
    {
      ...{ parse: parseWakePaths, expected: WAKE_PATHS_EXPECTED, formHint: hintAtList, isList: true },
      format: formatWakePaths,
    },
    { ...SERVICE_AND_LABEL, builtIn: NO_WEB.wakePaths, of: (it) => it.web.wakePaths },
  ),
  blocked: field(
    { parse: parseBlocked, expected: 'close or 403' },
    { ...SERVICE_ONLY, inDefaults: true, builtIn: NO_WEB.blocked, of: (it) => it.web.blocked },
  ),
  traefik_hosts: field(TRAEFIK_HOSTS, {
    ...SERVICE_AND_LABEL,
    builtIn: NO_WEB.traefikHosts,
    of: (it) => it.web.traefikHosts,
  }),
  traefik_tcp_hosts: field(TRAEFIK_HOSTS, {
    ...SERVICE_AND_LABEL,
    builtIn: NO_WEB.traefikTcpHosts,
    of: (it) => it.web.traefikTcpHosts,
  }),
  idle_timeout: field(IDLE_DURATION, {
    ...POLICY,
    variable: IDLE_VARIABLE,
    builtIn: 120_000,
    of: (it) => it.idleTimeoutMs,
  }),
  start_timeout: field(POSITIVE_DURATION, {
    ...POLICY,
    variable: START_VARIABLE,
    builtIn: 30_000,
    of: (it) => it.startTimeoutMs,
  }),
  stop_timeout: field(DURATION, { ...POLICY, ...STOPPED_BY_PROXY, of: (it) => it.stopTimeoutMs }),
  stop_signal: field(STOP_SIGNAL, {
    ...POLICY,
    ...STOPPED_BY_PROXY,
    builtIn: '',
    of: (it) => it.rest.stopSignal,
  }),
  idle_when: field(choice(['no_connections', 'no_traffic']), {
    ...POLICY,
    builtIn: 'no_connections',
    of: (it) => it.rest.idleWhen,
  }),
  idle_ignore_below: field(
    { parse: parseTrafficRate, expected: RATE_EXPECTED, format: formatTrafficRate },
    { ...POLICY, builtIn: DEFAULT_REST.ignoreBelow, of: (it) => it.rest.ignoreBelow },
  ),
  busy_check: field(
    {
      ...{
        parse: parseBusyCheck,
        expected: BUSY_CHECK_EXPECTED,
        keys: BUSY_CHECK_PARTS,
        format: formatBusyCheck,
      },
      labelParts: BUSY_CHECK_PARTS,
      secret: { url: 'url', command: 'arguments' },
    },
    { ...POLICY, builtIn: 'off', of: (it) => it.rest.busyCheck ?? 'off' },
  ),
  min_awake: field(DURATION, { ...POLICY, builtIn: 0, of: (it) => it.rest.minAwakeMs }),
  sleep: field(choice(['stop', 'pause']), {
    ...POLICY,
    ...STOPPED_BY_PROXY,
    builtIn: 'stop',
    of: (it) => it.rest.way,
  }),
  pause_after: field(PAUSE_AFTER, {
    ...POLICY,
    ...STOPPED_BY_PROXY,
    builtIn: 'never',
    of: (it) => it.rest.pauseAfterMs ?? 'never',
  }),
  http_healthcheck: field(
    { ...URL_KIND, parse: parseHealthcheckUrl, secret: 'url' },
    { ...POLICY, builtIn: '', of: (it) => it.httpHealthcheck },
  ),
  http_healthcheck_status: field(
    { parse: parseStatuses, expected: STATUSES_EXPECTED, format: formatStatuses },
    { ...POLICY, builtIn: [{ first: 200, last: 299 }], of: (it) => it.httpHealthcheckStatus },
  ),
  webhook_url: field({ ...URL_KIND, secret: 'all' }, { ...POLICY, builtIn: '', of: (it) => it.webhookUrl }),
  // No label can set it: whoever may start a workload must not read the secrets in it, nor send them elsewhere.
  webhooks: field(
    { ...WEBHOOKS, parse: parseServiceWebhooks },
    { ...SERVICE_ONLY, builtIn: [], of: (it) => it.webhooks },
  ),
  dependants: field(list(parseQualifiedName), {
    ...SERVICE_AND_LABEL,
    builtIn: [],
    of: (it) => it.dependants,
  }),
  depends_on: field(
    {
      ...{ parse: parseDependencies, expected: DEPENDENCIES_EXPECTED, isList: true },
      format: formatDependencies,
    },
    {
      ...SERVICE_AND_LABEL,
      builtIn: [],
      of: ({ dependsOn, dependsOnBy }) => (dependsOnBy === 'compose' ? dependsOnBy : dependsOn),
    },
  ),
  group: field(NAME, { ...SERVICE_AND_LABEL, of: (it) => it.group }),
  memory: field(
    { parse: parseMemory, expected: MEMORY_EXPECTED, format: formatMemory },
    { ...SERVICE_AND_LABEL, of: (it) => it.memoryBytes },
  ),
  dependant_of_labels: field(FLAG, { ...SERVICE_ONLY, builtIn: false, of: (it) => it.dependantOfLabels }),
  availability: field(
    { parse: parseAvailability, expected: AVAILABILITY_EXPECTED },
    { ...SERVICE_AND_LABEL, builtIn: 'on_demand', of: (it) => it.availability },
  ),
  awake: field(
    {
      ...{ parse: parseAwake, expected: AWAKE_EXPECTED, formHint: hintAtList, isList: true },
      format: formatAwake,
    },
    { ...SERVICE_AND_LABEL, builtIn: [], of: (it) => it.awake },
  ),
  cron_start: field(CRON, { ...SERVICE_AND_LABEL, of: (it) => it.cronStart }),
  cron_stop: field(CRON, { ...SERVICE_AND_LABEL, of: (it) => it.cronStop }),
  timezone: field(
    { parse: parseTimezone, expected: 'a time zone such as Europe/Paris' },
    { ...POLICY, variable: ZONE_VARIABLE, builtIn: 'UTC', of: (it) => it.timezone },
  ),
  max_pending: field(COUNT, { ...POLICY, builtIn: 1_024, of: (it) => it.maxPending }),
  max_connections: field(BOUND, { ...POLICY, builtIn: 0, of: (it) => it.maxConnections }),
  max_connections_per_address: field(BOUND, {
    ...POLICY,
    builtIn: 0,
    of: (it) => it.maxConnectionsPerAddress,
  }),
  tcp_keepalive: field(KEEPALIVE, { ...POLICY, builtIn: 60_000, of: (it) => it.tcpKeepAliveMs }),
  udp_readiness: field(choice(['reply', 'open']), {
    ...POLICY,
    builtIn: 'reply',
    of: (it) => it.udp.readiness,
  }),
  udp_flow_timeout: field(POSITIVE_DURATION, {
    ...POLICY,
    builtIn: 60_000,
    of: (it) => it.udp.flowTimeoutMs,
  }),
  udp_queue_datagrams: field(COUNT, { ...POLICY, builtIn: 1_024, of: (it) => it.udp.maxQueuedDatagrams }),
  udp_queue_bytes: field(count(1, 2 ** 30), {
    ...POLICY,
    builtIn: 1_048_576,
    of: (it) => it.udp.maxQueuedBytes,
  }),
  udp_queue_age: field(POSITIVE_DURATION, {
    ...POLICY,
    builtIn: 30_000,
    of: (it) => it.udp.maxQueueAgeMs,
  }),
  // No label can set it: whoever may start a workload may not always delete its data.
  allow_data_loss: field(FLAG, {
    ...SERVICE_ONLY,
    ...KUBERNETES,
    builtIn: false,
    of: ofKind('kubernetes', (it) => it.allowDataLoss ?? false),
  }),
  // A service keeps nothing of it: by then its labels have counted or not.
  ignore_labels: field(FLAG, { ...SERVICE_ONLY, ...LABELLED, builtIn: false, of: () => undefined }),
};

export type FieldName = keyof typeof FIELDS;

/** The canonical value of each field, by the field's name in the file; durations in milliseconds. */
export type FieldValues = {
  readonly [F in FieldName]: (typeof FIELDS)[F] extends FieldSpec<infer V, infer _> ? V : never;
};

/** The fields of a service when all layers are merged: undefined only where there is no built-in value. */
export type MergedValues = {
  readonly [F in FieldName]: FieldValues[F] | Extract<(typeof FIELDS)[F]['builtIn'], undefined>;
};

/** A service as one source wrote it: absent = unset, never defaulted. */
export type Draft = { readonly [F in FieldName]?: Sourced<FieldValues[F]> };

export const FIELD_NAMES = Object.keys(FIELDS) as readonly FieldName[];

/** A field's row, whatever the type of its value. */
export function fieldSpec(field: FieldName): FieldSpec {
  return FIELDS[field] as FieldSpec;
}

/** A field of a service as the file writes it; undefined = it is left out. */
export function printField(field: FieldName, service: Service): unknown {
  const { of, format, builtIn } = fieldSpec(field);
  const value = of(service);
  if (value === undefined) return builtIn === '' ? '' : undefined;
  return format === undefined ? value : format(value as never);
}

/** A field of a service as it may be shown; undefined = it is left out. */
export function showField(
  field: FieldName,
  service: Service,
  { showSecrets }: { readonly showSecrets: boolean },
): unknown {
  const value = printField(field, service);
  return showSecrets ? value : hideSecrets(value, fieldSpec(field).secret);
}

/** Whether a field does anything for a workload of this kind. */
export function hasEffect(field: FieldName, kind: WorkloadKind): boolean {
  return fieldSpec(field).kinds?.includes(kind) ?? true;
}

/** Whether a field has a `*_secs` spelling beside its own. */
export function isDuration(field: FieldName): boolean {
  return fieldSpec(field).parseSecs !== undefined;
}

/** The spelling that takes a bare number of seconds, as the Go project names it. */
export function secsKey(field: FieldName): string {
  return `${field}_secs`;
}

/** Every key of a field in the file: its name and, for a duration, the `*_secs` spelling. */
export function fieldKeys(field: FieldName): readonly string[] {
  return isDuration(field) ? [field, secsKey(field)] : [field];
}

/** Every key of a field as labels give it, without prefix: see `labelSuffix`. */
export function labelKeys(field: FieldName): readonly string[] {
  return fieldSpec(field).labelParts?.map((part) => `${field}_${part}`) ?? fieldKeys(field);
}

/** A key of the file as a label, without prefix: `idle_timeout_secs` → `idle-timeout-secs`. */
export function labelSuffix(key: string): string {
  return key.replaceAll('_', '-');
}

/** Keys that a service of the file takes, `name` (list form) left out. */
export const SERVICE_KEYS: readonly string[] = FIELD_NAMES.flatMap(fieldKeys);
/** Keys that `defaults:` takes. */
export const DEFAULT_KEYS: readonly string[] = FIELD_NAMES.filter(
  (field) => FIELDS[field].inDefaults,
).flatMap(fieldKeys);
/** Label names without prefix; `enabled` beside them opts in. */
export const LABEL_SUFFIXES: readonly string[] = FIELD_NAMES.filter((field) => FIELDS[field].label)
  .flatMap(labelKeys)
  .map(labelSuffix);

/** A row of the table. */
function field<V, M>(
  kind: FieldKind<V, M>,
  use: FieldUse & { readonly builtIn: NoInfer<V>; readonly of: (service: Service) => M | undefined },
): FieldSpec<V, V>;
function field<V, M>(
  kind: FieldKind<V, M>,
  use: FieldUse & { readonly of: (service: Service) => M | undefined },
): FieldSpec<V, undefined>;
function field<V, M>(
  kind: FieldKind<V, M>,
  use: FieldUse & { readonly builtIn?: V; readonly of: (service: Service) => M | undefined },
): FieldSpec<V> {
  return { builtIn: undefined, ...kind, ...use };
}

/** What a service has of a field that belongs to workloads of one kind. */
function ofKind<K extends WorkloadKind, M>(
  kind: K,
  read: (workload: Extract<Workload, { readonly kind: K }>) => M,
): (service: Service) => M | undefined {
  return ({ workload }) =>
    workload.kind === kind ? read(workload as Extract<Workload, { readonly kind: K }>) : undefined;
}

function scaleOf({ workload }: Service): number | undefined {
  return workload.kind === 'swarm' || workload.kind === 'kubernetes' ? workload.scale : undefined;
}

function qualifiedName({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

/** The fields that give listeners. */
export const PORT_FIELDS = [
  { field: 'ports', protocol: 'tcp' },
  { field: 'http_ports', protocol: 'tcp' },
  { field: 'udp_ports', protocol: 'udp' },
] as const satisfies readonly { readonly field: FieldName; readonly protocol: Protocol }[];

/** The field of the file that gives a listener. */
export function portField({ protocol, mode, isOfPorts }: ListenerSpec): 'ports' | 'udp_ports' | 'http_ports' {
  if (protocol === 'udp') return 'udp_ports';
  return mode === 'http' && isOfPorts !== true ? 'http_ports' : 'ports';
}

function listenersOf({ listeners }: Service, field: ReturnType<typeof portField>) {
  return listeners.filter((listener) => portField(listener) === field);
}

/** YAML takes 403 for a number. */
function parseBlocked(raw: unknown): Parsed<'close' | '403'> {
  return parseChoice(raw === 403 ? '403' : raw, ['close', '403']);
}

function list<T>(parseItem: (item: unknown) => Parsed<T>) {
  const parse = (raw: unknown) => parseList(raw, parseItem);
  return { parse, expected: '[] for none', formHint: hintAtList, isList: true } as const;
}

function portsParser(protocol: Protocol, mode?: 'http') {
  return (raw: unknown, context: ValueContext): Reading<readonly ListenerSpec[]> => {
    const result = parseList(raw, (item) => parsePort(item, protocol, context));
    if (!result.ok) return result;
    const specs = result.value.flat();
    return accept(mode === undefined ? specs : specs.map((spec) => ({ ...spec, mode })));
  };
}

function count(min: number, max: number) {
  const parse = (raw: unknown) => parseCount(raw, { min, max });
  return { parse, expected: 'a whole number', isNumber: true } as const;
}
