/**
 * The lifecycle stage. Input: the services of the table, what the backends observe, and clients that want upstreams.
 * Output: workloads awake while somebody holds a lease on them, asleep otherwise. One controller per workload.
 */
import type { Backend, SharedView } from '../backends/backend.ts';
import { hasSchedule } from '../model/availability.ts';
import type { KeptWorkload } from '../model/running/kept.ts';
import type { LeaseUser } from '../model/running/client-use.ts';
import type { Observation } from '../model/running/observation.ts';
import type { Service, TargetPort } from '../model/service.ts';
import type { WarmPath, WarmUser } from '../model/running/warm-path.ts';
import { type WorkloadKind, workloadKey } from '../model/workload.ts';
import type { Clock } from '../system/clock.ts';
import type { CheckTarget } from '../system/net/http-client.ts';
import type { Happenings } from '../system/happenings.ts';
import type { Logger } from '../system/log/logger.ts';
import { Cascade, type Link } from './cascade.ts';
import {
  type ConnectRequest,
  connectUpstream,
  FlowLease,
  type FlowLeaseOptions,
  RequestLease,
  type ServedWorkload,
  type UpstreamConnection,
} from './clients/pass-gate.ts';
import { Refusal } from './refusal.ts';
import { Room } from './room.ts';
import { createTallies, type Tallies } from './tallies.ts';
import type { OwnPlaces } from './run/workload-run.ts';
import type { Lease } from './workload/use/lease-book.ts';
import type { WakeFailedTeller } from './workload/record/chronicle.ts';
import { Renames } from './workload/renames.ts';
import { StartQueue } from './workload/start-queue.ts';
import { type ControllerParts, type OnAct, WorkloadController } from './workload/workload-controller.ts';
import { createPolicy, type LifecycleService, type WorkloadPolicy } from './workload/workload-policy.ts';

export interface LifecycleOptions {
  readonly backends: readonly Backend[];
  readonly clock: Clock;
  readonly logger: Logger;
  /** How many workloads may be starting at once, by the proxy; at least 1. */
  readonly maxStarting: number;
  /** Where the health check of a label may lead; default: to the workload alone. */
  readonly checkLabelUrl?: CheckTarget;
  /** Knows the proxy's own listeners; absent where there are none. */
  readonly own?: OwnPlaces | undefined;
  readonly onAct?: OnAct;
  readonly onWakeFailed?: WakeFailedTeller;
  /** Is told of what happens; absent = nobody wants to know. */
  readonly happenings?: Happenings | undefined;
  /** Remembers workloads across restarts; absent = nobody does. */
  readonly memory?: WorkloadMemory | undefined;
  /** When a service's schedule starts it next, ms since the epoch; undefined where it doesn't. Default: none has one. */
  readonly nextStartMs?: (serviceName: string) => number | undefined;
  /** Why the engine of such workloads can't be asked now, in words; undefined where it answers. */
  readonly explainEngine?: (kind: WorkloadKind) => string | undefined;
}

/** What an earlier run of the proxy knew of workloads. */
export interface WorkloadMemory {
  /** What is known of a workload that gets a service; undefined = nothing. */
  recall(key: string, service: string): KeptWorkload | undefined;
  /** Nobody has the workload any more. */
  leave(key: string, kept: KeptWorkload): void;
  /** Something of what is kept has changed. */
  touch(): void;
}

interface WarmRequest {
  readonly port: TargetPort;
  readonly user: WarmUser;
}

/** How many wakes are kept: of each workload, of all workloads together, and in any case of each. A wake takes some 200 bytes. */
const MAX_KEPT_WAKES = { each: 50, all: 65_536, least: 5 } as const;

/** How much each condition asks for: the higher, the more. */
const STRENGTH = { none: 0, started: 1, healthy: 2, completed: 3 } as const;

const NOT_THE_SLEEPER: SharedView = { isSleeper: false, heldElsewhere: new Set() };

