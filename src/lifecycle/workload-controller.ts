import type { Backend } from '../backends/backend.ts';
import type { Service } from '../model/service.ts';
import { type Observation, UNKNOWN, type Workload } from '../model/workload.ts';
import type { Clock } from '../system/clock.ts';
import type { Logger } from '../system/logger.ts';
import { Incarnation } from './incarnation.ts';
import { LifecycleTimers } from './lifecycle-timers.ts';
import { isWaking, type LifecycleEffect, type LifecycleEvent, type LifecycleState, step } from './machine.ts';
import { Refusal } from './refusal.ts';
import { describeTransition } from './transition-log.ts';
import { WaitingRoom } from './waiting-room.ts';

/** What the lifecycle of a workload takes from its service. */
export type LifecyclePolicy = Pick<
  Service,
  'name' | 'idleTimeoutMs' | 'startTimeoutMs' | 'stopTimeoutMs' | 'maxPending' | 'cronStart' | 'cronStop'
>;

/**
 * Keeps one workload in the state that its leases ask for: carries out the effects of the state machine, follows the
 * runs of the workload, and owns its timers. `connect-upstream.ts` is how clients get through it. `close()` ends it.
 */
export class WorkloadController {
  /** Those who wait for the workload to be awake. */
  readonly room: WaitingRoom;
  readonly #backend: Backend;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timers: LifecycleTimers;
  readonly #onDrained: () => void;
  #workload: Workload;
  #policy: LifecyclePolicy;
  #state: LifecycleState = { kind: 'unknown' };
  #stateSinceMs: number;
  #observation: Observation;
  #incarnation: Incarnation | undefined;
  #leases = 0;
  #lastActiveMs: number;
  #wakeCall: AbortController | undefined;
  #retired = false;
  #closed = false;

