/** What the API says of a service, as JSON: snake_case, times as RFC 3339 in UTC, durations in ms. Pure. */
import { mayWake, nextStartOf } from '../../model/availability.ts';
import { formatProblem, type Problem } from '../../model/problem.ts';
import { formatListenAddress } from '../../model/service.ts';
import { usualWakeMs, type Wake } from '../../model/running/wake.ts';
import { describeWorkloadRef, toWorkloadRef, type Workload } from '../../model/workload.ts';
import type { Keeper, WorkloadReport } from '../../model/running/workload-report.ts';
import { formatTimestamp } from '../../system/clock.ts';
import { shortenId } from '../webhook-event.ts';
import type {
  FindingAnswer,
  LeaseAnswer,
  ListenerAnswer,
  PhasesAnswer,
  ServiceAnswer,
  ServiceDetailAnswer,
  WakeAnswer,
} from './answers.ts';
import type { ListenerReport, MemoryView, ServiceDetail, ServiceView } from './content.ts';
import { renderDay } from './day-json.ts';

/** Leases of clients that are listed one by one. */
export const MAX_LISTED_CLIENTS = 100;
/** Stands for what the one who asks may not read. */
export const HIDDEN = '***';

interface Look {
  readonly memory?: MemoryView | undefined;
  /** Until when the last day is told, ms since the epoch; undefined = it isn't. */
  readonly dayUntilMs?: number | undefined;
  /** Whether the one who asks may read what workloads have printed; default: no. */
  readonly showOutput?: boolean;
}

/** One row of `GET /api/services`. */
export function renderService(view: ServiceView, look: Look): ServiceAnswer {
  return renderRow(view, { ...look, oldest: listLeases(view).leases[0] });
}

function renderRow(
  view: ServiceView,
  { memory, dayUntilMs, showOutput = false, oldest }: Look & { readonly oldest: LeaseAnswer | undefined },
): ServiceAnswer {
  const { service, report, listeners, schedule } = view;
  const nextStartMs = nextStartOf(schedule);
  const { workload } = service;
  const urls = listUrls(listeners);
  return {
    name: service.name,
    kind: workload.kind,
    workload: describeWorkloadRef(toWorkloadRef(workload)),
    availability: service.availability,
    ...(view.sharers.names.length > 0 && { shares_with: view.sharers.names }),
    ...nameProject(workload, report),
    ...(report !== undefined && renderReport(report, { showOutput })),
    why: summarizeLeases(view, oldest),
    ...(nextStartMs !== undefined && { next_start: formatTimestamp(nextStartMs) }),
    ...(schedule.stop !== undefined && { next_stop: formatTimestamp(schedule.stop) }),
    ...(memory !== undefined && { memory: renderMemory(memory) }),
    ...(dayUntilMs !== undefined && { day: renderDay(view.timeline(), dayUntilMs) }),
    ...(urls.length > 0 && { urls }),
    listeners: listeners.map(renderListener),
  };
}

const DEFAULT_PORTS = { http: 80, https: 443 } as const;

/**
 * For each host the URL at the front door where a browser gets on: any door has all `hosts`, and one for plain HTTP asks for no
 * certificate, and sends on who is to come by HTTPS.
 */
function listUrls(listeners: readonly ListenerReport[]): readonly string[] {
  const urls = listeners
    .flatMap(({ condition, listener: { port }, web }) => {
      if (condition !== 'bound' || web === undefined) return [];
      const isDefault = port === DEFAULT_PORTS[web.scheme];
      const end = isDefault ? '/' : `:${port}/`;
      const rank = (web.scheme === 'http' ? 0 : 2) + (isDefault ? 0 : 1);
      return web.hosts.map((host) => ({ host, url: `${web.scheme}://${host}${end}`, rank }));
    })
    .sort((a, b) => b.rank - a.rank);
  // The best one of each host stays, in the order of the hosts.
  const best = new Map(urls.map(({ host, url }) => [host, url]));
  const hosts = new Set(listeners.flatMap(({ web }) => web?.hosts ?? []));
  return [...hosts].flatMap((host) => best.get(host) ?? []);
}

/** What it belongs to, for who groups by it: its Compose project, its stack, or its namespace. */
function nameProject(workload: Workload, report: WorkloadReport | undefined): Pick<ServiceAnswer, 'project'> {
  const project = workload.kind === 'kubernetes' ? workload.namespace : report?.observation.project;
  return project === undefined ? {} : { project };
}

