/** Every metric: its name, what it means, and how it is read. Pure. */
import { formatListenAddress } from '../../model/service.ts';
import type { WakeCounts } from '../../model/running/wake.ts';
import type { Life, RoomFigures, WorkloadReport } from '../../model/running/workload-report.ts';
import type { Histogram } from '../../system/histogram.ts';
import type { FrontReport } from '../../model/web.ts';
import type { ListenerFigures, ProxyFigures, ServiceFigures } from './content.ts';

/** One line of the output. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Where it is not that of the metric: `…_bucket`. */
  readonly metricName?: string;
}

/** A metric with all its lines. */
export interface Family<T> {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One line of plain text. */
  readonly help: string;
  readonly labels: readonly string[];
  readonly read: (figures: T) => readonly Sample[];
}

const LIVES: readonly Life[] = ['asleep', 'waking', 'awake', 'stopping', 'failed', 'unknown'];

/** Every outcome is shown from the beginning on: a counter that appears with its first failure raises no alert. */
const WAKE_OUTCOMES: Readonly<
  Record<keyof WakeCounts, { readonly result: string; readonly reason: string }>
> = {
  ready: { result: 'ready', reason: '' },
  ended: { result: 'ended', reason: '' },
  engine: { result: 'failed', reason: 'engine' },
  exited: { result: 'failed', reason: 'exited' },
  timeout: { result: 'failed', reason: 'timeout' },
  queue: { result: 'failed', reason: 'queue' },
  room: { result: 'failed', reason: 'room' },
  dependency: { result: 'failed', reason: 'dependency' },
};

/** The same of a front door. */
const NOBODY_REFUSED = { 'untrusted-proxy': 0, 'bad-proxy-header': 0, 'no-proxy-header': 0 };