  constructor(options: {
    readonly workload: Workload;
    readonly policy: LifecyclePolicy;
    readonly backend: Backend;
    readonly clock: Clock;
    readonly logger: Logger;
    /** Called once after `retire()`, when nothing is left to do for the workload. */
    readonly onDrained: () => void;
  }) {
    this.#workload = options.workload;
    this.#policy = options.policy;
    this.#backend = options.backend;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onDrained = options.onDrained;
    this.room = new WaitingRoom(options.clock);
    this.#timers = new LifecycleTimers(options.clock, (kind, reason) =>
      this.#dispatch({ kind, engine: this.#observation.state }, reason),
    );
    this.#stateSinceMs = options.clock.monotonicMs();
    this.#lastActiveMs = options.clock.nowMs();
    this.#observation = UNKNOWN;
  }

  get policy(): LifecyclePolicy {
    return this.#policy;
  }

  get state(): LifecycleState {
    return this.#state;
  }

  get observation(): Observation {
    return this.#observation;
  }

  /** The present run of the workload; undefined while it doesn't run, or has a health gate to pass first. */
  get incarnation(): Incarnation | undefined {
    return this.#incarnation;
  }

  get leases(): number {
    return this.#leases;
  }

  /** When a lease last began or ended, ms since the epoch; at first the moment this controller was made. */
  get lastActiveMs(): number {
    return this.#lastActiveMs;
  }

  /** True from `retire()` until the service comes back. */
  get retired(): boolean {
    return this.#retired;
  }

  /** Begins to follow the workload, from what its backend knows already. */
  start(): void {
    this.observe(this.#backend.watch(this.#workload));
  }

  /** Tells what the engine says now. */
  observe(observation: Observation): void {
    this.#observation = observation;
    this.#dispatch({ kind: 'observed', engine: observation.state }, observation.detail);
    this.#followRun();
  }

  /** New settings, in force at once; a running idle timer counts from where it began. Takes back a retirement. */
  update(workload: Workload, policy: LifecyclePolicy): void {
    this.#workload = workload;
    this.#policy = policy;
    this.#retired = false;
    this.observe(this.#backend.watch(workload));
    this.#followTimers();
  }

  /** Takes a lease, which keeps the workload from idling; the returned function gives it back, once. */
  takeLease(): () => void {
    this.#changeLeases(+1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#changeLeases(-1);
      this.#drain();
    };
  }

  /** Somebody in the waiting room wants the workload awake; `reason` is for the log. */
  demand(reason: string): void {
    this.#dispatch({ kind: 'demanded' }, reason);
  }

  /** The workload has answered. */
  prove(): void {
    this.#dispatch({ kind: 'gate-passed' });
  }

  /**
   * Ends a gate at which nobody waits: there is nothing to prove, unless the last one has waited in vain.
   * @param reason why the last one left.
   */
  endEmptyGate(reason?: unknown): void {
    if (this.#state.kind !== 'starting' || this.#state.phase !== 'gate' || this.room.size > 0) return;
    if (!(reason instanceof Refusal) || reason.code !== 'timeout') return this.prove();
    this.#dispatch({ kind: 'gate-failed' }, reason.message);
  }

  /** The service is gone: those who wait are refused, and a workload that the proxy owns ends when it is unused. */
  retire(): void {
    this.#retired = true;
    this.room.refuseAll(new Refusal('removed', 'the service was removed'));
    this.#followTimers();
    this.#drain();
  }

  /** Leaves the workload as it is and lets go of everything. Idempotent. */
  close(): void {
    this.#retired = true;
    this.#closed = true;
    this.room.refuseAll(new Refusal('removed', 'the proxy is shutting down'));
    this.#wakeCall?.abort(new Error('the proxy is shutting down'));
    this.#wakeCall = undefined;
    this.#timers.close();
    this.#incarnation?.end();
  }

  #changeLeases(by: 1 | -1): void {
    this.#leases += by;
    this.#lastActiveMs = this.#clock.nowMs();
    this.#followTimers();
  }

  #dispatch(event: LifecycleEvent, reason?: string): void {
    if (this.#closed) return;
    const before = this.#state;
    const { state, effects } = step(before, event, this.room.size > 0);
    if (state === before) return;
    this.#enter(state, event.kind !== 'demanded' && isWaking(state) ? `${this.room.size} waiting` : reason);
    for (const effect of effects) this.#perform(effect, { late: event.kind === 'deadline-passed', reason });
    this.#followRun();
    this.#followTimers();
    if (state.kind !== 'stopping') this.room.startBudgets();
    this.room.callAll();
    this.#drain();
  }

  #enter(state: LifecycleState, reason: string | undefined): void {
    const before = this.#state;
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#stateSinceMs;
    this.#state = state;
    if (before.kind !== state.kind) this.#stateSinceMs = nowMs;
    const line = describeTransition({ before, after: state }, { name: this.#policy.name, elapsedMs, reason });
    if (line === undefined) return;
    this.#logger[line.level]({ event: line.event, service: this.#policy.name, ...line.fields }, line.message);
  }

  #perform(effect: LifecycleEffect, { late, reason }: { late: boolean; reason: string | undefined }): void {
    switch (effect) {
      case 'wake':
        return this.#wake();
      case 'sleep':
        return this.#sleep();
      case 'open-gate':
        // Whoever waits dials, once the transition is complete.
        return queueMicrotask(() => this.endEmptyGate());
      case 'refuse':
        this.#wakeCall?.abort(new Error('the start took too long'));
        this.#wakeCall = undefined;
        return this.room.refuseAll(new Refusal(late ? 'timeout' : 'failed', reason ?? 'the start failed'));
      case 'close-gate':
        return;
    }
  }

  #wake(): void {
    const call = new AbortController();
    this.#wakeCall = call;
    const settle = (kind: 'woken' | 'wake-failed', reason?: string) => {
      if (this.#wakeCall !== call) return;
      this.#wakeCall = undefined;
      this.#dispatch({ kind, engine: this.#observation.state }, reason ?? this.#observation.detail);
    };
    void this.#backend.wake(this.#workload, { signal: call.signal }).then(
      () => settle('woken'),
      (error) => settle('wake-failed', messageOf(error)),
    );
  }

  #sleep(): void {
    const settle = (kind: 'slept' | 'sleep-failed') => {
      this.#timers.sleepEnded(kind);
      this.#dispatch({ kind, engine: this.#observation.state });
    };
    void this.#backend.sleep(this.#workload, { graceMs: this.#policy.stopTimeoutMs }).then(
      () => settle('slept'),
      (error) => {
        const service = this.#policy.name;
        const message = `${service} could not be put to sleep: ${messageOf(error)}`;
        this.#logger.warn({ event: 'sleep-failed', service }, message);
        settle('sleep-failed');
      },
    );
  }

  /** Begins and ends the incarnation with the runs of the workload. */
  #followRun(): void {
    if (this.#closed) return;
    const runs =
      this.#state.kind === 'ready' || (this.#state.kind === 'starting' && this.#state.phase === 'gate');
    const { hosts } = this.#observation;
    const current = this.#incarnation;
    if (runs && current !== undefined && (hosts.length === 0 || sameHosts(current.hosts, hosts))) return;
    if (!runs && current === undefined) return;
    this.#incarnation = runs ? new Incarnation(hosts, this.#clock) : undefined;
    current?.end();
    this.room.callAll();
  }

  #followTimers(): void {
    const { startTimeoutMs, cronStart, cronStop } = this.#policy;
    const scheduled = cronStart !== undefined || cronStop !== undefined;
    // Without its service, what the proxy owns is no longer needed, and the rest is left as it is.
    const exempt = this.#retired ? !this.#backend.ownsWorkloads : scheduled;
    const idleTimeoutMs = this.#retired ? 0 : this.#policy.idleTimeoutMs;
    const mayIdle = this.#leases === 0 && !exempt;
    this.#timers.follow(this.#state, { mayIdle, idleTimeoutMs, startTimeoutMs });
  }

  /** After the service went: lets go of the workload as soon as nobody uses it; what the proxy owns has to end first. */
  #drain(): void {
    if (!this.#retired || this.#closed || this.#leases > 0) return;
    if (this.#backend.ownsWorkloads && mayRun(this.#state)) return;
    this.#backend.unwatch(this.#workload);
    this.close();
    this.#onDrained();
  }
}

/** Whether a workload runs, or will before anything else happens to it. */
function mayRun(state: LifecycleState): boolean {
  if (state.kind === 'failed') return state.running;
  return state.kind === 'ready' || state.kind === 'starting' || state.kind === 'stopping';
}

function sameHosts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((host, index) => host === b[index]);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
