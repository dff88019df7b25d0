import type { WorkloadController } from './workload-controller.ts';

/** Told by a controller, after the fact. */
export interface ControllerObserver {
  /** The state has changed. */
  changed(controller: WorkloadController): void;
  /** A lease on it began or ended. */
  leased(controller: WorkloadController): void;
  /** The proxy has started or stopped the workload. */
  acted(controller: WorkloadController, act: 'started' | 'stopped'): void;
  /** After `retire()`: nothing is left to do for the workload. Told once. */
  drained(controller: WorkloadController): void;
}
