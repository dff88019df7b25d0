import type { Lease } from './workload/lease-book.ts';
import { isWaking, type LifecycleState, mayRun } from './workload/machine.ts';
import type { WorkloadController } from './workload/workload-controller.ts';

/** One dependant of a hub. */
export interface DependantLink {
  readonly name: string;
  /** Who has named it. */
  readonly by: 'file' | 'labels';
  /** Whether it is a service of the file. */
  readonly isOfFile: boolean;
}

interface Held {
  readonly controller: WorkloadController;
  readonly lease: Lease;
  readonly link: DependantLink;
}

/**
 * Hubs and their dependants: while a hub runs, it holds a lease on each, which wakes it; when the hub stops, a dependant
 * that hubs have woken, and nobody else uses, is put to sleep at once. What ran before is left to its own policy; so is a
 * service of the file whose hub is one by labels.
 */
export class Cascade {
  readonly #find: (dependant: string, hub: WorkloadController) => WorkloadController;
  readonly #held = new Map<WorkloadController, Map<string, Held>>();
  /** Dependants whose present run is the doing of hubs. */
  readonly #woken = new WeakSet<WorkloadController>();
  /** Dependants of which it isn't known yet whether they ran before, and whether that would count as the doing of hubs. */
  readonly #unsure = new WeakMap<WorkloadController, { readonly adopts: boolean }>();
  #hubs: ReadonlyMap<WorkloadController, readonly DependantLink[]> = new Map();
  #suspended = false;

  /** @param find the controller of a service, or of a workload that no service has, of the hub's kind. */
  constructor(find: (dependant: string, hub: WorkloadController) => WorkloadController) {
    this.#find = find;
  }

  /**
   * Does nothing until the next `link()`: the services are being changed, and a name may stand for nothing or for
   * something else meanwhile.
   */
  suspend(): void {
    this.#suspended = true;
  }

  /** Takes all hubs with their dependants, whole. */
  link(hubs: ReadonlyMap<WorkloadController, readonly DependantLink[]>): void {
    this.#suspended = false;
    const before = this.#hubs;
    this.#hubs = hubs;
    for (const hub of new Set([...before.keys(), ...hubs.keys()])) this.#follow(hub);
  }

  /** The state of a workload has changed. */
  changed(controller: WorkloadController): void {
    this.#judge(controller);
    if (!this.#suspended) this.#follow(controller);
  }

  #follow(hub: WorkloadController): void {
    const runs = mayRun(hub.state);
    const links = (runs && this.#hubs.get(hub)) || [];
    const wanted = new Map(
      links.map((link) => [link.name, { link, controller: this.#find(link.name, hub) }]),
    );
    // Two services may share a workload: one that held itself would never stop.
    for (const [name, { controller }] of wanted) if (controller === hub) wanted.delete(name);
    const held = this.#held.get(hub) ?? new Map<string, Held>();
    for (const [name, { controller, lease, link }] of [...held]) {
      const still = wanted.get(name);
      if (still?.controller === controller) {
        held.set(name, { controller, lease, link: still.link });
        continue;
      }
      held.delete(name);
      lease.release();
      // A dependant that was only taken off the list goes on as its own settings say.
      if (!runs && this.#stopsWithHub(controller, link)) {
        controller.sleepIfUnused(`${hub.policy.name} has stopped`);
      }
      this.#forgetAtRest(controller);
    }
    for (const [name, { controller, link }] of wanted) {
      if (held.has(name)) continue;
      this.#noteBefore(controller, { hub, link });
      // The hub has had its turn, and may not become ready without them: they must not wait for it.
      const lease = controller.hold(`with ${hub.policy.name}`, { urgent: true });
      held.set(name, { controller, link, lease });
    }
    if (held.size > 0) this.#held.set(hub, held);
    else this.#held.delete(hub);
  }

  #stopsWithHub(dependant: WorkloadController, { by, isOfFile }: DependantLink): boolean {
    return this.#woken.has(dependant) && (by === 'file' || !isOfFile);
  }

  /**
   * Notes whether a dependant runs before its hub holds it. Where the proxy has not woken the hub itself, it can't tell which
   * of the two ran first: the file is then taken at its word, and labels are not.
   */
  #noteBefore(
    dependant: WorkloadController,
    { hub, link }: { readonly hub: WorkloadController; readonly link: DependantLink },
  ): void {
    if (this.#woken.has(dependant)) return;
    const adopts = link.by === 'file' && !isWaking(hub.state);
    if (dependant.state.kind === 'unknown') {
      this.#unsure.set(dependant, { adopts: adopts || this.#unsure.get(dependant)?.adopts === true });
    } else if (adopts || !runsAlready(dependant.state)) this.#woken.add(dependant);
  }

  #judge(dependant: WorkloadController): void {
    const { state } = dependant;
    const unsure = this.#unsure.get(dependant);
    if (unsure !== undefined && state.kind !== 'unknown') {
      this.#unsure.delete(dependant);
      // What was found asleep is being woken by now.
      if (unsure.adopts || isWaking(state) || !runsAlready(state)) this.#woken.add(dependant);
    }
    this.#forgetAtRest(dependant);
  }

  /** The next run of what no hub holds is somebody else's doing. */
  #forgetAtRest(dependant: WorkloadController): void {
    if (!this.#woken.has(dependant) || mayRun(dependant.state) || this.#isHeld(dependant)) return;
    this.#woken.delete(dependant);
  }

  #isHeld(dependant: WorkloadController): boolean {
    for (const held of this.#held.values())
      for (const { controller } of held.values()) if (controller === dependant) return true;
    return false;
  }
}

/** What is being stopped will be started for its hub. */
function runsAlready(state: LifecycleState): boolean {
  return mayRun(state) && state.kind !== 'stopping';
}
