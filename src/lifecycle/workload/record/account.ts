import { mayPutToSleep } from '../../../model/availability.ts';
import type { KeptWorkload } from '../../../model/running/kept.ts';
import type { Observation } from '../../../model/running/observation.ts';
import type { SleepKind } from '../../../model/running/sleep.ts';
import type { Timeline, WorkloadReport } from '../../../model/running/workload-report.ts';
import type { Clock } from '../../../system/clock.ts';
import type { Obstacles } from '../../clients/obstacles.ts';
import type { WaitingRoom } from '../../clients/waiting-room.ts';
import { isGoingToSleep, type LifecycleState } from '../machine.ts';
import type { Situation, SleepPolicy } from '../sleep-policy.ts';
import type { StartPlace } from '../start-place.ts';
import type { LifecycleTimers } from '../timers.ts';
import type { BusyCheck } from '../use/busy-check.ts';
import type { Demands } from '../use/demands.ts';
import type { LeaseBook } from '../use/lease-book.ts';
import type { WarmPaths } from '../use/warm-paths.ts';
import type { WorkloadPolicy } from '../workload-policy.ts';
import type { Chronicle } from './chronicle.ts';

/** All that the account is drawn up from. */
interface Sources {
  readonly clock: Clock;
  /** The workload, as it is now. */
  readonly subject: {
    readonly policy: WorkloadPolicy;
    readonly state: LifecycleState;
    readonly observation: Observation;
    readonly graceMs: number;
    readonly lastActiveMs: number;
  };
  readonly waitingRoom: WaitingRoom;
  readonly leases: LeaseBook;
  readonly warmPaths: WarmPaths;
  readonly demands: Demands;
  readonly obstacles: Obstacles;
  readonly place: Pick<StartPlace<never>, 'waitsIn' | 'queued' | 'lacking'>;
  readonly busy: BusyCheck;
  readonly sleepPolicy: SleepPolicy;
  readonly situation: Situation;
  readonly timers: LifecycleTimers;
  readonly chronicle: Chronicle;
  /** When a client was last seen to come or leave, ms since the epoch. */
  readonly lastUsedMs: number | undefined;
}

/**
 * What is told of one workload, to the status, the API and the next run of the proxy. Changes nothing of it, and is drawn up anew for
 * whoever asks: kept, it would cost memory for each workload.
 */
