import type { Backend } from '../../backends/backend.ts';
import { mayIdle as mayServiceIdle, mayPutToSleep } from '../../model/availability.ts';
import type { Observation } from '../../model/running/observation.ts';
import type { RestPolicy, SleepKind, SleepReason } from '../../model/running/sleep.ts';
import type { Clock } from '../../system/clock.ts';
import type { BusyCheck } from './use/busy-check.ts';
import type { LeaseBook } from './use/lease-book.ts';
import { isGate, isGoingToSleep, type LifecycleState, mayRun, type Transition } from './machine.ts';
import type { TimerDemands } from './timers.ts';
import { TrafficLook } from './use/traffic-look.ts';
import type { WorkloadPolicy } from './workload-policy.ts';

type Settings = Pick<
  WorkloadPolicy,
  | 'availability'
  | 'idleTimeoutMs'
  | 'startTimeoutMs'
  | 'rest'
  | 'cronStart'
  | 'cronStop'
  | 'awake'
  | 'unmanaged'
>;

/** How long idle connections may take to close before it is looked again, ms. */
const CLOSING_MS = 1_000;

/** The workload as it is now, on which each answer depends. */
export interface Situation {
  readonly policy: Settings;
  readonly state: LifecycleState;
  readonly observation: Observation;
  /** Its service is gone. */
  readonly isRetired: boolean;
  /** The proxy is about to end. */
  readonly isDraining: boolean;
  /** What is known of whether it is busy though nobody uses it. */
  readonly busy: Pick<BusyCheck, 'isAsking' | 'nextMs'>;
}

/** When a workload that nobody uses may be put to sleep, and how, and since when it counts as idle. */
export class SleepPolicy {
  readonly #clock: Clock;
  readonly #backend: Pick<Backend, 'ownsWorkloads' | 'pause'>;
  readonly #leases: LeaseBook;
  #isServed = true;
  /** Since when it is served, and may be put to sleep for being idle, on the monotonic clock. */
  #servedSinceMs = 0;
  /** When the workload last came to its gate, on the monotonic clock. */
  #runSinceMs = 0;
  #sleepSoon: SleepReason | undefined;
  /** Made with the first look: most services ask for none. */
  #traffic: TrafficLook | undefined;
  /** Until when the idle connections are being closed, on the monotonic clock. */
  #closingUntilMs = 0;
  /** When it was ready last, on the monotonic clock. */
  #readySinceMs = 0;
  /** The incarnation that could not be paused, and why. */
  #unpausable: { readonly id: string; readonly reason: string } | undefined;
  /** Whether it is the proxy that has paused it, as far as is known since its start. */
  #isOwnPause = false;
  #wasPaused = false;
  #sleepsFor: SleepKind | undefined;
  /** How many idle connections were closed so that it may sleep. */
  #closedIdle = 0;

  constructor(options: { readonly clock: Clock; readonly backend: Backend; readonly leases: LeaseBook }) {
    this.#clock = options.clock;
    this.#backend = options.backend;
    this.#leases = options.leases;
  }

  /** Whether clients can reach the workload through this proxy. */
  get isServed(): boolean {
    return this.#isServed;
  }

