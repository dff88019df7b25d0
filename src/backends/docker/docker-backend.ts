/**
 * Containers of a Docker engine behind the backend port. Input: the engine's event stream and lists. Output: what the
 * sink is told. Guarantees: it subscribes before it lists, so that nothing is lost in between. It asks the engine only after
 * an event, a reconnect or a call of the port; by a timer only for the outcome of a health check, where the engine sends no
 * event for that. It never takes a missing answer for an answer.
 */
import type { Observation } from '../../model/running/observation.ts';
import { type DockerWorkload, type Workload, workloadKey } from '../../model/workload.ts';
import type { Clock } from '../../system/clock.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { Backend, BackendSink, ComposedContainer, LabelOptions, OutputRequest } from '../backend.ts';
import type { EngineConnection } from '../engine/engine-connection.ts';
import { EngineLink } from '../engine/engine-link.ts';
import type { ListedContainer } from '../engine/engine-shapes.ts';
import { EngineUnreachable } from '../engine/errors.ts';
import type { EngineEvent } from '../engine/event-stream.ts';
import type { OwnPlace } from '../engine/network/own-place.ts';
import { WorkloadObserver } from '../engine/workload-observer.ts';
import { type ChangeContext, pauseContainer, stopContainer, wakeContainer } from './change-container.ts';
import { takesStopSignal } from './observe.ts';
import {
  type CacheChange,
  CONTAINER_EVENTS,
  ContainerCache,
  type KnownContainer,
  type Rename,
} from './container-cache.ts';
import { ContainerLabels } from './container-labels.ts';
import { readMemory } from './container-memory.ts';
import { readContainerOutput } from './container-output.ts';
import { ContainerSource } from './container-source.ts';
import { readProject } from '../engine/read-project.ts';
import { runInContainer } from './run-command.ts';
import { HealthPoller } from './health-poller.ts';

export interface DockerBackendOptions extends LabelOptions {
  /** Lent: the backend gives it back at `close()`. */
  readonly engine: EngineConnection;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Whoever makes it closes it. */
export class DockerBackend implements Backend {
  readonly kind = 'docker';
  readonly ownsWorkloads = false;
  readonly #engine: EngineConnection;
  readonly #context: ChangeContext;
  readonly #cache = new ContainerCache();
  readonly #link: EngineLink<readonly ListedContainer[]>;
  readonly #source: ContainerSource;
  readonly #observer: WorkloadObserver;
  readonly #health: HealthPoller;
  readonly #labels: ContainerLabels;
  readonly #stops = new Map<string, Promise<unknown>>();
  readonly #logger: Logger;
  readonly #toldSignals = new Set<string>();
  #sink: BackendSink | undefined;
  #hasListed = false;
  #own: Pick<OwnPlace, 'containerId' | 'refs'> | undefined;

