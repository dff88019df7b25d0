import { mayWake } from '../../model/availability.ts';
import { findPortProblem, type Observation } from '../../model/running/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import type { WorkloadKind } from '../../model/workload.ts';
import type { Refusal } from '../refusal.ts';
import { describeObstacle } from '../run/obstacle.ts';
import { RunEndpoints } from '../run/run-endpoints.ts';
import type { RunFollower } from '../run/run-follower.ts';
import type { OwnPlaces } from '../run/workload-run.ts';
import { type LifecycleState, needsStart } from '../workload/machine.ts';
import type { StartPlace } from '../workload/start-place.ts';
import type { Demands } from '../workload/use/demands.ts';
import type { WorkloadPolicy } from '../workload/workload-policy.ts';
import { AsleepRefusals } from './asleep-refusals.ts';

type Target = { readonly protocol: Protocol; readonly port: TargetPort };

/** The workload, as it is now. */
interface Subject {
  readonly policy: WorkloadPolicy;
  readonly state: LifecycleState;
  readonly observation: Observation;
}

/** What all workloads have in common. */
interface Parts {
  /** Knows the proxy's own listeners; absent where there are none. */
  readonly own?: OwnPlaces | undefined;
  /** When a service's schedule starts it next, ms since the epoch; undefined where it doesn't. */
  readonly nextStartMs?: ((serviceName: string) => number | undefined) | undefined;
  /** Why the engine of such workloads can't be asked now, in words; undefined where it answers. */
  readonly explainEngine?: ((kind: WorkloadKind) => string | undefined) | undefined;
}

/** What is known of this one. */
interface Sources {
  readonly demands: Pick<Demands, 'atTurn'>;
  readonly runs: Pick<RunFollower, 'current' | 'checkFailure'>;
  /** What a start waits for, in words. */
  readonly place: Pick<StartPlace<never>, 'queued' | 'lacking' | 'explainMisfit'>;
  /** Why the last wake failed. */
  readonly wakes: { readonly failure: string | undefined };
}

/** Why clients of one workload wait, or can't be served, in words for them and for whoever looks. */
export class Obstacles {
  readonly #subject: Subject;
  readonly #parts: Parts;
  readonly #demands: Sources['demands'];
  readonly #runs: Sources['runs'];
  readonly #place: Sources['place'];
  readonly #wakes: Sources['wakes'];
  readonly #asleep = new AsleepRefusals();

  constructor(subject: Subject, sources: Sources & { readonly parts: Parts }) {
    this.#subject = subject;
    this.#parts = sources.parts;
    this.#demands = sources.demands;
    this.#runs = sources.runs;
    this.#place = sources.place;
    this.#wakes = sources.wakes;
  }

  /**
   * What stands between the workload and its clients now; undefined where nothing is known.
   * @param target the port that is asked for; left out: any.
   */
  between(target?: Target): string | undefined {
    const { policy, state, observation } = this.#subject;
    const loop = target === undefined ? undefined : this.#explainLoop(target);
    if (loop !== undefined) return loop;
    const standing = {
      ...{ workload: policy.workload, state, observation },
      ...{ run: this.#runs.current, checkFailure: this.#runs.checkFailure },
      engineAway: this.#parts.explainEngine?.(policy.workload.kind),
      ...{ wakeFailure: this.#wakes.failure, queued: this.#place.queued, lacking: this.#place.lacking },
    };
    return describeObstacle(standing, target);
  }

  /** Why a port can't be served before a setting or the workload is mended; undefined where it may be. */
  explainUnservable(target: Target): string | undefined {
    const { state, observation } = this.#subject;
    const problem = findPortProblem(observation, target) ?? this.#explainLoop(target);
    if (problem !== undefined || !needsStart(state, observation.state)) return problem;
    return this.#place.explainMisfit();
  }

  /** Why a port of the workload, as it runs, leads back to the proxy itself; undefined where it may lead elsewhere. */
  #explainLoop(target: Target): string | undefined {
    const { own } = this.#parts;
    if (own === undefined) return undefined;
    return new RunEndpoints(this.#subject.observation, { explainOwn: own.explain }).explainLoop(target);
  }

  /** Why every client is refused at once: see `refusalOf`. */
  get refusalAsleep(): Refusal | undefined {
    return this.refusalOf({ mayWake: true });
  }

  /**
   * Why a client is refused at once: the workload sleeps, this client doesn't wake it, and nobody else who may has asked for it.
   * Undefined where it is served, or may wait.
   * @param options.mayWake whether it may wake the workload, where clients may.
   */
  refusalOf(options: { readonly mayWake: boolean }): Refusal | undefined {
    const { policy, state, observation } = this.#subject;
    const mayOthersWake = mayWake(policy.availability, 'client');
    if ((options.mayWake && mayOthersWake) || !needsStart(state, observation.state)) return undefined;
    if (this.#demands.atTurn !== 'none') return undefined;
    const nextStartMs = mayOthersWake ? undefined : this.#nextStartMs();
    const { failure } = this.#wakes;
    return this.#asleep.for({ policy, state, observation, failure, nextStartMs, mayOthersWake });
  }

  /** When a schedule starts it next, ms since the epoch; undefined where none does. */
  #nextStartMs(): number | undefined {
    const { nextStartMs } = this.#parts;
    const starts = this.#subject.policy.services.flatMap(({ name }) => nextStartMs?.(name) ?? []);
    return starts.length === 0 ? undefined : Math.min(...starts);
  }
}
