import { type WorkloadRef, workloadRefKey } from '../../model/workload.ts';
import { isAtLeast, type WorkloadRecord } from './workload-record.ts';

/** What the API server has answered to a change of a workload's replicas. */
export interface ScaleAnswer {
  readonly resourceVersion: string;
  readonly replicas: number;
}

/**
 * The answers to our own calls, which are mostly newer than what the watch has brought: they stand until it brings
 * something at least as new, so that whoever waited for a call sees what it did.
 */
export class ScaleAnswers {
  readonly #answers = new Map<string, ScaleAnswer>();

  put(ref: WorkloadRef, answer: ScaleAnswer): void {
    this.#answers.set(workloadRefKey(ref), answer);
  }

  /** The newest that is known of a workload. @param watched what the watch has brought. */
  apply(ref: WorkloadRef, watched: WorkloadRecord | undefined): WorkloadRecord | undefined {
    const key = workloadRefKey(ref);
    const answer = this.#answers.get(key);
    if (answer === undefined) return watched;
    if (watched === undefined || isAtLeast(watched.resourceVersion, answer.resourceVersion)) {
      this.#answers.delete(key);
      return watched;
    }
    // Its controller can't have seen what was only just wanted.
    return { ...watched, ...answer, isObserved: answer.replicas === watched.replicas && watched.isObserved };
  }
}
