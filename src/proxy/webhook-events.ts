import { randomUUID } from 'node:crypto';
import type { WakeFailedTeller } from '../lifecycle/workload/record/chronicle.ts';
import type { OnAct } from '../lifecycle/workload/workload-controller.ts';
import type { Problem } from '../model/problem.ts';
import { type ListenerSpec, listenKey, type Service } from '../model/service.ts';
import type { ServiceTable } from '../model/table.ts';
import { ORIGINAL_EVENTS, type Webhook, wantsClients } from '../model/webhook.ts';
import { workloadName } from '../model/workload.ts';
import { durationOf } from '../model/running/wake.ts';
import type { TrackClient } from '../relay/listener.ts';
import {
  createConnectionEnd,
  createConnectionStart,
  createContainerEvent,
  createListenerLost,
  createWakeFailed,
  type WebhookEvent,
} from '../status/webhook-event.ts';
import type { WebhookSender, WebhookTarget } from '../status/webhook-sender.ts';
import { type Clock, formatTimestamp } from '../system/clock.ts';
import { describeHolder } from './status-content.ts';

const KINDS = {
  tcp: { start: 'tcp_conn_start', end: 'tcp_conn_end' },
  udp: { start: 'udp_flow_start', end: 'udp_flow_end' },
} as const;

/** Of a service, what says where its events go. */
type Hooked = Pick<Service, 'name' | 'webhookUrl' | 'webhooks'>;

/**
 * Tells webhooks what happens: those of the proxy, and of a service its own beside them. It makes the events; when they are
 * sent is the sender's business.
 */
export class WebhookEvents {
  readonly #sender: Pick<WebhookSender, 'send'>;
  readonly #clock: Clock;
  readonly #idOf: (service: string) => string;
  /** Sends the end of each client whose start was told and whose end was not. */
  readonly #open = new Set<() => void>();
  /** Engines that don't answer, and since when, on the clock that never jumps. */
  readonly #lost = new Map<string, number>();
  /** What services have lost to others, by service and listen key. */
  #conflicts: ReadonlySet<string> = new Set();
  #webhooks: readonly Webhook[];

  /**
   * @param options.webhooks those of the proxy.
   * @param options.idOf the id of a service's workload; `''` where it isn't known.
   */
  constructor(options: {
    readonly sender: Pick<WebhookSender, 'send'>;
    readonly clock: Clock;
    readonly webhooks: readonly Webhook[];
    readonly idOf: (service: string) => string;
  }) {
    this.#sender = options.sender;
    this.#clock = options.clock;
    this.#webhooks = options.webhooks;
    this.#idOf = options.idOf;
  }

