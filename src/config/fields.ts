import type { Sourced } from '../model/origin.ts';
import type { ListenerSpec, StatusRange } from '../model/service.ts';
import type { KubernetesWorkload, WorkloadKind } from '../model/workload.ts';
import { parsePositiveSeconds, parseSeconds } from './values/duration.ts';
import type { EnvironmentVariable } from './values/parsed.ts';
import { parseTimezone } from './values/timezone.ts';

/** The canonical value of each field of a service, by the field's name in the file. */
export interface FieldValues {
  readonly container: string;
  readonly swarm_service: string;
  /** `name` or `namespace/name`, as statefulset. */
  readonly deployment: string;
  readonly statefulset: string;
  readonly service_name: string;
  readonly upstream: KubernetesWorkload['upstream'];
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly ports: readonly ListenerSpec[];
  readonly udp_ports: readonly ListenerSpec[];
  readonly allow_list: readonly string[];
  readonly block_list: readonly string[];
  /** Milliseconds, as every duration. */
  readonly idle_timeout: number;
  readonly start_timeout: number;
  readonly stop_timeout: number;
  /** `''` = explicitly none, as for webhook_url. */
  readonly http_healthcheck: string;
  readonly http_healthcheck_status: readonly StatusRange[];
  readonly webhook_url: string;
  readonly dependants: readonly string[];
  readonly dependant_of_labels: boolean;
  readonly cron_start: string;
  readonly cron_stop: string;
  readonly timezone: string;
  readonly max_pending: number;
  /** 0 = no bound, as for the next. */
  readonly max_connections: number;
  readonly max_connections_per_address: number;
  readonly tcp_keepalive: number;
  readonly udp_readiness: 'reply' | 'open';
  readonly udp_flow_timeout: number;
  readonly udp_queue_datagrams: number;
  readonly udp_queue_bytes: number;
  readonly udp_queue_age: number;
  readonly allow_data_loss: boolean;
  readonly ignore_labels: boolean;
}

export type FieldName = keyof FieldValues;

/** How a field's value is written. */
export type FieldKind =
  | 'name'
  | 'dependants'
  | 'kubernetes-workload'
  | 'kubernetes-name'
  | 'upstream'
  | 'arguments'
  | 'path'
  | 'variables'
  | 'tcp-ports'
  | 'udp-ports'
  | 'addresses'
  | 'duration'
  | 'positive-duration'
  | 'count'
  | 'bound'
  | 'url'
  | 'healthcheck'
  | 'statuses'
  | 'cron'
  | 'timezone'
  | 'readiness'
  | 'flag';

export interface FieldSpec<T = unknown> {
  readonly kind: FieldKind;
  /** Whether a container label can set it. */
  readonly label: boolean;
  /** Whether `defaults:` can set it. */
  readonly inDefaults: boolean;
  /** The environment variable that sets it for every service. */
  readonly variable?: EnvironmentVariable;
  /** The value when no layer sets it; absent = unset. */
  readonly builtIn?: T;
  /** The largest value of a count. */
  readonly max?: number;
  /** The workloads on which it has an effect; absent = all. Elsewhere it counts as unset. */
  readonly kinds?: readonly WorkloadKind[];
}

/** A service as one source wrote it: absent = unset, never defaulted. */
export type Draft = { readonly [F in FieldName]?: Sourced<FieldValues[F]> };

const IDLE_VARIABLE: EnvironmentVariable = {
  name: 'IDLE_TIMEOUT_SECS',
  parse: parseSeconds,
  otherwise: 'the default of 120 applies',
};
const START_VARIABLE: EnvironmentVariable = {
  name: 'START_TIMEOUT_SECS',
  parse: parsePositiveSeconds,
  otherwise: 'the default of 30 applies',
};
const ZONE_VARIABLE: EnvironmentVariable = {
  name: 'TZ',
  // Some systems write `:Europe/Paris`.
  parse: (text) => parseTimezone(text.replace(/^:/, '')),
  otherwise: 'UTC applies',
};
const SERVICE_ONLY = { label: false, inDefaults: false } as const;
const SERVICE_AND_LABEL = { label: true, inDefaults: false } as const;
const POLICY = { label: true, inDefaults: true } as const;
const MAX_COUNT = 1_000_000;
const DOCKER: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker'] };
const SWARM: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['swarm'] };
const KUBERNETES: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['kubernetes'] };
const PROCESS: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['process'] };
/** The orchestrators stop with a grace period of the workload's own. */
const STOPPED_BY_PROXY: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker', 'process'] };
const LABELLED: { readonly kinds: readonly WorkloadKind[] } = { kinds: ['docker', 'swarm', 'kubernetes'] };

/**
 * Every field of a service, in the order in which it is printed. Label names, defaults, environment, printing and the
 * drift tests derive from this table; the schema is checked against it.
 */
