/**
 * Services of a Docker swarm behind the backend port, beside the containers of the same engine. Input: the engine's
 * event stream and lists. Output: what the sink is told. Guarantees: subscribes before it lists; asks after an event, a
 * reconnect or a call of the port, and by the clock only while a service is on its way to another state; where the engine
 * manages no swarm, every service is missing, and nothing more is asked until it does.
 */
import type { LabelPrefixes } from '../../model/label-names.ts';
import type { Observation } from '../../model/running/observation.ts';
import { type SwarmWorkload, type Workload, workloadKey, type WorkloadRef } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { Backend, BackendSink, LabelledWorkload, LabelOptions } from '../backend.ts';
import { askOnce, type EngineConnection, type EngineQueryOptions } from '../engine/engine-connection.ts';
import { EngineLink } from '../engine/engine-link.ts';
import type { EngineEvent } from '../engine/event-stream.ts';
import { LookPoller } from '../engine/look-poller.ts';
import { WorkloadObserver } from '../engine/workload-observer.ts';
import { LabelFeed, selectLabelled } from '../label-feed.ts';
import { sleepService, wakeService } from './scale-service.ts';
import { ServiceCatalog, SWARM_EVENTS } from './service-catalog.ts';
import { isStart, ServiceFeed } from './service-feed.ts';
import { ServiceSource } from './service-source.ts';
import type { Unrest } from './service-tasks.ts';
import { SwarmClient } from './swarm-client.ts';
import type { SwarmView } from './swarm-shapes.ts';

export interface SwarmBackendOptions extends LabelOptions {
  /** Lent: the backend gives it back when it is closed. */
  readonly engine: EngineConnection;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The longest wait between looks. A replica that the swarm can't place may stay away for ever while others serve. */
const MAX_POLL_MS = { moving: 1_000, incomplete: 30_000 } as const;

/** Whoever makes it closes it. */
export class SwarmBackend implements Backend {
  readonly kind = 'swarm';
  readonly ownsWorkloads = false;
  readonly #client: SwarmClient;
  readonly #catalog = new ServiceCatalog();
  readonly #link: EngineLink<SwarmView>;
  readonly #engine: EngineConnection;
  readonly #source: ServiceSource;
  readonly #observer: WorkloadObserver;
  readonly #poller: LookPoller;
  readonly #labels: LabelFeed;
  readonly #feed: ServiceFeed;
  #labelPrefixes: LabelPrefixes;
  #sink: BackendSink | undefined;

  /** Any engine answers; only a manager of a swarm has services. */
  get isThere(): boolean {
    return this.#catalog.nodeId !== undefined;
  }

  constructor(options: SwarmBackendOptions) {
    const { engine, clock, logger } = options;
    const catalog = this.#catalog;
    const client = new SwarmClient(engine.client);
    this.#engine = engine;
    this.#client = client;
    this.#labelPrefixes = options.labelPrefixes;
    const source = new ServiceSource({
      ...{ engine, catalog, client },
      relabelled: () => this.#labels.touch(),
      refused: (session) => this.#relist(session),
    });
    this.#source = source;
    this.#observer = new WorkloadObserver({
      ...{ source, clock, logger, session: () => this.#link.session },
      observed: (name, observation) => {
        this.#link.observed(name, observation);
        this.#sink?.observed(keyOf(name), observation);
        this.#follow(name, source.unrestOf(name));
      },
    });
    this.#poller = new LookPoller({ clock, look: (name) => this.#observer.look(name) });
    this.#labels = new LabelFeed({
      ...{ clock, labelOptions: options },
      select: (counted) => selectLabelled(catalog.labelled(counted.labelPrefixes), counted),
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
    await wakeService(this.#callContext(), { workload: swarmOf(workload), signal });
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
    this.#labelPrefixes = options.labelPrefixes;
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
    return { ...parts, link: this.#link, labelPrefixes: this.#labelPrefixes };
  }

  async #begin(view: SwarmView, events: readonly EngineEvent[]): Promise<void> {
    const { session } = this.#link;
    this.#source.forgetNetworks();
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

  /** A service that is on its way to another state is looked at by the clock: tasks have no events. */
  #follow(name: string, unrest: Unrest): void {
    if (unrest === 'none') this.#poller.forget(name);
    else this.#poller.follow(name, MAX_POLL_MS[unrest]);
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
  return swarmOf(workload).service;
}

function swarmOf(workload: Workload): SwarmWorkload {
  if (workload.kind !== 'swarm') throw new TypeError(`a ${workload.kind} is no swarm service`);
  return workload;
}

/**
 * The labels of the swarm's services as they are now, without observing; none where the engine manages no swarm.
 * @throws {Error} where the engine can't be asked.
 */
export function readLabelledServices(
  options: EngineQueryOptions & LabelOptions,
): Promise<readonly LabelledWorkload[]> {
  return askOnce(options, async (client, signal) => {
    const catalog = new ServiceCatalog();
    catalog.replaceAll(await new SwarmClient(client).view(signal));
    return selectLabelled(catalog.labelled(options.labelPrefixes), options);
  });
}