export class Lifecycle {
  /** How long wakes and waits take. */
  readonly tallies: Tallies = createTallies();
  /** How many workloads may be awake, and how much memory they may take. */
  readonly room: Room;
  readonly #options: LifecycleOptions;
  readonly #backends: ReadonlyMap<WorkloadKind, Backend>;
  readonly #byWorkload = new Map<string, WorkloadController>();
  readonly #byService = new Map<
    string,
    { readonly service: Service; readonly controller: WorkloadController }
  >();
  /** The names of each workload's services. */
  readonly #namesOf = new Map<WorkloadController, Set<string>>();
  /** Names of services none of whose listeners is bound. */
  readonly #unserved = new Set<string>();
  /** Names of dependants and dependencies. */
  #linked: ReadonlySet<string> = new Set();
  readonly #cascade: Cascade;
  readonly #shared = new Map<WorkloadKind, SharedView>();
  readonly #renames: Renames;
  readonly #starts: StartQueue;
  readonly #parts: ControllerParts;
  /** Leases on workloads that have the new name of a renamed one, by the controller of the renamed one, while that is in use. */
  readonly #lent = new Map<WorkloadController, Lease>();

  constructor(options: LifecycleOptions) {
    this.#options = options;
    this.#renames = new Renames(options.clock);
    this.#starts = new StartQueue({ ...options, max: options.maxStarting });
    this.#backends = new Map(options.backends.map((backend) => [backend.kind, backend]));
    this.#cascade = new Cascade({
      find: (name) => this.find(name),
      followUnmanaged: (service) => this.#followUnmanaged(service),
    });
    this.room = new Room({ ...options, chains: this.#cascade });
    this.#parts = {
      ...options,
      ...{ starts: this.#starts, room: this.room, needs: this.#cascade, tallies: this.tallies },
      maxKeptWakes: () => {
        const { each, all, least } = MAX_KEPT_WAKES;
        return Math.min(each, Math.max(least, Math.floor(all / this.#byWorkload.size)));
      },
      onTouched: options.memory && (() => options.memory?.touch()),
      onChanged: (controller) => {
        this.room.changed(controller);
        this.#cascade.changed(controller);
      },
      onUnused: (controller) => {
        this.#takeBack(controller);
        this.room.lookAgain();
      },
      onRetired: (controller) => this.#forget(controller),
    };
  }

  /** How many workloads may be starting at once from now on; at least 1. */
  setMaxStarting(max: number): void {
    this.#starts.setMax(max);
  }

  /**
   * Follows a service's workload from now on, for it and for the other services that have the same one. A workload that was in
   * use when its service was removed goes on as before.
   */
  add(service: Service): void {
    const controller = this.#follow(service);
    this.#byService.set(service.name, { service, controller });
    this.#namesOf.set(controller, (this.#namesOf.get(controller) ?? new Set()).add(service.name));
    this.#followServed(controller);
  }

  /** Takes whether a listener of the service is bound; until it is told, one counts as bound. */
  setServed(serviceName: string, { isServed }: { readonly isServed: boolean }): void {
    const controller = this.find(serviceName);
    if (isServed || controller === undefined) this.#unserved.delete(serviceName);
    else this.#unserved.add(serviceName);
    if (controller !== undefined) this.#followServed(controller);
  }

  /** New settings for a service. Where its workload is another one now, that one is followed instead. */
  update(service: Service, previous: Service): void {
    const key = workloadKey(service.workload);
    const goesAlong = this.#renames.find(key) === this.find(service.name);
    if (key !== workloadKey(previous.workload) && !goesAlong) this.#leave(previous);
    this.add(service);
  }

  remove(service: Service): void {
    this.#leave(service);
    this.#unserved.delete(service.name);
  }

  #leave({ name }: Service): void {
    const controller = this.find(name);
    this.#byService.delete(name);
    if (controller === undefined) return;
    this.#namesOf.get(controller)?.delete(name);
    const others = this.#servicesOf(controller);
    if (others.length === 0) return controller.retire();
    controller.update(createPolicy(others));
    this.#followServed(controller);
  }

  /**
   * Starts nothing until the next `linkServices()`: services are about to be changed one by one, and what is in force meanwhile
   * is neither the old table nor the new one.
   */
  unlinkServices(): void {
    this.#cascade.suspend();
  }

  /** Links services with what goes with them; to be called when all changes of a plan were made. */
  linkServices(): void {
    const links = new Map<WorkloadController, Link[]>();
    const isOfFile = (name: string) => this.#byService.get(name)?.service.isOfFile === true;
    const add = (holder: WorkloadController, link: Link) => {
      const list = links.get(holder);
      const same = list?.findIndex(({ name }) => name === link.name) ?? -1;
      if (list === undefined) links.set(holder, [link]);
      else if (same < 0) list.push(link);
      // Two services of one workload may ask for different things: the one that asks for more counts.
      else if (STRENGTH[link.condition ?? 'none'] > STRENGTH[list[same]?.condition ?? 'none'])
        list.splice(same, 1, link);
    };
    for (const { service, controller } of this.#byService.values()) {
      const { dependants, dependantsBy, dependsOn, dependsOnBy: by } = service;
      for (const name of dependants) add(controller, { name, by: dependantsBy, isOfFile: isOfFile(name) });
      for (const { name, condition, of } of dependsOn) {
        const user = of === undefined ? controller : this.#cascade.find(of, controller);
        add(user, { name, by, isOfFile: isOfFile(name), condition });
      }
    }
    this.#linked = new Set([...links.values()].flat().map(({ name }) => name));
    this.#cascade.link(links);
    this.room.lookAgain();
    for (const controller of this.#namesOf.keys()) this.#followServed(controller);
    for (const controller of [...this.#byWorkload.values()]) {
      const { name, unmanaged } = controller.policy;
      if (unmanaged === true && (this.#byService.has(name) || !this.#linked.has(name))) controller.retire();
    }
  }

  /** The controller of a service; undefined where there is no such service. */
  find(serviceName: string): WorkloadController | undefined {
    return this.#byService.get(serviceName)?.controller;
  }

  /** What is to be known after a restart of the proxy, by the keys of the workloads. */
  *listKept(): Generator<readonly [string, KeptWorkload]> {
    for (const [key, controller] of this.#byWorkload) {
      const { kept } = controller.account;
      const wokenRun = this.#cascade.wokenRunOf(controller);
      if (kept !== undefined) yield [key, wokenRun === undefined ? kept : { ...kept, wokenRun }];
    }
  }

  /** What a backend saw of one workload. */
  observe(key: string, observation: Observation): void {
    const controller = this.#byWorkload.get(key);
    if (controller !== undefined && !this.#renames.holds(controller, observation))
      controller.observe(observation);
  }

  /** The run of a workload is over, and another workload may have its address: see `BackendSink`. */
  runEnded(key: string, how: { readonly byOthers: boolean }): void {
    this.#byWorkload.get(key)?.runEnded(how);
  }

  /**
   * A workload was renamed; `from` and `to` are workload keys. Its clients and leases go along as soon as a service has the
   * new name. Where services have both names already, the workload is kept awake for the clients of the old name.
   */
  renamed(from: string, to: string): void {
    const controller = this.#renames.take(from) ?? this.#byWorkload.get(from);
    const there = this.#byWorkload.get(to);
    // The workload may have got its old name back.
    if (controller === undefined || controller === there) return;
    const named = [...(there === undefined ? [] : (this.#namesOf.get(there) ?? []))];
    if (there === undefined || (there.leases === 0 && there.waitingRoom.size === 0 && named.length > 0)) {
      if (named.length > 0) this.unlinkServices();
      this.#renames.add(controller, to);
      there?.retire();
      for (const name of named) this.#addAgain(name);
      if (named.length > 0) this.linkServices();
    } else if (controller.leases > 0 && !this.#lent.has(controller)) {
      this.#lent.set(controller, there.guard({ kind: 'renamed' }));
    }
  }

  /** What other proxies do with the workloads of one kind. */
  share(kind: WorkloadKind, view: SharedView): void {
    this.#shared.set(kind, view);
    for (const controller of [...this.#byWorkload.values()]) {
      if (controller.workload.kind === kind && !controller.retired) controller.share(view);
    }
  }

  /**
   * A connection to an awake service, waking it first where needed.
   * @throws {Refusal} when the client can't be served.
   */
  async connect(serviceName: string, request: ConnectRequest): Promise<UpstreamConnection> {
    return connectUpstream(this.#get(serviceName), request);
  }

  /** A lease for one HTTP request. @throws {Refusal} where the service is gone, or sleeps, and clients don't wake it. */
  takeRequestLease(
    serviceName: string,
    client: {
      readonly port: TargetPort;
      readonly client: string;
      readonly address: string;
      readonly mayWake?: boolean;
      readonly user: LeaseUser | undefined;
    },
  ): RequestLease {
    return new RequestLease(this.#get(serviceName), client);
  }

  /**
   * Lets a listener connect clients to a ready service without asking for each. Undefined where the service isn't ready, its
   * port has not answered yet, or other proxies have to be told of each client.
   */
  openWarmPath(serviceName: string, { port, user }: WarmRequest): WarmPath | undefined {
    const { controller, service } = this.#byService.get(serviceName) ?? {};
    if (controller === undefined || controller.retired || controller.state.kind !== 'ready') return undefined;
    if (this.#backends.get(controller.workload.kind)?.setInUse !== undefined) return undefined;
    const endpoints = controller.currentRun?.provenEndpoints(port);
    if (endpoints === undefined) return undefined;
    return controller.warmPaths.open(endpoints, { user, budgetMs: service?.startTimeoutMs ?? 0 });
  }

  /** Why a client of a service is refused at once now: see `Obstacles.refusalOf`. */
  refusalOf(serviceName: string, options: { readonly mayWake: boolean }): Refusal | undefined {
    return this.find(serviceName)?.obstacles.refusalOf(options);
  }

  /** The proxy has new listeners of its own: closes the warm paths that lead back to one of them. */
  closeLoops(): void {
    const { own } = this.#options;
    for (const { warmPaths } of this.#byWorkload.values())
      warmPaths.closeWhere((endpoint) => own?.explain('tcp', endpoint) !== undefined);
  }

  /** A lease for a UDP flow. @throws {Refusal} where the service is gone, or sleeps, and clients don't wake it. */
  takeFlowLease(serviceName: string, options: FlowLeaseOptions): FlowLease {
    const served = this.#get(serviceName);
    const refusal = served.controller.obstacles.refusalOf({ mayWake: options.mayWake ?? true });
    if (refusal !== undefined) throw refusal;
    return new FlowLease(served, options);
  }

  /**
   * Starts and stops nothing from now on: the proxy is about to end, and leaves workloads as they are. A start under way
   * goes on and is waited for; clients that would need another start are refused.
   */
  drain(): void {
    for (const controller of this.#byWorkload.values()) controller.drain();
  }

  /** Refuses all clients that wait and stops all timers; workloads stay as they are. Idempotent. */
  close(): void {
    for (const controller of this.#byWorkload.values()) controller.close();
    this.#starts.close();
    this.room.close();
    this.#renames.close();
  }

  #addAgain(name: string): void {
    const service = this.#byService.get(name)?.service;
    if (service !== undefined) this.add(service);
  }

  /** Tells the controller whether one of its services can be reached through this proxy: see `setServed` there. */
  #followServed(controller: WorkloadController): void {
    controller.setServed({
      isServed: this.#servicesOf(controller).some((service) => this.#isServed(service)),
    });
  }

  #servicesOf(controller: WorkloadController): readonly Service[] {
    return [...(this.#namesOf.get(controller) ?? [])].flatMap(
      (name) => this.#byService.get(name)?.service ?? [],
    );
  }

  #isServed(service: Service): boolean {
    const { name, listeners, dependants, dependsOn } = service;
    if (!this.#unserved.has(name) || hasSchedule(service)) return true;
    // A service without ports is used through its hub or user, or exists for what goes with it.
    const hasLinks = dependants.length > 0 || dependsOn.length > 0;
    return listeners.length === 0 && (this.#linked.has(name) || hasLinks);
  }

  #get(serviceName: string): ServedWorkload {
    const served = this.#byService.get(serviceName);
    if (served === undefined) throw new Refusal('removed', 'the service was removed');
    return served;
  }

  #followUnmanaged(service: LifecycleService): WorkloadController {
    const known = this.#byWorkload.get(workloadKey(service.workload));
    return known === undefined || known.retired ? this.#follow(service) : known;
  }

  #follow(service: LifecycleService): WorkloadController {
    const key = workloadKey(service.workload);
    const known = this.#byWorkload.get(key);
    if (known !== undefined) {
      known.update(this.#policyWith(service, known));
      this.#shareWith(known);
      return known;
    }
    const backend = this.#backends.get(service.workload.kind);
    if (backend === undefined)
      throw new Error(`no backend for workloads of the kind ${service.workload.kind}`);
    const renamed = this.#renames.take(key);
    if (renamed !== undefined) return this.#move(renamed, { service, backend });
    const kept = this.#options.memory?.recall(key, service.name);
    const controller = new WorkloadController(createPolicy([service]), { ...this.#parts, backend, kept });
    this.#byWorkload.set(key, controller);
    if (kept?.wokenRun !== undefined) this.#cascade.recall(controller, kept.wokenRun);
    this.#shareWith(controller);
    controller.start();
    return controller;
  }

  /** Goes on with a controller under its workload's new name. Services of the old name follow the workload that has it now. */
  #move(
    controller: WorkloadController,
    { service, backend }: { readonly service: LifecycleService; readonly backend: Backend },
  ): WorkloadController {
    const { workload: before } = controller;
    this.#byWorkload.delete(workloadKey(before));
    this.#byWorkload.set(workloadKey(service.workload), controller);
    controller.update(this.#policyWith(service, controller));
    this.#shareWith(controller);
    backend.unwatch(before);
    for (const other of this.#servicesOf(controller)) {
      if (other.name === service.name || workloadKey(other.workload) !== workloadKey(before)) continue;
      this.#namesOf.get(controller)?.delete(other.name);
      this.add(other);
    }
    return controller;
  }

  /** The policy of a workload that gets a service, or the new settings of one that it has. */
  #policyWith(service: LifecycleService, controller: WorkloadController): WorkloadPolicy {
    const key = workloadKey(service.workload);
    const others = this.#servicesOf(controller).filter(
      ({ name, workload }) => name !== service.name && workloadKey(workload) === key,
    );
    return createPolicy([service, ...others]);
  }

  #shareWith(controller: WorkloadController): void {
    const { kind } = controller.workload;
    const view = this.#shared.get(kind);
    if (view !== undefined) controller.share(view);
    // Until the backend has said who puts workloads to sleep, it may be another proxy.
    else if (this.#backends.get(kind)?.setInUse !== undefined) controller.share(NOT_THE_SLEEPER);
  }

  #forget(controller: WorkloadController): void {
    const key = workloadKey(controller.workload);
    this.#namesOf.delete(controller);
    this.#renames.forget(controller);
    this.#takeBack(controller);
    this.room.changed(controller);
    if (this.#byWorkload.get(key) !== controller) return;
    this.#byWorkload.delete(key);
    const { kept } = controller.account;
    if (kept !== undefined) this.#options.memory?.leave(key, kept);
  }

  #takeBack(controller: WorkloadController): void {
    this.#lent.get(controller)?.release();
    this.#lent.delete(controller);
  }
}