/** Metrics of the proxy as a whole. */
export const PROXY_FAMILIES: readonly Family<ProxyFigures>[] = [
  {
    name: 'lazy_proxy_build_info',
    type: 'gauge',
    help: 'Always 1; the labels name the versions of the proxy and of Node.js.',
    labels: ['version', 'node'],
    read: ({ version, nodeVersion }) => [{ labels: { version, node: nodeVersion }, value: 1 }],
  },
  {
    name: 'lazy_proxy_relay_info',
    type: 'gauge',
    help: 'Always 1; how new TCP connections are relayed: splice or stream.',
    labels: ['kind'],
    read: ({ relay }) => [{ labels: { kind: relay }, value: 1 }],
  },
  {
    name: 'lazy_proxy_services',
    type: 'gauge',
    help: 'Services in force.',
    labels: [],
    read: ({ services }) => one(services),
  },
  {
    name: 'lazy_proxy_config_generation',
    type: 'gauge',
    help: 'How often a changed configuration was put in force; 1 at the start.',
    labels: [],
    read: ({ config }) => one(config.generation),
  },
  {
    name: 'lazy_proxy_config_changed_timestamp_seconds',
    type: 'gauge',
    help: 'When the configuration in force was last changed.',
    labels: [],
    read: ({ config }) => one(config.changedAtMs / 1_000),
  },
  {
    name: 'lazy_proxy_config_refused',
    type: 'gauge',
    help: '1 while the configuration file is refused: the last good one counts.',
    labels: [],
    read: ({ config }) => one(config.isRefused ? 1 : 0),
  },
  {
    name: 'lazy_proxy_config_reloads_total',
    type: 'counter',
    help: 'Changes of the configuration file, by what became of them.',
    labels: ['result'],
    read: ({ config: { applied, refused } }) => byLabel('result', { applied, refused }),
  },
  {
    name: 'lazy_proxy_engine_up',
    type: 'gauge',
    help: '1 while the engine answers; of engines that are used.',
    labels: ['engine'],
    read: ({ engines }) =>
      engines.map(({ engine, answers }) => ({ labels: { engine }, value: answers ? 1 : 0 })),
  },
  {
    name: 'lazy_proxy_engine_call_duration_seconds',
    type: 'histogram',
    help: 'How long calls of the engine took, failed ones included.',
    labels: ['engine', 'call'],
    read: ({ calls }) =>
      calls.flatMap(({ engine, call, seconds }) =>
        renderHistogram('lazy_proxy_engine_call_duration_seconds', seconds, { engine, call }),
      ),
  },
  {
    name: 'lazy_proxy_engine_call_errors_total',
    type: 'counter',
    help: 'Calls of the engine that failed.',
    labels: ['engine', 'call'],
    read: ({ calls }) =>
      calls.map(({ engine, call, errors }) => ({ labels: { engine, call }, value: errors })),
  },
  {
    name: 'lazy_proxy_wake_duration_seconds',
    type: 'histogram',
    help: 'How long wakes that worked took, by phase.',
    labels: ['phase'],
    read: ({ wakeSeconds }) =>
      Object.entries(wakeSeconds).flatMap(([phase, seconds]) =>
        renderHistogram('lazy_proxy_wake_duration_seconds', seconds, { phase }),
      ),
  },
  {
    name: 'lazy_proxy_client_held_seconds',
    type: 'histogram',
    help: 'How long clients were held while their service woke, by how it ended.',
    labels: ['result'],
    read: ({ heldSeconds }) =>
      Object.entries(heldSeconds).flatMap(([result, seconds]) =>
        renderHistogram('lazy_proxy_client_held_seconds', seconds, { result }),
      ),
  },
  {
    name: 'lazy_proxy_front_up',
    type: 'gauge',
    help: '1 where a front door is bound, 0 where it is not.',
    labels: ['front'],
    read: eachFront(({ condition }, labels) => [{ labels, value: condition === 'bound' ? 1 : 0 }]),
  },
  {
    name: 'lazy_proxy_front_connections',
    type: 'gauge',
    help: 'Connections to a front door that are open, with or without a request.',
    labels: ['front'],
    read: eachFront(({ connections }, labels) => [{ labels, value: connections }]),
  },
  {
    name: 'lazy_proxy_front_connections_refused_total',
    type: 'counter',
    help: 'Connections that a front door closed before they led to a service, by why.',
    labels: ['front', 'reason'],
    read: eachFront(({ refused }, labels) => byLabel('reason', { ...NOBODY_REFUSED, ...refused }, labels)),
  },
  {
    name: 'lazy_proxy_room_awake',
    type: 'gauge',
    help: 'Workloads that count for max_awake, of all and of each group.',
    labels: ['group'],
    read: ({ room }) => ofGroups(room, 'taken'),
  },
  {
    name: 'lazy_proxy_room_max_awake',
    type: 'gauge',
    help: 'How many workloads may be awake: max_awake.',
    labels: ['group'],
    read: ({ room }) => ofGroups(room, 'max'),
  },
  {
    name: 'lazy_proxy_room_memory_bytes',
    type: 'gauge',
    help: 'Memory that workloads which are awake may take, as limits.memory counts it.',
    labels: [],
    read: ({ room }) => one(room?.memory?.taken),
  },
  {
    name: 'lazy_proxy_room_max_memory_bytes',
    type: 'gauge',
    help: 'How much memory they may take together: limits.memory.',
    labels: [],
    read: ({ room }) => one(room?.memory?.max),
  },
  {
    name: 'lazy_proxy_room_waiting',
    type: 'gauge',
    help: 'Workloads that are to be woken and wait for room.',
    labels: [],
    read: ({ room }) => one(room?.waiting),
  },
  {
    name: 'process_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time that the proxy has used.',
    labels: [],
    read: ({ process }) => one(process.cpuSeconds),
  },
  {
    name: 'process_resident_memory_bytes',
    type: 'gauge',
    help: 'Memory of the proxy, pages that it shares with others included.',
    labels: [],
    read: ({ process }) => one(process.residentBytes),
  },
  {
    name: 'process_start_time_seconds',
    type: 'gauge',
    help: 'When the proxy was started.',
    labels: [],
    read: ({ process }) => one(process.startSeconds),
  },
  {
    name: 'process_open_fds',
    type: 'gauge',
    help: 'Open file descriptors of the proxy.',
    labels: [],
    read: ({ process }) => one(process.openFds),
  },
  {
    name: 'process_max_fds',
    type: 'gauge',
    help: 'File descriptors that the proxy may have open.',
    labels: [],
    read: ({ process }) => one(process.maxFds),
  },
];

