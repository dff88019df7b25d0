/**
 * The lifecycle of one workload. Input: what its engine reports, clients that want it awake, leases on it, and timers.
 * Output: calls that start and stop it, and a current run through which its clients get to its ports.
 *
 * The class is in the order of that: what it hears, who wants the workload awake, each step of its state, what a start waits for,
 * how it gets ready, how it is put to sleep, and the end.
 *
 * Guarantees: every event goes through the state machine (`machine.ts`), one after the other; the workload is awake while a
 * client waits for it or uses it, and asleep once it has been idle for its idle timeout; after `close()` nothing happens.
 */
import type { WorkloadKind } from '../../model/workload.ts';
import type { Backend, SharedView } from '../../backends/backend.ts';
import type { LeaseUser } from '../../model/running/client-use.ts';
import { mayPutToSleep, type WakeCause } from '../../model/availability.ts';
import { describePublished, type Observation, UNKNOWN } from '../../model/running/observation.ts';
import type { KeptWorkload } from '../../model/running/kept.ts';
import type { SleepReason } from '../../model/running/sleep.ts';
import type { WakeFailure } from '../../model/running/wake.ts';
import { hasRoutes, routedPortsOf } from '../../model/web.ts';
import type { Keeper, Waker } from '../../model/running/workload-report.ts';
import type { Clock } from '../../system/clock.ts';
import type { Happenings } from '../../system/happenings.ts';
import type { Logger } from '../../system/log/logger.ts';
import type { CheckTarget } from '../../system/net/http-client.ts';
import { Obstacles } from '../clients/obstacles.ts';
import { WaitingRoom } from '../clients/waiting-room.ts';
import { Refusal, withObstacle } from '../refusal.ts';
import type { HeldResult, Tallies } from '../tallies.ts';
import { chooseHealthGate, RunFollower } from '../run/run-follower.ts';
import type { OwnPlaces, WorkloadRun } from '../run/workload-run.ts';
import { WorkloadAccount } from './record/account.ts';
import { Demands } from './use/demands.ts';
import { Chronicle, type WakeFailedTeller } from './record/chronicle.ts';
import { BusyCheck } from './use/busy-check.ts';
import { type CallOutcome, EngineCalls, graceMsOf } from './engine-calls.ts';
import { type Lease, LeaseBook } from './use/lease-book.ts';
import {
  asleep,
  awaitsNeeds,
  isBackingOff,
  isGate,
  isInterrupted,
  isWaking,
  type LifecycleEffect,
  type LifecycleEvent,
  type LifecycleState,
  mayRun,
  type Step,
  step,
  type Transition,
} from './machine.ts';
import { SharedUse } from './use/shared-use.ts';
import { SleepPolicy } from './sleep-policy.ts';
import { type Needs, StartPlace, type StartRoom } from './start-place.ts';
import type { StartQueue } from './start-queue.ts';
import { LifecycleTimers } from './timers.ts';
import { WarmPaths } from './use/warm-paths.ts';
import type { WorkloadPolicy } from './workload-policy.ts';

/** How long the proxy waits between two looks at a workload whose port doesn't answer. */
const LOOK_AGAIN_MS = 1_000;

/** The reason of a start that fails with `exit code 0`: that alone would sound as if all were well. */
const ENDED_WELL = 'it ended by itself at once, without an error (exit code 0)';

/** Told when the proxy has started or stopped a workload; `observation` is the newest one of it. */
export type OnAct = (
  policy: WorkloadPolicy,
  observation: Observation,
  act: {
    readonly kind: 'started' | 'stopped';
    /** For whom it was started, or why it was stopped: `for 10.0.0.5:4242`, `idle for 60 s`. */
    readonly why: string | undefined;
  },
) => void;

/** What all controllers have in common. */
export interface ControllerParts {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Bounds the starts of all controllers together. */
  readonly starts: StartQueue;
  readonly room: StartRoom<WorkloadController>;
  readonly needs: Needs<WorkloadController>;
  readonly tallies: Tallies;
  /** Where the health check of a label may lead; default: to the workload alone. */
  readonly checkLabelUrl?: CheckTarget | undefined;
  /** Knows the proxy's own listeners; absent where there are none. */
  readonly own?: OwnPlaces | undefined;
  readonly onAct?: OnAct | undefined;
  readonly onWakeFailed?: WakeFailedTeller | undefined;
  /** When a service's schedule starts it next, ms since the epoch; undefined where it doesn't. */
  readonly nextStartMs?: ((serviceName: string) => number | undefined) | undefined;
  /** Why the engine of such workloads can't be asked now, in words; undefined where it answers. */
  readonly explainEngine?: ((kind: WorkloadKind) => string | undefined) | undefined;
  /** Is told of what happens; absent = nobody wants to know. */
  readonly happenings?: Happenings | undefined;
  /** How many wakes each may keep, at least 1. */
  readonly maxKeptWakes: () => number;
  /** Something that is kept across restarts has changed; cheap. */
  readonly onTouched?: (() => void) | undefined;
  /** The state has changed. */
  readonly onChanged: (controller: WorkloadController) => void;
  /** The last lease on it has ended. */
  readonly onUnused: (controller: WorkloadController) => void;
  /** The controller was retired and has nothing left to do for its workload: it is closed. Told once. */
  readonly onRetired: (controller: WorkloadController) => void;
}

