import { mayPutToSleep } from '../model/availability.ts';
import { nameRun } from '../model/running/observation.ts';
import { DEFAULT_REST } from '../model/running/sleep.ts';
import type { DependencyCondition, Service } from '../model/service.ts';
import { NO_WEB } from '../model/web.ts';
import { toWorkloadRef, unmanagedRef, type Workload } from '../model/workload.ts';
import type { Chains } from './room.ts';
import { HeldDependency, isMet, MET } from './dependency.ts';
import type { Lease } from './workload/use/lease-book.ts';
import { awaitsNeeds, isInterrupted, isWaking, type LifecycleState, mayRun } from './workload/machine.ts';
import type { Needs, NeedsStanding } from './workload/start-place.ts';
import type { WorkloadController } from './workload/workload-controller.ts';
import type { LifecycleService } from './workload/workload-policy.ts';

/** One workload that goes with another one. */
export interface Link {
  readonly name: string;
  /** Which source names it. */
  readonly by: Service['dependsOnBy'];
  /** Whether what is named is a service of the file. */
  readonly isOfFile: boolean;
  /** What has to be true of it before the other one starts; absent = it is a dependant: it starts together with the other one. */
  readonly condition?: DependencyCondition;
}

/** Where the cascade finds the controllers of what is named. */
export interface Linked {
  /** The controller of a service; undefined where there is no such service. */
  find(serviceName: string): WorkloadController | undefined;
  /** The controller of a workload that no service has, made where there is none yet. */
  followUnmanaged(service: LifecycleService): WorkloadController;
}

/** A dependant, or a dependency, of a workload that runs or is about to. */
interface Held {
  readonly controller: WorkloadController;
  readonly link: Link;
  /** Of a dependant. */
  readonly lease?: Lease;
  readonly dependency?: HeldDependency;
}

/** What a hub or a user holds no longer. */
interface Gone {
  readonly holder: WorkloadController;
  readonly one: Held;
  /** Whether the holder runs: then the configuration has changed, and the holder names it no more. */
  readonly runs: boolean;
}

/**
 * Hubs and their dependants, users and their dependencies. While a hub or a user runs, or is about to, it holds a lease on each
 * of them, which wakes it; a user is started once each of its dependencies is as it needs it. When the hub or the user stops,
 * what it has woken is put to sleep at once, unless somebody else uses it. What ran before is left to its own idle timeout,
 * and so is a service of the file that only a label names.
 */
export class Cascade implements Needs<WorkloadController>, Chains {
  readonly #linked: Linked;
  readonly #held = new Map<WorkloadController, Map<string, Held>>();
  /** Who holds each of them. */
  readonly #holders = new Map<WorkloadController, Set<WorkloadController>>();
  /** Those that run, or are about to, also while they are being stopped. */
  readonly #running = new WeakSet<WorkloadController>();
  /** Users that are about to be started. */
  readonly #awaiting = new Set<WorkloadController>();
  /** What runs because a hub or a user has woken it. */
  readonly #woken = new WeakSet<WorkloadController>();
  /** What is held and whose state is not known yet. `adopts`: it counts as woken by its hub even if it runs already. */
  readonly #unsure = new WeakMap<WorkloadController, { readonly adopts: boolean }>();
  /** The runs that were woken by a hub or a user before the proxy was restarted, as long as it is not known what runs now. */
  readonly #wokenBefore = new WeakMap<WorkloadController, string>();
  #links: ReadonlyMap<WorkloadController, readonly Link[]> = new Map();
  /** Holders that are in the middle of taking their leases. */
  readonly #followed = new Set<WorkloadController>();
  /** How many calls of `#follow` are under way, one within the other. */
  #following = 0;
  /** What the outermost call lets go at its end. */
  readonly #gone: Gone[] = [];
  /** Holders that have taken leases in these calls. At the end each looks how far what it needs has come. */
  readonly #taken = new Set<WorkloadController>();
  #suspended = false;

  constructor(linked: Linked) {
    this.#linked = linked;
  }

  /**
   * Starts and stops nothing until the next `link()`. Services are being added and removed until then, so a name may
   * belong to no service, or to another one than before.
   */
  suspend(): void {
    this.#suspended = true;
  }