/** Metrics of each service's workload, and, where they have the label `listener`, of each of its listeners. */
export const SERVICE_FAMILIES: readonly Family<ServiceFigures>[] = [
  {
    name: 'lazy_proxy_workload_state',
    type: 'gauge',
    help: '1 for the state that the workload is in, 0 for the others.',
    labels: ['service', 'state'],
    read: eachWorkload(({ name, report }) =>
      LIVES.map((state) => ({
        labels: { service: name, state },
        value: (report?.life ?? 'unknown') === state ? 1 : 0,
      })),
    ),
  },
  {
    name: 'lazy_proxy_workload_state_seconds_total',
    type: 'counter',
    help: 'For how long the workload was in each state since the proxy follows it.',
    labels: ['service', 'state'],
    read: eachWorkload(({ name, report }) =>
      LIVES.map((state) => ({
        labels: { service: name, state },
        value: (report?.times[state] ?? 0) / 1_000,
      })),
    ),
  },
  {
    name: 'lazy_proxy_wakes_total',
    type: 'counter',
    help: 'Wakes that have ended, by how, and failed ones by why.',
    labels: ['service', 'result', 'reason'],
    read: eachWorkload(({ name, report }) =>
      Object.entries(WAKE_OUTCOMES).map(([outcome, labels]) => ({
        labels: { service: name, ...labels },
        value: report?.wakeCounts[outcome as keyof WakeCounts] ?? 0,
      })),
    ),
  },
  {
    name: 'lazy_proxy_sleeps_total',
    type: 'counter',
    help: 'How often the workload was put to sleep, or stopped otherwise, by why.',
    labels: ['service', 'reason'],
    read: eachWorkload(({ name, report }) =>
      // What a service never does takes no line.
      byLabel('reason', { idle: 0, ...report?.sleeps }, { service: name }),
    ),
  },
  {
    name: 'lazy_proxy_clients_waiting',
    type: 'gauge',
    help: 'Clients that are held until the service is ready.',
    labels: ['service'],
    read: eachWorkload(({ name, report }) => [{ labels: { service: name }, value: report?.waiting ?? 0 }]),
  },
  {
    name: 'lazy_proxy_longest_wait_seconds',
    type: 'gauge',
    help: 'For how long the first of them has been held; 0 where there is none.',
    labels: ['service'],
    read: eachWorkload(({ name, report }) => [
      { labels: { service: name }, value: (report?.longestWaitMs ?? 0) / 1_000 },
    ]),
  },
  {
    name: 'lazy_proxy_kept_awake',
    type: 'gauge',
    help: 'What keeps it awake beside its own clients, by kind; no line where nothing does.',
    labels: ['service', 'kind'],
    read: eachWorkload(({ name, report }) => byLabel('kind', countKeepers(report), { service: name })),
  },
  {
    name: 'lazy_proxy_sleep_due_timestamp_seconds',
    type: 'gauge',
    help: 'When it goes to sleep if nobody comes until then; no line where nothing is due.',
    labels: ['service'],
    read: eachWorkload(({ name, report }) =>
      report?.sleepsAtMs === undefined
        ? []
        : [{ labels: { service: name }, value: report.sleepsAtMs / 1_000 }],
    ),
  },
  {
    name: 'lazy_proxy_listener_up',
    type: 'gauge',
    help: '1 where the service listens there, 0 where the port is not bound.',
    labels: ['service', 'listener'],
    read: eachListener(({ isBound }, labels) => [{ labels, value: isBound ? 1 : 0 }]),
  },
  {
    name: 'lazy_proxy_connections',
    type: 'gauge',
    help: 'TCP connections that are open, held ones included.',
    labels: ['service', 'listener'],
    read: eachListener(({ active }, labels) => [{ labels, value: active }], 'tcp'),
  },
  {
    name: 'lazy_proxy_connections_accepted_total',
    type: 'counter',
    help: 'TCP connections that were let in.',
    labels: ['service', 'listener'],
    read: eachListener(({ totals }, labels) => [{ labels, value: totals.accepted }], 'tcp'),
  },
  {
    name: 'lazy_proxy_connections_refused_total',
    type: 'counter',
    help: 'TCP connections that were not let in, or closed unserved, by why.',
    labels: ['service', 'listener', 'reason'],
    read: eachListener(
      ({ blocked, refused, totals }, labels) =>
        byLabel('reason', { blocked, timeout: 0, failed: 0, ...refused, ...totals.unserved }, labels),
      'tcp',
    ),
  },
  {
    name: 'lazy_proxy_connection_bytes_total',
    type: 'counter',
    help: 'Bytes of TCP connections.',
    labels: ['service', 'listener', 'direction'],
    read: eachListener(
      ({ totals: { up, down } }, labels) => byLabel('direction', { up, down }, labels),
      'tcp',
    ),
  },
  {
    name: 'lazy_proxy_flows',
    type: 'gauge',
    help: 'UDP flows, one for each address of a client.',
    labels: ['service', 'listener'],
    read: eachListener(({ active }, labels) => [{ labels, value: active }], 'udp'),
  },
  {
    name: 'lazy_proxy_flows_accepted_total',
    type: 'counter',
    help: 'UDP flows that were let in.',
    labels: ['service', 'listener'],
    read: eachListener(({ totals }, labels) => [{ labels, value: totals.accepted }], 'udp'),
  },
  {
    name: 'lazy_proxy_datagrams_total',
    type: 'counter',
    help: 'Datagrams of UDP flows, dropped ones included.',
    labels: ['service', 'listener', 'direction'],
    read: eachListener(
      ({ totals: { up, down } }, labels) => byLabel('direction', { up, down }, labels),
      'udp',
    ),
  },
  {
    name: 'lazy_proxy_datagrams_dropped_total',
    type: 'counter',
    help: 'Datagrams that were dropped, by why.',
    labels: ['service', 'listener', 'reason'],
    read: eachListener(
      ({ dropped }, labels) => byLabel('reason', { 'not-ready': 0, ...dropped }, labels),
      'udp',
    ),
  },
];

