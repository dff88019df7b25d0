import type { Observation } from '../../model/running/observation.ts';
import type { EngineEvent } from '../engine/event-stream.ts';
import { LookPoller } from '../engine/look-poller.ts';

/** Between looks for the outcome of a health check that has begun. */
const MAX_POLL_MS = 1_000;

/**
 * Looks for the outcome of health checks where the engine tells only that one begins, as Podman does. It looks from then on
 * until the container is healthy or unhealthy. Docker tells the outcome itself and is not asked. `close()` ends it.
 */
export class HealthPoller extends LookPoller {
  /** A container was looked at. */
  observed(name: string, { state, health }: Observation): void {
    if (state !== 'running' || health !== 'starting') this.forget(name);
  }

  /** @param last what is known of the container. */
  heard(
    { action }: EngineEvent,
    { name, last }: { readonly name: string; readonly last: Observation | undefined },
  ): void {
    if (action === 'health_status' && last?.health === 'starting') this.follow(name, MAX_POLL_MS);
  }
}
