import type { Backend } from '../../backends/backend.ts';
import { hasSchedule, mayPutToSleep } from '../../model/availability.ts';
import type { Observation } from '../../model/observation.ts';
import type { SleepReason } from '../../model/sleep.ts';
import type { Clock } from '../../system/clock.ts';
import type { LeaseBook } from './lease-book.ts';
import { isGate, type LifecycleState, type Transition } from './machine.ts';
import type { TimerDemands } from './timers.ts';
import type { WorkloadPolicy } from './workload-policy.ts';

type Settings = Pick<
  WorkloadPolicy,
  'availability' | 'idleTimeoutMs' | 'startTimeoutMs' | 'cronStart' | 'cronStop' | 'unmanaged'
>;

/** What the answer depends on, beside what the policy keeps. */
interface Situation {
  readonly policy: Settings;
  readonly state: LifecycleState;
  readonly observation: Observation;
  /** Its service is gone. */
  readonly isRetired: boolean;
  /** The proxy is about to end. */
  readonly isDraining: boolean;
}

/** When a workload that nobody uses may be put to sleep, and since when it counts as idle. */
export class SleepPolicy {
  readonly #clock: Clock;
  readonly #backend: Pick<Backend, 'ownsWorkloads'>;
  readonly #leases: LeaseBook;
  #isServed = true;
  /** Since when it is served, and may be put to sleep for being idle, on the monotonic clock. */
  #servedSinceMs = 0;
  /** When the workload last came to its gate, on the monotonic clock. */
  #runSinceMs = 0;
  #sleepSoon: SleepReason | undefined;

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

  /** Takes new settings. What may sleep now, and might not before, has its full idle timeout from now on. */
  update(before: Settings, after: Settings): void {
    const soon = this.#sleepSoon?.kind;
    if (soon !== undefined && !mayPutToSleep(after.availability, soon)) this.#sleepSoon = undefined;
    if (!mayIdle(before) && mayIdle(after)) this.#servedSinceMs = this.#clock.monotonicMs();
  }

  /** Why the workload is to sleep as soon as its start has ended, unless somebody uses it then; undefined where it isn't to. */
  get sleepSoon(): SleepReason | undefined {
    return this.#sleepSoon;
  }

  sleepWhenStarted(reason: SleepReason): void {
    this.#sleepSoon = reason;
  }

  /** Somebody wants the workload awake, or uses it: it is not to sleep when its start has ended. */
  stayAwake(): void {
    this.#sleepSoon = undefined;
  }

  follow({ before, after }: Transition): void {
    if (isGate(after) && before.kind !== 'failed') this.#runSinceMs = this.#clock.monotonicMs();
    // However the start ends, the wish to sleep after it ends too: a later run that somebody else starts is not ours to stop.
    const runsUnused = after.kind === 'ready' && this.#leases.count === 0;
    const runsAnyhow = after.kind === 'starting' || (after.kind === 'failed' && after.running);
    if (!runsUnused && !runsAnyhow) this.#sleepSoon = undefined;
  }

  /** Whether its start is still going on: also where it took too long for us, but not for its health check. */
  isStarting(situation: Pick<Situation, 'state' | 'observation'>): boolean {
    if (situation.state.kind === 'starting') return true;
    return (this.#startsUntilMs(situation) ?? 0) > this.#clock.monotonicMs();
  }

  demandTimers(situation: Situation): Omit<TimerDemands, 'isOnlyKept'> {
    const { policy, isRetired, isDraining } = situation;
    const { idleTimeoutMs, startTimeoutMs } = policy;
    // Without its service, a workload that the proxy owns is no longer needed, and any other is left as it is.
    const isExempt = !this.#isServed || (!mayIdle(policy) && this.#sleepSoon === undefined);
    const isLeft = isRetired ? !this.#backend.ownsWorkloads : isExempt;
    const isUnwanted = isRetired || this.#sleepSoon !== undefined;
    return {
      mayIdle: this.#leases.count === 0 && !isLeft && !isDraining,
      idleSinceMs: Math.max(this.#leases.idleSinceMs ?? 0, this.#servedSinceMs),
      idleTimeoutMs: isUnwanted ? 0 : idleTimeoutMs,
      startTimeoutMs,
      startsUntilMs: this.#startsUntilMs(situation),
    };
  }

  /** When its health check has answered for certain, where the start took too long for us and the check has not answered yet. */
  #startsUntilMs({ state, observation }: Pick<Situation, 'state' | 'observation'>): number | undefined {
    const { health, checkTimes } = observation;
    if (state.kind !== 'failed' || health !== 'starting' || checkTimes === undefined) return undefined;
    return this.#runSinceMs + checkTimes.lastMs;
  }
}

/** Whether a workload may be put to sleep for being idle: not one that its schedule, or somebody else, stops. */
function mayIdle(policy: Settings): boolean {
  return policy.unmanaged !== true && mayPutToSleep(policy.availability, 'idle') && !hasSchedule(policy);
}
