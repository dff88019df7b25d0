import type { Clock } from '../../system/clock.ts';
import type { ScalableRef } from './api/api-paths.ts';
import { retryDelayMs } from './api/kube-errors.ts';

/** Until when the API server wants to be left alone with a workload, also by a later wake or sleep of it. */
export class RequestedPauses {
  readonly #clock: Clock;
  /** On the monotonic clock, by the workload's path. */
  readonly #untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call about the workload has failed. */
  take(ref: ScalableRef, error: unknown): void {
    const delayMs = retryDelayMs(error, 0);
    if (delayMs > 0) this.#untilMs.set(keyOf(ref), this.#clock.monotonicMs() + delayMs);
  }

  /** At most a minute; 0 where it may be called. */
  remainingMs(ref: ScalableRef): number {
    const remainingMs = (this.#untilMs.get(keyOf(ref)) ?? 0) - this.#clock.monotonicMs();
    if (remainingMs <= 0) this.#untilMs.delete(keyOf(ref));
    return Math.max(0, remainingMs);
  }
}

function keyOf({ resource, namespace, name }: ScalableRef): string {
  return `${resource}/${namespace}/${name}`;
}
