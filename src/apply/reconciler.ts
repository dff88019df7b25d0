/**
 * The apply stage. Input: whole desired tables. Output: listeners, workload controllers and schedules that match the
 * newest one. Nothing that the plan doesn't name is touched.
 */
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import type { Change, Plan } from '../model/change.ts';
import { listenKey } from '../model/service.ts';
import { EMPTY_TABLE, type ServiceTable } from '../model/table.ts';
import { diffTables } from '../plan/diff-tables.ts';
import type { AwakeWindows } from './awake-windows.ts';
import type { CronWindows } from './cron-windows.ts';
import type { ManualHolds } from './manual-holds.ts';
import type { ListenerSet } from './listener-set.ts';
import type { ScheduleSet } from './schedule-set.ts';
import type { FrontSet } from './web/front-set.ts';

export interface ReconcilerOptions {
  readonly lifecycle: Lifecycle;
  readonly listeners: ListenerSet;
  /** Absent where no front door is ever opened. */
  readonly fronts?: FrontSet;
  readonly schedules: ScheduleSet;
  readonly windows: CronWindows;
  readonly awakeWindows: AwakeWindows;
  /** Absent where nobody can hold anything. */
  readonly holds?: ManualHolds;
}

export class Reconciler {
  readonly #lifecycle: Lifecycle;
  readonly #listeners: ListenerSet;
  readonly #fronts: FrontSet | undefined;
  readonly #schedules: ScheduleSet;
  readonly #windows: CronWindows;
  readonly #awakeWindows: AwakeWindows;
  readonly #holds: ManualHolds | undefined;
  #current: ServiceTable = EMPTY_TABLE;

  constructor(options: ReconcilerOptions) {
    this.#lifecycle = options.lifecycle;
    this.#listeners = options.listeners;
    this.#fronts = options.fronts;
    this.#schedules = options.schedules;
    this.#windows = options.windows;
    this.#awakeWindows = options.awakeWindows;
    this.#holds = options.holds;
  }

  /** The table in force. */
  get current(): ServiceTable {
    return this.#current;
  }

  /** The service that holds each listen key of the table in force. */
  get holders(): ReadonlyMap<string, string> {
    const holders = new Map<string, string>();
    for (const { service } of this.#current.entries.values()) {
      for (const listener of service.listeners) holders.set(listenKey(listener), service.name);
    }
    return holders;
  }

  /** Puts a table in force; returns the changes that were made, none for an equal table. */
  apply(desired: ServiceTable): Plan {
    const plan = diffTables(this.#current, desired);
    this.#current = desired;
    if (plan.length === 0) return plan;
    this.#lifecycle.unlinkServices();
    for (const change of plan) this.#applyChange(change);
    this.#lifecycle.linkServices();
    return plan;
  }

  #applyChange(change: Change): void {
    switch (change.kind) {
      case 'add-service':
        this.#lifecycle.add(change.service);
        this.#holds?.resume(change.service);
        // A service with listeners is reported by the listener set. One without any may have lost them to another service.
        if (change.service.listeners.length === 0)
          this.#lifecycle.setServed(change.service.name, { isServed: false });
        return;
      case 'update-service':
        this.#lifecycle.update(change.service, change.previous);
        this.#holds?.follow(change.service.name);
        this.#awakeWindows.follow(change.service.name);
        return this.#windows.follow(change.service.name);
      case 'remove-service':
        this.#holds?.close(change.service.name);
        return this.#lifecycle.remove(change.service);
      case 'open-listener':
        return this.#listeners.open(change.listener, change.service);
      case 'rebind-listener':
        return this.#listeners.rebind(change.listener, change.service);
      case 'close-listener':
        return this.#listeners.close(change.listener);
      case 'open-front':
        return this.#fronts?.open(change.front);
      case 'close-front':
        return this.#fronts?.close(change.front);
      case 'set-front-policy':
        return this.#fronts?.setPolicy(change.policy);
      case 'set-routes':
        return this.#fronts?.setRoutes(change.service);
      case 'clear-routes':
        return this.#fronts?.clearRoutes(change.service);
      case 'set-schedule':
        return this.#schedules.set(change.service);
      case 'clear-schedule':
        this.#windows.close(change.service.name);
        this.#awakeWindows.close(change.service.name);
        return this.#schedules.clear(change.service.name);
    }
  }
}
