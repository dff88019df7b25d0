import type { Clock } from '../../../system/clock.ts';
import { describeError, KubeRefusal, KubeStarting, KubeUnreachable } from './kube-errors.ts';

/** Longer than anybody who has lost the API server waits before he asks again. */
const COLD_MS = 10_000;

/**
 * Tells an API server that has only just come back from one that refuses: it takes requests before it has read who its
 * users are and what they may do, and refuses all of them until then.
 */
export class ColdStart {
  readonly #clock: Clock;
  #lastFailureMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What an error means: itself, or {KubeStarting} where a server that was away a moment ago refuses the caller. */
  judge(error: unknown): unknown {
    const nowMs = this.#clock.monotonicMs();
    if (error instanceof KubeUnreachable) this.#lastFailureMs = nowMs;
    const isCold = nowMs - this.#lastFailureMs < COLD_MS;
    if (!isCold || !(error instanceof KubeRefusal) || ![401, 403].includes(error.status)) return error;
    const message = `it was away, and refuses everything until it has started: ${describeError(error)}`;
    return new KubeStarting(message, { cause: error });
  }
}
