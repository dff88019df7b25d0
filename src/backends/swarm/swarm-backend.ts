/**
 * Services of a Docker swarm behind the backend port, beside the containers of the same engine. Input: the engine's
 * event stream and lists. Output: what the sink is told. Guarantees: subscribes before it lists; asks after an event, a
 * reconnect or a call of the port, and by the clock only while a service is on its way to another state; where the engine
 * manages no swarm, every service is missing, and nothing more is asked until it does.
 */
import type { Observation } from '../../model/observation.ts';
import { type SwarmWorkload, type Workload, type WorkloadRef, workloadKey } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { Backend, BackendSink, LabelOptions } from '../backend.ts';
import type { EngineConnection } from '../engine/engine-connection.ts';
import { EngineLink } from '../engine/engine-link.ts';
import type { EngineEvent } from '../engine/event-stream.ts';
import { WorkloadObserver } from '../engine/workload-observer.ts';
import { LabelFeed, selectLabelled } from '../label-feed.ts';
import { ServiceCatalog, SWARM_EVENTS } from './service-catalog.ts';
import { isStart, ServiceFeed } from './service-feed.ts';
import { ServiceLocator } from './service-locator.ts';
import { ServicePoller } from './service-poller.ts';
import { ServiceSource } from './service-source.ts';
import { SwarmClient } from './swarm-client.ts';
import type { SwarmView } from './swarm-shapes.ts';
import { sleepService, wakeService } from './wake-service.ts';

export interface SwarmBackendOptions extends LabelOptions {
  /** Lent: the backend gives it back when it is closed. */
  readonly engine: EngineConnection;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Whoever makes it closes it. */
export class SwarmBackend implements Backend {
  readonly kind = 'swarm';
  readonly ownsWorkloads = false;
  readonly #client: SwarmClient;
  readonly #catalog = new ServiceCatalog();
  readonly #link: EngineLink<SwarmView>;
  readonly #engine: EngineConnection;
  readonly #locator: ServiceLocator;
  readonly #observer: WorkloadObserver;
  readonly #poller: ServicePoller;
  readonly #labels: LabelFeed;
  readonly #feed: ServiceFeed;
  #labelPrefix: string;
  #sink: BackendSink | undefined;

