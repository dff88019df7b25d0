import { DEFAULT_REST } from '../model/sleep.ts';
import { NO_WEB } from '../model/web.ts';
import { toWorkloadRef, unmanagedRef, type Workload } from '../model/workload.ts';
import type { Lease } from './workload/lease-book.ts';
import { isWaking, type LifecycleState, mayRun } from './workload/machine.ts';
import type { WorkloadController } from './workload/workload-controller.ts';
import type { LifecycleService } from './workload/workload-policy.ts';

/** One dependant of a hub. */
export interface DependantLink {
  readonly name: string;
  /** Which source names it as the hub's dependant. */
  readonly by: 'file' | 'labels';
  /** Whether the dependant is a service of the file. */
  readonly isOfFile: boolean;
}

/** Where the cascade finds the controllers of dependants. */
export interface Dependants {
  /** The controller of a service; undefined where there is no such service. */
  find(serviceName: string): WorkloadController | undefined;
  /** The controller of a workload that no service has, made where there is none yet. */
  followUnmanaged(service: LifecycleService): WorkloadController;
}

interface Held {
  readonly controller: WorkloadController;
  readonly lease: Lease;
  readonly link: DependantLink;
}

/**
 * Hubs and their dependants. While a hub runs, it holds a lease on each of its dependants, which wakes it. When the hub
 * stops, a dependant that hubs have woken is put to sleep at once, unless somebody else uses it. A dependant that ran before
 * its hub did is left to its own idle timeout, and so is a service of the file that only a hub's label names.
 */
export class Cascade {
  readonly #dependants: Dependants;
  readonly #held = new Map<WorkloadController, Map<string, Held>>();
  /** Dependants that run because a hub has woken them. */
  readonly #woken = new WeakSet<WorkloadController>();
  /** Dependants whose state is not known yet. `adopts`: they count as woken by their hub even if they ran already. */
  readonly #unsure = new WeakMap<WorkloadController, { readonly adopts: boolean }>();
  #hubs: ReadonlyMap<WorkloadController, readonly DependantLink[]> = new Map();
  #suspended = false;

  constructor(dependants: Dependants) {
    this.#dependants = dependants;
  }

  /**
   * Starts and stops no dependants until the next `link()`. Services are being added and removed until then, so a name may
   * belong to no service, or to another one than before.
   */
  suspend(): void {
    this.#suspended = true;
  }

  /** Replaces the whole list of hubs and their dependants. */
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
    // Two services may share a workload. One that held a lease on itself would never stop.
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
        controller.sleepIfUnused({ kind: 'hub', words: `${hub.policy.name} has stopped` });
      }
      this.#forgetAtRest(controller);
    }
    for (const [name, { controller, link }] of wanted) {
      if (held.has(name)) continue;
      this.#noteBefore(controller, { hub, link });
      // The hub has its place among the starts, and may need its dependants to become ready: they must not queue behind it.
      const { name: by } = hub.policy;
      const lease = controller.hold(`with ${by}`, { keeper: { kind: 'hub', hub: by }, urgent: true });
      held.set(name, { controller, link, lease });
    }
    if (held.size > 0) this.#held.set(hub, held);
    else this.#held.delete(hub);
  }

  #find(dependant: string, hub: WorkloadController): WorkloadController {
    return (
      this.#dependants.find(dependant) ??
      this.#dependants.followUnmanaged(createUnmanagedService(dependant, hub.workload))
    );
  }

  #stopsWithHub(dependant: WorkloadController, { by, isOfFile }: DependantLink): boolean {
    return this.#woken.has(dependant) && (by === 'file' || !isOfFile);
  }

  /**
   * Notes whether a dependant runs already when its hub takes a lease on it. Where the proxy has not woken the hub itself, it
   * can't tell which of the two started first. Then a dependant that the file names counts as woken by the hub, and one that
   * a label names doesn't.
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
      // A dependant that was asleep is being woken by now.
      if (unsure.adopts || isWaking(state) || !runsAlready(state)) this.#woken.add(dependant);
    }
    this.#forgetAtRest(dependant);
  }

  /** Forgets that hubs woke a dependant that has stopped and that no hub holds: whoever starts it next is no hub. */
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

/** A dependant that is just stopping doesn't count: it will be started again for its hub. */
function runsAlready(state: LifecycleState): boolean {
  return mayRun(state) && state.kind !== 'stopping';
}

/**
 * A workload that no service has, but that a hub names as its dependant: started and stopped with its hubs alone.
 * @param name in Kubernetes `namespace/name` of a Deployment; otherwise the name of a container or Swarm service.
 */
function createUnmanagedService(name: string, hub: Workload): LifecycleService {
  return {
    name,
    workload: toUnmanagedWorkload(name, hub),
    unmanaged: true,
    listeners: [],
    availability: 'on_demand',
    idleTimeoutMs: 0,
    startTimeoutMs: 30_000,
    stopTimeoutMs: undefined,
    rest: DEFAULT_REST,
    maxPending: 1,
    cronStart: undefined,
    cronStop: undefined,
    awake: [],
    timezone: 'UTC',
    httpHealthcheck: undefined,
    webhookUrl: undefined,
    webhooks: [],
    httpHealthcheckStatus: [],
    web: NO_WEB,
  };
}

function toUnmanagedWorkload(name: string, hub: Workload): Workload {
  const ref = unmanagedRef(name, toWorkloadRef(hub));
  switch (ref.kind) {
    case 'kubernetes':
      return { ...ref, service: ref.name, upstream: 'endpoints' };
    case 'swarm':
      return { kind: 'swarm', service: ref.name };
    default:
      return { kind: 'docker', container: ref.name };
  }
}
