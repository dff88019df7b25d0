import { LookPoller } from '../engine/look-poller.ts';
import type { Unrest } from './service-tasks.ts';

/** A replica that the swarm can't place, for example, may stay away for ever, and others serve meanwhile. */
const MAX_POLL_MS = { moving: 1_000, incomplete: 30_000 } as const;

/** Looks at services that are on their way to another state: tasks have no events. `close()` ends it. */
export class ServicePoller extends LookPoller {
  /** A service was looked at. */
  observed(name: string, unrest: Unrest): void {
    if (unrest === 'none') this.forget(name);
    else this.follow(name, MAX_POLL_MS[unrest]);
  }
}