  /** Replaces the whole list of hubs and users, and of what goes with them. */
  link(links: ReadonlyMap<WorkloadController, readonly Link[]>): void {
    this.#suspended = false;
    const before = this.#links;
    this.#links = links;
    this.#follow(new Set([...before.keys(), ...links.keys()]));
    for (const user of [...this.#awaiting]) user.followNeeds();
  }

  /** The state of a workload has changed. */
  changed(controller: WorkloadController): void {
    this.#judge(controller);
    this.#noteRun(controller);
    if (awaitsNeeds(controller.state)) this.#awaiting.add(controller);
    else this.#awaiting.delete(controller);
    if (this.#suspended) return;
    this.#follow([controller]);
    this.#tellUsers(controller);
  }

  /** A hub or a user had woken this run of a workload, which nothing is known of yet, before the proxy was restarted. */
  recall(controller: WorkloadController, run: string): void {
    this.#wokenBefore.set(controller, run);
  }

  /** The run of a workload that a hub or a user has woken; undefined where none has, or its engine doesn't name runs. */
  wokenRunOf(controller: WorkloadController): string | undefined {
    if (!this.#woken.has(controller)) return this.#wokenBefore.get(controller);
    return nameRun(controller.observation);
  }

  /** The controller of what a name means for a workload, made where it is no service and nobody follows it yet. */
  find(name: string, holder: WorkloadController): WorkloadController {
    return (
      this.#linked.find(name) ?? this.#linked.followUnmanaged(createUnmanagedService(name, holder.workload))
    );
  }

  mustPrecede(user: WorkloadController): boolean {
    // Only the next `link()` tells what it depends on, and what the names mean.
    if (this.#suspended) return true;
    return (this.#links.get(user) ?? []).some(({ name, condition }) => {
      if (condition === undefined) return false;
      const controller = this.find(name, user);
      return controller !== user && (condition === 'completed' || !isMet(controller, condition));
    });
  }

  standingOf(user: WorkloadController): NeedsStanding {
    if (this.#suspended) return { kind: 'awaited', words: 'the configuration is being read' };
    const standings = [...(this.#held.get(user)?.values() ?? [])].map(
      ({ dependency }) => dependency?.standing ?? MET,
    );
    const failed = standings.find(({ kind }) => kind === 'failed');
    const awaited = standings.flatMap((standing) => (standing.kind === 'awaited' ? [standing.words] : []));
    if (failed !== undefined || awaited.length === 0) return failed ?? MET;
    return { kind: 'awaited', words: awaited.join('; ') };
  }

  budgetMsFor(controller: WorkloadController): number {
    if (this.#awaiting.size === 0) return 0;
    // A reload that turns an order round lets each hold the other for a moment: a set takes each once, and a walk over it meets what is
    // added on the way.
    const users = new Set<WorkloadController>();
    this.#addAwaiting(users, controller);
    for (const user of users) this.#addAwaiting(users, user);
    return Math.max(0, ...[...users].map(({ policy }) => policy.startTimeoutMs));
  }

  #addAwaiting(users: Set<WorkloadController>, held: WorkloadController): void {
    for (const user of this.#holders.get(held) ?? []) if (this.#awaiting.has(user)) users.add(user);
  }

  get isSettled(): boolean {
    return !this.#suspended;
  }

  chainOf(controller: WorkloadController): ReadonlySet<WorkloadController> {
    // Only the next `link()` tells what the names mean.
    if (this.#suspended) return new Set([controller]);
    const chain = new Set([controller]);
    // The walk meets what is added to the set on the way.
    for (const holder of chain)
      for (const { name } of this.#links.get(holder) ?? []) chain.add(this.find(name, holder));
    return chain;
  }

  freedWith(controller: WorkloadController): ReadonlySet<WorkloadController> {
    const freed = new Set([controller]);
    for (const holder of freed) {
      for (const { controller: held, link } of this.#held.get(holder)?.values() ?? []) {
        const holders = this.#holders.get(held) ?? new Set();
        const isHeldBeside = held.leases > holders.size || [...holders].some((one) => !freed.has(one));
        if (!isHeldBeside && this.#stopsWith(held, link)) freed.add(held);
      }
    }
    return freed;
  }

  /**
   * Gives hubs and users what they are to hold by now. All take what is new to them before anything is let go: what one holds no
   * longer may be what another one holds from now on.
   */
  #follow(holders: Iterable<WorkloadController>): void {
    this.#following++;
    for (const holder of holders) this.#take(holder);
    this.#following--;
    if (this.#following > 0) return;
    for (const one of this.#gone.splice(0)) this.#letGo(one);
    const taken = [...this.#taken];
    this.#taken.clear();
    for (const holder of taken) holder.followNeeds();
  }

  #take(holder: WorkloadController): void {
    const { state } = holder;
    // That an engine can't be asked doesn't mean that the workload has stopped.
    if (state.kind === 'unknown' && this.#held.has(holder) && this.#links.has(holder)) return;
    if (!this.#held.has(holder) && !this.#links.has(holder)) return;
    const runs = this.#running.has(holder);
    const wanted = new Map<string, { readonly link: Link; readonly controller: WorkloadController }>();
    for (const link of (runs && this.#links.get(holder)) || []) {
      const controller = this.find(link.name, holder);
      // Two services may share a workload. One that held a lease on itself would never stop.
      if (controller === holder) continue;
      const other = wanted.get(link.name)?.link.condition;
      // Of what services that share the holder's workload ask for, the strictest counts.
      if (strictnessOf(link.condition) >= strictnessOf(other)) wanted.set(link.name, { link, controller });
    }
    const held = this.#held.get(holder) ?? new Map<string, Held>();
    this.#held.set(holder, held);
    this.#followed.add(holder);
    for (const [name, one] of [...held]) {
      const still = wanted.get(name);
      if (still?.controller === one.controller && still.link.condition === one.link.condition) {
        held.set(name, { ...one, link: still.link });
        continue;
      }
      held.delete(name);
      this.#gone.push({ holder, one, runs });
    }
    const fresh = [...wanted.values()].flatMap(({ controller, link }) => {
      if (held.has(link.name)) return [];
      return this.#hold(holder, { held, controller, link });
    });
    // Only now that all are held: what one of them starts may be what another one waits for.
    for (const dependency of fresh) dependency.begin();
    // Somebody else may have stopped the user and what it needs. What is held since an earlier wake has to start anew then.
    if (awaitsNeeds(state)) for (const { dependency } of held.values()) dependency?.renew();
    if (held.size === 0) this.#held.delete(holder);
    this.#followed.delete(holder);
    this.#taken.add(holder);
  }

  /** @returns a dependency that is to be begun. */
  #hold(
    holder: WorkloadController,
    { held, controller, link }: Pick<Held, 'controller' | 'link'> & { readonly held: Map<string, Held> },
  ): readonly HeldDependency[] {
    const { condition } = link;
    const { name: by } = holder.policy;
    // What has to run to its end is run only for wakes that the proxy makes.
    if (condition === 'completed' && !awaitsNeeds(holder.state)) return [];
    if (condition !== 'completed') this.#noteBefore(controller, { holder, link });
    this.#holders.set(controller, (this.#holders.get(controller) ?? new Set()).add(holder));
    if (condition === undefined) {
      // The hub has its place among the starts, and may need its dependants to become ready: they must not queue behind it.
      const lease = controller.hold(`with ${by}`, { keeper: { kind: 'hub', hub: by }, urgent: true });
      held.set(link.name, { controller, link, lease });
      return [];
    }
    const dependency = new HeldDependency(controller, { condition, user: by });
    held.set(link.name, { controller, link, dependency });
    return [dependency];
  }

  #letGo({ holder, one, runs }: Gone): void {
    const { controller, link, lease, dependency } = one;
    if (![...(this.#held.get(holder)?.values() ?? [])].some((other) => other.controller === controller)) {
      const holders = this.#holders.get(controller);
      holders?.delete(holder);
      if (holders?.size === 0) this.#holders.delete(controller);
    }
    lease?.release();
    dependency?.release();
    // Where the holder runs on, it was only taken off a list: its own settings say when it sleeps.
    if (!runs && link.condition !== 'completed' && this.#stopsWith(controller, link)) {
      // Where the holder has stopped to make room, so does this: a pause would not give its room back.
      const isForRoom =
        holder.account.sleepsFor === 'room' && mayPutToSleep(controller.policy.availability, 'room');
      const kind = link.condition === undefined ? 'hub' : 'user';
      controller.sleepIfUnused({
        kind: isForRoom ? 'room' : kind,
        words: `${holder.policy.name} has stopped`,
      });
    }
    this.#forgetAtRest(controller);
  }

  /** Tells the users of a workload that its state has changed. */
  #tellUsers(controller: WorkloadController): void {
    const users = [...(this.#holders.get(controller) ?? [])];
    const needed = users.flatMap((user) =>
      [...(this.#held.get(user)?.values() ?? [])].flatMap((one) =>
        one.controller === controller && one.dependency !== undefined ? [one.dependency] : [],
      ),
    );
    // All hear how the run went that has ended, before one of them begins the next.
    for (const dependency of needed) dependency.follow();
    for (const dependency of needed) dependency.beginRun();
    for (const user of users) {
      if (!awaitsNeeds(user.state) || this.#followed.has(user)) continue;
      const held = [...(this.#held.get(user)?.values() ?? [])];
      const renewed = held.filter(({ dependency }) => dependency?.renew() === true);
      // Others have stopped it: who has come meanwhile must not be refused for the time that was lost.
      if (renewed.length > 0 || isInterrupted(controller.state)) this.#countAnew(user);
      user.followNeeds();
    }
  }

  /** The time of a start counts from now on, and so does that of those that wait for it. */
  #countAnew(user: WorkloadController): void {
    // As in `budgetMsFor`: two may wait for each other in the middle of a reload.
    const users = new Set([user]);
    for (const one of users) {
      one.countStartAnew();
      this.#addAwaiting(users, one);
    }
  }

  #stopsWith(controller: WorkloadController, { by, isOfFile }: Link): boolean {
    return this.#woken.has(controller) && (by !== 'labels' || !isOfFile);
  }

  /**
   * Notes whether a workload runs already when its hub or user takes a lease on it. Where the proxy has not woken the hub
   * itself, it can't tell which of the two started first. Then a dependant that the file names counts as woken by the hub, and
   * one that a label names doesn't. A dependency that runs already never does.
   */
  #noteBefore(
    controller: WorkloadController,
    { holder, link }: { readonly holder: WorkloadController; readonly link: Link },
  ): void {
    if (this.#woken.has(controller)) return;
    const isHubSeen = link.condition === undefined && !isWaking(holder.state) && !awaitsNeeds(holder.state);
    const adopts = link.by === 'file' && isHubSeen;
    if (controller.state.kind === 'unknown') {
      this.#unsure.set(controller, { adopts: adopts || this.#unsure.get(controller)?.adopts === true });
    } else if (adopts || !runsAlready(controller.state)) this.#woken.add(controller);
  }

  /** What was paused holds nothing, and needs nothing for being stopped. */
  #noteRun(controller: WorkloadController): void {
    const { state } = controller;
    // That an engine can't be asked doesn't mean that the workload has stopped.
    if (state.kind === 'stopping' || state.kind === 'unknown') return;
    if (mayRun(state)) this.#running.add(controller);
    else this.#running.delete(controller);
  }

  #judge(controller: WorkloadController): void {
    const { state, observation } = controller;
    const before = this.#wokenBefore.get(controller);
    if (before !== undefined && state.kind !== 'unknown') {
      this.#wokenBefore.delete(controller);
      if (before === nameRun(observation)) this.#woken.add(controller);
    }
    const unsure = this.#unsure.get(controller);
    if (unsure !== undefined && state.kind !== 'unknown') {
      this.#unsure.delete(controller);
      // What was asleep is being woken by now.
      if (unsure.adopts || isWaking(state) || !runsAlready(state)) this.#woken.add(controller);
    }
    this.#forgetAtRest(controller);
  }

  /** Forgets that a hub or a user woke it, once it has stopped and none holds it: somebody else starts it next. */
  #forgetAtRest(controller: WorkloadController): void {
    if (!this.#woken.has(controller) || mayRun(controller.state) || this.#holders.has(controller)) return;
    this.#woken.delete(controller);
  }
}

/**
 * Whether it runs before its hub or user wakes it. What is stopping doesn't: it is started again for them. Nor does what waits for its
 * own needs.
 */
function runsAlready(state: LifecycleState): boolean {
  return mayRun(state) && state.kind !== 'stopping' && !awaitsNeeds(state);
}

/** How much a link asks for. Of a dependant nothing is asked but that it runs. */
function strictnessOf(condition: Link['condition']): number {
  return condition === undefined ? 0 : ['started', 'healthy', 'completed'].indexOf(condition) + 1;
}

/**
 * A workload that no service has, but that one names as its dependant or dependency: started and stopped with its hubs and
 * users alone.
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
    dependsOn: [],
    group: undefined,
    memoryBytes: undefined,
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