/** `GET /api/services/{name}`: the row, and all that is too much for a list. */
export function renderServiceDetail(
  view: ServiceDetail,
  { showOutput, ...look }: Look & { readonly showOutput: boolean },
): ServiceDetailAnswer {
  const { report, service, hubs, users, certificates, problems } = view;
  const { leases, omitted } = listLeases(view);
  return {
    ...renderRow(view, { ...look, showOutput, oldest: leases[0] }),
    leases,
    ...(omitted > 0 && { leases_omitted: omitted }),
    woken_by: listWakers(view),
    hubs,
    dependants: service.dependants,
    users,
    depends_on: service.dependsOn,
    ...(certificates.length > 0 && { certificates: certificates.map(renderCertificate) }),
    wakes: [...(report?.wakes ?? [])].reverse().map((wake) => renderWake(wake, { showOutput })),
    timeline: view.timeline().map(({ atMs, ...what }) => ({ at: formatTimestamp(atMs), ...what })),
    problems: problems.map(renderProblem),
  };
}

function renderCertificate({
  host,
  ...certificate
}: ServiceDetail['certificates'][number]): NonNullable<ServiceDetailAnswer['certificates']>[number] {
  if (certificate.kind !== 'file') return { host, kind: certificate.kind };
  const { kind, path, untilMs } = certificate;
  return { host, kind, path, until: formatTimestamp(untilMs) };
}

/** A problem with its place apart, for pages; `text` is the line that the log has. */
export function renderProblem(problem: Problem): FindingAnswer {
  const { code, severity, message, origin } = problem;
  const place = origin.kind === 'file' && { file: origin.file, line: origin.line, column: origin.column };
  return { code, severity, message, ...place, text: formatProblem(problem) };
}

function renderReport(
  report: WorkloadReport,
  { showOutput }: { readonly showOutput: boolean },
): Partial<ServiceAnswer> {
  const { observation, wakeUnderWay: waking, sleepUnderWay: stopping, lastSleep, times } = report;
  const last = report.wakes.at(-1);
  const usualMs = usualWakeMs(report.wakes);
  const waitMs = usualWakeMs(report.wakes.filter(({ by }) => by === 'client'));
  return {
    id: shortenId(observation.id),
    state: report.state,
    life: report.life,
    since: formatTimestamp(report.sinceMs),
    last_active: report.lastUsedMs === undefined ? null : formatTimestamp(report.lastUsedMs),
    ...(report.sleepsAtMs !== undefined && { sleeps_at: formatTimestamp(report.sleepsAtMs) }),
    ...(report.awakeUntilMs !== undefined && { awake_until: formatTimestamp(report.awakeUntilMs) }),
    ...(report.staysAwake !== undefined && { stays_awake: report.staysAwake }),
    ...(report.sleepFailure !== undefined && { sleep_failure: report.sleepFailure }),
    ...(report.unavailable !== undefined && { unavailable: report.unavailable }),
    ...(waking !== undefined && {
      waking: {
        ...{ cause: waking.cause, since: formatTimestamp(waking.atMs), phase: waking.phase },
        ...renderPhases(waking.phases),
      },
    }),
    ...(stopping !== undefined && {
      stopping: {
        ...{ kind: stopping.kind, reason: stopping.words },
        ...(stopping.untilMs !== undefined && { until: formatTimestamp(stopping.untilMs) }),
      },
    }),
    ...(report.waitsFor !== undefined && { waits_for: report.waitsFor }),
    ...(usualMs !== undefined && { usual_wake_ms: usualMs }),
    ...(waitMs !== undefined && { usual_wait_ms: waitMs }),
    ...(report.triesAgainAtMs !== undefined && { next_try: formatTimestamp(report.triesAgainAtMs) }),
    ...(report.failure !== undefined && { failure: report.failure }),
    ...(last !== undefined && { last_wake: renderWake(last, { showOutput }) }),
    ...(lastSleep !== undefined && {
      last_sleep: { at: formatTimestamp(lastSleep.atMs), kind: lastSleep.kind, reason: lastSleep.words },
    }),
    time_ms: Object.fromEntries(Object.entries(times).map(([life, ms]) => [life, Math.round(ms)])),
    sleeps: report.sleeps,
  };
}

export function renderWake(
  { atMs, cause, result, reason, phases, output, outputProblem }: Wake,
  { showOutput }: { readonly showOutput: boolean },
): WakeAnswer {
  return {
    ...{ at: formatTimestamp(atMs), cause, result, ...(reason !== undefined && { reason }) },
    ...renderPhases(phases),
    ...(output !== undefined && { output: showOutput ? output : [HIDDEN] }),
    ...(outputProblem !== undefined && { output_problem: outputProblem }),
  };
}

function renderPhases({ room, queue, dependencies, engine, health, port }: Wake['phases']): PhasesAnswer {
  return {
    ...(room > 0 && { room_ms: room }),
    ...(queue > 0 && { queue_ms: queue }),
    ...(dependencies > 0 && { dependencies_ms: dependencies }),
    engine_ms: engine,
    health_ms: health,
    port_ms: port,
  };
}

