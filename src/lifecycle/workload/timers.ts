import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import {
  isBackingOff,
  isInterrupted,
  isWaking,
  type LifecycleState,
  type TimerEventKind,
} from './machine.ts';

/** Delay after failed starts in a row (DESIGN 4.1). */
const START_BACKOFF = { firstMs: 1_000, maxMs: 30_000 } as const;

/** How much of a client's budget a backoff may take: the next start needs the rest, or no client would ever be served again. */
const LONGEST_BACKOFF_SHARE = 0.5;

/**
 * How long a workload that others have stopped during its start may stay down before it is woken again; longer each time. A
 * restart by others takes some hundred ms, and somebody who stops it again and again must not be fought.
 */
const INTERRUPTION_BACKOFF = { firstMs: 500, maxMs: 30_000 } as const;

export interface TimerDemands {
  /** No lease is held, and nothing exempts the workload from the idle timer. */
  readonly mayIdle: boolean;
  /**
   * Clients are there. Whatever they do, a timer that runs is left as it is, so it may fire too early. Whoever is told then looks what
   * they have carried since, and follows with new demands.
   */
  readonly isLazy: boolean;
  /** When it was last used, on the monotonic clock; undefined = not yet. */
  readonly idleSinceMs?: number | undefined;
  /** The idle time after which it is put to sleep, or its pause becomes a stop; undefined = it is left as it is. */
  readonly idleTimeoutMs: number | undefined;
  /** When it may be put to sleep at the earliest, on the monotonic clock. */
  readonly notBeforeMs: number;
  /** How long it stays awake once it is ready, however idle it is. */
  readonly minAwakeMs: number;
  /** How long a start may take. Where this grows during a start, that start has longer, too. */
  readonly startTimeoutMs: number;
  /** No client waits, but a hold does, until the workload was awake once: the start is tried again, ever more slowly. */
  readonly isOnlyKept: boolean;
  /**
   * Where a start took too long, but goes on, as its engine says: by when it must be over, on the monotonic clock.
   * Idle time counts from then, or from when this is undefined again.
   */
  readonly startsUntilMs?: number | undefined;
}

interface Backoff {
  readonly after: LifecycleState['kind'];
  /** When it began, on the monotonic clock. */
  readonly sinceMs: number;
  /** How long it lasts where a client waits, or may come, and where somebody keeps the workload. */
  readonly clientMs: number;
  readonly keptMs: number;
}

interface Timer {
  readonly cancel: Cancel;
  readonly dueMs: number;
}

/** The timers of one workload: which of them run follows from its state alone. */
export class LifecycleTimers {
  readonly #clock: Clock;
  readonly #fire: (event: TimerEventKind | 'idle', reason: string) => void;
  #deadline: Timer | undefined;
  #startedMs = 0;
  /** The state that the deadline was last followed for. */
  #followed: LifecycleState | undefined;
  #backoff: (Timer & Backoff) | undefined;
  #idle: Timer | undefined;
  #runningSinceMs: number | undefined;
  #failedStarts = 0;
  #interruptions = 0;
  #failedSleeps = 0;
  #mayStopAtMs = 0;
  #closed = false;

  constructor(clock: Clock, fire: (event: TimerEventKind | 'idle', reason: string) => void) {
    this.#clock = clock;
    this.#fire = fire;
  }

