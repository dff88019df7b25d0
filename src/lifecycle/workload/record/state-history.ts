import type { KeptWorkload } from '../../../model/running/kept.ts';
import { SLEEP_KINDS, type Sleep, type SleepKind, type SleepReason } from '../../../model/running/sleep.ts';
import type { StoppedBy } from '../../../model/running/observation.ts';
import type { Life, Timeline, WorkloadReport } from '../../../model/running/workload-report.ts';
import type { Clock } from '../../../system/clock.ts';
import type { LifecycleState, Transition } from '../machine.ts';

const LIVES: readonly Life[] = ['unknown', 'asleep', 'waking', 'awake', 'failed', 'stopping'];
const SLEEPS: readonly (SleepKind | undefined)[] = [undefined, ...SLEEP_KINDS];

/** Of the timeline. */
const MAX_CHANGES = 200;

const NO_TIMES: Readonly<Record<Life, number>> = {
  ...{ unknown: 0, asleep: 0, waking: 0, awake: 0, stopping: 0, failed: 0 },
};

/**
 * How one workload has spent its time: since when it is in its state, how long it was in each, when and why it was put to sleep.
 * Bounded, and next to nothing for a workload that does nothing.
 */
export class StateHistory {
  readonly #clock: Clock;
  /** On the monotonic clock. */
  #sinceMs: number;
  #life: Life = 'unknown';
  /** How long each state before the present one lasted in all. */
  #times: Record<Life, number> | undefined;
  /** Times on the wall clock, states and why it sleeps, each as one number: objects would take five times the room. */
  readonly #changes: number[] = [];
  #sleeps: Partial<Record<SleepKind, number>> | undefined;
  #lastSleep: Sleep | undefined;
  /** Why the stop that is under way was asked for. */
  #goingToSleep: SleepReason | undefined;

