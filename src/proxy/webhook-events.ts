import { randomUUID } from 'node:crypto';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { OnAct } from '../lifecycle/workload/workload-controller.ts';
import type { Protocol, Service } from '../model/service.ts';
import { workloadName } from '../model/workload.ts';
import type { TrackClient } from '../relay/listener.ts';
import { createConnectionEvent, createContainerEvent } from '../status/webhook-event.ts';
import type { WebhookSender } from '../status/webhook-sender.ts';
import type { Clock } from '../system/clock.ts';

interface WebhookParts {
  readonly sender: WebhookSender;
  /** Sends the end of each client whose start was sent and whose end was not. */
  readonly open: Set<() => void>;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
}

const KINDS = {
  tcp: { start: 'tcp_conn_start', end: 'tcp_conn_end' },
  udp: { start: 'udp_flow_start', end: 'udp_flow_end' },
} as const;

/** Sends the connections of a service to its webhook; undefined without a webhook, so that connections cost nothing then. */
export function createTracker(
  service: Service,
  { protocol, parts }: { readonly protocol: Protocol; readonly parts: WebhookParts },
): TrackClient | undefined {
  const { webhookUrl } = service;
  if (webhookUrl === undefined) return undefined;
  const { sender, open, clock } = parts;
  return (client) => {
    const connectionId = randomUUID();
    const send = (event: (typeof KINDS)[Protocol]['start' | 'end']) => {
      const subject = describeSubject(service, parts.lifecycle);
      const details = { subject, connectionId, remote: client, nowMs: clock.nowMs() };
      sender.send({ ...webhookUrl, service: service.name }, createConnectionEvent(event, details));
    };
    send(KINDS[protocol].start);
    const end = () => {
      if (open.delete(end)) send(KINDS[protocol].end);
    };
    open.add(end);
    return end;
  };
}

/** Sends to a service's webhook, if it has one, that the proxy has started or stopped its workload. */
export function createActTeller({ sender, clock }: Pick<WebhookParts, 'sender' | 'clock'>): OnAct {
  return ({ webhookUrl, workload, name: service }, { id }, act) => {
    if (webhookUrl === undefined) return;
    const subject = { id, name: workloadName(workload) };
    const event = createContainerEvent(`container_${act}`, { subject, nowMs: clock.nowMs() });
    sender.send({ ...webhookUrl, service }, event);
  };
}

function describeSubject(service: Service, lifecycle: Lifecycle) {
  const id = lifecycle.find(service.name)?.observation.id ?? '';
  return { id, name: workloadName(service.workload) };
}
