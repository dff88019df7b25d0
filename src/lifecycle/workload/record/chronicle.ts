import type { WakeCause } from '../../../model/availability.ts';
import type { KeptWorkload } from '../../../model/running/kept.ts';
import type { Happening } from '../../../model/running/happening.ts';
import type { Observation, StoppedBy } from '../../../model/running/observation.ts';
import type { SleepReason } from '../../../model/running/sleep.ts';
import type { Wake, WakeFailure, WakePhase } from '../../../model/running/wake.ts';
import type { Timeline, WorkloadReport } from '../../../model/running/workload-report.ts';
import type { Clock } from '../../../system/clock.ts';
import type { Happenings } from '../../../system/happenings.ts';
import { describeMissing } from '../../run/obstacle.ts';
import { isGoingToSleep, type LifecycleState, mayRun, type Transition } from '../machine.ts';
import { StateHistory } from './state-history.ts';
import { UseNews } from '../use/use-news.ts';
import { type MissedStart, WakeRecord } from './wake-record.ts';
import { WorkloadLog } from './workload-log.ts';
import type { WorkloadPolicy } from '../workload-policy.ts';

/** Told of each wake that has failed, once it is known why. */
export type WakeFailedTeller = (policy: WorkloadPolicy, observation: Observation, wake: Wake) => void;

/** The workload that is told of, as it is now. */
interface Subject {
  readonly policy: WorkloadPolicy;
  readonly state: LifecycleState;
  readonly observation: Observation;
  readonly account: { readonly sleepsAtMs: number | undefined };
  /** Its services are gone, or have another workload by now. */
  readonly retired: boolean;
}

/** Why a transition was made, and for whom. */
interface Circumstances {
  /** The last demand of somebody who waits for the workload to be awake, in words; undefined where nobody does. */
  readonly demand: string | undefined;
  /** As what the last demand counts. */
  readonly by: WakeCause | undefined;
  /** How long the start has waited for its turn. */
  readonly queuedMs: number;
  /** How long it has waited for room. */
  readonly roomMs: number;
  readonly reason: string | undefined;
  /** As what it counts, should the start have failed with it. */
  readonly failure: WakeFailure;
  /** Why it is put to sleep with it; undefined where it isn't. */
  readonly sleep: SleepReason | undefined;
}

type Untold<T> = T extends Happening ? Omit<T, 'service'> : never;
type News = Untold<Extract<Happening, { readonly service: string }>>;

/**
 * What happens to one workload: kept for whoever asks later, logged, and told to whoever listens, in the name of each of its
 * services. `close()` ends it.
 */
export class Chronicle {
  readonly #subject: Subject;
  readonly #happenings: Happenings | undefined;
  readonly #onWakeFailed: WakeFailedTeller | undefined;
  readonly #clock: Clock;
  readonly #wakes: WakeRecord;
  readonly #history: StateHistory;
  readonly #log: WorkloadLog;
  /** The phase of the wake under way, as it was told last. */
  #toldPhase: WakePhase | undefined;
  #sleepFailure: string | undefined;
  /** Made when somebody hears of it for the first time. */
  #useNews: UseNews | undefined;

  constructor(
    subject: Subject,
    options: ConstructorParameters<typeof WakeRecord>[0] & {
      readonly happenings?: Happenings | undefined;
      readonly onWakeFailed?: WakeFailedTeller | undefined;
      /** What an earlier run of the proxy knew. */
      readonly kept?: KeptWorkload | undefined;
    },
  ) {
    this.#subject = subject;
    this.#happenings = options.happenings;
    this.#onWakeFailed = options.onWakeFailed;
    this.#clock = options.clock;
    this.#wakes = new WakeRecord(options);
    this.#history = new StateHistory(options.clock, options.kept);
    this.#log = new WorkloadLog(options);
  }

  get wakes(): Pick<WakeRecord, 'last' | 'kept' | 'lasting' | 'failure' | 'output'> {
    return this.#wakes;
  }

  /** Why it could not be put to sleep when that was last tried; undefined once it sleeps. */
  get sleepFailure(): string | undefined {
    return this.#sleepFailure;
  }

  get timeline(): Timeline {
    return this.#history.timeline;
  }

