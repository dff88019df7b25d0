import type { ListenerSpec, Protocol } from '../model/service.ts';
import { formatTimestamp } from '../system/clock.ts';

/**
 * What is posted to a webhook; field names and values of the container and connection events are those of lazy-tcp-proxy. Every
 * event has its `timestamp`: RFC 3339, UTC, whole seconds.
 */
export type WebhookEvent =
  | ContainerEvent
  | ConnectionStart
  | ConnectionEnd
  | WakeFailed
  | ListenerLost
  | ReloadRefused
  | EngineLost
  | EngineBack;

interface Subject {
  readonly timestamp: string;
  /** 12 characters; in Kubernetes `namespace/name`. */
  readonly container_id: string;
  readonly container_name: string;
}

interface ContainerEvent extends Subject {
  readonly event: 'container_started' | 'container_stopped';
  /** Of a start: who wanted it awake, as of a wake that failed. */
  readonly cause?: string;
  /** Of a stop: why it sleeps: `idle for 60 s`. */
  readonly reason?: string;
}

interface Connection extends Subject {
  /** UUID v4, the same for start and end. */
  readonly connection_id: string;
  readonly remote_addr: string;
  readonly remote_port: number;
}

interface ConnectionStart extends Connection {
  readonly event: 'tcp_conn_start' | 'udp_flow_start';
}

interface ConnectionEnd extends Connection {
  readonly event: 'tcp_conn_end' | 'udp_flow_end';
  /** From the start event on. */
  readonly duration_ms: number;
  /** What the client was sent, and what it has sent; as far as it was relayed. */
  readonly bytes_sent: number;
  readonly bytes_received: number;
  readonly listen_port: number;
}

interface WakeFailed extends Subject {
  readonly event: 'wake_failed';
  readonly reason: string;
  /** Who wanted it awake: `for 10.0.0.5:4242`, `with web`, `cron_start`, … */
  readonly cause: string;
  /** How long it was tried. */
  readonly duration_ms: number;
}

interface ListenerLost extends Pick<Subject, 'timestamp'> {
  readonly event: 'listener_lost';
  /** Absent for a front door, which all services share. */
  readonly container_name?: string;
  readonly protocol: Protocol;
  /** `''` = every address. */
  readonly listen_address: string;
  readonly listen_port: number;
  readonly reason: string;
}

interface ReloadRefused extends Pick<Subject, 'timestamp'> {
  readonly event: 'reload_refused';
  readonly file: string;
  /** Of the first mistake, counted from 1; absent where the file could not be read. */
  readonly line?: number;
  readonly column?: number;
  /** Of the first mistake. */
  readonly message: string;
  /** How many mistakes there are. */
  readonly mistakes: number;
}

interface EngineLost extends Pick<Subject, 'timestamp'> {
  readonly event: 'engine_lost';
  /** `docker`, `swarm` or `kubernetes`. */
  readonly engine: string;
  readonly reason: string;
}

interface EngineBack extends Pick<Subject, 'timestamp'> {
  readonly event: 'engine_back';
  readonly engine: string;
  /** How long it was away. */
  readonly duration_ms: number;
}

/** The workload that an event is about. */
export interface EventSubject {
  readonly id: string;
  readonly name: string;
}

export function createContainerEvent(
  event: ContainerEvent['event'],
  {
    subject,
    nowMs,
    why,
  }: { readonly subject: EventSubject; readonly nowMs: number; readonly why?: string | undefined },
): WebhookEvent {
  const told = why === undefined ? {} : event === 'container_started' ? { cause: why } : { reason: why };
  return { event, ...describe(subject, nowMs), ...told };
}

/** Without what the events of lazy-tcp-proxy don't have. */
export function toOriginal(event: WebhookEvent): object {
  if (event.event !== 'container_started' && event.event !== 'container_stopped') return event;
  const { cause: _, reason: __, ...original } = event;
  return original;
}

interface ConnectionOptions {
  readonly subject: EventSubject;
  readonly connectionId: string;
  readonly remote: { readonly address: string; readonly port: number };
  readonly nowMs: number;
}

export function createConnectionStart(
  event: ConnectionStart['event'],
  options: ConnectionOptions,
): WebhookEvent {
  return { event, ...describeConnection(options) };
}

export function createConnectionEnd(
  event: ConnectionEnd['event'],
  options: ConnectionOptions & {
    readonly durationMs: number;
    /** Bytes from the client, and bytes to it. */
    readonly bytesUp: number;
    readonly bytesDown: number;
    readonly listenPort: number;
  },
): WebhookEvent {
  return {
    event,
    ...describeConnection(options),
    duration_ms: Math.round(options.durationMs),
    bytes_sent: options.bytesDown,
    bytes_received: options.bytesUp,
    listen_port: options.listenPort,
  };
}

export function createWakeFailed(options: {
  readonly subject: EventSubject;
  readonly reason: string;
  readonly cause: string;
  readonly durationMs: number;
  readonly nowMs: number;
}): WebhookEvent {
  const { subject, reason, cause, durationMs, nowMs } = options;
  const details = { reason, cause, duration_ms: Math.round(durationMs) };
  return { event: 'wake_failed', ...describe(subject, nowMs), ...details };
}

export function createListenerLost(options: {
  /** Of the workload; undefined for a front door. */
  readonly name: string | undefined;
  readonly listener: ListenerSpec;
  readonly reason: string;
  readonly nowMs: number;
}): WebhookEvent {
  const { name, reason, nowMs } = options;
  const { protocol, address, port } = options.listener;
  return {
    event: 'listener_lost',
    ...(name !== undefined && { container_name: name }),
    timestamp: formatTimestamp(nowMs),
    ...{ protocol, listen_address: address, listen_port: port, reason },
  };
}

function describeConnection({ subject, connectionId, remote, nowMs }: ConnectionOptions): Connection {
  return {
    connection_id: connectionId,
    remote_addr: remote.address,
    remote_port: remote.port,
    ...describe(subject, nowMs),
  };
}

function describe({ id, name }: EventSubject, nowMs: number): Subject {
  return { container_id: shortenId(id), container_name: name, timestamp: formatTimestamp(nowMs) };
}

/** An engine's id as people know it: the first 12 characters, as Docker shows them, or `namespace/name` whole. */
export function shortenId(id: string): string {
  return id.includes('/') ? id : id.slice(0, 12);
}
