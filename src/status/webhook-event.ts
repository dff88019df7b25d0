import { formatTimestamp } from '../system/clock.ts';

/** What is posted to a webhook; field names and values are those of lazy-tcp-proxy. */
export type WebhookEvent = ContainerEvent | ConnectionEvent;

interface ContainerEvent {
  readonly event: 'container_started' | 'container_stopped';
  /** RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** 12 characters; in Kubernetes `namespace/name`. */
  readonly container_id: string;
  readonly container_name: string;
}

interface ConnectionEvent extends Omit<ContainerEvent, 'event'> {
  readonly event: 'tcp_conn_start' | 'tcp_conn_end' | 'udp_flow_start' | 'udp_flow_end';
  /** UUID v4, the same for start and end. */
  readonly connection_id: string;
  readonly remote_addr: string;
  readonly remote_port: number;
}

/** The workload that an event is about. */
export interface EventSubject {
  readonly id: string;
  readonly name: string;
}

export function createContainerEvent(
  event: ContainerEvent['event'],
  { subject, nowMs }: { readonly subject: EventSubject; readonly nowMs: number },
): WebhookEvent {
  return { event, ...describe(subject, nowMs) };
}

export function createConnectionEvent(
  event: ConnectionEvent['event'],
  options: {
    readonly subject: EventSubject;
    readonly connectionId: string;
    readonly remote: { readonly address: string; readonly port: number };
    readonly nowMs: number;
  },
): WebhookEvent {
  const { subject, connectionId, remote, nowMs } = options;
  return {
    event,
    connection_id: connectionId,
    remote_addr: remote.address,
    remote_port: remote.port,
    ...describe(subject, nowMs),
  };
}

function describe({ id, name }: EventSubject, nowMs: number) {
  return { container_id: shortenId(id), container_name: name, timestamp: formatTimestamp(nowMs) };
}

/** An engine's id as people know it: the first 12 characters, as Docker shows them, or `namespace/name` whole. */
export function shortenId(id: string): string {
  return id.includes('/') ? id : id.slice(0, 12);
}
