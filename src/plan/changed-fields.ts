import { isSameData } from '../model/same-data.ts';
import type { Protocol, Service } from '../model/service.ts';

/** The field of the file behind each property of a service; a property that is missing here doesn't compile. */
const FIELD_OF: {
  readonly [P in Exclude<
    keyof Service,
    'name' | 'workload' | 'listeners' | 'udp' | 'dependantsBy' | 'isOfFile'
  >]: string;
} = {
  allowList: 'allow_list',
  blockList: 'block_list',
  idleTimeoutMs: 'idle_timeout',
  startTimeoutMs: 'start_timeout',
  stopTimeoutMs: 'stop_timeout',
  maxPending: 'max_pending',
  maxConnections: 'max_connections',
  maxConnectionsPerAddress: 'max_connections_per_address',
  tcpKeepAliveMs: 'tcp_keepalive',
  httpHealthcheck: 'http_healthcheck',
  httpHealthcheckStatus: 'http_healthcheck_status',
  webhookUrl: 'webhook_url',
  dependants: 'dependants',
  dependantOfLabels: 'dependant_of_labels',
  cronStart: 'cron_start',
  cronStop: 'cron_stop',
  timezone: 'timezone',
};

const UDP_FIELD_OF: { readonly [P in keyof Service['udp']]: string } = {
  readiness: 'udp_readiness',
  flowTimeoutMs: 'udp_flow_timeout',
  maxQueuedDatagrams: 'udp_queue_datagrams',
  maxQueuedBytes: 'udp_queue_bytes',
  maxQueueAgeMs: 'udp_queue_age',
};

/** The fields of the file in which two versions of a service differ, in the order of the alphabet. Pure. */
export function findChangedFields(before: Service, after: Service): readonly string[] {
  const listenersOf = ({ listeners }: Service, protocol: Protocol) =>
    listeners.filter((listener) => listener.protocol === protocol);
  const fields = [...listDifferences(FIELD_OF, { before, after })];
  if (before.udp !== after.udp) {
    fields.push(...listDifferences(UDP_FIELD_OF, { before: before.udp, after: after.udp }));
  }
  if (!isSameData(listenersOf(before, 'tcp'), listenersOf(after, 'tcp'))) fields.push('ports');
  if (!isSameData(listenersOf(before, 'udp'), listenersOf(after, 'udp'))) fields.push('udp_ports');
  return [...fields, ...findWorkloadFields(before, after)].toSorted();
}

function listDifferences<T>(
  fieldOf: { readonly [P in keyof T]?: string },
  { before, after }: { readonly before: T; readonly after: T },
): readonly string[] {
  const pairs = Object.entries(fieldOf) as [keyof T, string][];
  return pairs
    .filter(([property]) => !isSameData(before[property], after[property]))
    .map(([, field]) => field);
}

function findWorkloadFields({ workload: before }: Service, { workload: after }: Service): readonly string[] {
  if (isSameData(before, after)) return [];
  switch (after.kind) {
    case 'docker':
      return ['container'];
    case 'swarm':
      return ['swarm_service'];
    case 'kubernetes': {
      if (before.kind !== 'kubernetes') return [after.resource];
      const isOther =
        before.resource !== after.resource ||
        before.namespace !== after.namespace ||
        before.name !== after.name;
      return [
        ...(isOther ? [after.resource] : []),
        ...(before.service === after.service ? [] : ['service_name']),
        ...(before.upstream === after.upstream ? [] : ['upstream']),
        ...(before.allowDataLoss === after.allowDataLoss ? [] : ['allow_data_loss']),
      ];
    }
    case 'process': {
      if (before.kind !== 'process') return ['command'];
      const names = ['command', 'cwd', 'env'] as const;
      return names.filter((name) => !isSameData(before[name], after[name]));
    }
  }
}