  /** Takes those of the proxy; returns whether other services than before have to report their clients. */
  setWebhooks(webhooks: readonly Webhook[]): boolean {
    const before = wantsClients(this.#webhooks);
    this.#webhooks = webhooks;
    return wantsClients(webhooks) !== before;
  }

  /** Tells of the clients of a listener; undefined where nobody wants to know of them, so that connections cost nothing then. */
  trackerOf(service: Service, { protocol, port: listenPort }: ListenerSpec): TrackClient | undefined {
    const kinds = KINDS[protocol];
    const isWanted = ({ events }: Pick<WebhookTarget, 'events'>) =>
      events.includes(kinds.start) || events.includes(kinds.end);
    if (!this.#targetsOf(service).some(isWanted)) return undefined;
    return (remote, traffic) => {
      // Whoever is told of the start is told of the end, whatever a reload says meanwhile.
      const targets = this.#targetsOf(service).filter(isWanted);
      const connectionId = randomUUID();
      const sinceMs = this.#clock.monotonicMs();
      const describe = () => ({
        subject: { id: this.#idOf(service.name), name: workloadName(service.workload) },
        ...{ connectionId, remote, nowMs: this.#clock.nowMs() },
      });
      this.#send(targets, createConnectionStart(kinds.start, describe()));
      const end = () => {
        if (!this.#open.delete(end)) return;
        const { bytesUp = 0, bytesDown = 0 } = traffic() ?? {};
        const durationMs = this.#clock.monotonicMs() - sinceMs;
        const carried = { durationMs, bytesUp, bytesDown, listenPort };
        this.#send(targets, createConnectionEnd(kinds.end, { ...describe(), ...carried }));
      };
      this.#open.add(end);
      return end;
    };
  }

  /** Tells of the end of every client that is there still. */
  endClients(): void {
    for (const end of this.#open) end();
  }

  /** The proxy has started or stopped a workload. */
  readonly acted: OnAct = ({ workload, services }, { id }, act) => {
    const subject = { id, name: workloadName(workload) };
    const event = createContainerEvent(`container_${act.kind}`, {
      ...{ subject, nowMs: this.#clock.nowMs(), why: act.why },
    });
    this.#send(this.#targetsOfAll(services), event);
  };

  readonly wakeFailed: WakeFailedTeller = ({ workload, services }, { id }, wake) => {
    const { reason = 'the start failed', cause } = wake;
    const subject = { id, name: workloadName(workload) };
    const durationMs = durationOf(wake);
    const event = createWakeFailed({ subject, reason, cause, durationMs, nowMs: this.#clock.nowMs() });
    this.#send(this.#targetsOfAll(services), event);
  };

  /** A service can't listen where it should. */
  readonly listenerLost = (service: Service, listener: ListenerSpec, reason: string): void => {
    const name = workloadName(service.workload);
    const event = createListenerLost({ name, listener, reason, nowMs: this.#clock.nowMs() });
    this.#send(this.#targetsOf(service), event);
  };

  /** A front door can't listen where it should. */
  readonly frontLost = (listener: ListenerSpec, reason: string): void =>
    this.#sendToAll(createListenerLost({ name: undefined, listener, reason, nowMs: this.#clock.nowMs() }));

  /** Tells what services have lost to others since the last table. */
  followConflicts({ conflicts, entries }: ServiceTable): void {
    const before = this.#conflicts;
    this.#conflicts = new Set(conflicts.map(({ loser, listener }) => `${loser} ${listenKey(listener)}`));
    for (const { loser, winner, listener } of conflicts) {
      const service = entries.get(loser)?.service;
      if (service === undefined || before.has(`${loser} ${listenKey(listener)}`)) continue;
      this.listenerLost(service, listener, `${describeHolder(winner)} listens there`);
    }
  }

  /** An engine can, or can't, be asked. Whether it answers is told when that changes. */
  engineReached(
    engine: string,
    { reachable, reason }: { readonly reachable: boolean; readonly reason: string },
  ): void {
    const sinceMs = this.#lost.get(engine);
    const nowMs = this.#clock.monotonicMs();
    if (reachable === (sinceMs === undefined)) return;
    const timestamp = formatTimestamp(this.#clock.nowMs());
    if (sinceMs === undefined) {
      this.#lost.set(engine, nowMs);
      return this.#sendToAll({ event: 'engine_lost', timestamp, engine, reason });
    }
    this.#lost.delete(engine);
    this.#sendToAll({ event: 'engine_back', timestamp, engine, duration_ms: Math.round(nowMs - sinceMs) });
  }

  /** What is in the file now is refused. */
  reloadRefused(file: string, problems: readonly Problem[]): void {
    const mistakes = problems.filter(({ severity }) => severity === 'error');
    const [first] = mistakes;
    if (first === undefined) return;
    const { message, origin } = first;
    this.#sendToAll({
      event: 'reload_refused',
      timestamp: formatTimestamp(this.#clock.nowMs()),
      file: origin.kind === 'file' ? origin.file : file,
      ...(origin.kind === 'file' && { line: origin.line, column: origin.column }),
      ...{ message, mistakes: mistakes.length },
    });
  }

  #sendToAll(event: WebhookEvent): void {
    this.#send(
      this.#webhooks.map((hook) => ({ ...hook, from: 'file', service: undefined })),
      event,
    );
  }

  #send(targets: readonly WebhookTarget[], event: WebhookEvent): void {
    for (const target of targets) this.#sender.send(target, event);
  }

  /** Where what happens to the workload of these services is told: once at each place, though several of them may name it. */
  #targetsOfAll(services: readonly Hooked[]): readonly WebhookTarget[] {
    const all = services.flatMap((service) => this.#targetsOf(service));
    const told = new Map<string, WebhookTarget>();
    for (const target of all) {
      const key = JSON.stringify({ ...target, service: undefined });
      if (!told.has(key)) told.set(key, target);
    }
    return [...told.values()];
  }

  #targetsOf({ name: service, webhookUrl, webhooks }: Hooked): readonly WebhookTarget[] {
    const own = [...webhooks, ...this.#webhooks].map((hook) => ({ ...hook, from: 'file', service }) as const);
    if (webhookUrl === undefined) return own;
    const original = { events: ORIGINAL_EVENTS, headers: {}, format: 'original', service } as const;
    return [{ ...webhookUrl, ...original }, ...own];
  }
}
