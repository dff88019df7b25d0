import type { ListenerTotals, PresentClient } from '../../../src/relay/listener.ts';
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { AwakeWindows } from '../../../src/apply/awake-windows.ts';
import { CronWindows } from '../../../src/apply/cron-windows.ts';
import { ManualHolds } from '../../../src/apply/manual-holds.ts';
import { ListenerSet } from '../../../src/apply/listener-set.ts';
import { Reconciler } from '../../../src/apply/reconciler.ts';
import { ScheduleSet } from '../../../src/apply/schedule-set.ts';
import type { ServiceListener } from '../../../src/apply/service-listener.ts';
import type { Dialled } from '../../../src/lifecycle/run/dial.ts';
import { Lifecycle } from '../../../src/lifecycle/lifecycle.ts';
import {
  awaitsNeeds,
  isWaking,
  type LifecycleState,
  mayRun,
} from '../../../src/lifecycle/workload/machine.ts';
import type { WorkloadPolicy } from '../../../src/lifecycle/workload/workload-policy.ts';
import { hasSchedule } from '../../../src/model/availability.ts';
import type { Endpoint } from '../../../src/model/running/observation.ts';
import { type Dependency, type ListenerSpec, listenKey, type Service } from '../../../src/model/service.ts';
import { workloadKey, workloadName } from '../../../src/model/workload.ts';
import { Keeping } from '../../../src/proxy/keeping/keeping.ts';
import { Happenings } from '../../../src/system/happenings.ts';
import { silentLogger } from '../../../src/system/log/logger.ts';
import type { StateFolder } from '../../../src/system/state/state-folder.ts';
import { aTable } from '../../support/builders.ts';
import { collectGarbage } from '../../support/collect-garbage.ts';
import { FakeClock, settle } from '../../support/fake-clock.ts';
import { ScriptedEngine } from './scripted-engine.ts';

export const CONTAINERS = ['one', 'two', 'three'] as const;

/** A stop takes the engine so long at the most, when it answers: what a client waits for it is not its own budget. */
const LONGEST_STOP_MS = 80_000;
const CONNECT_MS = 2;
/** In good times who comes is served after a stop, and the shortest budget for a start, with all that it needs. */
const LONGEST_WAKE_MS = 2_500;
/** What a busy_check has answered counts so long. */
const LONGEST_ANSWER_MS = 1_000;
/** A start waits for its turn so long at the most, after it was asked for; longer than any step. */
const LONGEST_TURN_MS = 140_000;
const ABSENT: LifecycleState = { kind: 'missing' };
/** So that it often has to wait for room; a chain of three never fits. */
const MAX_AWAKE = 2;
/** So that the third container often has to wait its turn. */
const MAX_STARTING = 2;

/** One client, TCP or UDP, from its coming to its end. */
interface Client {
  readonly service: Service;
  readonly listener: FakeListener;
  readonly container: string;
  readonly leaving: CountedAbort;
  readonly dueMs: number;
  state: 'waiting' | 'served' | 'gone';
  release: () => void;
  /** What it has carried, and when last, on the monotonic clock. */
  bytes: number;
  carriedMs: number;
}

/**
 * What has got its place with one that is being started. Where a reload gives all its services other workloads, and it other services,
 * its start may have ended, or been called off and asked for anew: nobody tells of that.
 */
interface Places {
  readonly surely: ReadonlySet<string>;
  readonly perhaps: ReadonlySet<string>;
}

/** An abort signal that knows how many listen to it. */
class CountedAbort extends AbortController {
  listeners = 0;

  constructor() {
    super();
    const { signal } = this;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    const counted = new Set<unknown>();
    signal.addEventListener = ((
      type: 'abort',
      callback: () => void,
      options: { readonly once?: boolean },
    ) => {
      if (!counted.has(callback)) this.listeners++;
      counted.add(callback);
      add(type, callback, options);
    }) as AbortSignal['addEventListener'];
    signal.removeEventListener = ((type: 'abort', callback: () => void) => {
      if (counted.delete(callback)) this.listeners--;
      remove(type, callback);
    }) as AbortSignal['removeEventListener'];
  }
}

/** A listener without a socket: clients come to it by name. */
class FakeListener implements ServiceListener {
  readonly spec: ListenerSpec;
  readonly drops = {};
  readonly refusals = {};
  readonly blocked = 0;
  readonly clients = new Set<Client>();
  service: Service;
  bound = false;
  closed = false;
  readonly #world: World;
  readonly #onDrained: () => void;

  constructor(
    spec: ListenerSpec,
    options: { readonly world: World; readonly service: Service; readonly onDrained: () => void },
  ) {
    this.spec = spec;
    this.#world = options.world;
    this.service = options.service;
    this.#onDrained = options.onDrained;
  }

  get activeConnections(): number {
    return this.clients.size;
  }

  cutClients(): void {
    for (const client of this.clients) this.#world.end(client);
  }

  listClients(): readonly PresentClient[] {
    return [];
  }

  readTotals(): ListenerTotals {
    return { accepted: 0, up: 0, down: 0, unserved: {} };
  }

  async open(): Promise<void> {
    if (this.#world.takenPorts.has(this.spec.port)) {
      throw Object.assign(new Error('address in use'), { code: 'EADDRINUSE' });
    }
    this.bound = !this.closed;
  }

  rebind(service: Service): void {
    this.service = service;
  }

  close(): void {
    this.closed = true;
    this.bound = false;
    this.checkDrained();
  }

  destroy(): void {
    this.close();
    for (const client of this.clients) this.#world.end(client);
  }

  checkDrained(): void {
    if (this.closed && this.clients.size === 0) this.#onDrained();
  }
}

interface ControlSide {
  readonly lifecycle: Lifecycle;
  readonly listeners: ListenerSet;
  readonly schedules: ScheduleSet;
  readonly awakeWindows: AwakeWindows;
  readonly holds: ManualHolds;
  readonly reconciler: Reconciler;
  readonly keeping: Keeping;
}

const STATE_FILE = 'state.json';

/** A start of the proxy reads its folder, which lies in memory. */
function loadKeeping(disk: Map<string, string>, { clock }: { readonly clock: FakeClock }): Promise<Keeping> {
  const folder = {
    read: async (name: string) => (disk.has(name) ? Buffer.from(disk.get(name) ?? '') : undefined),
    write: async (name: string, text: string) => void disk.set(name, text),
    setAside: async (name: string) => {
      disk.delete(name);
      return `${name}.broken`;
    },
  };
  return Keeping.load({ folder: folder as unknown as StateFolder, clock, logger: silentLogger });
}