/** Keeps one workload in the state that its clients and leases ask for. `close()` ends it. */
export class WorkloadController {
  /** The clients that wait for the workload to be awake. */
  readonly waitingRoom: WaitingRoom;
  readonly warmPaths: WarmPaths;
  /** Why clients wait, or can't be served. */
  readonly obstacles: Obstacles;
  readonly #parts: ControllerParts;
  readonly #backend: Backend;
  readonly #leases: LeaseBook;
  readonly #demands: Demands;
  readonly #shared: SharedUse;
  readonly #chronicle: Chronicle;
  readonly #calls: EngineCalls;
  readonly #sleepPolicy: SleepPolicy;
  readonly #busy: BusyCheck;
  readonly #timers: LifecycleTimers;
  readonly #runs: RunFollower;
  readonly #place: StartPlace<WorkloadController>;
  #policy: WorkloadPolicy;
  #observation: Observation = UNKNOWN;
  #state: LifecycleState = { kind: 'unknown' };
  #lookedAgainMs = Number.NEGATIVE_INFINITY;
  /** Why it is stopped as soon as it is paused: somebody asked for that while it was being paused. */
  #stopAfterPause: SleepReason | undefined;
  /** The proxy is about to end: the workload is left as it is. */
  #isDraining = false;
  #isRetired = false;
  #isClosed = false;
  /** When a client was last seen to come or leave while it was ready, ms since the epoch. */
  #lastUsedMs: number | undefined;
  /** How many clients had a lease when the leases last changed. */
  #clients = 0;