  constructor(options: SwarmBackendOptions) {
    const { engine, clock, logger } = options;
    const catalog = this.#catalog;
    const client = new SwarmClient(engine.client);
    this.#engine = engine;
    this.#client = client;
    this.#labelPrefix = options.labelPrefix;
    this.#locator = new ServiceLocator({ engine, client, nodeId: () => catalog.nodeId });
    const source = new ServiceSource({
      ...{ catalog, client, locator: this.#locator },
      relabelled: () => this.#labels.touch(),
      refused: (session) => this.#relist(session),
    });
    this.#observer = new WorkloadObserver({
      ...{ source, clock, logger, session: () => this.#link.session },
      observed: (name, observation) => {
        this.#link.observed(name, observation);
        this.#sink?.observed(keyOf(name), observation);
        this.#poller.observed(name, source.unrestOf(name));
      },
    });
    this.#poller = new ServicePoller({ clock, look: (name) => this.#observer.look(name) });
    this.#labels = new LabelFeed({
      ...{ clock, labelOptions: options },
      select: (counted) => selectLabelled(catalog.labelled(counted.labelPrefix), counted),
      tell: (snapshot) => this.#sink?.labelled(snapshot),
    });
    this.#feed = new ServiceFeed({
      ...{ catalog, client, logger, observer: this.#observer, poller: this.#poller },
      changed: () => this.#labels.touch(),
      relist: (session) => this.#relist(session),
    });
    const listener = {
      listed: (view: SwarmView, events: readonly EngineEvent[]) => this.#begin(view, events),
      event: (event: EngineEvent) => this.#applyEvent(event),
      reachable: (reachable: boolean, reason?: string) => this.#sink?.reachable(reachable, reason),
    };
    this.#link = new EngineLink(engine, {
      ...{ filter: SWARM_EVENTS, listener },
      list: (signal) => client.view(signal),
    });
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
    await this.#link.start();
  }

  watch(workload: Workload): Observation {
    return this.#observer.watch(serviceOf(workload));
  }

  unwatch(workload: Workload): void {
    const name = serviceOf(workload);
    this.#poller.forget(name);
    this.#observer.unwatch(name);
    this.#link.forget(name);
  }

  async wake(workload: Workload, options: { readonly signal: AbortSignal }): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#link.lifetime]);
    await wakeService(this.#callContext(), { name: serviceOf(workload), signal });
  }

  /** Its tasks have the grace of the service itself. */
  async sleep(workload: Workload): Promise<void> {
    const isOwn = async (name: string, signal: AbortSignal) => isAmong(await this.#readOwn(signal), name);
    await sleepService({ ...this.#callContext(), isOwn }, serviceOf(workload));
  }

  look(workload: Workload): void {
    void this.#observer.look(serviceOf(workload));
  }

  /** Tasks of other nodes have no events. */
  recheck(): Promise<void> {
    return this.#observer.lookAtAll('all');
  }

  setLabelOptions(options: LabelOptions): void {
    this.#labelPrefix = options.labelPrefix;
    this.#labels.setLabelOptions(options);
  }

  setJoinNetworks(joinNetworks: boolean): void {
    this.#engine.membership.setJoinNetworks(joinNetworks);
  }

  async close(): Promise<void> {
    this.#labels.close();
    this.#poller.close();
    await this.#link.close();
  }

  /** Services are left as they are: the same as `close()`, without waiting for it. */
  destroy(): void {
    void this.close();
  }

  #callContext() {
    const parts = { client: this.#client, catalog: this.#catalog, observer: this.#observer };
    return { ...parts, link: this.#link, labelPrefix: this.#labelPrefix };
  }

  async #begin(view: SwarmView, events: readonly EngineEvent[]): Promise<void> {
    const { session } = this.#link;
    this.#locator.forgetNetworks();
    this.#catalog.replaceAll(view);
    if (session !== undefined) for (const event of events) this.#feed.apply(event, session);
    this.#labels.flush();
    const own = session === undefined ? undefined : this.#tellOwn(session);
    await this.#observer.lookAtAll('all').finally(() => own);
  }

  async #readOwn(signal: AbortSignal): Promise<readonly WorkloadRef[]> {
    return (await this.#engine.membership.whereabouts(signal)).refs;
  }

  async #tellOwn(signal: AbortSignal): Promise<void> {
    const refs = await this.#readOwn(signal).catch(() => undefined);
    if (refs !== undefined) this.#sink?.own?.(refs);
  }

  #applyEvent(event: EngineEvent): void {
    const { session } = this.#link;
    if (session === undefined) return;
    this.#feed.apply(event, session);
    if (isStart(event)) this.#sink?.started?.({ kind: 'swarm', name: event.attributes['name'] ?? '' });
  }

  /** The engine may manage a swarm by now, or no longer, or have lost tasks with a node. */
  async #relist(session: AbortSignal): Promise<void> {
    const list = this.#catalog.beginList();
    try {
      this.#catalog.replaceAll(await this.#client.view(session), list);
    } finally {
      this.#catalog.endList(list);
    }
    this.#labels.flush();
    // Not waited for: a look may be what has noticed it.
    void this.#observer.lookAtAll('all');
  }
}

function isAmong(refs: readonly WorkloadRef[], name: string): boolean {
  return refs.some((ref) => ref.kind === 'swarm' && ref.name === name);
}

function keyOf(service: string): string {
  return workloadKey({ kind: 'swarm', service });
}

function serviceOf(workload: Workload): SwarmWorkload['service'] {
  if (workload.kind !== 'swarm') throw new TypeError(`a ${workload.kind} is no swarm service`);
  return workload.service;
}