/** The control side of the proxy as it is, on a scripted engine and a clock that the test moves. */
export class World {
  readonly clock: FakeClock;
  readonly engine: ScriptedEngine;
  readonly takenPorts = new Set<number>();
  /** What lies in the folder of the proxy. */
  #disk: Map<string, string>;
  #side: ControlSide;
  readonly #clients = new Set<Client>();
  readonly #fakes = new Set<FakeListener>();
  readonly #gone: Client[] = [];
  readonly #left: WeakRef<AbortSignal>[] = [];
  /** Clients that waited for a container when it was stopped. */
  readonly #stoppedFor = new Set<Client>();
  /** Workloads that a schedule is putting to sleep, whoever uses them. */
  readonly #stoppedBySchedule = new Set<string>();
  /** Services that their schedule has started, and not stopped yet, whichever workload they have. */
  readonly #startedBySchedule = new Set<string>();
  /** When a window of these services was last open, on the monotonic clock. */
  readonly #windowOpenMs = new Map<string, number>();
  /** When somebody last held these workloads by hand, or by a schedule, whose service may be gone by now, on the monotonic clock. */
  readonly #heldMs = new Map<string, number>();
  /** What a restart has lost. */
  readonly #forgotten: string[] = [];
  /** Workloads that somebody has asked for who may wake them, and that wait since then, as long as it takes. */
  readonly #askedWaiting = new Set<string>();
  /**
   * Workloads that are being started, from the moment on at which they have their places: they wait for their turn, or for what they
   * need, or are woken. Each with all that got a place with it then; without a limit nothing gets one but what runs.
   */
  readonly #placed = new Map<string, Places>();
  /** Those of them that have had their places since before the last table, or the last limit. */
  readonly #placedBefore = new Set<string>();
  /** Workloads that wait for their turn since before there was a limit: they ask for their places only then. */
  readonly #unplaced = new Set<string>();
  /** Workloads that were paused when somebody began to stop them. */
  readonly #stoppedAtRest = new Set<string>();
  /** The workload of which something is just being told, where it was awake until then. */
  #stopsAwake: string | undefined;
  /** At the end, when schedules have ended. */
  #isResting = false;
  draining = false;
  hasRoomFor = Number.POSITIVE_INFINITY;

  private constructor({
    clock,
    disk,
    keeping,
  }: { clock: FakeClock; disk: Map<string, string>; keeping: Keeping }) {
    const engine = new ScriptedEngine(clock, CONTAINERS);
    this.clock = clock;
    this.engine = engine;
    this.#disk = disk;
    this.#side = this.#createSide(keeping);
    engine.whyNoStart = (key) => this.#whyNoStart(key);
    engine.whyNoStop = (key, evenInUse) => this.#whyNoStop(key, evenInUse);
    engine.onEnded = (key) => {
      for (const client of [...this.#clients])
        if (client.state === 'served' && `docker/${client.container}` === key) this.end(client);
    };
  }

  /** Starts the proxy for the first time. */
  static async start(): Promise<World> {
    const clock = new FakeClock();
    const disk = new Map<string, string>();
    return new World({ clock, disk, keeping: await loadKeeping(disk, { clock }) });
  }

  get lifecycle(): Lifecycle {
    return this.#side.lifecycle;
  }

  get reconciler(): Reconciler {
    return this.#side.reconciler;
  }

  get #listeners(): ListenerSet {
    return this.#side.listeners;
  }

  get #schedules(): ScheduleSet {
    return this.#side.schedules;
  }

