import type { Observation } from '../../model/observation.ts';
import { UNKNOWN } from '../../model/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import type { Wake } from '../../model/wake.ts';
import type { Cancel } from '../../system/clock.ts';
import { type CallOutcome, EngineCalls } from './engine-calls.ts';
import type { WorkloadRun } from '../run/workload-run.ts';
import { LastOutput } from '../run/last-output.ts';
import { LeaseBook } from './lease-book.ts';
import { LifecycleTimers } from './timers.ts';
import {
  asleep,
  isBackingOff,
  isGate,
  isWaking,
  type LifecycleEffect,
  type LifecycleEvent,
  type LifecycleState,
  mayRun,
  type Step,
  step,
} from './machine.ts';
import { describeObstacle } from '../run/obstacle.ts';
import { proveAlone } from '../run/prove-alone.ts';
import { Refusal, withObstacle } from '../refusal.ts';
import { chooseHealthGate, type HealthNews, RunFollower } from '../run/run-follower.ts';
import type { StartTurn } from './start-queue.ts';
import type { ControllerParts, Subject } from './subject.ts';
import { logTransition } from './transition-log.ts';
import { WaitingRoom } from '../clients/waiting-room.ts';
import { WakeRecord } from './wake-record.ts';
import { WarmPaths } from './warm-paths.ts';

/**
 * A workload that is gone is told of so late: its labels, which may have made the service, are told of after it, and who makes
 * it anew does so at once.
 */
const TELL_MISSING_AFTER_MS = 100;

/** Told by the runner, after the fact. */
export interface RunnerObserver {
  /** The state has changed. */
  changed(state: LifecycleState): void;
  /** A lease began or ended. */
  leased(): void;
  /** The proxy has started or stopped the workload. */
  acted(act: 'started' | 'stopped'): void;
}

/** Between looks at a workload whose port doesn't answer. */
const LOOK_AGAIN_MS = 1_000;

/** Runs the state machine of one workload: feeds it events, carries out its effects, and follows with timers and runs. */
export class LifecycleRunner {
  /** Those who wait for the workload to be awake. */
  readonly room: WaitingRoom;
  readonly leases: LeaseBook;
  readonly warmPaths: WarmPaths;
  readonly wakes: WakeRecord;
  readonly output: LastOutput;
  readonly #parts: ControllerParts;
  readonly #observer: RunnerObserver;
  readonly #timers: LifecycleTimers;
  readonly #calls: EngineCalls;
  readonly #run: RunFollower;
  /** Its place among the starts of all workloads. */
  readonly #turn: StartTurn;
  /** Under way while nobody waits at the gate. */
  #proof: { readonly run: WorkloadRun; readonly stop: AbortController } | undefined;
  #subject: Subject;
  #state: LifecycleState = { kind: 'unknown' };
  #stateSinceMs: number;
  /** When the present run began. */
  #runSinceMs = 0;
  #observation: Observation = UNKNOWN;
  /** Who wanted it awake last. */
  #lastDemand: string | undefined;
  /** While it waits for its turn it is wanted for its own sake, whoever waits for it. */
  #isAsked = false;
  /** How long it had waited for its turns when the last one ended. */
  #queuedBeforeMs = 0;
  /** The start under way had to wait for its turn: its clients have waited for longer than it has taken. */
  #startsLate = false;
  /** The proxy is about to end: the workload is left as it is. */
  #draining = false;
  #isServed = true;
  /** Since when it is served, on the monotonic clock. */
  #servedSinceMs = 0;
  /** Why it is to sleep as soon as its start has ended, unless somebody uses it then. */
  #sleepSoon: string | undefined;
  /** Why it is not put to sleep, as it was told last. */
  #toldStaysAwake: string | undefined;
  #cancelMissing: Cancel | undefined;
  #closed = false;
  #lookedAgainMs = Number.NEGATIVE_INFINITY;

