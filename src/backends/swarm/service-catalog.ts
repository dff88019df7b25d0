import { isDeepStrictEqual } from 'node:util';
import { type LabelPrefixes, withoutReplicas } from '../../model/label-names.ts';
import { parseTimestamp } from '../../system/clock.ts';
import type { LabelledWorkload } from '../backend.ts';
import type { EventFilter } from '../engine/engine-client.ts';
import { readPhase } from './service-tasks.ts';
import type { ServiceView, SwarmService, SwarmView } from './swarm-shapes.ts';

/** The events that tell of changes. Tasks have none; those of this node have containers, which do. */
export const SWARM_EVENTS: EventFilter = {
  types: ['service', 'node', 'container', 'network'],
  actions: [
    ...['create', 'update', 'remove', 'start', 'die', 'destroy', 'health_status'],
    ...['connect', 'disconnect'],
  ],
};

interface KnownService {
  readonly id: string;
  readonly name: string;
  /** Undefined where only an event has told of it so far. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** When it was made, ms since the epoch; undefined where only events have told of it so far. */
  readonly createdMs: number | undefined;
  /** As the list told it, where it is at rest, until an event has made that old. */
  readonly atRest: ServiceView | undefined;
}

/** A list that is on its way, and the ids of the services that events have named since: those events are newer than it. */
export interface ListUnderWay {
  readonly heardOf: Set<string>;
}

/** The services of the swarm as the last list, the looks and the events since then tell them; no I/O. */
export class ServiceCatalog {
  readonly #byId = new Map<string, KnownService>();
  readonly #idByName = new Map<string, string>();
  /** Containers of tasks that have ended, and still exist. */
  readonly #endedContainers = new Set<string>();
  readonly #lists = new Set<ListUnderWay>();
  #nodeId: string | undefined;

  /** This engine's node; undefined where it manages no swarm. */
  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  idOf(name: string): string | undefined {
    return this.#idByName.get(name);
  }

  nameOf(id: string): string | undefined {
    return this.#byId.get(id)?.name;
  }

  /** What the list said of a service at rest. It is handed out once: later nobody knows how old it is. */
  takeAtRest(id: string): ServiceView | undefined {
    const known = this.#byId.get(id);
    if (known !== undefined) this.#byId.set(id, { ...known, atRest: undefined });
    return known?.atRest;
  }

  /** The labels of every service, without those that the proxy writes itself. */
  labelled(prefixes: LabelPrefixes): readonly LabelledWorkload[] {
    return [...this.#byId.values()].flatMap(({ name, labels, createdMs }): readonly LabelledWorkload[] => {
      if (labels === undefined) return [];
      return [{ ref: { kind: 'swarm', name }, labels: withoutReplicas(labels, prefixes), createdMs }];
    });
  }

  /** Call this before a list is asked for while events come. Whoever begins it ends it, also where it fails. */
  beginList(): ListUnderWay {
    const list = { heardOf: new Set<string>() };
    this.#lists.add(list);
    return list;
  }

  endList(list: ListUnderWay): void {
    this.#lists.delete(list);
  }

  /**
   * Forgets everything and takes a whole list.
   * @param list services that events have named since it was begun stay as they are; left out where no events come yet.
   */
  replaceAll(view: SwarmView, list?: ListUnderWay): void {
    const heardOf = list?.heardOf ?? new Set<string>();
    const newer = [...this.#byId.values()].filter(({ id }) => heardOf.has(id));
    this.#byId.clear();
    this.#idByName.clear();
    if (list === undefined) this.#endedContainers.clear();
    this.#nodeId = view.kind === 'manager' ? view.nodeId : undefined;
    for (const seen of view.kind === 'manager' ? view.services : []) {
      if (heardOf.has(seen.service.ID)) continue;
      const isAtRest = readPhase(seen, new Set()).state === 'stopped';
      this.#remember(toKnown(seen.service, isAtRest ? seen : undefined));
    }
    if (view.kind === 'manager') for (const service of newer) this.#remember(service);
  }

  /** An event has told of the container of a task. */
  applyContainer(action: string, containerId: string): void {
    if (action === 'die') this.#endedContainers.add(containerId);
    if (action === 'destroy') this.#endedContainers.delete(containerId);
  }

  /** Whether a task counts as running although its container has ended: the swarm hears of that a little later. */
  isOutdated({ tasks }: ServiceView): boolean {
    return tasks.some(
      ({ Status }) =>
        Status?.State === 'running' && this.#endedContainers.has(Status.ContainerStatus?.ContainerID ?? ''),
    );
  }

  /** A service was read. */
  put(service: SwarmService): 'same' | 'relabelled' {
    const before = this.#byId.get(service.ID)?.labels;
    this.#hear(toKnown(service, undefined));
    return isDeepStrictEqual(before, this.#byId.get(service.ID)?.labels) ? 'same' : 'relabelled';
  }

  /** An event has named a service: what was read of it is out of date, except its labels. */
  touch(id: string, name: string): void {
    const { labels, createdMs } = this.#byId.get(id) ?? {};
    this.#hear({ id, name, labels, createdMs, atRest: undefined });
  }

  remove(id: string): void {
    for (const { heardOf } of this.#lists) heardOf.add(id);
    const name = this.nameOf(id);
    this.#byId.delete(id);
    if (name !== undefined && this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  #hear(service: KnownService): void {
    for (const { heardOf } of this.#lists) heardOf.add(service.id);
    this.#remember(service);
  }

  #remember(service: KnownService): void {
    this.#byId.set(service.id, service);
    this.#idByName.set(service.name, service.id);
  }
}

function toKnown(
  { ID: id, Spec = {}, CreatedAt = '' }: SwarmService,
  atRest: ServiceView | undefined,
): KnownService {
  const createdMs = parseTimestamp(CreatedAt) || undefined;
  return { id, name: Spec.Name ?? id, labels: Spec.Labels ?? {}, createdMs, atRest };
}