  constructor(options: DockerBackendOptions) {
    const { engine, clock, logger } = options;
    const { client } = engine;
    const cache = this.#cache;
    this.#engine = engine;
    this.#logger = logger;
    const source = new ContainerSource({ engine, cache, clock });
    this.#source = source;
    this.#observer = new WorkloadObserver({
      ...{ source, clock, logger },
      session: () => this.#link.session,
      observed: (name, observation) => {
        this.#health.observed(name, observation);
        this.#link.observed(name, observation);
        this.#sink?.observed(keyOf(name), observation);
      },
    });
    this.#health = new HealthPoller({ clock, look: (name) => this.#observer.look(name) });
    this.#labels = new ContainerLabels({
      ...{ client, cache, clock, logger, labelOptions: options },
      session: () => this.#link.session,
      tell: (snapshot) => this.#sink?.labelled(snapshot),
      settled: () => this.#sink?.populated?.(),
    });
    const listener = {
      listed: (containers: readonly ListedContainer[], events: readonly EngineEvent[]) =>
        this.#applyList(containers, events),
      event: (event: EngineEvent) => this.#applyEvent(event),
      reachable: (reachable: boolean, reason?: string) => this.#sink?.reachable(reachable, reason),
    };
    this.#link = new EngineLink(engine, {
      ...{ filter: CONTAINER_EVENTS, listener },
      list: (signal) => client.list(signal),
    });
    this.#context = {
      ...{ engine, cache, clock, observer: this.#observer, link: this.#link, stops: this.#stops },
      ownerOf: (name) => source.ownerOf(name),
    };
  }

  async open(sink: BackendSink): Promise<void> {
    this.#sink = sink;
    await this.#link.start();
  }

  watch(workload: Workload): Observation {
    return this.#observer.watch(containerOf(workload));
  }

  unwatch(workload: Workload): void {
    const name = containerOf(workload);
    this.#health.forget(name);
    this.#observer.unwatch(name);
    this.#link.forget(name);
  }

  async wake(workload: Workload, options: { readonly signal: AbortSignal }): Promise<void> {
    const signal = AbortSignal.any([options.signal, this.#link.lifetime]);
    await wakeContainer(this.#context, { name: containerOf(workload), signal });
  }

  async sleep(
    workload: Workload,
    options: { readonly graceMs: number | undefined; readonly stopSignal?: string | undefined },
  ): Promise<void> {
    const name = containerOf(workload);
    try {
      const { session, lifetime: signal } = this.#link;
      if (session === undefined) throw new EngineUnreachable('the engine does not answer');
      const id = this.#cache.get(name)?.id ?? '';
      const { graceMs } = options;
      const stopSignal = this.#takeSignal(name, options.stopSignal);
      const stop = stopContainer(this.#context, { name, graceMs, stopSignal, session, signal });
      this.#stops.set(id, stop);
      await stop.finally(() => this.#stops.delete(id));
    } catch (cause) {
      throw new Error(`cannot stop container "${name}": ${describeError(cause)}`, { cause });
    }
  }

  async pause(workload: Workload): Promise<void> {
    const name = containerOf(workload);
    const { session, lifetime: signal } = this.#link;
    if (session === undefined) throw new EngineUnreachable('the engine does not answer');
    await pauseContainer(this.#context, { name, session, signal });
  }

  /** Warns, once for each container, where the engine is too old to be given a signal. */
  #takeSignal(name: string, signal: string | undefined): string | undefined {
    const { apiVersion } = this.#engine.client;
    if (signal === undefined || takesStopSignal(apiVersion)) return signal;
    if (!this.#toldSignals.has(name)) {
      const message = `${name} is stopped with its own signal instead of ${signal} (stop_signal): the engine has API ${apiVersion}, and takes a signal from 1.42 on`;
      this.#logger.warn({ event: 'stop-signal', container: name }, message);
    }
    this.#toldSignals.add(name);
    return undefined;
  }

  async readOutput(workload: Workload, request: OutputRequest): Promise<readonly string[]> {
    const id = this.#cache.get(containerOf(workload))?.id;
    if (id === undefined) return [];
    return readContainerOutput(this.#engine.client, { ...request, id });
  }

  async measureMemory(workload: Workload, signal: AbortSignal): Promise<number> {
    const id = this.#cache.get(containerOf(workload))?.id;
    const bytes = id === undefined ? undefined : readMemory(await this.#engine.client.stats(id, signal));
    if (bytes === undefined) throw new Error('the engine does not count its memory');
    return bytes;
  }

  composed(): readonly ComposedContainer[] | undefined {
    return this.#hasListed ? this.#cache.all().flatMap(readComposed) : undefined;
  }

  async runCommand(
    workload: Workload,
    options: { readonly command: readonly string[]; readonly signal: AbortSignal },
  ): Promise<number> {
    const id = this.#cache.get(containerOf(workload))?.id;
    if (id === undefined) throw new Error('there is no such container');
    const { clock } = this.#context;
    return runInContainer(this.#engine.client, { ...options, id, clock });
  }

  look(workload: Workload): void {
    void this.#observer.look(containerOf(workload));
  }

  recheck(): Promise<void> {
    return this.#observer.lookAtAll('all');
  }

  setLabelOptions(options: LabelOptions): void {
    this.#labels.setLabelOptions(options);
  }

  setNeedsLimits(needsLimits: boolean): void {
    if (needsLimits === this.#source.inspectsAll) return;
    this.#source.inspectsAll = needsLimits;
    if (needsLimits) void this.#observer.lookAtAll('all');
  }

  setJoinNetworks(joinNetworks: boolean): void {
    this.#engine.membership.setJoinNetworks(joinNetworks);
  }

  async close(): Promise<void> {
    this.#labels.close();
    this.#health.close();
    this.#source.close();
    await this.#link.close();
  }

  /** The same as `close()`, without waiting for it: containers are left as they are. */
  destroy(): void {
    void this.close();
  }

  #applyList(containers: readonly ListedContainer[], events: readonly EngineEvent[]): Promise<void> {
    const { session } = this.#link;
    const own = session === undefined ? undefined : this.#tellOwn(session);
    for (const rename of this.#cache.replaceAll(containers)) this.#renamed(rename);
    this.#hasListed = true;
    const touched = new Set(events.flatMap((event) => this.#applyToCache(event).names));
    const labelled = this.#labels.flush();
    return this.#observer.lookAtAll(touched).finally(() => Promise.all([own, labelled]));
  }

  async #tellOwn(signal: AbortSignal): Promise<void> {
    const place = await this.#engine.membership.whereabouts(signal).catch(() => undefined);
    if (place !== undefined) this.#takeOwn(place);
  }

  #takeOwn(own: Pick<OwnPlace, 'containerId' | 'refs'>): void {
    this.#own = own;
    this.#sink?.own?.(own.refs);
  }

  #applyToCache(event: EngineEvent): CacheChange {
    const change = this.#cache.apply(event);
    if (change.renamed !== undefined) this.#renamed(change.renamed);
    return change;
  }

  #renamed({ from, to }: Rename): void {
    this.#source.rename({ from, to });
    const { containerId, refs } = this.#own ?? {};
    if (containerId !== undefined && this.#cache.get(to)?.id === containerId) {
      const others = (refs ?? []).filter(({ kind }) => kind !== 'docker');
      this.#takeOwn({ containerId, refs: [{ kind: 'docker', name: to }, ...others] });
    }
    this.#sink?.renamed?.({ kind: 'docker', name: from }, { kind: 'docker', name: to });
  }

  /** Tells at once of the end of a run: a look takes time, and the engine may give its address to another container meanwhile. */
  #tellEnd({ type, action, id }: EngineEvent, name: string): void {
    if (type !== 'container' || !DEATHS.has(action)) return;
    const last = this.#observer.last(name);
    if (last?.state !== 'running' || last.id !== id) return;
    this.#sink?.runEnded?.(keyOf(name), { byOthers: this.#cache.stoppedBy(id) === 'others' });
  }

  #applyEvent(event: EngineEvent): void {
    const { names, population } = this.#applyToCache(event);
    if (population) this.#labels.touch();
    const started = event.type === 'container' && event.action === 'start';
    if (event.type === 'container' && ENDS.has(event.action)) {
      const users = this.#source.listUsers({ id: event.id, name: event.attributes['name'] });
      for (const user of users) void this.#observer.look(user);
    }
    for (const name of names) {
      this.#tellEnd(event, name);
      void this.#observer.look(name);
      this.#health.heard(event, { name, last: this.#observer.last(name) });
      if (started) this.#sink?.started?.({ kind: 'docker', name });
    }
  }
}

const DEATHS = new Set(['die', 'died']);

/**
 * After these events, containers that use this one's network are looked at: they lose it when this one ends. Later events count
 * too, since the event of the end may be lost.
 */
const ENDS = new Set(['die', 'died', 'stop', 'start', 'destroy', 'remove']);

function keyOf(container: string): string {
  return workloadKey({ kind: 'docker', container });
}

function containerOf(workload: Workload): DockerWorkload['container'] {
  if (workload.kind !== 'docker') throw new TypeError(`a ${workload.kind} is no container`);
  return workload.container;
}

/** What Compose says of a container that it has made for a service; nothing of any other, and of `docker compose run`. */
function readComposed({
  name,
  labels,
}: Pick<KnownContainer, 'name' | 'labels'>): readonly ComposedContainer[] {
  const service = labels['com.docker.compose.service'];
  const project = readProject(labels);
  if (service === undefined || project === undefined || labels['com.docker.compose.oneoff'] === 'True')
    return [];
  return [{ name, project, service, dependsOn: labels['com.docker.compose.depends_on'] ?? '' }];
}
