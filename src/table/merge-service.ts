import { type Draft, FIELD_NAMES, FIELDS, type FieldName, type FieldValues } from '../config/fields.ts';
import type { Origin } from '../model/origin.ts';
import type { Service } from '../model/service.ts';
import type { TableEntry } from '../model/table.ts';
import type { Workload } from '../model/workload.ts';

/** A service before its layers are merged. */
export interface ServiceSource {
  readonly name: string;
  /** Where its name was written. */
  readonly origin: Origin;
  /** Highest layer first; the built-in values come after the last. */
  readonly layers: readonly Draft[];
}

const DEFAULT_ORIGIN: Origin = { kind: 'default' };
const DOCKER_ONLY: ReadonlySet<FieldName> = new Set(['container', 'ignore_labels']);
const PROCESS_ONLY: ReadonlySet<FieldName> = new Set(['command', 'cwd', 'env']);

/** Merges field by field: the highest layer that sets a field wins, also with 0 or an empty value. */
export function mergeService(source: ServiceSource): TableEntry {
  const values: Record<string, unknown> = {};
  const origins: Record<string, Origin> = {};
  const isProcess = source.layers.some(({ command }) => command !== undefined);
  for (const field of FIELD_NAMES) {
    const found = source.layers.find((layer) => layer[field] !== undefined)?.[field];
    values[field] = found === undefined ? FIELDS[field].builtIn : found.value;
    if (!(isProcess ? DOCKER_ONLY : PROCESS_ONLY).has(field))
      origins[field] = found?.origin ?? DEFAULT_ORIGIN;
  }
  const merged = values as MergedValues;
  if (merged.command === undefined && merged.container === undefined) origins['container'] = source.origin;
  return { service: toService(source.name, merged), origins };
}

type Optional = 'container' | 'command' | 'cwd' | 'stop_timeout' | 'cron_start' | 'cron_stop';
type MergedValues = Omit<FieldValues, Optional> & { readonly [F in Optional]: FieldValues[F] | undefined };

function toService(name: string, values: MergedValues): Service {
  return {
    name,
    workload: toWorkload(name, values),
    listeners: [...values.ports, ...values.udp_ports],
    allowList: values.allow_list,
    blockList: values.block_list,
    idleTimeoutMs: values.idle_timeout,
    startTimeoutMs: values.start_timeout,
    stopTimeoutMs: values.stop_timeout,
    maxPending: values.max_pending,
    httpHealthcheck: values.http_healthcheck === '' ? undefined : values.http_healthcheck,
    webhookUrl: values.webhook_url === '' ? undefined : values.webhook_url,
    dependants: values.dependants,
    cronStart: values.cron_start,
    cronStop: values.cron_stop,
    timezone: values.timezone,
    udp: {
      readiness: values.udp_readiness,
      maxQueuedDatagrams: values.udp_queue_datagrams,
      maxQueuedBytes: values.udp_queue_bytes,
      maxQueueAgeMs: values.udp_queue_age,
    },
  };
}

function toWorkload(name: string, { container, command, cwd, env }: MergedValues): Workload {
  if (command === undefined) return { kind: 'docker', container: container ?? name };
  return { kind: 'process', name, command, cwd, env };
}
