import type { Observation } from '../../model/observation.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { isWaking } from './machine.ts';
import type { WorkloadController } from './workload-controller.ts';

/** Within that time the table knows of a new name that labels make a service of. */
const TABLE_MS = 1_000;

interface Rename {
  readonly controller: WorkloadController;
  /** Of the workload that was renamed. */
  readonly id: string;
  cancel: Cancel | undefined;
  /** That the old name is missing now, until the table has had its time. */
  held: Observation | undefined;
}

/**
 * Controllers whose workloads have another name, under which nobody follows them yet. They go on as if nothing had
 * happened for a moment, and can be taken over for as long as they follow nothing else. `close()` ends it.
 */
export class Renames {
  readonly #clock: Clock;
  readonly #byNewKey = new Map<string, Rename>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(controller: WorkloadController, newKey: string): void {
    this.#drop(newKey);
    const rename: Rename = {
      controller,
      id: controller.observation.id,
      held: undefined,
      cancel: this.#clock.schedule(TABLE_MS, () => {
        rename.cancel = undefined;
        if (rename.held !== undefined) controller.observe(rename.held);
      }),
    };
    this.#byNewKey.set(newKey, rename);
  }

  /** Who is to be followed under that key, as far as it is known; it stays so. */
  find(newKey: string): WorkloadController | undefined {
    return this.#byNewKey.get(newKey)?.controller;
  }

  /** As `find()`, but from now on it is followed there, or has a further name. */
  take(newKey: string): WorkloadController | undefined {
    const controller = this.find(newKey);
    this.#drop(newKey);
    return controller;
  }

  /**
   * Takes what was seen under the old name; true where it is to be kept from the controller for now. Not in the middle of a
   * wake, which nothing seen ends: why that fails has to be known by then.
   */
  holds(controller: WorkloadController, observation: Observation): boolean {
    for (const [key, rename] of [...this.#byNewKey]) {
      if (rename.controller !== controller) continue;
      // Another workload has the old name.
      if (observation.id !== '' && observation.id !== rename.id) this.#drop(key);
      else if (
        observation.state === 'missing' &&
        rename.cancel !== undefined &&
        !isWaking(controller.state)
      ) {
        rename.held = observation;
        return true;
      }
    }
    return false;
  }

  forget(controller: WorkloadController): void {
    for (const [key, rename] of [...this.#byNewKey]) if (rename.controller === controller) this.#drop(key);
  }

  close(): void {
    for (const key of [...this.#byNewKey.keys()]) this.#drop(key);
  }

  #drop(newKey: string): void {
    this.#byNewKey.get(newKey)?.cancel?.();
    this.#byNewKey.delete(newKey);
  }
}
