import type { Lease } from './lease-book.ts';
import { mayRun } from './machine.ts';
import type { WorkloadController } from './workload-controller.ts';

interface Held {
  readonly controller: WorkloadController;
  readonly lease: Lease;
}

/**
 * Hubs and their dependants: while a hub runs, it holds a lease on each, which wakes it; when the hub stops, a dependant
 * that nobody else uses is put to sleep at once.
 */
export class Cascade {
  readonly #find: (dependant: string, hub: WorkloadController) => WorkloadController;
  readonly #held = new Map<WorkloadController, Map<string, Held>>();
  #hubs: ReadonlyMap<WorkloadController, readonly string[]> = new Map();
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

  /** Takes all hubs with the names of their dependants, whole. */
  link(hubs: ReadonlyMap<WorkloadController, readonly string[]>): void {
    this.#suspended = false;
    const before = this.#hubs;
    this.#hubs = hubs;
    for (const hub of new Set([...before.keys(), ...hubs.keys()])) this.changed(hub);
  }

  /** The state of a workload has changed. */
  changed(hub: WorkloadController): void {
    if (this.#suspended) return;
    const runs = mayRun(hub.state);
    const dependants = (runs && this.#hubs.get(hub)) || [];
    const wanted = new Map(dependants.map((name) => [name, this.#find(name, hub)]));
    // Two services may share a workload: one that held itself would never stop.
    for (const [name, controller] of wanted) if (controller === hub) wanted.delete(name);
    const held = this.#held.get(hub) ?? new Map<string, Held>();
    for (const [name, { controller, lease }] of [...held]) {
      if (wanted.get(name) === controller) continue;
      held.delete(name);
      lease.release();
      // A dependant that was only taken off the list goes on as its own settings say.
      if (!runs) controller.sleepIfUnused(`${hub.policy.name} has stopped`);
    }
    for (const [name, controller] of wanted) {
      if (held.has(name)) continue;
      // The hub has had its turn, and may not become ready without them: they must not wait for it.
      const lease = controller.hold(`with ${hub.policy.name}`, { urgent: true });
      held.set(name, { controller, lease });
    }
    if (held.size > 0) this.#held.set(hub, held);
    else this.#held.delete(hub);
  }
}
