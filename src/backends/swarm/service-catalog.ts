import { isDeepStrictEqual } from 'node:util';
import type { LabelledWorkload } from '../backend.ts';
import type { EventFilter } from '../docker/engine-client.ts';
import { replicasLabel } from './replicas.ts';
import { readPhase } from './service-tasks.ts';
import type { ServiceView, SwarmService, SwarmView } from './swarm-shapes.ts';

/** The events that tell of changes; tasks have none, but those of this node have containers. */
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
  /** As the list told it, where it is at rest, until an event has made that old. */
  readonly atRest: ServiceView | undefined;
}

/** The services of the swarm as the last list, the looks and the events since then tell them; no I/O. */
export class ServiceCatalog {
  readonly #byId = new Map<string, KnownService>();
  readonly #idByName = new Map<string, string>();
  /** Containers of tasks that have ended, and still exist. */
  readonly #endedContainers = new Set<string>();
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

  /** What the list told of a service at rest; once, since nothing tells how old it is later. */
  takeAtRest(id: string): ServiceView | undefined {
    const known = this.#byId.get(id);
    if (known !== undefined) this.#byId.set(id, { ...known, atRest: undefined });
    return known?.atRest;
  }

  /** The labels of every service, without the one that the proxy writes itself. */
  labelled(labelPrefix: string): readonly LabelledWorkload[] {
    const own = replicasLabel(labelPrefix);
    return [...this.#byId.values()].flatMap(({ name, labels }): readonly LabelledWorkload[] => {
      if (labels === undefined) return [];
      const others = Object.entries(labels).filter(([label]) => label !== own);
      return [{ ref: { kind: 'swarm', name }, labels: Object.fromEntries(others) }];
    });
  }

  /** Forgets everything and takes a whole list. */
  replaceAll(view: SwarmView): void {
    this.#byId.clear();
    this.#idByName.clear();
    this.#endedContainers.clear();
    this.#nodeId = view.kind === 'manager' ? view.nodeId : undefined;
    for (const seen of view.kind === 'manager' ? view.services : []) {
      const isAtRest = readPhase(seen, new Set()).state === 'stopped';
      this.#put(seen.service, isAtRest ? seen : undefined);
    }
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
    this.#put(service, undefined);
    return isDeepStrictEqual(before, this.#byId.get(service.ID)?.labels) ? 'same' : 'relabelled';
  }

  /** An event has told of a service: what was read of it is old, except its labels. */
  touch(id: string, name: string): void {
    const labels = this.#byId.get(id)?.labels;
    this.#remember({ id, name, labels, atRest: undefined });
  }

  remove(id: string): void {
    const name = this.nameOf(id);
    this.#byId.delete(id);
    if (name !== undefined && this.#idByName.get(name) === id) this.#idByName.delete(name);
  }

  #put({ ID: id, Spec = {} }: SwarmService, atRest: ServiceView | undefined): void {
    this.#remember({ id, name: Spec.Name ?? id, labels: Spec.Labels ?? {}, atRest });
  }

  #remember(service: KnownService): void {
    this.#byId.set(service.id, service);
    this.#idByName.set(service.name, service.id);
  }
}
