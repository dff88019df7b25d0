import type { Observation } from '../../model/running/observation.ts';
import type { Cancel, Clock } from '../../system/clock.ts';
import { isWaking } from './machine.ts';
import type { WorkloadController } from './workload-controller.ts';

/** By then the table has the new name, where labels make a service of it. */
const TABLE_MS = 1_000;

interface Rename {
  readonly controller: WorkloadController;
  /** Of the workload that was renamed. */
  readonly id: string;
  cancel: Cancel | undefined;
  /** The news that nothing has the old name any more, while it is held back. */
  held: Observation | undefined;
}

/**
 * Controllers whose workloads were renamed, while no service has the new name yet. For a moment they don't hear that their
 * workload is missing under its old name. They can be taken over under the new name until another workload has the old one.
 * `close()` ends it.
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

  /** The controller whose workload was renamed to that key; undefined where none was. */
  find(newKey: string): WorkloadController | undefined {
    return this.#byNewKey.get(newKey)?.controller;
  }

  /** As `find()`, and forgets the rename: the controller is followed under that key now, or was renamed again. */
  take(newKey: string): WorkloadController | undefined {
    const controller = this.find(newKey);
    this.#drop(newKey);
    return controller;
  }

  /**
   * Takes what was seen under the old name; true where the controller must not hear of it yet. In the middle of a wake it
   * hears of everything at once: no observation ends a wake, and when the wake fails the reason must be known.
   */
  holds(controller: WorkloadController, observation: Observation): boolean {
    for (const [key, rename] of [...this.#byNewKey]) {
      if (rename.controller !== controller) continue;
      // Another workload has the old name now.
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