  constructor(subject: Subject, options: ControllerParts & { readonly observer: RunnerObserver }) {
    const { clock, backend, checkLabelUrl } = options;
    this.#subject = subject;
    this.#parts = options;
    this.#observer = options.observer;
    this.#stateSinceMs = clock.monotonicMs();
    this.room = new WaitingRoom(clock);
    this.leases = new LeaseBook(clock, () => this.#leasesChanged());
    this.warmPaths = new WarmPaths(this.leases);
    this.wakes = new WakeRecord(clock);
    this.output = new LastOutput(options);
    this.#timers = new LifecycleTimers(clock, (kind, reason) => {
      // Who is in without having been told of keeps it awake, and will be told of.
      if (kind === 'sleep-wanted' && !this.warmPaths.tryCloseAll()) return;
      if (kind === 'deadline-passed') this.dispatch(kind, withObstacle(reason, this.obstacleTo()));
      else this.dispatch(kind, kind === 'sleep-wanted' ? (this.#sleepSoon ?? reason) : reason);
    });
    this.#calls = new EngineCalls({
      ...{ backend, clock },
      onSettled: (outcome, reason) => this.#callSettled(outcome, reason),
    });
    this.#turn = options.starts.join(() => this.#turnCame());
    this.#run = new RunFollower({
      ...{ clock, checkLabelUrl, own: options.own, service: () => this.#subject.policy.name },
      onBegin: () => this.#runBegan(),
      // Opened again by the next client, with the address that answers in front.
      onReordered: () => this.warmPaths.closeAll(),
      onUnanswered: () => this.#lookAgain(),
      onHealthNews: (news) => this.#logHealthNews(news),
    });
  }

  /** A port does not answer although the workload counts as ready: its engine may not have told that it has stopped. */
  #lookAgain(): void {
    const nowMs = this.#parts.clock.monotonicMs();
    if (this.#state.kind !== 'ready' || nowMs - this.#lookedAgainMs < LOOK_AGAIN_MS) return;
    this.#lookedAgainMs = nowMs;
    this.#parts.backend.look?.(this.#subject.workload);
  }

  get state(): LifecycleState {
    return this.#state;
  }

  get observation(): Observation {
    return this.#observation;
  }

  get currentRun(): RunFollower['current'] {
    return this.#run.current;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What stands between the workload and its clients now; see {@link describeObstacle}. */
  obstacleTo(target?: { readonly protocol: Protocol; readonly port: TargetPort }): string | undefined {
    const [state, observation] = [this.#state, this.#observation];
    const { current: run, checkFailure } = this.#run;
    const wakeFailure = this.wakes.failure;
    const queued = this.#turn.isWaiting ? this.#parts.starts.load : undefined;
    return describeObstacle({ state, observation, run, checkFailure, wakeFailure, queued }, target);
  }

  /** See {@link WorkloadController.queuedMs}. */
  get queuedMs(): number {
    return this.#turn.waitedMs;
  }

  get #queuedByWakeMs(): number {
    return this.queuedMs - this.#queuedBeforeMs;
  }

  /** See {@link WorkloadController.describeQueue}. */
  describeQueue({ sinceMs }: { readonly sinceMs: number }): string | undefined {
    const ms = Math.round(this.queuedMs - sinceMs);
    if (ms <= 0 || this.#turn.isWaiting) return undefined;
    return `, of which it waited ${ms} ms for its turn (max_starting is ${this.#parts.starts.max})`;
  }

  /** Takes new settings, in force at once; a running idle timer counts from where it began. */
  setSubject(subject: Subject): void {
    this.#subject = subject;
    this.#followTimers();
    if (!subject.retired) return;
    this.#isAsked = false;
    // Nobody is to use it any more: it need not prove anything before it ends.
    this.endEmptyGate();
  }

  /** Whether clients can reach it through this proxy. */
  get isServed(): boolean {
    return this.#isServed;
  }

  setServed({ isServed }: { readonly isServed: boolean }): void {
    if (isServed === this.#isServed) return;
    this.#isServed = isServed;
    if (isServed) this.#servedSinceMs = this.#parts.clock.monotonicMs();
    this.#followTimers();
  }

  /** Whether its start is still going on: also where it took too long for us, but not for its health check. */
  get isStarting(): boolean {
    return this.#state.kind === 'starting' || (this.#startsUntilMs ?? 0) > this.#parts.clock.monotonicMs();
  }

  /** Puts it to sleep when its start has ended, unless somebody uses it then; `reason` is for the log. */
  sleepWhenStarted(reason: string): void {
    this.#sleepSoon = reason;
    this.#followTimers();
  }

  /** Takes what the engine says now. */
  observe(observation: Observation): void {
    const { health: before, staysAwake } = this.#observation;
    this.#observation = observation;
    this.dispatch('observed', observation.detail);
    if (observation.health === 'healthy' && before !== 'healthy') this.dispatch('recovered');
    this.#followRun();
    if (observation.health !== before || observation.staysAwake !== staysAwake) this.#followTimers();
  }

  /** Demands that it is woken, whether or not anybody still waits for that when its turn comes. */
  ask(reason: string): void {
    this.#isAsked = true;
    this.dispatch('demanded', reason);
    if (!this.#turn.isWaiting) this.#isAsked = false;
  }

  /** Feeds the machine an event; `reason` is for the log and for those who are refused. */
  dispatch(kind: LifecycleEvent['kind'], reason?: string): void {
    if (this.#closed) return;
    const before = this.#state;
    if (kind === 'sleep-wanted') this.#callOff();
    if (kind === 'sleep-wanted' && this.#observation.staysAwake !== undefined) return this.#tellStaysAwake();
    if (kind === 'demanded') {
      this.#lastDemand = reason;
      this.#sleepSoon = undefined;
    }
    if (this.#draining && (kind === 'sleep-wanted' || (kind === 'demanded' && !this.#mayServe))) {
      return this.#refuseInVain();
    }
    const { state, effects } = this.#step(kind);
    if (state === before && effects.length === 0) return;
    const failing = this.#whatFails(kind);
    // It may stay and be called again, as where others have paused what our call has started.
    if (state !== before)
      this.#enter(state, kind !== 'demanded' && isWaking(state) ? `${this.room.size} waiting` : reason);
    for (const effect of effects) this.#perform(effect, { late: kind === 'deadline-passed', reason });
    this.#followRun();
    if (state.kind !== 'stopping') this.room.startBudgets();
    this.#followTurn();
    this.#followTimers();
    this.room.callAll();
    if (this.#draining) this.#refuseInVain();
    this.#followOutput({ before, failing });
    this.#observer.changed(state);
  }

  /** Whether it can become ready without being started, or stopped, before. */
  get #mayServe(): boolean {
    return mayRun(this.#state) && this.#observation.state !== 'stranded';
  }

  get #isWanted(): boolean {
    return !this.#draining && (this.room.size > 0 || this.leases.hasUnmet);
  }

  /** The machine's next step; what is to be woken stays asleep until its turn has come. */
  #step(kind: LifecycleEvent['kind']): Step {
    const { state: engine, stoppedBy } = this.#observation;
    const next = step(this.#state, { kind, engine, stoppedBy }, this.#isWanted);
    const { name } = this.#subject.policy;
    const wakes = next.effects.includes('wake');
    if (!wakes || this.#turn.take({ atOnce: this.leases.hasUrgent, name })) return next;
    return { state: asleep(this.#state, engine), effects: [] };
  }

  /** It has a place among the starts, and gives it back where nothing is to be started any more. */
  #turnCame(): void {
    const isWanted = this.#isWanted || this.#isAsked;
    this.#isAsked = false;
    this.#startsLate = true;
    if (isWanted) this.dispatch(isBackingOff(this.#state) ? 'backoff-over' : 'demanded', this.#lastDemand);
    if (this.#state.kind !== 'starting') this.#endTurn();
  }

  #endTurn(): void {
    this.#startsLate = false;
    this.#turn.end();
    this.#queuedBeforeMs = this.#turn.waitedMs;
  }

  /** Waits no longer for its turn where nobody wants it awake. @param reason why the last one has left. */
  #followTurn(reason?: unknown): void {
    if (!this.#turn.isWaiting) return;
    const { kind } = this.#state;
    const mayWake = kind === 'stopped' || kind === 'paused' || isBackingOff(this.#state);
    if (mayWake && (this.#isWanted || this.#isAsked)) return;
    const queuedMs = this.#queuedByWakeMs;
    this.#endTurn();
    if (reason instanceof Refusal && reason.code === 'timeout') {
      this.wakes.begin(this.#lastDemand ?? 'somebody', { queuedMs });
      this.wakes.end('failed', reason.message);
    }
  }

  #callOff(): void {
    this.#isAsked = false;
    this.#followTurn();
  }

  /** It is not put to sleep: told once for each reason. */
  #tellStaysAwake(): void {
    const { staysAwake } = this.#observation;
    if (this.#toldStaysAwake === staysAwake || !mayRun(this.#state)) return;
    this.#toldStaysAwake = staysAwake;
    const service = this.#subject.policy.name;
    const message = `${service} is not put to sleep: ${staysAwake}`;
    this.#parts.logger.warn({ event: 'stays-awake', service }, message);
  }

  /** Neither starts nor stops the workload from now on; a start under way goes on. Idempotent. */
  drain(): void {
    this.#draining = true;
    this.#callOff();
    this.#followTimers();
    this.#refuseInVain();
  }

  /**
   * Goes on at a gate at which nobody waits: it has failed where the last one has waited in vain; otherwise the proxy
   * dials the ports itself. What has no port to dial, as with UDP alone, is taken for ready.
   * @param reason why the last one left.
   */
  endEmptyGate(reason?: unknown): void {
    this.#followTurn(reason);
    if (!isGate(this.#state) || this.room.size > 0) return;
    const isTooLate = reason instanceof Refusal && reason.code === 'timeout';
    if (isTooLate && !this.#startsLate) this.dispatch('gate-failed', reason.message);
    // The start has time left, and only a client can prove a datagram port: the next one does, or the start's own time ends it.
    else if (isTooLate && hasDatagramsOnly(this.#subject.policy)) return;
    else if (this.currentRun !== undefined) this.#proveAlone(this.currentRun);
  }

  /** Lets go of everything and leaves the workload as it is. Idempotent. */
  close(): void {
    this.#closed = true;
    this.warmPaths.closeAll();
    this.room.refuseAll(new Refusal('removed', 'the proxy is shutting down'));
    this.#turn.end();
    this.#calls.close('the proxy is shutting down');
    this.#cancelMissing?.();
    this.#timers.close();
    this.#endProof();
    this.#run.close();
    this.output.close();
  }

  #proveAlone(run: WorkloadRun): void {
    const ports = listTcpTargets(this.#subject.policy);
    const loops = ports.map((port) => run.explainLoop({ protocol: 'tcp', port }));
    const [loop] = loops;
    if (loop !== undefined && !loops.includes(undefined)) return this.dispatch('gate-failed', loop);
    if (ports.length === 0 || this.#subject.retired) return this.dispatch('gate-passed');
    if (this.#proof?.run === run) return;
    this.#endProof();
    const proof = { run, stop: new AbortController() };
    this.#proof = proof;
    const { clock } = this.#parts;
    void proveAlone(run, { ports, clock, signal: proof.stop.signal }).then(
      () => {
        if (this.#proof !== proof) return;
        this.#proof = undefined;
        this.dispatch('gate-passed');
      },
      () => {},
    );
  }

  #endProof(): void {
    this.#proof?.stop.abort(new Error('the gate was left'));
    this.#proof = undefined;
  }

  #enter(after: LifecycleState, reason: string | undefined): void {
    const before = this.#state;
    const nowMs = this.#parts.clock.monotonicMs();
    const elapsedMs = nowMs - this.#stateSinceMs;
    this.#state = after;
    if (before.kind !== after.kind) this.#stateSinceMs = nowMs;
    if (after.kind !== 'starting' && !this.#turn.isWaiting) this.#endTurn();
    if (isGate(after) && before.kind !== 'failed') this.#runSinceMs = nowMs;
    // However the start ends, the wish ends with it: what somebody else starts later is not ours to stop at once.
    const runsUnused = after.kind === 'ready' && this.leases.count === 0;
    const runsAnyhow = after.kind === 'starting' || (after.kind === 'failed' && after.running);
    if (!runsUnused && !runsAnyhow) this.#sleepSoon = undefined;
    const wake = this.#recordWake({ before, after }, reason);
    if (after.kind === 'ready') this.leases.meetAll();
    else this.warmPaths.closeAll();
    const { name } = this.#subject.policy;
    const { clock, logger } = this.#parts;
    const tell = () => logTransition({ before, after }, { name, elapsedMs, reason, wake, logger });
    this.#cancelMissing?.();
    this.#cancelMissing = after.kind === 'missing' ? clock.schedule(TELL_MISSING_AFTER_MS, tell) : undefined;
    if (after.kind !== 'missing') tell();
  }

  /** Begins the record of a wake, or ends it; returns the one that has ended. */
  #recordWake(
    { before, after }: { readonly before: LifecycleState; readonly after: LifecycleState },
    reason: string | undefined,
  ): Wake | undefined {
    if (after.kind === 'starting') {
      if (before.kind !== 'starting') {
        this.wakes.begin(this.#causeOfWake(before), { queuedMs: this.#queuedByWakeMs });
      }
      return undefined;
    }
    if (before.kind !== 'starting') return undefined;
    if (after.kind === 'ready') return this.wakes.end('ready', undefined);
    if (after.kind === 'failed') return this.wakes.end('failed', reason ?? 'it ended by itself');
    return this.wakes.end('ended', reason ?? `it is ${after.kind}`);
  }

  /** What has something to say where the start fails now; undefined where nothing ran at all. */
  #whatFails(kind: LifecycleEvent['kind']): 'workload' | 'check' | undefined {
    if (kind === 'wake-failed') return undefined;
    const { httpHealthcheck } = this.#subject.policy;
    const gate = chooseHealthGate({ observation: this.#observation, httpHealthcheck });
    const isAtCheck = this.#state.kind === 'starting' && this.#state.phase === 'gate' && gate === 'engine';
    return isAtCheck && this.currentRun === undefined ? 'check' : 'workload';
  }

  #followOutput({
    before,
    failing,
  }: {
    readonly before: LifecycleState;
    readonly failing: 'workload' | 'check' | undefined;
  }): void {
    if (this.#state.kind === 'ready') this.output.forget();
    if (before.kind !== 'starting' || this.#state.kind !== 'failed' || failing === undefined) return;
    const { workload, policy } = this.#subject;
    void this.output.read(workload, { service: policy.name, of: failing });
    void this.#askWhy();
  }

  /** Some engines know more of a failed start than their events tell. */
  async #askWhy(): Promise<void> {
    const { backend, logger } = this.#parts;
    const { workload, policy } = this.#subject;
    const wake = this.wakes.last;
    if (wake === undefined) return;
    const why = await backend.explain?.(workload);
    if (why === undefined || this.#closed || !this.wakes.explain(wake, why)) return;
    const fields = { event: 'wake-explained', service: policy.name };
    logger.warn(fields, `${policy.name} did not become ready: ${why}`);
  }

  #causeOfWake(before: LifecycleState): string {
    const isWanted = this.room.size > 0 || this.leases.hasUnmet;
    if (isWanted && this.#lastDemand !== undefined) return this.#lastDemand;
    // It still starts as it did before its time was up.
    if (before.kind === 'failed' && before.running && this.wakes.last !== undefined)
      return this.wakes.last.cause;
    if (before.kind === 'failed') return 'it has recovered';
    return before.kind === 'unknown' ? 'it ran before the proxy looked' : 'somebody else';
  }

  #perform(
    effect: LifecycleEffect,
    { late, reason }: { readonly late: boolean; readonly reason: string | undefined },
  ): void {
    const { workload, policy } = this.#subject;
    switch (effect) {
      case 'wake':
        return this.#calls.wake(workload);
      case 'sleep':
        return this.#calls.sleep(workload, {
          graceMs: policy.stopTimeoutMs,
          evenInUse: this.leases.count > 0,
          ownGraceMs: this.#observation.ownGraceMs,
        });
      case 'refuse':
        this.#calls.abortWake('the start took too long');
        return this.room.refuseAll(
          new Refusal(late ? 'timeout' : 'failed', reason ?? this.wakes.failure ?? 'the start failed'),
        );
    }
  }

  #callSettled(outcome: CallOutcome, reason: string | undefined): void {
    if (outcome === 'slept' || outcome === 'sleep-failed') this.#timers.sleepEnded(outcome);
    if (outcome === 'sleep-failed') {
      const service = this.#subject.policy.name;
      const message = `${service} could not be put to sleep: ${reason}`;
      this.#parts.logger.warn({ event: 'sleep-failed', service }, message);
    }
    if (this.#closed) return;
    if (outcome === 'woken') this.#observer.acted('started');
    if (outcome === 'slept') this.#observer.acted('stopped');
    this.dispatch(outcome, outcome === 'woken' ? this.#observation.detail : reason);
  }

  /** Refuses those who wait where nothing can become ready any more. */
  #refuseInVain(): void {
    const { kind } = this.#state;
    if (kind === 'ready' || kind === 'starting' || (kind === 'failed' && this.#mayServe)) return;
    this.room.refuseAll(new Refusal('removed', 'the proxy is shutting down'));
  }

  #logHealthNews(news: HealthNews): void {
    const { name: service, startTimeoutMs } = this.#subject.policy;
    const { logger } = this.#parts;
    const budget = `start_timeout (${startTimeoutMs / 1_000} s)`;
    if (news === 'unhealthy') {
      const message = `${service}: its health check says that it is unhealthy; waiting for it within ${budget}`;
      return logger.warn({ event: 'unhealthy', service }, message);
    }
    const firstMs = this.#observation.checkTimes?.firstMs ?? 0;
    const message = `${service}: its health check runs first ${firstMs / 1_000} s after a start, too late for ${budget}`;
    logger.info(
      { event: 'health-late', service },
      `${message}: until then it is ready when its port answers`,
    );
  }

  #followRun(): void {
    const { httpHealthcheck, httpHealthcheckStatus, startTimeoutMs } = this.#subject.policy;
    const [state, observation] = [this.#state, this.#observation];
    this.#run.follow({ state, observation, httpHealthcheck, httpHealthcheckStatus, startTimeoutMs });
    if (!isGate(this.#state)) {
      this.#endProof();
      this.wakes.enter('engine');
    } else this.wakes.enter(this.currentRun === undefined ? 'health' : 'port');
  }

  #runBegan(): void {
    this.warmPaths.closeAll();
    this.wakes.enter('port');
    this.room.callAll();
    // Whoever waits tries first, once the transition is complete.
    queueMicrotask(() => this.endEmptyGate());
  }

  #leasesChanged(): void {
    if (this.#state.kind === 'ready' && this.leases.count > 0) this.#sleepSoon = undefined;
    this.#followTurn();
    this.#followTimers();
    this.#observer.leased();
  }

  /** When its health check has spoken for certain, where its start took too long for us and the check has not spoken yet. */
  get #startsUntilMs(): number | undefined {
    const { health, checkTimes } = this.#observation;
    if (this.#state.kind !== 'failed' || health !== 'starting' || checkTimes === undefined) return undefined;
    return this.#runSinceMs + checkTimes.lastMs;
  }

  #followTimers(): void {
    const { policy, retired } = this.#subject;
    const { startTimeoutMs, cronStart, cronStop, unmanaged } = policy;
    const scheduled = unmanaged === true || cronStart !== undefined || cronStop !== undefined;
    // Without its service, what the proxy owns is no longer needed, and the rest is left as it is.
    const isExempt = !this.#isServed || (scheduled && this.#sleepSoon === undefined);
    const isLeft = retired ? !this.#parts.backend.ownsWorkloads : isExempt;
    const isUnwanted = retired || this.#sleepSoon !== undefined;
    const idleTimeoutMs = isUnwanted ? 0 : policy.idleTimeoutMs;
    const { count } = this.leases;
    const idleSinceMs = Math.max(this.leases.idleSinceMs ?? 0, this.#servedSinceMs);
    const mayIdle = count === 0 && !isLeft && !this.#draining;
    this.#timers.follow(this.#state, {
      ...{ mayIdle, idleSinceMs, idleTimeoutMs, startTimeoutMs },
      startsUntilMs: this.#startsUntilMs,
    });
  }
}

function hasDatagramsOnly({ listeners }: Subject['policy']): boolean {
  return listeners.length > 0 && listeners.every(({ protocol }) => protocol === 'udp');
}

/** The target ports that can be dialled, each once. */
function listTcpTargets({ listeners }: Subject['policy']): readonly TargetPort[] {
  const tcp = listeners.filter(({ protocol }) => protocol === 'tcp');
  return [...new Set(tcp.map(({ targetPort }) => targetPort))];
}