  /** What is kept of its wakes and of the time that it has spent in each state. */
  get report(): StateHistory['report'] &
    Pick<WorkloadReport, 'wakes' | 'wakeCounts' | 'wakeUnderWay' | 'failure' | 'sleepFailure'> {
    const { failure, kept, counts, underWay } = this.#wakes;
    return {
      ...this.#history.report,
      ...{ wakes: kept, wakeCounts: counts },
      ...(underWay !== undefined && { wakeUnderWay: underWay }),
      ...(failure !== undefined && { failure }),
      ...(this.#sleepFailure !== undefined && { sleepFailure: this.#sleepFailure }),
    };
  }

  /** The state has changed. */
  follow(transition: Transition, { sleep, ...circumstances }: Circumstances): void {
    const { policy, observation } = this.#subject;
    const { stoppedBy, detail } = observation;
    const { reason } = circumstances;
    const wake = this.#wakes.follow(transition, circumstances);
    if (isSeenTo(transition, stoppedBy)) this.#wakes.forgive();
    if (!mayRun(transition.after)) this.#sleepFailure = undefined;
    const { life: lifeBefore } = this.#history;
    const hasFailed = this.#wakes.failure !== undefined;
    const slept = this.#history.follow(transition, { sleep, hasFailed, stoppedBy, detail });
    const isMissing = transition.after.kind === 'missing' && (reason === undefined || reason === '');
    const told = isMissing ? describeMissing(policy.workload) : reason;
    this.#log.changed(policy.name, { ...transition, reason: told, wake, stoppedBy });
    const { before, after } = transition;
    const { life } = this.#history;
    // A workload that has failed, and sleeps now, still counts as failed: that is no news.
    if (before.kind !== after.kind && !(lifeBefore === 'failed' && life === 'failed')) {
      const state = { state: after.kind, life };
      this.#tell({ kind: 'state', ...state, ...(reason !== undefined && { reason }) });
    }
    if (wake !== undefined) this.#tell({ kind: 'woken', wake });
    if (slept !== undefined) this.#tell({ kind: 'sleep', sleep: slept });
  }

  /** Somebody has seen to the workload: how its last start went no longer counts as its state. @param words who. */
  forgive(words: string): void {
    this.#wakes.forgive();
    this.#judge(words);
  }

  /** A client has waited in vain for a start whose turn never came. */
  missed(cause: string, failure: MissedStart): void {
    this.#wakes.noteMissed(cause, failure);
    this.#judge(failure.reason);
    this.failed(undefined);
  }

  /** A wake has failed; `failing` says what of it is worth a question to the engine. */
  failed(failing: 'workload' | 'check' | undefined): void {
    const { last } = this.#wakes;
    const { policy } = this.#subject;
    const explained = failing === undefined ? undefined : this.#wakes.investigate(policy, failing);
    const onWakeFailed = this.#onWakeFailed;
    if (onWakeFailed === undefined || last?.result !== 'failed') return;
    const tell = () => {
      // More may be known of it by now.
      const wake = this.#wakes.kept.findLast(({ atMs, result }) => atMs === last.atMs && result === 'failed');
      onWakeFailed(policy, this.#subject.observation, wake ?? last);
    };
    if (explained === undefined) tell();
    else void explained.then(tell);
  }

  /** The wake under way, if there is one, is in this phase. */
  enterPhase(phase: WakePhase): void {
    this.#wakes.enter(phase);
    if (this.#happenings?.isHeard !== true) return;
    const wake = this.#wakes.underWay;
    if (wake?.phase === this.#toldPhase) return;
    this.#toldPhase = wake?.phase;
    if (wake !== undefined) this.#tell({ kind: 'wake', cause: wake.cause, phase: wake.phase });
  }

  /** Leases have begun or ended. Cheap where nothing is to be told. */
  followUse(inUse: boolean): void {
    if (this.#useNews === undefined) {
      if (this.#happenings?.isHeard !== true) return;
      this.#useNews = new UseNews({
        ...{ clock: this.#clock, wasInUse: !inUse },
        isHeard: () => this.#subject.state.kind === 'ready' && this.#happenings?.isHeard === true,
        tell: (told) =>
          this.#tell({ kind: 'use', inUse: told, sleepsAtMs: this.#subject.account.sleepsAtMs }),
      });
    }
    this.#useNews.follow(inUse);
  }

  /** The engine has told of the workload: what came of it. */
  observed(states: Transition): void {
    const { policy, observation } = this.#subject;
    this.#log.observed(policy.name, observation, states);
  }

  /** The workload should be asleep, but must not be put to sleep. */
  staysAwake(reason: string): void {
    this.#log.staysAwake(this.#subject.policy.name, reason);
  }

  cannotPause(reason: string): void {
    this.#log.cannotPause(this.#subject.policy.name, reason);
  }

  sleepFailed(reason: string | undefined): void {
    this.#sleepFailure = reason ?? 'the engine does not say why';
    this.#log.sleepFailed(this.#subject.policy.name, reason);
  }

  /** Idempotent. */
  close(): void {
    this.#log.close();
    this.#useNews?.close();
    this.#wakes.close();
  }

  /** Looks whether it counts as failed, which may change though its state is the same. */
  #judge(reason: string): void {
    const { state } = this.#subject;
    const hasFailed = this.#wakes.failure !== undefined;
    if (!this.#history.judge(state, { hasFailed })) return;
    this.#tell({ kind: 'state', state: state.kind, life: this.#history.life, reason });
  }

  #tell(news: News): void {
    const happenings = this.#happenings;
    if (happenings?.isHeard !== true || this.#subject.retired) return;
    const names = this.#subject.policy.services.map(({ name }) => name);
    for (const service of names) {
      const sharesWith = names.filter((name) => name !== service);
      happenings.tell({ ...news, service, ...(sharesWith.length > 0 && { sharesWith }) });
    }
  }
}

/** Whether somebody has stopped a workload that ran, or has removed it. With that they have seen to an earlier failure. */
function isSeenTo({ before, after }: Transition, stoppedBy: StoppedBy | undefined): boolean {
  if (after.kind === 'missing') return true;
  if (after.kind !== 'stopped' || stoppedBy !== 'others') return false;
  return mayRun(before) && !isGoingToSleep(before);
}
