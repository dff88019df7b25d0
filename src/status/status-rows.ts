import type { Observation } from '../model/running/observation.ts';
import type { ListenerSpec, Service, TargetPort } from '../model/service.ts';
import type { Wake } from '../model/running/wake.ts';
import { workloadName } from '../model/workload.ts';
import { formatTimestamp } from '../system/clock.ts';
import { shortenId } from './webhook-event.ts';

/**
 * The rows of `GET /status`: one per listener, with the fields of lazy-tcp-proxy and more. Pure.
 */

/** What the status shows of a listener. */
export interface ListenerView {
  readonly service: Service;
  readonly listener: ListenerSpec;
  readonly observation: Observation;
  /** State of the lifecycle: `stopped`, `starting`, `ready` … */
  readonly state: string;
  readonly activeConnections: number;
  readonly lastActiveMs: number;
  /** Datagrams that were dropped, by reason. */
  readonly drops: Readonly<Record<string, number>>;
  /** Clients that were refused because of a limit, counted by limit, and those that came while it slept and could not wake it. */
  readonly refusals: Readonly<Record<string, number>>;
  /** How new TCP connections are relayed. */
  readonly relay: string;
  /** Why the listener is not bound, its clients can't be served, or the workload doesn't wake. */
  readonly error: string | undefined;
  /** Why every client is refused at once, although nothing is wrong. */
  readonly unavailable: string | undefined;
  /** When its schedule starts it next, ms since the epoch. */
  readonly nextStartMs: number | undefined;
  /** The last start of the workload that has ended. */
  readonly lastWake: Wake | undefined;
}

/** How the last start of a workload went: never what it printed, since the status is open and output holds secrets. */
export interface WakeRow {
  /** RFC 3339, UTC. */
  readonly at: string;
  readonly cause: string;
  readonly result: Wake['result'];
  readonly reason?: string;
  readonly engine_ms: number;
  readonly health_ms: number;
  readonly port_ms: number;
}

export interface StatusRow {
  /** 12 characters, the process id, or `namespace/name`; empty where there is none. */
  readonly container_id: string;
  readonly container_name: string;
  readonly listen_port: number;
  /** A name where the configuration says a name. */
  readonly target_port: TargetPort;
  readonly running: boolean;
  readonly active_conns: number;
  /** RFC 3339, UTC. */
  readonly last_active: string;
  readonly last_active_relative: string;
  readonly service: string;
  readonly kind: string;
  /** In Kubernetes: `deployment` or `statefulset`, and where it is. */
  readonly resource?: string;
  readonly namespace?: string;
  readonly availability: string;
  readonly state: string;
  readonly protocol: string;
  /** What `protocol` says, in the original's words. */
  readonly is_udp: boolean;
  /** The engine knows no workload of this name; false where that can't be found out. */
  readonly container_missing: boolean;
  readonly listen_address: string;
  /** TCP: how new connections are relayed, `splice` or `stream`. */
  readonly relay?: string;
  /** UDP: datagrams that were dropped, by reason. */
  readonly dropped?: Readonly<Record<string, number>>;
  /** TCP: clients that were refused because of a limit, or because it slept, counted by that; absent before the first one. */
  readonly refused?: Readonly<Record<string, number>>;
  readonly error?: string;
  /** Why every client is refused at once: the service sleeps, and clients don't wake it. */
  readonly unavailable?: string;
  /** When its schedule starts it next; RFC 3339, UTC. */
  readonly next_start?: string;
  /** Absent before the first one. */
  readonly last_wake?: WakeRow;
}

/** Sorted by container name, container id, port and protocol. */
export function buildStatusRows(views: readonly ListenerView[], nowMs: number): StatusRow[] {
  return views.map((view) => buildRow(view, nowMs)).sort(compareRows);
}

function buildRow(view: ListenerView, nowMs: number): StatusRow {
  const { service, listener, observation } = view;
  const { workload } = service;
  return {
    container_id: shortenId(observation.id),
    container_name: workloadName(workload),
    listen_port: listener.port,
    target_port: listener.targetPort,
    running: observation.state === 'running' || observation.state === 'stranded',
    active_conns: view.activeConnections,
    last_active: formatTimestamp(view.lastActiveMs),
    last_active_relative: describeAge(nowMs - view.lastActiveMs),
    service: service.name,
    kind: workload.kind,
    ...(workload.kind === 'kubernetes' && { resource: workload.resource, namespace: workload.namespace }),
    availability: service.availability,
    state: view.state,
    protocol: listener.protocol,
    is_udp: listener.protocol === 'udp',
    container_missing:
      view.state !== 'unknown' && observation.state === 'missing' && observation.mayExist !== true,
    listen_address: listener.address,
    ...(listener.protocol === 'udp' ? { dropped: view.drops } : { relay: view.relay }),
    ...(Object.keys(view.refusals).length > 0 && { refused: view.refusals }),
    ...(view.error === undefined ? {} : { error: view.error }),
    ...(view.unavailable === undefined ? {} : { unavailable: view.unavailable }),
    ...(view.nextStartMs === undefined ? {} : { next_start: formatTimestamp(view.nextStartMs) }),
    ...(view.lastWake === undefined ? {} : { last_wake: buildWakeRow(view.lastWake) }),
  };
}

function buildWakeRow({ atMs, cause, result, reason, phases }: Wake): WakeRow {
  return {
    ...{ at: formatTimestamp(atMs), cause, result, ...(reason !== undefined && { reason }) },
    ...(phases.room > 0 && { room_ms: phases.room }),
    ...(phases.queue > 0 && { queue_ms: phases.queue }),
    ...(phases.dependencies > 0 && { dependencies_ms: phases.dependencies }),
    ...{ engine_ms: phases.engine, health_ms: phases.health, port_ms: phases.port },
  };
}

function compareRows(a: StatusRow, b: StatusRow): number {
  return (
    compareText(a.container_name, b.container_name) ||
    compareText(a.container_id, b.container_id) ||
    a.listen_port - b.listen_port ||
    compareText(a.protocol, b.protocol) ||
    compareText(a.listen_address, b.listen_address)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const UNITS = [
  { name: 'year', ms: 365 * 86_400_000 },
  { name: 'month', ms: 30 * 86_400_000 },
  { name: 'day', ms: 86_400_000 },
  { name: 'hour', ms: 3_600_000 },
  { name: 'minute', ms: 60_000 },
  { name: 'second', ms: 1_000 },
] as const;

/** How long ago in the largest whole unit: `3 days ago`, `1 minute ago`, `just now` below a second. Pure. */
export function describeAge(ageMs: number): string {
  const unit = UNITS.find(({ ms }) => ageMs >= ms);
  if (unit === undefined) return 'just now';
  const count = Math.floor(ageMs / unit.ms);
  return `${count} ${unit.name}${count === 1 ? '' : 's'} ago`;
}