function renderListener(report: ListenerReport): ListenerAnswer {
  const { listener, condition, error, blocked, refused, dropped, relay, web } = report;
  return {
    protocol: listener.protocol,
    address: listener.address,
    port: listener.port,
    target_port: listener.targetPort,
    condition,
    ...(error !== undefined && { error }),
    connections: report.activeConnections,
    blocked,
    ...(Object.keys(refused).length > 0 && { refused }),
    ...(listener.protocol === 'udp' && { dropped }),
    ...(relay !== undefined && { relay }),
    ...(web !== undefined && { scheme: web.scheme, ...(web.hosts.length > 0 && { hosts: web.hosts }) }),
  };
}

function renderMemory(memory: MemoryView): NonNullable<ServiceAnswer['memory']> {
  return 'lastBytes' in memory ? { last_bytes: memory.lastBytes } : memory;
}

/** Why it is awake, in numbers; and the lease that is held for the longest time. */
function summarizeLeases(
  { report, listeners: own, sharers }: ServiceView,
  oldest: LeaseAnswer | undefined,
): ServiceAnswer['why'] {
  const count = (protocol: string) =>
    [...own, ...sharers.listeners]
      .filter(({ listener }) => listener.protocol === protocol)
      .reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  const [connections, flows] = [count('tcp'), count('udp')];
  const keepers = report?.keepers ?? [];
  return {
    leases: connections + flows + keepers.length,
    connections,
    flows,
    waiting: report?.waiting ?? 0,
    kept_by: keepers.map((keeper) => renderKeeper(keeper).kind),
    ...(oldest !== undefined && { oldest }),
  };
}

/** Every lease on its workload with its kind, since when it is held and by whom, oldest first; of clients the oldest ones. */
export function listLeases({ report, listeners: own, sharers }: ServiceView): {
  readonly leases: readonly LeaseAnswer[];
  readonly omitted: number;
} {
  const listeners = [...own, ...sharers.listeners];
  const kept = (report?.keepers ?? []).map(({ sinceMs, ...keeper }) => ({
    sinceMs,
    lease: renderKeeper(keeper),
  }));
  const clients = listeners.flatMap(({ listener, clients: present }) =>
    present.map(({ endpoint, sinceMs, isWaiting, bytesUp, bytesDown }) => ({
      sinceMs,
      lease: {
        ...{ kind: listener.protocol === 'tcp' ? 'connection' : 'flow', peer: endpoint },
        ...{ listener: `${formatListenAddress(listener)}/${listener.protocol}`, waiting: isWaiting },
        ...(bytesUp !== undefined && { bytes_up: bytesUp, bytes_down: bytesDown }),
      },
    })),
  );
  const oldest = clients.sort((a, b) => a.sinceMs - b.sinceMs).slice(0, MAX_LISTED_CLIENTS);
  const all = listeners.reduce((sum, { activeConnections }) => sum + activeConnections, 0);
  const leases = [...kept, ...oldest]
    .sort((a, b) => a.sinceMs - b.sinceMs)
    .map(({ sinceMs, lease: { kind, ...rest } }) => ({ kind, since: formatTimestamp(sinceMs), ...rest }));
  return { leases, omitted: Math.max(0, all - oldest.length) };
}

function renderKeeper(keeper: Keeper): { readonly kind: string } {
  if (keeper.kind !== 'hand' && keeper.kind !== 'window') return keeper;
  const { kind, untilMs = 0 } = keeper;
  return { kind: kind === 'hand' ? 'hold' : kind, ...(untilMs > 0 && { until: formatTimestamp(untilMs) }) };
}

/** What would wake it. */
function listWakers({
  service,
  listeners,
  hubs,
  users,
  schedule,
}: ServiceDetail): ServiceDetailAnswer['woken_by'] {
  const ofClients = mayWake(service.availability, 'client') ? listeners : [];
  const { wakeOn, wakeList } = service;
  return [
    ...ofClients
      .filter(({ condition }) => condition === 'bound')
      .map(({ listener, web }) => ({
        kind: web !== undefined ? 'request' : listener.protocol === 'tcp' ? 'connection' : 'datagram',
        listener: `${formatListenAddress(listener)}/${listener.protocol}`,
        ...(web !== undefined && web.hosts.length > 0 && { hosts: web.hosts }),
        ...(wakeOn === 'data' && listener.protocol === 'tcp' && { with_data: true as const }),
        ...(wakeList.length > 0 && { only_from: wakeList }),
      })),
    ...(schedule.start === undefined
      ? []
      : [
          {
            ...{ kind: 'schedule', at: formatTimestamp(schedule.start) },
            ...(service.cronStart !== undefined && { cron: service.cronStart }),
          },
        ]),
    ...(schedule.opens === undefined ? [] : [{ kind: 'window', at: formatTimestamp(schedule.opens) }]),
    ...hubs.map((hub) => ({ kind: 'hub', hub })),
    ...users.map((user) => ({ kind: 'user', user })),
  ];
}