  /** @param kept what an earlier run of the proxy knew: what has happened since then is not known. */
  constructor(clock: Clock, kept?: Pick<KeptWorkload, 'seenMs' | 'timeline' | 'lastSleep'>) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
    if (kept === undefined) return;
    const nowMs = clock.nowMs();
    const { timeline, lastSleep } = kept;
    const known = timeline.filter(({ atMs }) => atMs <= nowMs).slice(1 - MAX_CHANGES);
    for (const change of known) this.#note(change);
    if (known.length > 0) this.#note({ atMs: Math.min(nowMs, kept.seenMs), life: 'unknown' });
    if (lastSleep !== undefined && lastSleep.atMs <= nowMs) this.#lastSleep = lastSleep;
  }

  /**
   * Takes a transition.
   * @param options.sleep why it is put to sleep with it; undefined where it isn't.
   * @param options.hasFailed whether the last start has failed.
   * @param options.stoppedBy whose doing a stop was, as far as the engine tells.
   * @returns the sleep that has begun with it.
   */
  follow(
    { before, after }: Transition,
    {
      sleep,
      hasFailed,
      stoppedBy,
      detail = '',
    }: {
      readonly hasFailed: boolean;
      readonly sleep: SleepReason | undefined;
      readonly stoppedBy: StoppedBy | undefined;
      readonly detail: string | undefined;
    },
  ): Sleep | undefined {
    const slept = this.#followSleep({ before, after }, sleep ?? describeStop(stoppedBy, detail));
    const life = lifeOf(after, { hasFailed });
    // A workload that sleeps after a failed start goes on counting as failed, from that start on.
    if (before.kind !== after.kind && !(life === 'failed' && this.#life === 'failed'))
      this.#become(life, slept?.kind);
    return slept;
  }

  /** More is known of how the last start went, though the state is the same. @returns whether that changes the life. */
  judge(state: LifecycleState, options: { readonly hasFailed: boolean }): boolean {
    const life = lifeOf(state, options);
    if (life === this.#life) return false;
    this.#become(life);
    return true;
  }

  get life(): Life {
    return this.#life;
  }

  /** Times are ms since the epoch. */
  get report(): Pick<
    WorkloadReport,
    'life' | 'sinceMs' | 'times' | 'sleeps' | 'lastSleep' | 'sleepUnderWay'
  > {
    const lastedMs = this.#clock.monotonicMs() - this.#sinceMs;
    const times = { ...(this.#times ?? NO_TIMES) };
    times[this.#life] += lastedMs;
    return {
      life: this.#life,
      sinceMs: this.#clock.nowMs() - lastedMs,
      times,
      sleeps: this.#sleeps ?? {},
      ...(this.#lastSleep !== undefined && { lastSleep: this.#lastSleep }),
      ...(this.#goingToSleep !== undefined && { sleepUnderWay: this.#goingToSleep }),
    };
  }

  #become(life: Life, sleep?: SleepKind): void {
    const nowMs = this.#clock.monotonicMs();
    this.#times ??= { ...NO_TIMES };
    this.#times[this.#life] += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
    if (life === this.#life) return;
    this.#life = life;
    this.#note({
      atMs: this.#clock.nowMs(),
      life,
      ...(life === 'asleep' && sleep !== undefined && { sleep }),
    });
  }

  #note({ atMs, life, sleep }: Timeline[number]): void {
    const what = LIVES.indexOf(life) * SLEEPS.length + SLEEPS.indexOf(sleep);
    this.#changes.push(Math.round(atMs) * LIVES.length * SLEEPS.length + what);
    if (this.#changes.length > MAX_CHANGES) this.#changes.shift();
  }

  get timeline(): Timeline {
    const kinds = LIVES.length * SLEEPS.length;
    return this.#changes.map((change) => {
      const what = change % kinds;
      const sleep = SLEEPS[what % SLEEPS.length];
      return {
        atMs: Math.floor(change / kinds),
        life: LIVES[Math.floor(what / SLEEPS.length)] ?? 'unknown',
        ...(sleep !== undefined && { sleep }),
      };
    });
  }

  /** A sleep counts once the workload has stopped, even where somebody has it woken again at once. */
  #followSleep({ before, after }: Transition, reason: SleepReason): Sleep | undefined {
    if (isStopping(after) && !isStopping(before)) this.#goingToSleep = reason;
    if (isStopping(after)) return undefined;
    const asked = isStopping(before) ? this.#goingToSleep : undefined;
    this.#goingToSleep = undefined;
    const ran = before.kind === 'ready' || (before.kind === 'failed' && before.running);
    const hasStopped =
      after.kind === 'stopped' ||
      after.kind === 'paused' ||
      (isStopping(before) && after.kind === 'starting' && after.phase === 'waking');
    const slept = asked ?? (ran ? reason : undefined);
    if (slept === undefined || !hasStopped) return undefined;
    this.#lastSleep = { ...slept, atMs: this.#clock.nowMs() };
    this.#sleeps ??= {};
    this.#sleeps[slept.kind] = (this.#sleeps[slept.kind] ?? 0) + 1;
    return this.#lastSleep;
  }
}

/** What a state means to whoever looks. Pure. @param options.hasFailed whether the last start has failed, and nobody has seen to it. */
export function lifeOf(state: LifecycleState, { hasFailed }: { readonly hasFailed: boolean }): Life {
  switch (state.kind) {
    case 'unknown':
    case 'missing':
      return 'unknown';
    case 'stopped':
    case 'paused':
      return hasFailed ? 'failed' : 'asleep';
    case 'starting':
      return 'waking';
    case 'ready':
      return 'awake';
    case 'stopping':
      return 'stopping';
    case 'failed':
      return state.running || hasFailed ? 'failed' : 'asleep';
  }
}

function isStopping({ kind }: LifecycleState): boolean {
  return kind === 'stopping';
}

function describeStop(stoppedBy: StoppedBy | undefined, detail: string): SleepReason {
  return stoppedBy === 'itself'
    ? { kind: 'itself', words: detail === '' ? 'it ended by itself' : `it ended by itself: ${detail}` }
    : { kind: 'others', words: 'somebody else stopped it' };
}
