import type { Wake, WakePhase } from '../../model/wake.ts';
import type { Clock } from '../../system/clock.ts';
import { withObstacle } from '../refusal.ts';

interface WakeUnderWay {
  readonly cause: string;
  readonly atMs: number;
  readonly phases: Record<WakePhase, number>;
  phase: WakePhase;
  phaseSinceMs: number;
}

/** What is kept of the wakes of one workload: the last one that has ended, and why none works. */
export class WakeRecord {
  readonly #clock: Clock;
  #underWay: WakeUnderWay | undefined;
  #last: Wake | undefined;
  #failure: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The last wake that has ended. */
  get last(): Wake | undefined {
    return this.#last;
  }

  /** Why the last wake that failed did so; undefined from the next one on that works. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** A wake begins. @param options.queuedMs how long it has waited for its turn. */
  begin(cause: string, { queuedMs }: { readonly queuedMs: number }): void {
    this.#underWay = {
      ...{ cause, atMs: this.#clock.nowMs() - queuedMs },
      phases: { queue: queuedMs, engine: 0, health: 0, port: 0 },
      ...{ phase: 'engine', phaseSinceMs: this.#clock.monotonicMs() },
    };
  }

  /** The wake under way, if there is one, is in this phase from now on; it may go back to an earlier one. */
  enter(phase: WakePhase): void {
    const wake = this.#underWay;
    if (wake === undefined || wake.phase === phase) return;
    this.#closePhase(wake);
    wake.phase = phase;
  }

  /** Ends the wake under way, and returns it; undefined where there is none. */
  end(result: Wake['result'], reason: string | undefined): Wake | undefined {
    const wake = this.#underWay;
    if (wake === undefined) return undefined;
    this.#underWay = undefined;
    this.#closePhase(wake);
    const { cause, atMs } = wake;
    const phases = {
      queue: Math.round(wake.phases.queue),
      engine: Math.round(wake.phases.engine),
      health: Math.round(wake.phases.health),
      port: Math.round(wake.phases.port),
    };
    this.#last = { cause, atMs, phases, result, ...(reason !== undefined && { reason }) };
    if (result === 'failed') this.#failure = reason ?? 'the start failed';
    if (result === 'ready') this.#failure = undefined;
    return this.#last;
  }

  /**
   * More was learned of why a wake failed. False where that was known, or another wake has ended since.
   * @param wake the one that had ended last when it was asked for.
   */
  explain(wake: Wake, why: string): boolean {
    if (this.#last !== wake || wake.reason?.includes(why) === true) return false;
    const reason = withObstacle(wake.reason ?? 'the start failed', why);
    this.#last = { ...wake, reason };
    this.#failure = reason;
    return true;
  }

  #closePhase(wake: WakeUnderWay): void {
    const nowMs = this.#clock.monotonicMs();
    wake.phases[wake.phase] += nowMs - wake.phaseSinceMs;
    wake.phaseSinceMs = nowMs;
  }
}