  /** @param options.kept what an earlier run of the proxy knew of the workload. */
  constructor(
    policy: WorkloadPolicy,
    options: ControllerParts & { readonly backend: Backend; readonly kept?: KeptWorkload | undefined },
  ) {
    const { clock, backend, logger, own, checkLabelUrl, kept } = options;
    this.#policy = policy;
    this.#parts = options;
    this.#lastUsedMs = kept?.lastUsedMs === undefined ? undefined : Math.min(clock.nowMs(), kept.lastUsedMs);
    this.#backend = backend;
    this.waitingRoom = new WaitingRoom(clock);
    this.#leases = new LeaseBook(clock, {
      ...{ onChange: () => this.#leasesChanged(), lastActiveMs: kept?.lastActiveMs },
    });
    this.#leases.countsBegins = policy.rest.idleWhen === 'no_traffic';
    this.#demands = new Demands({
      ...{
        waitingRoom: this.waitingRoom,
        leases: this.#leases,
        availability: () => this.#policy.availability,
      },
    });
    this.warmPaths = new WarmPaths(this.#leases);
    this.#shared = new SharedUse({ backend, leases: this.#leases, workload: () => this.workload });
    this.#chronicle = new Chronicle(this, options);
    this.#calls = new EngineCalls({ backend, clock, onOutcome: (...args) => this.#callEnded(...args) });
    this.#busy = new BusyCheck({ ...{ backend, clock, logger, own, checkLabelUrl }, subject: this });
    this.#sleepPolicy = new SleepPolicy({ backend, clock, leases: this.#leases });
    this.#timers = new LifecycleTimers(clock, (kind, reason) => {
      if (kind === 'idle') this.#restIdle(reason);
      else if (kind === 'deadline-passed')
        this.#dispatch(kind, withObstacle(reason, this.obstacles.between()));
      else this.#dispatch(kind, reason);
    });
    this.#place = new StartPlace(this, { parts: options, onTurn: () => this.#turnCame() });
    this.#runs = new RunFollower({
      ...{ clock, logger, own, checkLabelUrl, policy: () => this.#policy },
      onBegin: () => this.#runBegan(),
      // Listeners open their warm paths again, with the address that answers in front.
      onReordered: () => this.warmPaths.closeAll(),
      onUnanswered: () => this.#lookAgain(),
      onProven: () => this.#dispatch('gate-passed'),
    });
    this.obstacles = new Obstacles(this, {
      ...{ parts: options, demands: this.#demands, runs: this.#runs, place: this.#place },
      wakes: this.#chronicle.wakes,
    });
  }

  get policy(): WorkloadPolicy {
    return this.#policy;
  }

  get workload(): WorkloadPolicy['workload'] {
    return this.#policy.workload;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  get observation(): Observation {
    return this.#observation;
  }

  /** The present run of the workload; undefined while it doesn't run, or has a health gate to pass first. */
  get currentRun(): WorkloadRun | undefined {
    return this.#runs.current;
  }

  /** What is told of the workload, as it is now. */
  get account(): WorkloadAccount {
    return new WorkloadAccount({
      ...{ clock: this.#parts.clock, subject: this, situation: this.#situation, demands: this.#demands },
      ...{ waitingRoom: this.waitingRoom, leases: this.#leases, warmPaths: this.warmPaths },
      ...{ obstacles: this.obstacles, place: this.#place, busy: this.#busy, timers: this.#timers },
      ...{ sleepPolicy: this.#sleepPolicy, chronicle: this.#chronicle, lastUsedMs: this.#lastUsedMs },
    });
  }

  /** How many leases are held. */
  get leases(): number {
    return this.#leases.count;
  }

  /** When it was last used, ms since the epoch; at first the moment this controller was made. */
  get lastActiveMs(): number {
    return Math.max(this.#leases.lastActiveMs, this.warmPaths.lastUsedMs);
  }

  /** How long a stop may take before the workload is killed. */
  get graceMs(): number {
    return graceMsOf(this.#policy, this.#observation);
  }

  /** Whether it runs, is paused, or its start or stop is under way, as far as is known. */
  get mayBeRunning(): boolean {
    return mayRun(this.#state) || this.#state.kind === 'paused';
  }

  /** Whether it waits for its turn to start. */
  get isQueued(): boolean {
    return this.#place.waitsIn === 'queue';
  }

  /** Whether it is being stopped: soon it will have made room. */
  get isLeaving(): boolean {
    return this.#state.kind === 'stopping' && this.#state.phase !== 'pausing';
  }

  /** Its service is gone: nobody new is served, and a workload that the proxy owns ends when it is unused. */
  get retired(): boolean {
    return this.#isRetired;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** The time of its clock, which never jumps. */
  monotonicMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  /** Follows the workload, from what its backend knows. */
  start(): void {
    this.observe(this.#backend.watch(this.workload));
  }

  /** Takes what the engine reports now. */
  observe(observation: Observation): void {
    const { health: before, staysAwake } = this.#observation;
    const stateBefore = this.#state;
    this.#observation = observation;
    this.#dispatch('observed', observation.detail);
    if (observation.health === 'healthy' && before !== 'healthy') this.#dispatch('recovered');
    this.#followRun();
    if (observation.health !== before || observation.staysAwake !== staysAwake) this.#followTimers();
    if (!this.#isClosed) this.#chronicle.observed({ before: stateBefore, after: this.#state });
  }

  /** Its run is over, and what it does now is told soon: until then nobody is connected where it was. */
  runEnded(how: { readonly byOthers: boolean }): void {
    if (this.#isClosed) return;
    this.#runs.endRun(how);
    this.warmPaths.closeAll();
  }

  /**
   * Takes new settings, which are in force at once. A running idle timer still counts from where it began, and a start or stop under
   * way goes on. A controller that was retired has a service again.
   */
  update(policy: WorkloadPolicy): void {
    this.#sleepPolicy.update(this.#policy, policy);
    this.#policy = policy;
    this.#leases.countsBegins = policy.rest.idleWhen === 'no_traffic';
    this.#isRetired = false;
    this.#followTurn();
    this.#followTimers();
    this.#refuseAsleep();
    const seen = this.#backend.watch(policy.workload);
    // Under a new name, the backend knows nothing before it has looked. Until then, what was seen last still holds.
    if (seen.state !== 'unknown') this.observe(seen);
  }

  /** Takes what other proxies do with the same workloads. */
  share(view: SharedView): void {
    this.#shared.take(view);
  }

  /**
   * Whether clients can reach the workload through this proxy. While they can't, it is not put to sleep for being idle:
   * another proxy that has its ports may serve it. It has its full idle timeout from when they can.
   */
  setServed({ isServed }: { readonly isServed: boolean }): void {
    if (isServed === this.#sleepPolicy.isServed) return;
    this.#sleepPolicy.setServed(isServed);
    this.#followTimers();
  }

  /** A lease of a client that uses the workload: it is not put to sleep for being idle meanwhile. */
  takeLease(user?: LeaseUser): Lease {
    return this.#leases.take(user);
  }

  /** A lease that keeps the workload awake for no client of this proxy; it doesn't wake the workload. */
  guard(keeper: Keeper): Lease {
    return this.#leases.guard(keeper);
  }

  /**
   * A lease that also wakes the workload, where its keeper may, and tries again until the workload was awake once. Where the lease is
   * given back before that, the wake is still made; but not for a hub or a user, which has stopped then and needs nothing any more.
   * @param reason who asks, for the log and the record of the wake.
   * @param options.urgent the start doesn't wait for its turn where many are under way.
   * @param options.toItsEnd it is run to its end: an exit status of 0 is no failure.
   */
  hold(
    reason: string,
    {
      keeper,
      urgent = false,
      toItsEnd = false,
    }: { readonly keeper: Waker; readonly urgent?: boolean; readonly toItsEnd?: boolean },
  ): Lease {
    const lease = this.#leases.hold(keeper, { urgent, toItsEnd });
    if (this.#state.kind === 'ready') this.#leases.meetAll();
    else {
      if (mayOutlast(keeper.kind)) this.#demands.ask(keeper.kind);
      this.demand(reason, { by: keeper.kind });
      // People have a reason to try again at once.
      if (keeper.kind === 'hand' && this.#state.kind === 'failed' && isBackingOff(this.#state))
        this.#dispatch('backoff-over', reason);
      this.#forgetAsked();
    }
    return lease;
  }

  /**
   * Somebody wants the workload awake. Its availability says for whom it is started.
   * @param reason who, for the log.
   * @param options.by what kind of somebody; default: a client. A `guest` is a client that may not wake it.
   */
  demand(reason: string, { by = 'client' }: { readonly by?: WakeCause | 'guest' } = {}): void {
    this.#dispatch('demanded', reason, { by: by === 'guest' ? undefined : by });
  }

  #leasesChanged(): void {
    const { clients } = this.#leases;
    const isReady = this.#state.kind === 'ready';
    const isOneOfMany = isReady && clients !== this.#clients && Math.min(clients, this.#clients) > 0;
    if (clients !== this.#clients && isReady && !this.#leases.isEndingIdle) this.#noteUse();
    this.#clients = clients;
    if (isReady && this.leases > 0) this.#sleepPolicy.stayAwake();
    // Each request comes through here. What follows depends on whether there are clients, not on how many.
    if (isOneOfMany) return;
    this.#followTurn();
    if (awaitsNeeds(this.#state) && this.#demands.atTurn === 'none')
      this.#dispatch('called-off', 'nobody needs it any more');
    this.#followTimers();
    this.#refuseAsleep();
    this.#chronicle.followUse(this.leases > 0);
    this.#shared.tell();
    this.#parts.onTouched?.();
    if (this.leases === 0) this.#parts.onUnused(this);
    this.#closeIfRetired();
  }

  #noteUse(): void {
    this.#lastUsedMs = this.#parts.clock.nowMs();
  }

  /**
   * Feeds the state machine one event and does what follows.
   * @param said why, for the log and for clients that are refused.
   * @param options.by who demands it; undefined where nobody does, or nobody who may wake it.
   * @param options.sleep why it is put to sleep with this event; undefined where it isn't.
   */
  #dispatch(
    kind: LifecycleEvent['kind'],
    said?: string,
    { by, sleep }: { readonly by?: WakeCause | undefined; readonly sleep?: SleepReason } = {},
  ): void {
    if (this.#isClosed) return;
    const before = this.#state;
    const reason = before.kind === 'starting' && said === 'exit code 0' ? ENDED_WELL : said;
    const isToSleep = kind === 'sleep-wanted' || kind === 'pause-wanted';
    if (isToSleep) {
      this.#callOff();
      const { staysAwake } = this.#observation;
      // A pause loses nothing.
      if (staysAwake !== undefined && kind === 'sleep-wanted') {
        if (mayRun(before)) this.#chronicle.staysAwake(staysAwake);
        return;
      }
    }
    if (by !== undefined && this.#demands.note(reason, by)) this.#sleepPolicy.stayAwake();
    if (this.#isDraining && (isToSleep || (kind === 'demanded' && !this.#mayServe))) {
      return this.#refuseInVain();
    }
    const { state, effects } = this.#step(kind, by);
    if (state === before && effects.length === 0) {
      // Perhaps a client has come: for a client, a failed start is tried again sooner than for others.
      if (isBackingOff(state)) this.#followTimers();
      return;
    }
    const failing = this.#whatFails(kind);
    // The state stays the same where our call is made again, as where others have paused what it has just started.
    if (state !== before)
      this.#enter(state, {
        reason: kind !== 'demanded' && isComing(state) ? this.#demands.describe() : reason,
        failure: awaitsNeeds(before) ? 'dependency' : failureOf(kind),
        sleep,
      });
    for (const effect of effects) this.#perform(effect, { late: kind === 'deadline-passed', reason });
    this.#followRun();
    if (state.kind !== 'stopping') this.waitingRoom.startBudgets();
    this.#followTurn();
    this.#forgetAsked();
    this.#followTimers();
    this.waitingRoom.callAll();
    if (this.#isDraining) this.#refuseInVain();
    this.#refuseAsleep();
    if (before.kind === 'starting' && state.kind === 'failed') this.#chronicle.failed(failing);
    this.#parts.onTouched?.();
    this.#parts.onChanged(this);
    this.#closeIfRetired();
  }

  /** The machine's next step. A workload that lacks something for its start stays asleep until it has that. */
  #step(kind: LifecycleEvent['kind'], by: WakeCause | undefined): Step {
    const { state: engine, stoppedBy } = this.#observation;
    const isAsked = this.#state.kind === 'stopping' || awaitsNeeds(this.#state);
    const demand = isAsked && by === undefined ? this.#demands.atTurn : this.#demands.for(by);
    const isCompleted = this.#leases.runsToItsEnd && hasCompleted(this.#observation);
    const next = step(this.#state, { kind, engine, stoppedBy, isCompleted }, demand);
    if (!next.effects.includes('wake')) return next;
    switch (this.#place.take({ atOnce: this.#leases.hasUrgent })) {
      case 'taken':
        return next;
      case 'waits':
        return { state: asleep(this.#state, engine), effects: [] };
      case 'needs': {
        // Whoever has asked may leave meanwhile. The start goes on all the same, as every start does.
        const cause = by ?? this.#demands.causeAtTurn;
        if (cause !== undefined && mayOutlast(cause)) this.#demands.ask(cause);
        return { state: NEEDS, effects: next.effects.filter((effect) => effect !== 'wake') };
      }
    }
  }

  #enter(
    after: LifecycleState,
    {
      reason,
      failure,
      sleep,
    }: {
      readonly reason: string | undefined;
      readonly failure: WakeFailure;
      readonly sleep: SleepReason | undefined;
    },
  ): void {
    const transition: Transition = { before: this.#state, after };
    const { waited } = this.#place;
    this.#state = after;
    this.#place.follow(after);
    this.#sleepPolicy.follow(transition, sleep);
    // Before the holds are met: afterwards nobody waits for the workload to be awake.
    const demand = this.#demands.lastOfWaiting;
    if (after.kind === 'ready') this.#leases.meetAll();
    else if (after.kind === 'stopped' && this.#leases.runsToItsEnd && hasCompleted(this.#observation))
      this.#leases.meetAll();
    if (after.kind === 'ready' && this.#leases.clients > 0) this.#noteUse();
    if (after.kind !== 'ready') {
      this.warmPaths.closeAll();
      this.#busy.forget();
    }
    this.#chronicle.follow(transition, {
      ...{ demand, by: this.#demands.lastBy, ...waited },
      ...{ reason, failure, sleep },
    });
  }

  #perform(
    effect: LifecycleEffect,
    { late, reason }: { readonly late: boolean; readonly reason: string | undefined },
  ): void {
    switch (effect) {
      case 'wake':
        return this.#calls.wake(this.#policy);
      case 'sleep':
        return this.#calls.sleep(this.#policy, {
          observation: this.#observation,
          evenInUse: this.leases > 0,
        });
      case 'pause':
        return this.#calls.pause(this.#policy);
      case 'refuse':
        this.#calls.abortWake('the start took too long');
        return this.waitingRoom.refuseAll(
          new Refusal(
            late ? 'timeout' : 'failed',
            reason ?? this.#chronicle.wakes.failure ?? 'the start failed',
          ),
        );
    }
  }

  #callEnded(outcome: CallOutcome, error: string | undefined): void {
    const { onAct } = this.#parts;
    switch (outcome) {
      case 'woken':
        onAct?.(this.#policy, this.#observation, {
          ...{ kind: 'started', why: this.#chronicle.report.wakeUnderWay?.cause },
        });
        return this.#dispatch('woken', this.#observation.detail);
      case 'wake-failed': {
        const published = describePublished(this.#observation, this.#policy.listeners);
        const reason = error ?? 'the start failed';
        // What to do comes first: engines say at length that a port is taken.
        return this.#dispatch(
          'wake-failed',
          published === undefined ? reason : withObstacle(published, reason),
        );
      }
      case 'slept':
        this.#timers.sleepEnded('slept');
        if (!this.#sleepPolicy.wasPaused) {
          const why = this.#chronicle.report.sleepUnderWay?.words;
          onAct?.(this.#policy, this.#observation, { kind: 'stopped', why });
        }
        if (this.#stopsPaused()) return;
        return this.#dispatch('slept');
      case 'sleep-failed':
        this.#timers.sleepEnded('sleep-failed');
        this.#chronicle.sleepFailed(error);
        return this.#dispatch('sleep-failed', error);
      case 'cannot-pause':
        return this.#pauseFailed(error);
    }
  }

  /** Refuses the clients that wait while the proxy drains, unless the workload may still become ready. */
  #refuseInVain(): void {
    const { kind } = this.#state;
    const mayComeUp = kind === 'starting' && !awaitsNeeds(this.#state);
    if (kind === 'ready' || mayComeUp || (kind === 'failed' && this.#mayServe)) return;
    this.waitingRoom.refuseAll(new Refusal('removed', 'the proxy is shutting down'));
  }

  /** Whether it can become ready though the proxy neither starts nor stops it. */
  get #mayServe(): boolean {
    return mayRun(this.#state) && !awaitsNeeds(this.#state) && this.#observation.state !== 'stranded';
  }

  /** Refuses the clients that wait, where the workload sleeps and nobody wakes it for them. */
  #refuseAsleep(): void {
    if (this.waitingRoom.size === 0) return;
    const refusal = this.obstacles.refusalAsleep;
    if (refusal !== undefined) this.waitingRoom.refuseAll(refusal);
    if (this.waitingRoom.size === this.waitingRoom.wakers) return;
    const ofGuests = this.obstacles.refusalOf({ mayWake: false });
    if (ofGuests !== undefined) this.waitingRoom.refuseGuests(ofGuests);
  }

  /** Others have stopped what its start waits for: the time of the start counts from now on. */
  countStartAnew(): void {
    this.#timers.countStartAnew();
    this.#followTimers();
  }

  /** What it depends on may have come further. Where its start waits for that, the start goes on, or fails. */
  followNeeds(): void {
    if (!awaitsNeeds(this.#state)) return;
    const standing = this.#parts.needs.standingOf(this);
    if (standing.kind === 'met') this.#dispatch('needs-met');
    else if (standing.kind === 'failed') this.#dispatch('needs-failed', standing.words);
  }

  /** It has got the room that it waited for. It gives the room back where nobody wants it awake any more. */
  roomCame(): void {
    this.#startAsked();
    if (this.#place.waitsIn === undefined && this.#state.kind !== 'starting') this.#place.leave();
  }

  /**
   * Measures, from now on, how long the workload waits for its turn to start.
   * @returns how much of the time since then that was, in words: `, of which it waited 2900 ms for its turn (max_starting is 2)`;
   * undefined where it was none, or the workload still waits.
   */
  watchQueue(): () => string | undefined {
    return this.#place.watchQueue();
  }

  /** Its turn to start has come. It gives the turn back where nobody wants it awake any more. */
  #turnCame(): void {
    if (awaitsNeeds(this.#state)) {
      this.followNeeds();
      if (this.#state.kind !== 'starting' || awaitsNeeds(this.#state)) this.#place.endTurn();
      return;
    }
    this.#startAsked();
    if (this.#state.kind !== 'starting') this.#place.endTurn();
  }

  /** What its start has waited for is there: starts the workload, where somebody still wants it awake. */
  #startAsked(): void {
    const { atTurn, causeAtTurn: by, last } = this.#demands;
    if (atTurn !== 'none' && isBackingOff(this.#state)) this.#dispatch('backoff-over', last);
    else if (atTurn !== 'none') this.#dispatch('demanded', last, { by });
    this.#forgetAsked();
  }

  /** Forgets who has asked for a start, unless that start still waits: for room, its turn, what it depends on, or the end of a stop. */
  #forgetAsked(): void {
    const isBetween = this.#state.kind === 'stopping' || awaitsNeeds(this.#state);
    if (!isBetween && this.#place.waitsIn === undefined) this.#demands.withdraw();
  }

  /** Waits no longer for a start that nobody wants any more. @param reason why the last client left. */
  #followTurn(reason?: unknown): void {
    if (this.#place.waitsIn === undefined) return;
    const { kind } = this.#state;
    const isDown =
      kind === 'stopped' || kind === 'paused' || isBackingOff(this.#state) || awaitsNeeds(this.#state);
    if (isDown && this.#demands.atTurn !== 'none') return;
    const waited = this.#place.leave();
    this.#forgetAsked();
    if (reason instanceof Refusal && reason.code === 'timeout')
      this.#chronicle.missed(this.#demands.last ?? 'somebody', { ...waited, reason: reason.message });
  }

  /** Calls off what was asked for and waits to be started. */
  #callOff(): void {
    this.#demands.withdraw();
    this.#followTurn();
  }

  /** A client has got through to a port of the workload, which is ready with that if it was at its gate. */
  prove(): void {
    this.#dispatch('gate-passed');
  }

  /**
   * Decides what becomes of a workload at its gate for which no client waits any more. Where the last client has waited in vain for as
   * long as the start may take, the start has failed. Otherwise the proxy dials the ports itself. A workload without a TCP port
   * to dial counts as ready. A start that others have interrupted fails with the last of those who wanted it.
   * @param options.reason why the last client left.
   * @param options.budgetMs how long that client would have waited.
   */
  endEmptyGate({
    reason,
    budgetMs = 0,
  }: {
    readonly reason?: unknown;
    readonly budgetMs?: number;
  } = {}): void {
    this.#followTurn(reason);
    const timeout = reason instanceof Refusal && reason.code === 'timeout' ? reason : undefined;
    if (timeout !== undefined && isInterrupted(this.#state) && this.#demands.for(undefined) === 'none')
      return this.#dispatch('deadline-passed', timeout.message);
    if (!isGate(this.#state) || this.waitingRoom.size > 0) return;
    const { listeners, services, startTimeoutMs } = this.#policy;
    const hasDatagramsOnly =
      listeners.length > 0 &&
      listeners.every(({ protocol }) => protocol === 'udp') &&
      !services.some(({ web }) => hasRoutes(web));
    // Where the start had to wait for its turn, it has taken less time than its clients have waited. Where another service has a longer
    // budget, it has time left, too. In both cases it goes on.
    if (timeout !== undefined && !this.#place.hadToWait && budgetMs >= startTimeoutMs)
      this.#dispatch('gate-failed', timeout.message);
    // Only a client can prove a datagram port: the next one does, or the start runs out of time.
    else if (timeout !== undefined && hasDatagramsOnly) return;
    else if (this.currentRun !== undefined) this.#proveAlone(this.currentRun);
  }

  /** Counts how long a client has waited, by how its wait has ended. */
  noteHeld(result: HeldResult, ms: number): void {
    this.#parts.tallies.held[result].observe(ms / 1_000);
  }

  #followRun(): void {
    this.#runs.follow(this.#state, this.#observation);
    if (awaitsNeeds(this.#state))
      this.#chronicle.enterPhase(this.#place.waitsIn === 'queue' ? 'queue' : 'dependencies');
    else if (!isGate(this.#state)) this.#chronicle.enterPhase('engine');
    else this.#chronicle.enterPhase(this.currentRun === undefined ? 'health' : 'port');
  }

  #runBegan(): void {
    this.warmPaths.closeAll();
    this.#chronicle.enterPhase('port');
    this.waitingRoom.callAll();
    // Only once the transition is complete: the clients that wait try first.
    queueMicrotask(() => this.endEmptyGate());
  }

  #proveAlone(run: WorkloadRun): void {
    const { listeners, services } = this.#policy;
    const tcp = listeners.filter(({ protocol }) => protocol === 'tcp').map(({ targetPort }) => targetPort);
    const ports = [
      ...new Set([...tcp, ...services.flatMap(({ web }) => routedPortsOf(web, this.#observation))]),
    ];
    const loops = ports.map((port) => run.explainLoop({ protocol: 'tcp', port }));
    const [loop] = loops;
    if (loop !== undefined && !loops.includes(undefined)) this.#dispatch('gate-failed', loop);
    else if (ports.length === 0 || this.#isRetired) this.#dispatch('gate-passed');
    else this.#runs.proveAlone(ports);
  }

  /** Whose output may say why the start fails with this event; undefined where nothing ran at all. */
  #whatFails(kind: LifecycleEvent['kind']): 'workload' | 'check' | undefined {
    if (kind === 'wake-failed' || awaitsNeeds(this.#state)) return undefined;
    const { httpHealthcheck } = this.#policy;
    const gate = chooseHealthGate({ observation: this.#observation, httpHealthcheck });
    return isGate(this.#state) && gate === 'engine' && this.currentRun === undefined ? 'check' : 'workload';
  }

  /** A port of a ready workload doesn't answer. The event of its stop may have been lost, so the backend looks at it. */
  #lookAgain(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#state.kind !== 'ready' || nowMs - this.#lookedAgainMs < LOOK_AGAIN_MS) return;
    this.#lookedAgainMs = nowMs;
    this.#backend.look?.(this.workload);
  }

  /**
   * Puts the workload to sleep now, whoever uses it. Does nothing where another proxy decides that, or its availability says no. A
   * start under way can't be called back: the workload is put to sleep as soon as it has started, unless somebody uses it then.
   */
  sleep(reason: SleepReason): void {
    if (this.#shared.isStandby || !this.#mayStopFor(reason)) return;
    if (reason.kind === 'hand') this.#chronicle.forgive(reason.words);
    if (isWaking(this.#state)) this.#sleepWhenStarted(reason);
    else if (this.#state.kind === 'stopping' && this.#state.phase === 'pausing')
      this.#stopAfterPause = reason;
    else this.#putToSleep(reason);
  }

  /**
   * Does what `sleep` does, unless somebody holds a lease on the workload. It never cuts a start short: a database that is just making
   * its tables, say, might be broken for good.
   */
  sleepIfUnused(reason: SleepReason): void {
    if (this.leases > 0 || this.#shared.isStandby || !this.#sleepPolicy.isServed) return;
    if (!this.#mayStopFor(reason)) return;
    if (this.#sleepPolicy.isStarting(this) && !awaitsNeeds(this.#state)) this.#sleepWhenStarted(reason);
    else this.sleep(reason);
  }

  /**
   * From when on it may be put to sleep for another one, on the monotonic clock; undefined as long as it is used or kept, may not
   * sleep, or somebody else has paused it.
   */
  get mayMakeRoomAtMs(): number | undefined {
    if (this.#shared.isStandby) return undefined;
    return this.#sleepPolicy.mayMakeRoomAtMs(this.#situation, this.#timers);
  }

  /**
   * Puts it to sleep so that another workload gets its room. Where it has a busy_check, that is asked first, and the room hears of the
   * answer.
   * @returns whether it is on its way; false where a client uses it after all, as may turn out only now.
   */
  makeRoom(words: string): boolean {
    if (!this.warmPaths.tryCloseAll() || this.leases > 0) return false;
    if (this.#state.kind === 'ready' && this.#busy.isNeeded && !this.#busy.isFree) {
      if (!this.#busy.isAsking) void this.askBusy().then(() => this.#parts.room.lookAgain());
      return true;
    }
    this.#putToSleep({ kind: 'room', words });
    return this.isLeaving;
  }

  /**
   * Asks a workload that nobody uses whether it is busy all the same; false where it has no busy_check. Whoever wants to put it to
   * sleep asks first, and then calls `sleepIfUnused`, since somebody may use it by then. Never rejects; takes 5 s at most.
   */
  async askBusy(): Promise<boolean> {
    if (this.#isClosed || !this.#busy.isNeeded) return false;
    const asking = this.#busy.ask();
    this.#followTimers();
    const isBusy = await asking;
    this.#followTimers();
    return isBusy;
  }

  /** It has been idle for long enough. */
  #restIdle(words: string): void {
    const { sleepSoon } = this.#sleepPolicy;
    if (sleepSoon === undefined) {
      if (this.leases > 0 && this.#sleepPolicy.hasTraffic(this.#situation)) return this.#followTimers();
      if (this.#state.kind === 'ready' && this.#busy.isNeeded && !this.#busy.isFree)
        return void this.askBusy();
      if (this.leases > 0) return this.#closeIdle();
    }
    // A client on a warm path that was not reported yet still counts as use; it is reported now.
    if (this.warmPaths.tryCloseAll()) this.#putToSleep(sleepSoon ?? this.#sleepPolicy.idleReason(words));
  }

  /** Closes the connections, since none has carried anything. Their leases end with them, and then the workload is put to sleep. */
  #closeIdle(): void {
    const { staysAwake } = this.#observation;
    if (staysAwake !== undefined && this.#policy.rest.way === 'stop') this.#chronicle.staysAwake(staysAwake);
    else this.#sleepPolicy.closeIdle();
    this.#followTimers();
  }

  #putToSleep(reason: SleepReason): void {
    const way = this.#sleepPolicy.wayFor(reason, this.#situation);
    // Where its start still waits for what it depends on, nothing runs that could be paused.
    const isPause = way === 'pause' && !awaitsNeeds(this.#state);
    this.#dispatch(isPause ? 'pause-wanted' : 'sleep-wanted', reason.words, { sleep: reason });
  }

  #sleepWhenStarted(reason: SleepReason): void {
    this.#sleepPolicy.sleepWhenStarted(reason);
    this.#followTimers();
  }

  #mayStopFor({ kind }: SleepReason): boolean {
    return mayPutToSleep(this.#policy.availability, kind);
  }

  /** The engine can't pause it: it is stopped instead. */
  #pauseFailed(error: string | undefined): void {
    const reason = error ?? 'the engine refuses';
    this.#sleepPolicy.noteUnpausable(this.#observation, reason);
    this.#chronicle.cannotPause(reason);
    this.#dispatch('sleep-failed', reason);
    const words = `it can't be paused: ${reason}`;
    if (this.#policy.rest.way === 'pause' && this.waitingRoom.size === 0)
      this.sleepIfUnused({ kind: 'idle', words });
  }

  /** Stops what has just been paused, where somebody asked for that meanwhile. @returns whether it does. */
  #stopsPaused(): boolean {
    const reason = this.#stopAfterPause;
    this.#stopAfterPause = undefined;
    // A reload may say by now that it must not be stopped for that.
    if (reason === undefined || !this.#mayStopFor(reason) || this.#demands.for(undefined) !== 'none')
      return false;
    this.#dispatch('slept');
    this.#putToSleep(reason);
    return true;
  }

  get #situation() {
    const { state, observation, policy } = this;
    const busy = this.#busy;
    return { state, observation, policy, busy, isRetired: this.#isRetired, isDraining: this.#isDraining };
  }

  #followTimers(): void {
    // A user waits within its own budget, as a client does: a backoff may take no more than a share of that.
    const isOnlyKept =
      this.waitingRoom.wakers === 0 &&
      this.#demands.for(undefined) !== 'none' &&
      !this.#leases.unmetCauses.includes('user');
    const demands = this.#sleepPolicy.demandTimers(this.#situation);
    const startTimeoutMs = Math.max(demands.startTimeoutMs, this.#parts.needs.budgetMsFor(this));
    this.#timers.follow(this.#state, { ...demands, startTimeoutMs, isOnlyKept });
  }

  /** The service is gone: clients that wait are refused, and a workload that the proxy owns ends when it is unused. */
  retire(): void {
    this.#isRetired = true;
    this.#followTimers();
    this.#demands.withdraw();
    // At its gate it counts as ready at once: nobody is to use it any more, so nothing is dialled.
    this.endEmptyGate();
    this.waitingRoom.refuseAll(new Refusal('removed', 'the service was removed'));
    if (awaitsNeeds(this.#state)) this.#dispatch('sleep-wanted', 'the service was removed');
    this.#shared.close();
    this.#closeIfRetired();
  }

  /** Neither starts nor stops the workload from now on, whoever asks; a start under way goes on. Idempotent. */
  drain(): void {
    this.#isDraining = true;
    this.#demands.end();
    this.#callOff();
    this.#followTimers();
    this.#refuseInVain();
  }

  /** Leaves the workload as it is, and ends everything that goes on here. Idempotent. */
  close(): void {
    this.#isClosed = this.#isRetired = true;
    this.warmPaths.closeAll();
    this.waitingRoom.refuseAll(new Refusal('removed', 'the proxy is shutting down'));
    this.#place.endTurn();
    this.#calls.close('the proxy is shutting down');
    this.#busy.close();
    this.#chronicle.close();
    this.#timers.close();
    this.#runs.close();
  }

  /** Closes a retired controller as soon as nobody uses its workload. One that the proxy owns has to end first. */
  #closeIfRetired(): void {
    if (!this.#isRetired || this.#isClosed || this.leases > 0) return;
    if (this.#backend.ownsWorkloads && (mayRun(this.#state) || this.#state.kind === 'paused')) return;
    this.#backend.unwatch(this.workload);
    this.close();
    this.#parts.onRetired(this);
  }
}

/** Whether the start that is asked for is made though who has asked is gone by then: a hub or a user that has stopped needs nothing. */
function mayOutlast(cause: WakeCause): boolean {
  return cause !== 'hub' && cause !== 'user';
}

const NEEDS: LifecycleState = { kind: 'starting', phase: 'needs' };

/** Whether a start has just begun: its engine was asked for it, or what it depends on is woken. */
function isComing(state: LifecycleState): boolean {
  return isWaking(state) || awaitsNeeds(state);
}

/** Whether the last run of a workload has ended well, by itself. */
function hasCompleted({ state, exitCode, stoppedBy }: Observation): boolean {
  return state === 'stopped' && exitCode === 0 && stoppedBy !== 'others';
}

/** How a start that fails with this event is counted. */
function failureOf(kind: LifecycleEvent['kind']): WakeFailure {
  if (kind === 'wake-failed') return 'engine';
  return kind === 'deadline-passed' || kind === 'gate-failed' ? 'timeout' : 'exited';
}
