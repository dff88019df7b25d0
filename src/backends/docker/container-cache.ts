import type { StoppedBy } from '../../model/running/observation.ts';
import type { LabelledWorkload } from '../backend.ts';
import type { EventFilter } from '../engine/engine-client.ts';
import type { ListedContainer } from '../engine/engine-shapes.ts';
import type { EngineEvent } from '../engine/event-stream.ts';

/**
 * The events that change what {@link ContainerCache} knows, and no others: a container's health probes alone make three
 * events each. Podman has names of its own: it sends `die` only to those who ask for `died`, and `remove` where Docker
 * sends `destroy`.
 */
export const CONTAINER_EVENTS: EventFilter = {
  types: ['container', 'network'],
  actions: [
    ...['create', 'destroy', 'rename', 'start', 'kill', 'die', 'stop', 'restart', 'pause', 'unpause'],
    ...['update', 'health_status', 'connect', 'disconnect', 'died', 'remove'],
  ],
};

/** What is known of a container without asking the engine. */
export interface KnownContainer {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined until a list has named it. */
  readonly imageId: string | undefined;
  /** When it was made: ms since the epoch, in whole seconds; undefined where that isn't known. */
  readonly createdMs: number | undefined;
  /** Its entry in the last list; undefined once an event has made that out of date. */
  readonly listed: ListedContainer | undefined;
}

/** A container whose labels are asked about. */
export type LabelledContainer = Pick<KnownContainer, 'id' | 'name' | 'labels' | 'imageId'>;

export interface Rename {
  readonly from: string;
  readonly to: string;
}

/** What an event changed. */
export interface CacheChange {
  /** Names under which a watched container may have to be looked at again. */
  readonly names: readonly string[];
  /** Whether a container appeared, went or got another name. */
  readonly population: boolean;
  readonly renamed?: Rename;
}

const NO_CHANGE: CacheChange = { names: [], population: false };

/** Attributes that the engine adds to a container's labels. */
const ENGINE_ATTRIBUTES = new Set([
  'image',
  'name',
  'oldName',
  'exitCode',
  'execDuration',
  'execID',
  'signal',
  // Podman's.
  'containerExitCode',
  'podId',
]);

/** On every container that belongs to a Swarm service. */
const SWARM_TASK_LABEL = 'com.docker.swarm.task.id';

/** Actions that may introduce a container. No other does: a late `die` after `destroy` would bring it back. */
const FIRST_ACTIONS = new Set(['create', 'rename', 'start']);

/** Signals that programs take for other things than their end: SIGHUP, SIGUSR1, SIGUSR2. */
const HARMLESS_SIGNALS = new Set(['1', '10', '12']);

/** The engine's containers, by the last list and the events since then. No I/O. */
export class ContainerCache {
  readonly #byId = new Map<string, KnownContainer>();
  readonly #idByName = new Map<string, string>();
  /** By id, how the last run ended, or is about to end. */
  readonly #stops = new Map<string, StoppedBy>();

