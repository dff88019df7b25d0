import type { WakePhase } from '../model/running/wake.ts';
import { Histogram, WAIT_SECONDS } from '../system/histogram.ts';

/** How the wait of a client for a workload has ended. */
export type HeldResult = 'served' | 'refused' | 'left';

/** How long wakes and waits have taken, of all workloads together, in seconds. */
export interface Tallies {
  /** By phase, and in all; of the wakes that worked. */
  readonly wakes: Readonly<Record<WakePhase | 'all', Histogram>>;
  readonly held: Readonly<Record<HeldResult, Histogram>>;
}

export function createTallies(): Tallies {
  const histogram = () => new Histogram(WAIT_SECONDS);
  return {
    wakes: {
      room: histogram(),
      queue: histogram(),
      dependencies: histogram(),
      engine: histogram(),
      health: histogram(),
      port: histogram(),
      all: histogram(),
    },
    held: { served: histogram(), refused: histogram(), left: histogram() },
  };
}