  get #awakeWindows(): AwakeWindows {
    return this.#side.awakeWindows;
  }

  /** The control side as `src/proxy/runtime.ts` puts it together. */
  #createSide(keeping: Keeping): ControlSide {
    const { clock, engine } = this;
    const logger = silentLogger;
    const happenings = new Happenings();
    happenings.listen((happening) => {
      if (happening.kind !== 'state' || happening.state === 'starting') return;
      const controller = lifecycle.find(happening.service);
      if (controller !== undefined) this.#giveBack(workloadKey(controller.workload));
    });
    const lifecycle: Lifecycle = new Lifecycle({
      ...{ backends: [engine], clock, logger, maxStarting: MAX_STARTING, memory: keeping },
      ...{ happenings, nextStartMs: (service) => schedules.nextFires(service).start },
    });
    const listeners = new ListenerSet({
      create: (spec, service, onDrained) => {
        const listener = new FakeListener(spec, { world: this, service, onDrained });
        this.#fakes.add(listener);
        return listener;
      },
      clock,
      logger,
      onServed: (service, state) => lifecycle.setServed(service, state),
    });
    const windows = new CronWindows({ lifecycle, logger });
    const awakeWindows = new AwakeWindows({ lifecycle, logger });
    const schedules: ScheduleSet = new ScheduleSet({
      clock,
      onWindow: (service, state) => {
        this.#windowOpenMs.set(service, clock.monotonicMs());
        awakeWindows.set(service, state);
      },
      onFire: (service, action) => {
        const entry = reconciler.current.entries.get(service);
        const key = entry && workloadKey(entry.service.workload);
        if (action === 'stop' && key) this.#stoppedBySchedule.add(key);
        if (action === 'start' && key) this.#heldMs.set(key, clock.monotonicMs());
        this.#startedBySchedule[action === 'start' ? 'add' : 'delete'](service);
        windows.fire(service, action);
      },
    });
    const holds = new ManualHolds({ lifecycle, clock, logger, memory: keeping });
    const reconciler: Reconciler = new Reconciler({
      ...{ lifecycle, listeners, schedules, windows, awakeWindows, holds },
    });
    keeping.follow({ workloads: () => lifecycle.listKept(), holds: () => holds.list() });
    void engine.open({
      observed: (key, observation) => {
        const { state } = this.#controllerOf(key) ?? {};
        if (state !== undefined && (mayRun(state) || state.kind === 'paused')) this.#stopsAwake = key;
        this.#notePlaces();
        lifecycle.observe(key, observation);
        this.#stopsAwake = undefined;
        if (
          state !== undefined &&
          state.kind !== 'stopping' &&
          this.#controllerOf(key)?.state.kind === 'stopping'
        )
          this.#noteStop(key, { isAtRest: !mayRun(state) });
      },
      labelled() {},
      reachable() {},
    });
    return { lifecycle, listeners, schedules, awakeWindows, holds, reconciler, keeping };
  }

  /**
   * The proxy ends, in order or killed, and starts again; its clients are gone. Where the file is cut meanwhile, nothing is known of before.
   * @param options.cutAt a number from which the byte follows; undefined: it is not cut.
   */
  async restart({
    how,
    cutAt,
  }: {
    readonly how: 'ended' | 'killed';
    readonly cutAt?: number;
  }): Promise<void> {
    if (this.draining) return;
    const { lifecycle, listeners, schedules, holds, keeping, reconciler } = this.#side;
    const services = [...reconciler.current.entries.values()].map(({ service }) => service);
    for (const client of [...this.#clients]) this.end(client);
    const held = holds.list();
    const used = new Map(services.map(({ name }) => [name, lifecycle.find(name)?.account.lastUsedMs]));
    if (how === 'ended') await keeping.close();
    schedules.close();
    holds.closeAll();
    lifecycle.close();
    listeners.destroy();
    const disk = new Map(this.#disk);
    const text = disk.get(STATE_FILE) ?? '';
    if (cutAt !== undefined) disk.set(STATE_FILE, text.slice(0, cutAt % Math.max(1, text.length - 1)));
    // What the old one would write from now on is lost.
    this.#disk = disk;
    this.#side = this.#createSide(await loadKeeping(disk, this));
    this.limit(Number.isFinite(this.hasRoomFor));
    this.apply(services);
    if (how === 'killed' || cutAt !== undefined) return;
    const after = this.#side.holds.list();
    for (const { service, untilMs } of held)
      if (!after.some((one) => one.service === service && one.untilMs === untilMs))
        this.#forgotten.push(`the hold on ${service} is forgotten`);
    // Of a service that has come to the workload meanwhile, more may be known than before.
    for (const [name, lastMs] of used)
      if (lastMs !== undefined && this.lifecycle.find(name)?.account.lastUsedMs !== lastMs)
        this.#forgotten.push(`when ${name} was used is forgotten`);
  }

  /** Somebody holds a service. */
  hold(name: string, forMs: number): void {
    const controller = this.lifecycle.find(name);
    if (this.draining || controller === undefined) return;
    this.#heldMs.set(workloadKey(controller.workload), this.clock.monotonicMs());
    this.#side.holds.hold(name, { forMs, by: 'by hand' });
  }

  /** Somebody releases a service. */
  release(name: string): void {
    this.#side.holds.release(name, 'by hand');
  }

  /** The way to a container's port: scripted, since real connections don't follow the clock. */
  async dial(endpoints: readonly Endpoint[], { signal }: { readonly signal: AbortSignal }): Promise<Dialled> {
    await this.clock.sleep(CONNECT_MS, signal);
    const endpoint = endpoints.find(({ host }) => this.engine.answersAt(host));
    if (endpoint === undefined) throw new Error('connection refused');
    const socket = Object.assign(new EventEmitter(), { destroyed: false, destroy() {} });
    return { socket: socket as unknown as Socket, endpoint };
  }

  apply(services: readonly Service[]): void {
    if (this.draining) return;
    this.#notePlacedBefore();
    const byName = new Map(services.map((service) => [service.name, workloadName(service.workload)]));
    const needed = services.flatMap(({ dependsOn }) => dependsOn);
    this.engine.oneShots = new Set(
      needed.flatMap(({ name, condition }) => (condition === 'completed' ? [byName.get(name) ?? ''] : [])),
    );
    const before = this.reconciler.current.entries;
    this.reconciler.apply(aTable(services));
    for (const [key, { surely, perhaps }] of this.#placed) {
      const stays = this.#servicesOn(key).some(({ name }) => {
        const { workload } = before.get(name)?.service ?? {};
        return workload !== undefined && workloadKey(workload) === key;
      });
      const now = this.#newPlaces(key).surely;
      const kept = [...surely].filter((one) => stays && now.has(one));
      this.#placed.set(key, { surely: new Set(kept), perhaps: new Set([...perhaps, ...now]) });
    }
  }

  /** A reload changes what a service says of its workload, where it is there; services that share it say the same. */
  reload(name: string, fields: Pick<Service, 'availability'>): void {
    const services = [...this.reconciler.current.entries.values()].map(({ service }) => service);
    const changed = services.find((service) => service.name === name)?.workload;
    const key = changed && workloadKey(changed);
    this.apply(
      services.map((service) =>
        workloadKey(service.workload) === key ? { ...service, ...fields } : service,
      ),
    );
  }

  /** A client comes to a port; nothing happens where nobody listens. */
  come(port: number, protocol: 'tcp' | 'udp'): void {
    const listener = [...this.#fakes].find((one) => one.bound && one.spec.port === port);
    const service = this.reconciler.current.entries.get(listener?.service.name ?? '')?.service;
    if (listener === undefined || service === undefined) return;
    const leaving = new CountedAbort();
    const client: Client = {
      ...{ service, listener, leaving, state: 'waiting', release: () => {} },
      ...{ bytes: 0, carriedMs: this.clock.monotonicMs() },
      container: workloadName(service.workload),
      dueMs: this.clock.monotonicMs() + service.startTimeoutMs + LONGEST_STOP_MS,
    };
    this.#clients.add(client);
    listener.clients.add(client);
    const served = protocol === 'tcp' ? this.#connect(client) : this.#openFlow(client);
    served.then(
      (release) => {
        client.release = release;
        if (client.state === 'gone') return release();
        client.state = 'served';
        client.carriedMs = this.clock.monotonicMs();
        // What it was given may have ended before it was handed over.
        if (this.engine.truthOf(client.container) !== 'running') this.end(client);
      },
      () => this.end(client),
    );
  }

  /** Clients come one after the other, each after the one before has left. */
  async comeAndLeave(
    port: number,
    { protocol, times }: { readonly protocol: 'tcp' | 'udp'; readonly times: number },
  ): Promise<void> {
    for (let time = 0; time < times; time++) {
      const before = new Set(this.#clients);
      this.come(port, protocol);
      await settle();
      for (const client of this.#clients) if (!before.has(client)) this.end(client);
    }
  }

  /** A client sends something, or gets an answer. */
  carry(index: number): void {
    const clients = [...this.#clients].filter(({ state }) => state === 'served');
    const client = clients[index % Math.max(1, clients.length)];
    if (client === undefined) return;
    client.bytes += 100;
    client.carriedMs = this.clock.monotonicMs();
  }

  #closeIdle(client: Client, bytes: number): void {
    if (client.bytes > bytes) return;
    const { rest, idleTimeoutMs } = this.#policyOf(`docker/${client.container}`) ?? client.service;
    const quietMs = this.clock.monotonicMs() - client.carriedMs;
    if (quietMs < Math.min(idleTimeoutMs, rest.pauseAfterMs ?? idleTimeoutMs))
      this.engine.violations.push(`a client of ${client.service.name} is closed ${quietMs} ms after its use`);
    this.end(client);
  }

  /** A client leaves, whether it waits or is served. */
  leave(index: number): void {
    const clients = [...this.#clients];
    const client = clients[index % Math.max(1, clients.length)];
    if (client !== undefined) this.end(client);
  }

  end(client: Client): void {
    if (client.state === 'gone') return;
    client.state = 'gone';
    client.leaving.abort(new Error('the client left'));
    client.release();
    this.#clients.delete(client);
    this.#gone.push(client);
    this.#left.push(new WeakRef(client.leaving.signal));
    client.listener.clients.delete(client);
    client.listener.checkDrained();
  }

  drain(): void {
    if (this.draining) return;
    this.draining = true;
    this.engine.draining = true;
    this.#schedules.close();
    this.lifecycle.drain();
    void this.#listeners.drain();
  }

  /** What is wrong now; to be asked when nothing is about to happen at once. */
  async check(): Promise<readonly string[]> {
    await settle();
    this.#noteHolds();
    this.#noteWaiting();
    return [
      ...this.engine.violations,
      ...this.#checkRefused(),
      ...this.#checkStopped(),
      ...this.#checkWaiting(),
      ...this.#checkWindows(),
      ...this.#checkRoom(),
      ...this.#forgotten,
      ...this.#checkLeft(),
      ...this.#checkListeners(),
    ];
  }

  /** Clients that have left and are kept all the same; collects garbage, which takes its time. */
  async checkMemory(): Promise<readonly string[]> {
    await collectGarbage();
    const kept = this.#left.filter((client) => client.deref() !== undefined).length;
    this.#left.splice(0);
    // The last ones may still stand in a variable of the machine.
    return kept <= 2 ? [] : [`${kept} clients that have left are still in memory`];
  }

  /** Everybody leaves, the engine is well and tells everything, and time passes: all must have come to rest. */
  async rest(): Promise<readonly string[]> {
    for (const client of [...this.#clients]) this.end(client);
    // What others have started and nobody may stop would keep all others out.
    this.limit(false);
    this.#schedules.close();
    this.#isResting = true;
    this.#side.holds.closeAll();
    for (const { service } of this.reconciler.current.entries.values())
      this.#awakeWindows.close(service.name);
    this.takenPorts.clear();
    this.engine.setReachable(true);
    for (const name of CONTAINERS) {
      this.engine.script(name, 'works');
      this.engine.setAnswers(name, true);
      this.engine.setBusy(name, false);
    }
    for (let round = 0; round < 4; round++) {
      this.engine.list();
      await this.clock.advance(200_000);
      this.engine.deliver({ count: Number.POSITIVE_INFINITY, times: 1 });
    }
    this.engine.list();
    await settle();
    const found = [...(await this.check()), ...this.#checkStates()];
    for (const listener of this.#fakes)
      if (!this.draining && listener.bound) found.push(...(await this.#prove(listener)));
    return found;
  }

  /** In good times who comes is served, also who comes while the container is being stopped. */
  async #prove({ spec, service: { name } }: FakeListener): Promise<readonly string[]> {
    const service = this.reconciler.current.entries.get(name)?.service;
    if (service === undefined || this.#isUnservable(service)) return [];
    // What ends by itself may have done so before it is looked at.
    if (this.engine.oneShots.has(workloadName(service.workload))) return [];
    if (service.availability !== 'on_demand') return this.#proveRefusal(spec, service);
    const found: string[] = [];
    for (const moment of ['asleep', 'being stopped']) {
      this.come(spec.port, 'tcp');
      await this.#pass(LONGEST_WAKE_MS);
      const clients = [...this.#clients];
      if (clients.length !== 1 || clients[0]?.state !== 'served')
        found.push(`a client of ${name} is not served, ${moment}`);
      else if (moment === 'asleep') found.push(...(await this.#proveTraffic(clients[0], service)));
      for (const client of clients) this.end(client);
      const { idleTimeoutMs = 0 } = this.lifecycle.find(name)?.policy ?? {};
      await this.#pass(idleTimeoutMs + 100);
    }
    return found;
  }

  /** Where traffic counts, a client keeps its service awake for as long as it carries something, and is closed later. */
  async #proveTraffic(client: Client, service: Service): Promise<readonly string[]> {
    const { rest, idleTimeoutMs } = this.#policyOf(workloadKey(service.workload)) ?? service;
    const isOurs = !hasSchedule(service) && !this.#isKeptByHub(service);
    if (rest.idleWhen !== 'no_traffic' || idleTimeoutMs === 0 || !isOurs) return [];
    const found: string[] = [];
    await this.#pass(idleTimeoutMs + 2_000, { everyMs: 500 });
    if (client.state !== 'served') found.push(`a client of ${service.name} is closed while it is used`);
    await this.#pass(2 * idleTimeoutMs + rest.minAwakeMs + 2_000, { everyMs: 1_000, carries: false });
    if (client.state === 'served') found.push(`a client of ${service.name} is idle, and is not closed`);
    return found;
  }

  /**
   * Whether a service can't be served: a container does not exist that it needs, or one that is to be completed runs, and does
   * not end. What one service needs, all services on its container need.
   */
  #isUnservable({ workload }: Service): boolean {
    if (this.engine.truthOf(workloadName(workload)) === 'absent') return true;
    return this.#servicesOn(workloadKey(workload)).some(({ dependsOn }) =>
      dependsOn.some(({ name, condition }) => {
        const needed = this.reconciler.current.entries.get(name)?.service;
        // Nothing waits for what it is itself.
        if (needed === undefined || workloadName(needed.workload) === workloadName(workload)) return false;
        const isInTheWay =
          condition === 'completed' && this.engine.truthOf(workloadName(needed.workload)) === 'running';
        return isInTheWay || this.#isUnservable(needed);
      }),
    );
  }

  /** Who comes to what clients don't wake is refused at once while it sleeps, and served while it runs. */
  async #proveRefusal({ port }: ListenerSpec, { name, workload }: Service): Promise<readonly string[]> {
    const container = workloadName(workload);
    // What the client before has woken goes to sleep first.
    await this.#pass(5_000);
    const runs = this.engine.truthOf(container) === 'running';
    this.come(port, 'tcp');
    await settle();
    if (runs) await this.#pass(1_500);
    const states = [...this.#clients].map(({ state }) => state);
    for (const client of [...this.#clients]) this.end(client);
    const isRight = runs ? states.join() === 'served' : states.length === 0;
    const moment = runs ? 'running' : 'asleep';
    return isRight ? [] : [`a client of ${name}, ${moment}, is ${states.join()}`];
  }

  /** Time passes in good times: what happens is told at once, and who is served carries something, unless nobody does. */
  async #pass(
    ms: number,
    { everyMs = 100, carries = true }: { readonly everyMs?: number; readonly carries?: boolean } = {},
  ): Promise<void> {
    for (let passed = 0; passed < ms; passed += everyMs) {
      await this.clock.advance(Math.min(everyMs, ms - passed));
      for (let index = 0; carries && index < this.#clients.size; index++) this.carry(index);
      this.engine.deliver({ count: Number.POSITIVE_INFINITY, times: 1 });
    }
  }

  /** Ends everything; what is left then is a leak. */
  async close(): Promise<readonly string[]> {
    await this.#side.keeping.close();
    this.#schedules.close();
    this.lifecycle.close();
    this.#listeners.destroy();
    await this.clock.advance(200_000);
    const { pending } = this.clock;
    return pending === 0 ? [] : [`${pending} timers are left after the end`];
  }

  async #connect(client: Client): Promise<() => void> {
    const { service, listener, leaving } = client;
    const user = { listUses: () => [use] };
    const use = {
      get bytes() {
        return client.state === 'served' ? client.bytes : undefined;
      },
      quietMs: () => this.clock.monotonicMs() - client.carriedMs,
      closeIdle: (bytes: number) => this.#closeIdle(client, bytes),
    };
    const request = { port: listener.spec.targetPort, client: 'a client', signal: leaving.signal, user };
    const { release } = await this.lifecycle.connect(service.name, request);
    return release;
  }

  async #openFlow({ service, listener, leaving, container }: Client): Promise<() => void> {
    const { targetPort: port } = listener.spec;
    const lease = this.lifecycle.takeFlowLease(service.name, { port, client: 'a flow', sleepIfSilent: true });
    const release = () => lease.release(this.clock.monotonicMs());
    const offer = async (_: unknown, signal: AbortSignal) => {
      for (;;) {
        await this.clock.sleep(CONNECT_MS, signal);
        if (this.engine.answersAt(container)) return { close() {} };
      }
    };
    try {
      await lease.open({ signal: leaving.signal, readiness: 'reply', prove: offer, follow: offer });
      return release;
    } catch (error) {
      release();
      throw error;
    }
  }

  #controllerOf(key: string): ReturnType<Lifecycle['find']> {
    const [service] = this.#servicesOn(key);
    return service && this.lifecycle.find(service.name);
  }

  /** What the services of a workload ask for together, as its controller knows it. */
  #policyOf(key: string): WorkloadPolicy | undefined {
    return this.#controllerOf(key)?.policy;
  }

  #noteHolds(): void {
    const nowMs = this.clock.monotonicMs();
    for (const { workload } of this.#side.holds.list()) this.#heldMs.set(workload, nowMs);
    for (const { service } of this.reconciler.current.entries.values()) {
      const key = workloadKey(service.workload);
      const policy = this.#policyOf(key);
      if (policy !== undefined && this.#hasOpenWindow(policy)) this.#heldMs.set(key, nowMs);
    }
  }

  /** What was asked for is still done where who has asked for it is gone. */
  #noteWaiting(): void {
    for (const { service } of this.reconciler.current.entries.values()) {
      const key = workloadKey(service.workload);
      const { state, account } = this.#controllerOf(key) ?? {};
      const isBetween = state?.kind === 'stopping' || (state !== undefined && awaitsNeeds(state));
      const waitsIn = account?.report.waitsIn;
      const isWaiting = isBetween || waitsIn !== undefined;
      if (isWaiting && this.#wasAskedFor(key)) this.#askedWaiting.add(key);
      else this.#askedWaiting.delete(key);
    }
    this.#notePlaces();
  }

  get #isLimited(): boolean {
    return Number.isFinite(this.hasRoomFor);
  }

  #notePlaces(): void {
    for (const key of this.#placed.keys()) if (this.#servicesOn(key).length === 0) this.#giveBack(key);
    for (const { service } of this.reconciler.current.entries.values()) {
      const key = workloadKey(service.workload);
      const { state = ABSENT, isQueued = false } = this.#controllerOf(key) ?? {};
      if (!isQueued) this.#unplaced.delete(key);
      else if (!this.#isLimited && !this.#placed.has(key)) this.#unplaced.add(key);
      if (!isQueued && state.kind !== 'starting') this.#giveBack(key);
      // What others start has no place of ours.
      else if ((isQueued && !this.#unplaced.has(key)) || awaitsNeeds(state) || isWaking(state))
        this.#placed.set(key, this.#placed.get(key) ?? this.#newPlaces(key));
    }
  }

  #newPlaces(key: string): Places {
    const chain = this.#isLimited ? this.#chainOf(key) : new Set([key]);
    return { surely: chain, perhaps: chain };
  }

  /** What a workload had for itself and for all that starts with it. */
  #giveBack(key: string): void {
    this.#placed.delete(key);
    this.#placedBefore.delete(key);
  }

  /** All that starts with a workload, itself among them, as the table says. */
  #chainOf(key: string): ReadonlySet<string> {
    const chain = new Set([key]);
    // A set is walked with what is added to it meanwhile.
    for (const one of chain)
      for (const { dependants, dependsOn } of this.#servicesOn(one))
        for (const name of [...dependants, ...dependsOn.map((needed) => needed.name)]) {
          const { service } = this.reconciler.current.entries.get(name) ?? {};
          if (service !== undefined) chain.add(workloadKey(service.workload));
        }
    return chain;
  }

  /** The table, or the limit, is about to change: what goes with a start under way may be another one then. */
  #notePlacedBefore(): void {
    for (const key of this.#placed.keys()) this.#placedBefore.add(key);
  }

  /** Whether somebody may wake a workload who needs it now, or has asked for it. */
  #isAskedFor(key: string): boolean {
    return this.#hasHub(key) || this.#wasAskedFor(key);
  }

  /** Whether one runs that needs a workload, or has it as its dependant, as far as the proxy has been told. */
  #hasHub(key: string): boolean {
    const needed = this.#servicesOn(key).map(({ name }) => name);
    return [...this.reconciler.current.entries.values()].some(({ service }) => {
      const { state = ABSENT } = this.lifecycle.find(service.name) ?? {};
      return (mayRun(state) || state.kind === 'unknown') && needed.some((name) => goesWith(service, name));
    });
  }

  /** Whether somebody has asked for a workload who may wake it, be it that its turn comes only now. What needs it asks for itself alone. */
  #wasAskedFor(key: string): boolean {
    if (this.#askedWaiting.has(key)) return true;
    this.#noteHolds();
    const policy = this.#policyOf(key);
    const isScheduled = policy?.availability === 'schedule';
    if (isScheduled && this.#hasOpenWindow(policy)) return true;
    const names = policy?.services.map(({ name }) => name) ?? [];
    const heldMs = this.#heldMs.get(key) ?? Number.NEGATIVE_INFINITY;
    if (this.clock.monotonicMs() - heldMs < LONGEST_TURN_MS) return true;
    const windowMs = Math.max(
      ...names.map((name) => this.#windowOpenMs.get(name) ?? Number.NEGATIVE_INFINITY),
    );
    if (this.clock.monotonicMs() - windowMs < LONGEST_TURN_MS) return true;
    return isScheduled && names.some((name) => this.#startedBySchedule.has(name));
  }

  /** By the clock on the wall alone; the world's windows are for every day, in UTC. */
  #hasOpenWindow({ availability, awake }: Pick<Service, 'availability' | 'awake'>): boolean {
    const minute = (this.clock.nowMs() / 60_000) % 1_440;
    return (
      !this.#isResting &&
      availability !== 'manual' &&
      awake.some(({ fromMinute, toMinute }) => fromMinute <= minute && minute < toMinute)
    );
  }

  /** A workload is kept by a window while one of its services' is open, and then alone. */
  #checkWindows(): readonly string[] {
    if (this.draining) return [];
    return [...this.reconciler.current.entries.values()].flatMap(({ service }) => {
      const controller = this.lifecycle.find(service.name);
      const isKept = controller?.account.report.keepers.some(({ kind }) => kind === 'window');
      // Windows of one service keep the workload of all of them awake.
      const isOpen = controller !== undefined && this.#hasOpenWindow(controller.policy);
      return isKept === isOpen ? [] : [`a window of ${service.name} is ${isOpen ? '' : 'not '}open`];
    });
  }

  /**
   * What is awake, or has got a place with something that is being started, takes room; nothing else does but what clients of former
   * services still use.
   */
  #checkRoom(): readonly string[] {
    const [told] = this.lifecycle.room.figures?.awake ?? [];
    if (told === undefined) return [];
    const { taken, services: names } = told;
    const services = [...this.reconciler.current.entries.values()].map(({ service }) => service);
    const containers = services.map(({ workload }) => workloadName(workload));
    for (const { container } of this.#clients) containers.push(container);
    const most = new Set(containers).size;
    const found = taken > most ? [`${taken} places are taken by ${most} workloads`] : [];
    const counted = new Set(
      names.map((name) => this.lifecycle.find(name)?.workload).map((one) => one && workloadKey(one)),
    );
    for (const key of this.#listAwake()) if (!counted.has(key)) found.push(`${key} takes no place`);
    return [...found, ...services.flatMap((service) => this.#checkChain(service))];
  }

  /** Who is being started has got places for all that starts with it. */
  #checkChain({ name, workload, dependsOn, dependants }: Service): readonly string[] {
    const { state = ABSENT } = this.lifecycle.find(name) ?? {};
    const isPlaced = awaitsNeeds(state) || isWaking(state);
    if (!isPlaced || this.#placedBefore.has(workloadKey(workload))) return [];
    const lacking = [...dependants, ...dependsOn.map((one) => one.name)].filter(
      (one) => this.lifecycle.find(one)?.account.report.waitsIn === 'room',
    );
    return lacking.map((one) => `${name} is being started without ${one}, which has no place`);
  }

  /** No client starts what is not on demand, and nothing is started before what it depends on. */
  #whyNoStart(key: string): string | undefined {
    // Who got its places got those of all that starts with it. What others start is no reason to lose them.
    const isPlaced = [...this.#placed].some(
      ([holder, { perhaps }]) => perhaps.has(key) || this.#chainOf(holder).has(key),
    );
    this.#notePlaces();
    const others = [...this.#listAwake()].filter((one) => one !== key).length;
    // What is paused has its place already, and so has what is just seen to have stopped.
    const { observation, account } = this.#controllerOf(key) ?? {};
    // Whoever came while it was being stopped has it started again at once.
    const isAgain = account?.timeline.at(-2)?.life === 'stopping';
    const hasPlace = this.#stopsAwake === key || isAgain || observation?.state === 'paused' || isPlaced;
    if (this.hasRoomFor < others + 1 && !hasPlace) return `${others} of ${this.hasRoomFor} are awake`;
    const lacking = this.#servicesOn(key).flatMap(({ dependsOn }) =>
      dependsOn.filter(({ name, condition }) => !this.#isThere(name, condition)),
    );
    if (lacking.length > 0) return `${lacking.map(({ name, condition }) => `${name} is not ${condition}`)}`;
    const { availability } = this.#policyOf(key) ?? {};
    if (availability === undefined || availability === 'on_demand' || this.#isAskedFor(key)) return undefined;
    return `it is ${availability}`;
  }

  /** What is awake, or on its way to or from that, as far as the proxy has been told, or starts with one that is being started. */
  #listAwake(): ReadonlySet<string> {
    const awake = new Set<string>();
    for (const { service } of this.reconciler.current.entries.values()) {
      const { state = ABSENT } = this.lifecycle.find(service.name) ?? {};
      if (mayRun(state) || state.kind === 'paused') awake.add(workloadKey(service.workload));
    }
    for (const [holder, { surely }] of this.#placed) {
      const now = this.#chainOf(holder);
      for (const one of surely) if (now.has(one)) awake.add(one);
    }
    return awake;
  }

  /** How many may be awake from now on. */
  limit(isLimited: boolean): void {
    this.#notePlaces();
    this.#notePlacedBefore();
    this.hasRoomFor = isLimited ? MAX_AWAKE : Number.POSITIVE_INFINITY;
    const maxAwake = isLimited ? MAX_AWAKE : undefined;
    this.lifecycle.room.setLimits({ maxAwake, memoryBytes: undefined, groups: {} });
  }

  #servicesOn(key: string): readonly Service[] {
    const entries = [...this.reconciler.current.entries.values()];
    return entries.map(({ service }) => service).filter(({ workload }) => workloadKey(workload) === key);
  }

  /** Whether what a service depends on is as it has to be, as far as the proxy has been told. */
  #isThere(name: string, condition: Dependency['condition']): boolean {
    const controller = this.lifecycle.find(name);
    if (controller === undefined) return true;
    const { state } = controller;
    if (condition === 'completed') return this.engine.hasCompleted(workloadName(controller.workload));
    const runs =
      (state.kind === 'starting' && state.phase === 'gate') || (state.kind === 'failed' && state.running);
    return state.kind === 'ready' || (condition === 'started' && runs);
  }

  /** Nobody waits for what sleeps and is not woken for clients. */
  #checkRefused(): readonly string[] {
    return [...this.reconciler.current.entries.values()].flatMap(({ service: { name } }) => {
      const controller = this.lifecycle.find(name);
      if (controller === undefined || controller.policy.availability === 'on_demand') return [];
      const rests = ['stopped', 'paused', 'stopping'].includes(controller.state.kind);
      const inVain =
        rests && controller.waitingRoom.size > 0 && !this.#isAskedFor(workloadKey(controller.workload));
      return inVain ? [`${controller.waitingRoom.size} wait for ${name}, which no client wakes`] : [];
    });
  }

  #noteStop(key: string, { isAtRest }: { readonly isAtRest: boolean }): void {
    this.#stoppedAtRest[isAtRest ? 'add' : 'delete'](key);
  }

  #whyNoStop(key: string, evenInUse: boolean): string | undefined {
    this.#noteStop(key, { isAtRest: this.#controllerOf(key)?.observation.state === 'paused' });
    const policy = this.#policyOf(key);
    if (policy?.availability === 'manual') return 'it is manual';
    if (policy !== undefined && !this.#stoppedBySchedule.has(key) && this.#hasOpenWindow(policy))
      return 'its window is open';
    const whyNotYet = this.#whyNoRest(key);
    if (whyNotYet !== undefined) return whyNotYet;
    const isHeld = this.#side.holds.list().some(({ workload }) => workload === key);
    if (isHeld && !this.#stoppedBySchedule.has(key)) return 'it is held by hand';
    const users = [...this.#clients].filter(({ container }) => `docker/${container}` === key);
    if (evenInUse && this.#stoppedBySchedule.has(key)) return undefined;
    const running = [...this.reconciler.current.entries.values()].filter(
      ({ service }) =>
        this.#runs(service) &&
        service.dependsOn.some(
          (needed) =>
            needed.condition !== 'completed' && this.#servicesOn(key).some((one) => one.name === needed.name),
        ),
    );
    if (running.length > 0) return `${running.map(({ service }) => service.name)} runs, and depends on it`;
    // One who waits may just have been refused, and hears of it only later.
    for (const client of users) if (client.state === 'waiting') this.#stoppedFor.add(client);
    const served = users.filter(({ state }) => state === 'served').length;
    return served === 0 ? undefined : `${served} clients use it`;
  }

  /** Whether a service runs, or is on its way to or from that; what is paused doesn't, nor does it when it is stopped then. */
  #runs({ name, workload }: Service): boolean {
    const { state = ABSENT, account } = this.lifecycle.find(name) ?? {};
    if (state.kind !== 'stopping') return mayRun(state);
    // What is first seen while others stop it may have been paused.
    const before = account?.timeline.at(-2)?.life ?? 'unknown';
    return before !== 'unknown' && !this.#stoppedAtRest.has(workloadKey(workload));
  }

  /** Why a ready workload must not be put to sleep yet for being idle, or for another one; undefined where it may. */
  #whyNoRest(key: string): string | undefined {
    const controller = this.#controllerOf(key);
    const { kind, words = '' } = controller?.account.report.sleepUnderWay ?? {};
    if (controller === undefined || (kind !== 'idle' && kind !== 'room')) return undefined;
    // What sleeps with a hub or a user that has made room is not asked, as with any hub or user that stops.
    if (words.endsWith(' has stopped')) return undefined;
    // What can't be paused is stopped instead, at once.
    if (controller.account.cannotPause !== undefined) return undefined;
    const [before] = controller.account.timeline.slice(-2);
    if (before?.life !== 'awake') return undefined;
    const { minAwakeMs, busyCheck } = controller.policy.rest;
    const awakeMs = this.clock.nowMs() - before.atMs;
    if (awakeMs < minAwakeMs) return `it is awake for ${awakeMs} of ${minAwakeMs} ms`;
    const busyMs = this.engine.busyForMs(workloadName(controller.workload));
    return busyCheck !== undefined && busyMs > LONGEST_ANSWER_MS ? `it is busy for ${busyMs} ms` : undefined;
  }

  #checkStopped(): readonly string[] {
    const inVain = [...this.#stoppedFor].filter(({ state }) => state === 'waiting');
    this.#stoppedFor.clear();
    return inVain.map(({ container }) => `${container} is stopped although a client waits for it`);
  }

  #checkWaiting(): readonly string[] {
    const nowMs = this.clock.monotonicMs();
    return [...this.#clients]
      .filter(({ state, dueMs }) => state === 'waiting' && dueMs < nowMs)
      .map(({ service, dueMs }) => `a client of ${service.name} has waited ${nowMs - dueMs} ms too long`);
  }

  /** Who has left holds nothing: no listener, no place among those who wait, no lease. */
  #checkLeft(): readonly string[] {
    const found: string[] = [];
    for (const { leaving, service } of this.#gone.splice(0)) {
      if (leaving.listeners > 0)
        found.push(`${leaving.listeners} still listen to a client of ${service.name} that left`);
    }
    for (const name of CONTAINERS) {
      const controllers = [...this.reconciler.current.entries.values()]
        .filter(({ service }) => workloadName(service.workload) === name)
        .map(({ service }) => this.lifecycle.find(service.name));
      const controller = controllers[0];
      if (controller === undefined) continue;
      const present = [...this.#clients].filter((client) => client.container === name);
      const waiting = present.filter(({ state }) => state === 'waiting').length;
      if (controller.waitingRoom.size > waiting)
        found.push(`${controller.waitingRoom.size} wait for ${name}, in truth ${waiting}`);
      if (controller.leases < present.length)
        found.push(`${name} has ${controller.leases} leases for ${present.length} clients`);
    }
    return found;
  }

  #checkListeners(): readonly string[] {
    if (this.draining) {
      const open = [...this.#fakes].filter(({ closed }) => !closed);
      return open.map(({ spec }) => `${listenKey(spec)} is open while the proxy drains`);
    }
    const wanted = [...this.reconciler.holders].map(([key, service]) => `${key} ${service}`);
    const open = [...this.#fakes].filter(({ closed }) => !closed);
    const present = open.map(({ spec, service }) => `${listenKey(spec)} ${service.name}`);
    const same = wanted.toSorted().join() === present.toSorted().join();
    return same ? [] : [`the table wants ${wanted.join(', ')}, there are ${present.join(', ')}`];
  }

  /** After quiet the state is the engine's, nobody holds anything, and what nobody uses sleeps. */
  #checkStates(): readonly string[] {
    const found: string[] = [];
    for (const { service } of this.reconciler.current.entries.values()) {
      const controller = this.lifecycle.find(service.name);
      if (controller === undefined) {
        found.push(`${service.name} has no controller`);
        continue;
      }
      const truth = this.engine.truthOf(workloadName(service.workload));
      const { state } = controller;
      const isTrying = this.#isTried(service) && (state.kind === 'failed' || state.kind === 'starting');
      if (!STATES_OF[truth].includes(state.kind) && !isTrying)
        found.push(`${service.name} is ${state.kind}, in truth ${truth}`);
      if (controller.waitingRoom.size > 0)
        found.push(`${controller.waitingRoom.size} still wait for ${service.name}`);
      const scheduled = hasSchedule(service);
      if (scheduled || this.draining || this.#isKeptByHub(service)) continue;
      // Somebody else serves what has neither a listener nor dependants.
      const isOurs = service.listeners.length > 0 || service.dependants.length > 0;
      const isTriedAgain = this.#isTriedWithUser(service);
      if (controller.leases > 0 && !isTriedAgain)
        found.push(`${controller.leases} leases on ${service.name} are left`);
      if (truth === 'running' && isOurs && !isTriedAgain && service.availability === 'on_demand')
        found.push(`${service.name} runs, and nobody uses it`);
      const { rest, idleTimeoutMs } = controller.policy;
      const isTiered = rest.way === 'stop' && (rest.pauseAfterMs ?? idleTimeoutMs) < idleTimeoutMs;
      if (truth === 'paused' && isTiered && isOurs && service.availability === 'on_demand')
        found.push(`${service.name} is paused, and should be stopped by now`);
    }
    return found;
  }

  /** Whether a service is run to its end for each try to start one that needs something else, too, and can't be served. */
  #isRunInVain(service: Service): boolean {
    if (!this.engine.oneShots.has(workloadName(service.workload))) return false;
    return this.#usersOf(service).some((user) => this.#isUnservable(user));
  }

  /**
   * Whether a service is tried again and again: what runs keeps what it needs, also where that can't be served. So does a schedule, and
   * so does what is tried itself.
   */
  #isTried(service: Service): boolean {
    const truth = this.engine.truthOf(workloadName(service.workload));
    if (truth !== 'stopped' && truth !== 'paused') return false;
    if (this.#isTriedWithUser(service)) return true;
    if (!this.#isUnservable(service) && !this.#isRunInVain(service)) return false;
    return this.#isKeptByHub(service) || this.#isKeptBySchedule(service);
  }

  /** Whether a service is woken for each try of one that needs it, and something else. */
  #isTriedWithUser(service: Service): boolean {
    return this.#usersOf(service).some((user) => this.#isTried(user));
  }

  #usersOf({ name }: Service): readonly Service[] {
    const services = [...this.reconciler.current.entries.values()].map(({ service }) => service);
    return services.filter((service) => goesWith(service, name));
  }

  /** A schedule has begun a time in which it keeps the workload, and has still to end it. */
  #isKeptBySchedule({ workload }: Service): boolean {
    return this.#servicesOn(workloadKey(workload)).some(
      ({ name, cronStop }) => cronStop !== undefined && this.#startedBySchedule.has(name),
    );
  }

  #isKeptByHub({ name }: Service): boolean {
    const sharers = this.lifecycle.find(name)?.policy.services ?? [];
    const hubs = [...this.reconciler.current.entries.values()].filter(({ service }) =>
      sharers.some((sharer) => goesWith(service, sharer.name)),
    );
    return hubs.some(({ service }) => this.engine.truthOf(workloadName(service.workload)) !== 'stopped');
  }
}

function goesWith({ dependants, dependsOn }: Service, name: string): boolean {
  return dependants.includes(name) || dependsOn.some((needed) => needed.name === name);
}

const STATES_OF: Readonly<
  Record<'absent' | 'stopped' | 'running' | 'paused' | 'stopping', readonly string[]>
> = {
  absent: ['missing'],
  stopped: ['stopped'],
  // One that failed and runs all the same is tried by the next client.
  running: ['ready', 'starting', 'failed'],
  paused: ['paused'],
  stopping: ['stopping'],
};