  get(name: string): KnownContainer | undefined {
    const id = this.#idByName.get(name);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** How the last run of a container ended; undefined where no event has told. */
  stoppedBy(id: string): StoppedBy | undefined {
    return this.#stops.get(id);
  }

  /**
   * A stop was asked for, and nobody knows whether the engine has got it. A run that ends from now on has been stopped by that, also
   * where the engine dies in between and tells only of the end.
   */
  stopMayComeThrough(id: string): void {
    if (this.#byId.has(id) && !this.#stops.has(id)) this.#stops.set(id, 'others');
  }

  all(): readonly KnownContainer[] {
    return [...this.#byId.values()];
  }

  /** The labels of every container, but not of those that Swarm makes and removes as its services ask for it. */
  labelled(): readonly (LabelledContainer & LabelledWorkload)[] {
    return this.all()
      .filter(({ labels }) => !Object.hasOwn(labels, SWARM_TASK_LABEL))
      .map((known) => ({ ...known, ref: { kind: 'docker', name: known.name } }));
  }

  /** Replaces everything by a whole list; returns the containers that have another name than before. */
  replaceAll(containers: readonly ListedContainer[]): readonly Rename[] {
    const before = new Map(this.#byId);
    const renames: Rename[] = [];
    this.#byId.clear();
    this.#idByName.clear();
    for (const listed of containers) {
      const name = ownName(listed.Names ?? []);
      if (name === undefined) continue;
      const { Id: id, Labels, ImageID: imageId, Created } = listed;
      const listedMs = Created === undefined ? undefined : Created * 1_000;
      // The time of the event stays, since the list's may differ by a second.
      const createdMs = before.get(id)?.createdMs ?? listedMs;
      this.put({ id, name, labels: Labels ?? {}, imageId, createdMs, listed });
      const from = before.get(listed.Id)?.name ?? name;
      if (from !== name) renames.push({ from, to: name });
    }
    for (const id of [...this.#stops.keys()]) if (!this.#byId.has(id)) this.#stops.delete(id);
    return renames;
  }

  /** Adds a container, or replaces what was known of it; its name is its own from now on. */
  put(container: KnownContainer): void {
    this.#dropName(container.id);
    this.#byId.set(container.id, container);
    this.#idByName.set(container.name, container.id);
  }

  /** Applies one event and says what it may have changed; the same event twice does no harm. */
  apply(event: EngineEvent): CacheChange {
    if (event.type === 'network') return this.#applyNetwork(event);
    if (event.type !== 'container') return NO_CHANGE;
    const known = this.#byId.get(event.id);
    this.#noteStop(event);
    // A signal alone changes nothing that can be looked at.
    if (event.action === 'kill') return NO_CHANGE;
    if (event.action === 'destroy' || event.action === 'remove') return this.#remove(event, known);
    const name = event.attributes['name'] ?? known?.name;
    if (name === undefined) return NO_CHANGE;
    if (known === undefined && !FIRST_ACTIONS.has(event.action)) return { names: [name], population: false };
    const labels = known?.labels ?? labelsOf(event);
    const createdMs =
      known?.createdMs ?? (event.action === 'create' ? wholeSeconds(event.timeNs) : undefined);
    this.put({ id: event.id, name, labels, imageId: known?.imageId, createdMs, listed: undefined });
    if (known === undefined) return { names: [name], population: true };
    if (known.name === name) return { names: [name], population: false };
    const renamed = { from: known.name, to: name };
    return { names: [known.name, name], population: true, renamed };
  }

  /**
   * Every engine sends `kill` before `die`. `stop` comes before `die` from version 28 on; older engines send it after `die`,
   * when `kill` has already told the same.
   */
  #noteStop({ id, action, attributes }: EngineEvent): void {
    // A `die` may be told after `destroy`.
    if (!this.#byId.has(id)) return;
    switch (action) {
      case 'kill':
        if (!HARMLESS_SIGNALS.has(attributes['signal'] ?? '')) this.#stops.set(id, 'others');
        return;
      case 'stop':
        this.#stops.set(id, 'others');
        return;
      case 'die':
      case 'died':
        if (!this.#stops.has(id)) this.#stops.set(id, 'itself');
        return;
      case 'start':
      case 'destroy':
      case 'remove':
        this.#stops.delete(id);
    }
  }

  #applyNetwork(event: EngineEvent): CacheChange {
    const known = this.#byId.get(event.attributes['container'] ?? '');
    // A container at rest gets its addresses when it starts, and is looked at then.
    if (known === undefined || known.listed?.State === 'exited' || known.listed?.State === 'created')
      return NO_CHANGE;
    return { names: [known.name], population: false };
  }

  #remove(event: EngineEvent, known: KnownContainer | undefined): CacheChange {
    const name = known?.name ?? event.attributes['name'];
    this.#dropName(event.id);
    this.#byId.delete(event.id);
    return { names: name === undefined ? [] : [name], population: known !== undefined };
  }

  /** Removes the name of a container, unless another one has taken it over. */
  #dropName(id: string): void {
    const name = this.#byId.get(id)?.name;
    if (name !== undefined && this.#idByName.get(name) === id) this.#idByName.delete(name);
  }
}

/** Legacy links add names of the form `/other/alias`; a container's own has one slash. */
function ownName(names: readonly string[]): string | undefined {
  return names.map((name) => name.replace(/^\//, '')).find((name) => !name.includes('/'));
}

/** In whole seconds, as in lists. */
function wholeSeconds(timeNs: number | undefined): number | undefined {
  return timeNs === undefined ? undefined : Math.floor(timeNs / 1e9) * 1_000;
}

function labelsOf(event: EngineEvent): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(event.attributes).filter(([key]) => !ENGINE_ATTRIBUTES.has(key)));
}