export class WorkloadAccount {
  readonly #sources: Sources;

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /** Everything that is known of the workload now. */
  get report(): WorkloadReport {
    const { subject, waitingRoom, obstacles, place } = this.#sources;
    const { policy, state, observation, lastActiveMs } = subject;
    const { longestWaitMs } = waitingRoom;
    const { sleepsAtMs, awakeUntilMs, triesAgainAtMs, lastUsedMs } = this;
    const isManual = !mayPutToSleep(policy.availability, 'schedule');
    const staysAwake = observation.staysAwake ?? (isManual ? 'its availability is manual' : undefined);
    const unavailable = obstacles.refusalAsleep?.message;
    const waitsFor = place.queued ?? place.lacking;
    const { waitsIn } = place;
    return {
      ...this.#reportChronicle(),
      ...{ observation, state: state.kind, lastActiveMs, keepers: this.#keepers, waiting: waitingRoom.size },
      ...(longestWaitMs !== undefined && { longestWaitMs }),
      ...(waitsFor !== undefined && { waitsFor }),
      ...(waitsIn !== undefined && { waitsIn }),
      ...(awakeUntilMs !== undefined && { awakeUntilMs }),
      ...(staysAwake !== undefined && { staysAwake }),
      ...(unavailable !== undefined && { unavailable }),
      ...(sleepsAtMs !== undefined && { sleepsAtMs }),
      ...(lastUsedMs !== undefined && { lastUsedMs }),
      ...(triesAgainAtMs !== undefined && { triesAgainAtMs }),
    };
  }

  /** What is to be known of it after a restart of the proxy; undefined where nobody has ever used or woken it. */
  get kept(): KeptWorkload | undefined {
    const { subject, clock, chronicle } = this.#sources;
    const { lastUsedMs, timeline } = this;
    const { lasting: wakes } = chronicle.wakes;
    if (lastUsedMs === undefined && wakes.length === 0) return undefined;
    const { lastSleep } = chronicle.report;
    return {
      services: subject.policy.services.map(({ name }) => name),
      seenMs: clock.nowMs(),
      lastActiveMs: subject.lastActiveMs,
      ...(lastUsedMs !== undefined && { lastUsedMs }),
      ...{ wakes, timeline },
      ...(lastSleep !== undefined && { lastSleep }),
    };
  }

  get wakes(): Chronicle['wakes'] {
    return this.#sources.chronicle.wakes;
  }

  /** Why it could not be put to sleep when that was last tried; undefined once it sleeps. */
  get sleepFailure(): string | undefined {
    return this.#sources.chronicle.sleepFailure;
  }

  get timeline(): Timeline {
    return this.#sources.chronicle.timeline;
  }

  /** When it goes to sleep for being idle, ms since the epoch; undefined = it doesn't, as things are. */
  get sleepsAtMs(): number | undefined {
    const { timers, leases, sleepPolicy, situation } = this.#sources;
    const { sleepsAtMs } = timers;
    // The timer fires too early while clients are there.
    if (sleepsAtMs === undefined || leases.count === 0) return this.#toEpoch(sleepsAtMs);
    return this.#toEpoch(Math.max(sleepsAtMs, sleepPolicy.peekIdleUntilMs(situation)));
  }

  /** Until when its `min_awake` keeps it awake, ms since the epoch; undefined where that is over, or it isn't ready. */
  get awakeUntilMs(): number | undefined {
    const { subject, sleepPolicy, clock } = this.#sources;
    const leastMs = subject.state.kind === 'ready' ? sleepPolicy.awakeUntilMs(subject.policy) : 0;
    return this.#toEpoch(leastMs > clock.monotonicMs() ? leastMs : undefined);
  }

  /** When a start that has failed is tried again for who waits, ms since the epoch; undefined where nobody does. */
  get triesAgainAtMs(): number | undefined {
    const { subject, demands, timers } = this.#sources;
    if (subject.state.kind !== 'failed' || demands.for(undefined) === 'none') return undefined;
    return this.#toEpoch(timers.triesAgainAtMs);
  }

  /** When a client last came to it, or left it, while it was ready, ms since the epoch; undefined before the first one. */
  get lastUsedMs(): number | undefined {
    const { leases, warmPaths, lastUsedMs } = this.#sources;
    // Of clients whose traffic counts, what was seen of it.
    const carriedMs = leases.countsBegins ? this.#toEpoch(leases.idleSinceMs) : undefined;
    const lastMs = Math.max(lastUsedMs ?? 0, warmPaths.lastUsedMs, carriedMs ?? 0);
    return lastMs === 0 ? undefined : lastMs;
  }

  /** Why its busy_check doesn't answer, where it has failed so often that it counts as not busy. */
  get busyFailure(): string | undefined {
    return this.#sources.busy.failure;
  }

  /** Why it can't be paused, where that was tried in vain; undefined where it can, or nobody has tried. */
  get cannotPause(): string | undefined {
    const { sleepPolicy, subject } = this.#sources;
    return sleepPolicy.whyNoPause(subject.observation);
  }

  /** For what the proxy has put it to sleep, or is doing so; undefined while it is up, and where others have stopped it. */
  get sleepsFor(): SleepKind | undefined {
    return this.#sources.sleepPolicy.sleepsFor;
  }

  get #keepers(): WorkloadReport['keepers'] {
    const { busy, leases } = this.#sources;
    const sinceMs = this.#toEpoch(busy.busySinceMs);
    const { keepers } = leases;
    return sinceMs === undefined || leases.count > 0 ? keepers : [...keepers, { kind: 'busy', sinceMs }];
  }

  #reportChronicle(): Chronicle['report'] {
    const { chronicle, subject } = this.#sources;
    const { report } = chronicle;
    const { sleepUnderWay, sinceMs } = report;
    if (sleepUnderWay === undefined || !isGoingToSleep(subject.state)) return report;
    return { ...report, sleepUnderWay: { ...sleepUnderWay, untilMs: sinceMs + subject.graceMs } };
  }

  /** A time on the monotonic clock as ms since the epoch. */
  #toEpoch(ms: number | undefined): number | undefined {
    const { clock } = this.#sources;
    return ms === undefined ? undefined : clock.nowMs() + ms - clock.monotonicMs();
  }
}