function ofGroups(room: RoomFigures | undefined, what: 'taken' | 'max'): readonly Sample[] {
  return (room?.awake ?? []).map(({ group, [what]: value }) => ({ labels: { group }, value }));
}

function one(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }];
}

function countKeepers(report: WorkloadReport | undefined): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of report?.keepers ?? []) {
    const name = kind === 'hand' ? 'hold' : kind;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function byLabel(
  label: string,
  values: Readonly<Record<string, number>>,
  labels: Readonly<Record<string, string>> = {},
): readonly Sample[] {
  return Object.entries(values).map(([name, value]) => ({ labels: { ...labels, [label]: name }, value }));
}

function eachFront(
  read: (figures: FrontReport, labels: Readonly<Record<string, string>>) => readonly Sample[],
): Family<ProxyFigures>['read'] {
  return ({ fronts }) =>
    fronts.flatMap((figures) => {
      return read(figures, { front: formatListenAddress(figures.front) });
    });
}

/** What several services share is told once, or sums over services would count it twice. */
function eachWorkload(
  read: (figures: ServiceFigures) => readonly Sample[],
): (figures: ServiceFigures) => readonly Sample[] {
  return (figures) => (figures.countsWorkload ? read(figures) : []);
}

function eachListener(
  read: (figures: ListenerFigures, labels: Readonly<Record<string, string>>) => readonly Sample[],
  only?: 'tcp' | 'udp',
): (figures: ServiceFigures) => readonly Sample[] {
  return ({ name, listeners }) =>
    listeners.flatMap((figures) => {
      const { listener } = figures;
      if (only !== undefined && listener.protocol !== only) return [];
      const where = `${formatListenAddress(listener)}/${listener.protocol}`;
      return read(figures, { service: name, listener: where });
    });
}

function renderHistogram(
  name: string,
  { bounds, counts, sum }: Histogram,
  labels: Readonly<Record<string, string>>,
): readonly Sample[] {
  let total = 0;
  const buckets = [...counts].map((count, bucket) => {
    total += count;
    const le = bucket < bounds.length ? String(bounds[bucket]) : '+Inf';
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: total };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum },
    { metricName: `${name}_count`, labels, value: total },
  ];
}