export const FIELDS: { readonly [F in FieldName]: FieldSpec<FieldValues[F]> } = {
  container: { kind: 'name', ...SERVICE_ONLY, ...DOCKER },
  swarm_service: { kind: 'name', ...SERVICE_ONLY, ...SWARM },
  deployment: { kind: 'kubernetes-workload', ...SERVICE_ONLY, ...KUBERNETES },
  statefulset: { kind: 'kubernetes-workload', ...SERVICE_ONLY, ...KUBERNETES },
  service_name: { kind: 'kubernetes-name', ...SERVICE_AND_LABEL, ...KUBERNETES },
  upstream: { kind: 'upstream', ...POLICY, builtIn: 'endpoints', ...KUBERNETES },
  command: { kind: 'arguments', ...SERVICE_ONLY, ...PROCESS },
  cwd: { kind: 'path', ...SERVICE_ONLY, ...PROCESS },
  env: { kind: 'variables', ...SERVICE_ONLY, builtIn: {}, ...PROCESS },
  ports: { kind: 'tcp-ports', ...SERVICE_AND_LABEL, builtIn: [] },
  udp_ports: { kind: 'udp-ports', ...SERVICE_AND_LABEL, builtIn: [] },
  allow_list: { kind: 'addresses', ...POLICY, builtIn: [] },
  block_list: { kind: 'addresses', ...POLICY, builtIn: [] },
  idle_timeout: { kind: 'duration', ...POLICY, variable: IDLE_VARIABLE, builtIn: 120_000 },
  start_timeout: { kind: 'positive-duration', ...POLICY, variable: START_VARIABLE, builtIn: 30_000 },
  stop_timeout: { kind: 'duration', ...POLICY, ...STOPPED_BY_PROXY },
  http_healthcheck: { kind: 'healthcheck', ...POLICY, builtIn: '' },
  http_healthcheck_status: { kind: 'statuses', ...POLICY, builtIn: [{ first: 200, last: 299 }] },
  webhook_url: { kind: 'url', ...POLICY, builtIn: '' },
  dependants: { kind: 'dependants', ...SERVICE_AND_LABEL, builtIn: [] },
  dependant_of_labels: { kind: 'flag', ...SERVICE_ONLY, builtIn: false },
  cron_start: { kind: 'cron', ...SERVICE_AND_LABEL },
  cron_stop: { kind: 'cron', ...SERVICE_AND_LABEL },
  timezone: { kind: 'timezone', ...POLICY, variable: ZONE_VARIABLE, builtIn: 'UTC' },
  max_pending: { kind: 'count', ...POLICY, builtIn: 1_024, max: MAX_COUNT },
  max_connections: { kind: 'bound', ...POLICY, builtIn: 0, max: MAX_COUNT },
  max_connections_per_address: { kind: 'bound', ...POLICY, builtIn: 0, max: MAX_COUNT },
  tcp_keepalive: { kind: 'duration', ...POLICY, builtIn: 60_000 },
  udp_readiness: { kind: 'readiness', ...POLICY, builtIn: 'reply' },
  udp_flow_timeout: { kind: 'positive-duration', ...POLICY, builtIn: 60_000 },
  udp_queue_datagrams: { kind: 'count', ...POLICY, builtIn: 1_024, max: MAX_COUNT },
  udp_queue_bytes: { kind: 'count', ...POLICY, builtIn: 1_048_576, max: 2 ** 30 },
  udp_queue_age: { kind: 'positive-duration', ...POLICY, builtIn: 30_000 },
  // Not for labels: who may start a workload is not always who may delete its data.
  allow_data_loss: { kind: 'flag', ...SERVICE_ONLY, builtIn: false, ...KUBERNETES },
  ignore_labels: { kind: 'flag', ...SERVICE_ONLY, builtIn: false, ...LABELLED },
};

export const FIELD_NAMES = Object.keys(FIELDS) as readonly FieldName[];

/** Whether a field does anything for a workload of this kind. */
export function hasEffect(field: FieldName, kind: WorkloadKind): boolean {
  return FIELDS[field].kinds?.includes(kind) ?? true;
}

/** Whether a field has a `*_secs` spelling beside its own. */
export function isDuration(field: FieldName): boolean {
  const { kind } = FIELDS[field];
  return kind === 'duration' || kind === 'positive-duration';
}

/** The spelling that takes a bare number of seconds, as the Go project names it. */
export function secsKey(field: FieldName): string {
  return `${field}_secs`;
}

/** Every key of a field in the file: its name and, for a duration, the `*_secs` spelling. */
export function fieldKeys(field: FieldName): readonly string[] {
  return isDuration(field) ? [field, secsKey(field)] : [field];
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
  .flatMap(fieldKeys)
  .map(labelSuffix);