  /** Arms what `state` asks for, cancels what it doesn't; a running backoff is left as it is. */
  follow(state: LifecycleState, demands: TimerDemands): void {
    if (this.#closed) return;
    this.#followDeadline(state, demands);
    this.#followBackoff(state, demands);
    this.#followIdle(state, demands);
  }

  /** After a failed stop the next one waits a backoff beyond the idle timeout, so that it isn't asked for in a loop. */
  sleepEnded(outcome: 'slept' | 'sleep-failed'): void {
    this.#failedSleeps = outcome === 'slept' ? 0 : this.#failedSleeps + 1;
    const backoff = outcome === 'slept' ? 0 : backoffMs(this.#failedSleeps, START_BACKOFF);
    this.#mayStopAtMs = this.#clock.monotonicMs() + backoff;
  }

  /** From when on it may be stopped for another one, after a stop that has failed, on the monotonic clock. */
  get mayStopAtMs(): number {
    return this.#mayStopAtMs;
  }

  /** What the start under way waits for has to begin anew: it has its whole time from now on. To be followed by `follow()`. */
  countStartAnew(): void {
    this.#startedMs = this.#clock.monotonicMs();
  }

  /** When the idle timer fires, on the monotonic clock; undefined while it doesn't run. */
  get sleepsAtMs(): number | undefined {
    return this.#idle?.dueMs;
  }

  /** When a start is tried again, on the monotonic clock; undefined while none waits for that. */
  get triesAgainAtMs(): number | undefined {
    return this.#backoff?.dueMs;
  }

  /** Cancels all of them, for good. */
  close(): void {
    this.#closed = true;
    for (const timer of [this.#deadline, this.#backoff, this.#idle]) timer?.cancel();
    this.#deadline = this.#backoff = this.#idle = undefined;
  }

  #followDeadline(state: LifecycleState, { startTimeoutMs }: TimerDemands): void {
    const before = this.#followed;
    this.#followed = state;
    if (state.kind !== 'starting') {
      this.#deadline?.cancel();
      this.#deadline = undefined;
      return;
    }
    if (this.#deadline === undefined || isBegunAnew(state, before))
      this.#startedMs = this.#clock.monotonicMs();
    const dueMs = this.#startedMs + startTimeoutMs;
    // Somebody with a longer budget may come and wait. Nothing makes the deadline come sooner again.
    if (this.#deadline !== undefined && dueMs <= this.#deadline.dueMs) return;
    this.#deadline?.cancel();
    const reason = `not ready within ${startTimeoutMs} ms`;
    const fire = () => this.#fire('deadline-passed', reason);
    this.#deadline = this.#schedule(dueMs - this.#clock.monotonicMs(), fire);
  }

  #followBackoff(state: LifecycleState, { startTimeoutMs, isOnlyKept }: TimerDemands): void {
    if (state.kind === 'ready') this.#failedStarts = this.#interruptions = 0;
    // A failed workload that runs all the same is tried again for holds alone: each new client tries by itself.
    const isWanted = isBackingOff(state) || (state.kind === 'failed' && isOnlyKept);
    const running = this.#backoff?.after === state.kind ? this.#backoff : undefined;
    const backoff = isWanted ? (running ?? this.#beginBackoff(state, startTimeoutMs)) : undefined;
    const dueMs = backoff && backoff.sinceMs + (isOnlyKept ? backoff.keptMs : backoff.clientMs);
    if (dueMs !== undefined && running?.dueMs === dueMs) return;
    this.#backoff?.cancel();
    this.#backoff = undefined;
    if (backoff === undefined || dueMs === undefined) return;
    const timer = this.#schedule(Math.max(0, dueMs - this.#clock.monotonicMs()), () => {
      this.#backoff = undefined;
      this.#fire('backoff-over', 'next try');
    });
    this.#backoff = { ...backoff, ...timer, dueMs };
  }

  #beginBackoff(state: LifecycleState, startTimeoutMs: number): Backoff {
    const since = { after: state.kind, sinceMs: this.#clock.monotonicMs() };
    const keptMs = isInterrupted(state)
      ? backoffMs(++this.#interruptions, INTERRUPTION_BACKOFF)
      : backoffMs(++this.#failedStarts, START_BACKOFF);
    return { ...since, keptMs, clientMs: Math.min(keptMs, startTimeoutMs * LONGEST_BACKOFF_SHARE) };
  }

  #followIdle(state: LifecycleState, demands: TimerDemands): void {
    const { mayIdle, idleSinceMs, idleTimeoutMs } = demands;
    // It is woken for somebody else now. That an earlier stop failed is no reason to let it run for longer.
    if (state.kind === 'stopped' || isWaking(state)) this.#failedSleeps = 0;
    const running =
      state.kind === 'ready' || state.kind === 'paused' || (state.kind === 'failed' && state.running);
    // A workload that is being paused goes on being idle.
    const isBeingPaused = state.kind === 'stopping' && state.phase === 'pausing';
    if (!isBeingPaused) this.#followRunning(running, demands.startsUntilMs);
    if (!running || !mayIdle || idleTimeoutMs === undefined || this.#runningSinceMs === undefined) {
      this.#idle?.cancel();
      this.#idle = undefined;
      return;
    }
    const sinceMs = Math.max(idleSinceMs ?? 0, this.#runningSinceMs);
    const extraMs = this.#failedSleeps === 0 ? 0 : backoffMs(this.#failedSleeps, START_BACKOFF);
    const awakeUntilMs = state.kind === 'ready' ? this.#runningSinceMs + demands.minAwakeMs : 0;
    const earliestMs = Math.max(awakeUntilMs, demands.notBeforeMs);
    const dueMs = Math.max(sinceMs + idleTimeoutMs, earliestMs) + extraMs;
    if (this.#idle?.dueMs === dueMs || (demands.isLazy && (this.#idle?.dueMs ?? dueMs) < dueMs)) return;
    this.#idle?.cancel();
    const delayMs = dueMs - this.#clock.monotonicMs();
    const reason = idleTimeoutMs === 0 ? 'no longer used' : `idle for ${idleTimeoutMs / 1_000} s`;
    this.#idle = this.#schedule(delayMs, () => {
      this.#idle = undefined;
      this.#fire('idle', reason);
    });
    this.#idle = { ...this.#idle, dueMs };
  }

  /** Notes when the start has ended, or will have; where others have paused the workload, when that was seen. */
  #followRunning(running: boolean, startsUntilMs: number | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    const before = this.#runningSinceMs;
    if (!running) this.#runningSinceMs = undefined;
    else this.#runningSinceMs = Math.max(startsUntilMs ?? 0, Math.min(before ?? nowMs, nowMs));
  }

  #schedule(delayMs: number, callback: () => void): Timer {
    return { cancel: this.#clock.schedule(delayMs, callback), dueMs: this.#clock.monotonicMs() + delayMs };
  }
}

/**
 * Whether others have ended the start under way, or begun another one, or it has to be begun anew because they have paused it. Whoever
 * has come meanwhile must not be refused for the time that the start before has taken; who waits since then has a budget of his own.
 */
function isBegunAnew(state: LifecycleState, before: LifecycleState | undefined): boolean {
  if (before?.kind !== 'starting') return false;
  if (isInterrupted(state) !== isInterrupted(before)) return true;
  return isWaking(state) && (before.phase === 'gate' || before.phase === 'engine');
}
