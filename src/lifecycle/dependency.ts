import type { DependencyCondition } from '../model/service.ts';
import { withObstacle } from './refusal.ts';
import type { Lease } from './workload/use/lease-book.ts';
import { isGate, isWaking, type LifecycleState, mayRun } from './workload/machine.ts';
import type { NeedsStanding } from './workload/start-place.ts';
import type { WorkloadController } from './workload/workload-controller.ts';

export const MET: NeedsStanding = { kind: 'met' };

/** What is told of a dependency that has failed, and of one that is waited for. */
const LACKING: Readonly<Record<DependencyCondition, Record<'failed' | 'awaited', string>>> = {
  started: { failed: 'has not started', awaited: 'has not started yet' },
  healthy: { failed: 'did not become healthy', awaited: 'is not healthy yet' },
  completed: { failed: 'was not completed', awaited: 'is not completed yet' },
};

/**
 * One workload that another one needs, its user, from the moment on at which the user is to be woken. Unless it has to be
 * completed, it is held, and so woken, until `release()`. What has to be completed is run once: where it runs already when the
 * user needs it, that run has to end first, and one that begins after that counts, whoever has asked for it. Whoever owns it calls `follow()` when the state of the workload has changed.
 */
export class HeldDependency {
  readonly controller: WorkloadController;
  readonly condition: DependencyCondition;
  readonly #user: string;
  #lease: Lease | undefined;
  /** Whether it had failed before its user asked for it: such a failure is not one of this wake. */
  #hadFailed = false;
  /** Whether it was seen to run since it is held. */
  #ran = false;
  /** How far the run is of one that has to be completed. */
  #run: 'wanted' | 'asked' | 'under-way' | 'over' = 'wanted';
  #failure: string | undefined;

  constructor(
    controller: WorkloadController,
    options: { readonly condition: DependencyCondition; readonly user: string },
  ) {
    this.controller = controller;
    this.condition = options.condition;
    this.#user = options.user;
  }

  /** Holds it from now on, or, if it has to be completed, as soon as it is at rest. */
  begin(): void {
    if (this.condition === 'completed') return this.beginRun();
    this.#hold();
    this.#hadFailed = this.controller.state.kind === 'failed';
  }

  /** The workload that has to be completed is at rest: runs it, unless it was run. To be called for all its users at once. */
  beginRun(): void {
    const { state } = this.controller;
    if (this.condition !== 'completed' || this.#run !== 'wanted' || !isAtRest(state)) return;
    this.#run = 'asked';
    this.#hold();
    this.#followRun();
  }

  /** The state of the workload has changed. */
  follow(): void {
    const { state } = this.controller;
    if (this.condition === 'completed') return this.#followRun();
    if (state.kind !== 'failed') this.#hadFailed = false;
    if (mayRun(state)) this.#ran = true;
  }

  /** Where it has stopped again before its user was started, it is woken anew. @returns whether that is so. */
  renew(): boolean {
    const { kind } = this.controller.state;
    if (this.condition === 'completed' || !this.#ran || (kind !== 'stopped' && kind !== 'paused'))
      return false;
    this.#ran = false;
    const before = this.#lease;
    this.#hold();
    before?.release();
    return true;
  }

  /** Gives it back; idempotent. A run under way goes on. */
  release(): void {
    this.#lease?.release();
    this.#lease = undefined;
  }

  get standing(): NeedsStanding {
    const { controller, condition } = this;
    const {
      state,
      policy: { name },
    } = controller;
    if (condition === 'completed') {
      if (this.#failure !== undefined) return this.#lacks('failed', this.#failure);
      if (this.#run === 'over') return MET;
      const why =
        this.#run === 'wanted' && mayRun(state)
          ? 'another run of it has not ended yet'
          : controller.obstacles.between();
      return this.#run === 'under-way'
        ? { kind: 'awaited', words: `${name} has not ended yet` }
        : this.#lacks('awaited', why);
    }
    if (isMet(controller, condition)) return MET;
    if (state.kind === 'failed' && !this.#hadFailed)
      return this.#lacks('failed', controller.account.wakes.failure);
    return this.#lacks('awaited', controller.obstacles.between());
  }

  #lacks(kind: 'failed' | 'awaited', why: string | undefined): NeedsStanding {
    const words = `${this.controller.policy.name} ${LACKING[this.condition][kind]}`;
    return { kind, words: withObstacle(words, why) };
  }

  #hold(): void {
    const user = this.#user;
    this.#lease = this.controller.hold(`needed by ${user}`, {
      keeper: { kind: 'user', user },
      toItsEnd: this.condition === 'completed',
    });
  }

  #followRun(): void {
    const { state, observation, account } = this.controller;
    // A run that somebody else has asked for counts, too, since it begins only now.
    if ((this.#run === 'asked' || this.#run === 'wanted') && isWaking(state)) this.#run = 'under-way';
    if (this.#run !== 'under-way' || !isAtRest(state)) return;
    const { exitCode, stoppedBy, detail } = observation;
    const isCompleted = state.kind === 'stopped' && exitCode === 0 && stoppedBy !== 'others';
    if (!isCompleted) {
      const others = stoppedBy === 'others' ? 'somebody else stopped it' : undefined;
      this.#failure =
        (state.kind === 'failed' ? account.wakes.failure : undefined) ?? others ?? detail ?? 'it is gone';
    }
    this.#run = 'over';
    this.release();
  }
}

/** Whether a workload is as a user of it needs it. */
export function isMet(
  { state }: Pick<WorkloadController, 'state'>,
  condition: Exclude<DependencyCondition, 'completed'>,
): boolean {
  if (state.kind === 'ready') return true;
  return condition === 'started' && (isGate(state) || (state.kind === 'failed' && state.running));
}

function isAtRest(state: LifecycleState): boolean {
  return !mayRun(state) && state.kind !== 'unknown';
}