  setServed(isServed: boolean): void {
    if (isServed && !this.#isServed) this.#servedSinceMs = this.#clock.monotonicMs();
    this.#isServed = isServed;
  }

  /** For what the proxy has put it to sleep, or is doing so; undefined while it is up, and where others have stopped it. */
  get sleepsFor(): SleepKind | undefined {
    return this.#sleepsFor;
  }

  /** Whether the stop under way is that of a paused workload, whose end was told when it was paused. */
  get wasPaused(): boolean {
    return this.#wasPaused;
  }

  /** Takes new settings. Where the workload might not be put to sleep for being idle before, it has its full idle timeout from now on. */
  update(before: Settings, after: Settings): void {
    const soon = this.#sleepSoon?.kind;
    if (soon !== undefined && !mayPutToSleep(after.availability, soon)) this.#sleepSoon = undefined;
    if (!mayIdle(before) && mayIdle(after)) this.#servedSinceMs = this.#clock.monotonicMs();
  }

  /** Why the workload is put to sleep as soon as its start has ended, unless somebody uses it then; undefined where it isn't. */
  get sleepSoon(): SleepReason | undefined {
    return this.#sleepSoon;
  }

  sleepWhenStarted(reason: SleepReason): void {
    this.#sleepSoon = reason;
  }

  /** Somebody wants the workload awake, or uses it: it is not put to sleep when its start has ended. */
  stayAwake(): void {
    this.#sleepSoon = undefined;
  }

  /** @param reason why the proxy puts it to sleep with this transition; undefined where it doesn't. */
  follow({ before, after }: Transition, reason: SleepReason | undefined): void {
    if (isGoingToSleep(after)) {
      this.#wasPaused = before.kind === 'paused';
      this.#sleepsFor = reason?.kind ?? this.#sleepsFor;
    } else if (mayRun(after)) this.#sleepsFor = undefined;
    if (isGate(after) && before.kind !== 'failed') this.#runSinceMs = this.#clock.monotonicMs();
    if (after.kind === 'ready' && before.kind !== 'ready') this.#readySinceMs = this.#clock.monotonicMs();
    if (after.kind === 'paused')
      this.#isOwnPause ||= before.kind === 'stopping' && before.phase === 'pausing';
    else if (after.kind !== 'stopping') this.#isOwnPause = false;
    // The wish is for this start alone, however that ends. A later run, which somebody else may start, is not ours to stop.
    const runsUnused = after.kind === 'ready' && this.#leases.count === 0;
    const runsAnyhow = after.kind === 'starting' || (after.kind === 'failed' && after.running);
    if (!runsUnused && !runsAnyhow) this.#sleepSoon = undefined;
  }

  /** The engine can't pause it: until it is another one, it is stopped instead. */
  noteUnpausable({ id }: Pick<Observation, 'id'>, reason: string): void {
    this.#unpausable = { id, reason };
  }

  /** Why it can't be paused, where that was tried in vain with this incarnation. */
  whyNoPause({ id }: Pick<Observation, 'id'>): string | undefined {
    return this.#unpausable?.id === id ? this.#unpausable.reason : undefined;
  }

  /** Whether it is paused, or stopped, when it is put to sleep for this reason now. */
  wayFor({ kind }: SleepReason, situation: Situation): RestPolicy['way'] {
    const { state, policy, isRetired } = situation;
    // A client whose connection is cut tries again; one whose server is frozen waits.
    if (state.kind !== 'ready' || isRetired || this.#leases.count > 0 || !this.#canPause(situation))
      return 'stop';
    const { rest, idleTimeoutMs } = policy;
    // A pause would give no room back.
    if (kind === 'room') return 'stop';
    if (rest.way === 'pause') return 'pause';
    if (kind !== 'idle' || this.#sleepSoon !== undefined || !pausesFirst(policy)) return 'stop';
    const idleSinceMs = Math.max(this.#idleSinceMs, this.#readySinceMs);
    return this.#clock.monotonicMs() - idleSinceMs < idleTimeoutMs ? 'pause' : 'stop';
  }

  /** Until when it stays awake, however idle it is, on the monotonic clock. */
  awakeUntilMs({ rest }: Pick<Settings, 'rest'>): number {
    return this.#readySinceMs + rest.minAwakeMs;
  }

  /** Whether its start still goes on. So it does after our budget is spent, until its own health check must have answered. */
  isStarting(situation: Pick<Situation, 'state' | 'observation'>): boolean {
    if (situation.state.kind === 'starting') return true;
    return (this.#startsUntilMs(situation) ?? 0) > this.#clock.monotonicMs();
  }

  demandTimers(situation: Situation): Omit<TimerDemands, 'isOnlyKept'> {
    const { policy, isRetired, isDraining, busy } = situation;
    const { startTimeoutMs } = policy;
    // A workload whose service is gone is put to sleep where the proxy owns it, and otherwise left as it is.
    const isExempt = !this.#isServed || (!mayIdle(policy) && this.#sleepSoon === undefined);
    const isLeft = isRetired ? !this.#backend.ownsWorkloads : isExempt;
    const isUnwanted = isRetired || this.#sleepSoon !== undefined;
    const isUnused = this.#leases.count === 0 || (!isUnwanted && this.countsTraffic(situation));
    return {
      mayIdle: isUnused && !isLeft && !isDraining && !busy.isAsking,
      isLazy: this.#leases.count > 0,
      notBeforeMs: isUnwanted
        ? 0
        : Math.max(busy.nextMs, this.#leases.count === 0 ? 0 : this.#closingUntilMs),
      idleSinceMs: this.#idleSinceMs,
      idleTimeoutMs: isUnwanted ? 0 : this.#idleTimeoutMs(situation),
      minAwakeMs: isUnwanted ? 0 : policy.rest.minAwakeMs,
      startTimeoutMs,
      startsUntilMs: this.#startsUntilMs(situation),
    };
  }

  /**
   * Whether open connections keep it awake only while they carry something. Not so with an idle timeout of 0: each would be closed
   * after its first byte.
   */
  countsTraffic(situation: Situation): boolean {
    const { policy, state } = situation;
    if (policy.rest.idleWhen !== 'no_traffic' || state.kind !== 'ready') return false;
    return this.#leases.count === this.#leases.clients && (this.#idleTimeoutMs(situation) ?? 0) > 0;
  }

  /** Looks what its clients have carried. @returns whether somebody has used it within the idle time that counts now. */
  hasTraffic(situation: Situation): boolean {
    const window = this.#window(situation);
    if (this.idleUntilMs(situation) > window.nowMs) return true;
    this.#traffic ??= new TrafficLook();
    const newestMs = this.#traffic.look(this.#leases.listUses(), window);
    if (newestMs !== undefined) this.#leases.noteUse(newestMs);
    return this.idleUntilMs(situation) > window.nowMs;
  }

  /** When its idle time is over if nothing is carried until then, on the monotonic clock, as far as was looked. */
  idleUntilMs(situation: Situation): number {
    return Math.max(this.#idleSinceMs, this.#readySinceMs) + (this.#idleTimeoutMs(situation) ?? 0);
  }

  /** The same, with a look at what the clients have carried by now. */
  peekIdleUntilMs(situation: Situation): number {
    const window = this.#window(situation);
    const traffic = this.#traffic ?? new TrafficLook();
    const newestMs = traffic.peek(this.#leases.listUses(), window) ?? 0;
    return Math.max(this.idleUntilMs(situation), newestMs + window.windowMs);
  }

  /** Closes the connections that have carried nothing. */
  closeIdle(): void {
    this.#closingUntilMs = this.#clock.monotonicMs() + CLOSING_MS;
    this.#leases.endIdle();
    this.#closedIdle = this.#traffic?.closeIdle(this.#leases.listUses()) ?? 0;
  }

  /** Why it is put to sleep for being idle. @param words how long it was. */
  idleReason(words: string): SleepReason {
    const closed = this.#leases.isEndingIdle ? this.#closedIdle : 0;
    if (closed === 0) return { kind: 'idle', words };
    const many =
      closed === 1
        ? '1 connection that carried nothing was'
        : `${closed} connections that carried nothing were`;
    return { kind: 'idle', words: `${words}: ${many} closed` };
  }

  /**
   * From when on it may be put to sleep for another one, on the monotonic clock; undefined as long as it is used or kept, may not
   * sleep, or somebody else has paused it.
   * @param options.mayStopAtMs from when on, after a stop that has failed.
   */
  mayMakeRoomAtMs(
    situation: Situation,
    { mayStopAtMs }: { readonly mayStopAtMs: number },
  ): number | undefined {
    const { state, policy, observation, isRetired, isDraining, busy } = situation;
    const { kind } = state;
    const pauses = policy.rest.way === 'pause' || policy.rest.pauseAfterMs !== undefined;
    const isOwnPause = kind === 'paused' && (pauses || this.#isOwnPause);
    const isUp = kind === 'ready' || isOwnPause || (kind === 'failed' && mayRun(state));
    const isLeft = policy.unmanaged === true || !this.#isServed || isRetired || isDraining;
    if (!isUp || isLeft || this.#leases.count > 0 || this.isStarting(situation)) return undefined;
    if (!mayPutToSleep(policy.availability, 'room') || observation.staysAwake !== undefined) return undefined;
    return Math.max(this.awakeUntilMs(policy), busy.nextMs, mayStopAtMs);
  }

  #window(situation: Situation) {
    const { ignoreBelow } = situation.policy.rest;
    return {
      nowMs: this.#clock.monotonicMs(),
      windowMs: this.#idleTimeoutMs(situation) ?? 0,
      ignoreBelow,
    };
  }

  get #idleSinceMs(): number {
    return Math.max(this.#leases.idleSinceMs ?? 0, this.#servedSinceMs);
  }

  /** After what idle time something happens next; undefined = never. */
  #idleTimeoutMs(situation: Situation): number | undefined {
    const { policy, state } = situation;
    const { rest, idleTimeoutMs } = policy;
    const isTiered = pausesFirst(policy);
    // What is paused for good, or by others, stays paused. What the proxy has paused is stopped where the settings pause no more.
    if (state.kind === 'paused')
      return isTiered || (this.#isOwnPause && rest.way === 'stop') ? idleTimeoutMs : undefined;
    return isTiered && state.kind === 'ready' && this.#canPause(situation)
      ? rest.pauseAfterMs
      : idleTimeoutMs;
  }

  #canPause({ observation }: Pick<Situation, 'observation'>): boolean {
    return this.#backend.pause !== undefined && this.whyNoPause(observation) === undefined;
  }

  /** By when its health check must have answered, where our budget was spent before; undefined where it has, or there is none. */
  #startsUntilMs({ state, observation }: Pick<Situation, 'state' | 'observation'>): number | undefined {
    const { health, checkTimes } = observation;
    if (state.kind !== 'failed' || health !== 'starting' || checkTimes === undefined) return undefined;
    return this.#runSinceMs + checkTimes.lastMs;
  }
}

/** Whether a service that is idle is paused first, and stopped later. */
function pausesFirst({ rest, idleTimeoutMs }: Settings): boolean {
  return rest.way === 'stop' && rest.pauseAfterMs !== undefined && rest.pauseAfterMs < idleTimeoutMs;
}

/** Whether a workload may be put to sleep for being idle: not where its schedule or somebody else stops it. */
function mayIdle(policy: Settings): boolean {
  return policy.unmanaged !== true && mayServiceIdle(policy);
}
