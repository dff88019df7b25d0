/** What happens to a service and its clients. */
export const SERVICE_EVENTS = [
  'container_started',
  'container_stopped',
  'wake_failed',
  'listener_lost',
  'tcp_conn_start',
  'tcp_conn_end',
  'udp_flow_start',
  'udp_flow_end',
] as const;

/** What happens to the proxy as a whole. */
export const PROXY_EVENTS = ['reload_refused', 'engine_lost', 'engine_back'] as const;

export const WEBHOOK_EVENTS = [...SERVICE_EVENTS, ...PROXY_EVENTS] as const;

export type WebhookEventName = (typeof WEBHOOK_EVENTS)[number];

/** What `webhook_url` gets: the events of lazy-tcp-proxy. */
export const ORIGINAL_EVENTS: readonly WebhookEventName[] = [
  'container_started',
  'container_stopped',
  'tcp_conn_start',
  'tcp_conn_end',
  'udp_flow_start',
  'udp_flow_end',
];

/** Whom a post is made for: a program, or a service that shows messages to people. */
export const WEBHOOK_FORMATS = ['json', 'ntfy', 'gotify', 'discord', 'slack'] as const;

export type WebhookFormat = (typeof WEBHOOK_FORMATS)[number];

/** One entry of `webhooks:`, as the file writes it. It stands in the file alone, never in a label. */
export interface Webhook {
  /** http or https. It may hold a secret, as those of chat services do. */
  readonly url: string;
  /** Without repetitions. */
  readonly events: readonly WebhookEventName[];
  /** Sent along; they come before the proxy's own. */
  readonly headers: Readonly<Record<string, string>>;
  /** The key of the signature; absent = no signature. */
  readonly secret?: string;
  readonly format: WebhookFormat;
}

/** Whether an event tells of a single connection or flow: there may be thousands of them a second. */
export function isClientEvent(event: WebhookEventName): boolean {
  return event.startsWith('tcp_conn_') || event.startsWith('udp_flow_');
}

/** Whether one of the webhooks wants to know of single connections or flows. */
export function wantsClients(webhooks: readonly Webhook[]): boolean {
  return webhooks.some(({ events }) => events.some(isClientEvent));
}
