import { MISSING, type Observation, UNKNOWN } from '../../model/observation.ts';
import type { ContainerCache } from './container-cache.ts';
import type { ContainerLocator } from './container-locator.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { observeInspected, observeListed } from './observe.ts';
import type { ObservationSource } from '../engine/workload-observer.ts';

/** Looks at containers: what the cache doesn't tell, an inspect does. */
export class ContainerSource implements ObservationSource {
  readonly noun = 'container';
  readonly #cache: ContainerCache;
  readonly #client: EngineClient;
  readonly #locator: ContainerLocator;

  constructor(options: {
    readonly cache: ContainerCache;
    readonly client: EngineClient;
    readonly locator: ContainerLocator;
  }) {
    this.#cache = options.cache;
    this.#client = options.client;
    this.#locator = options.locator;
  }

  watch(name: string): void {
    this.#locator.watch(name);
  }

  unwatch(name: string): void {
    this.#locator.unwatch(name);
  }

  recall(name: string, session: AbortSignal): Observation {
    const known = this.#cache.get(name);
    if (known === undefined) {
      this.#locator.setMissing(name);
      return MISSING;
    }
    const observation = known.listed && observeListed(known.listed);
    if (observation === undefined || known.listed === undefined) return UNKNOWN;
    this.#locator.setAtRest(name, { container: known.listed, session });
    return observation;
  }

  async inspect(name: string, session: AbortSignal): Promise<Observation> {
    const id = this.#cache.get(name)?.id;
    const container = id === undefined ? undefined : await this.#client.inspect(id, session);
    // Renamed meanwhile: what was seen belongs to another name, and that event is on its way.
    if (container !== undefined && container.Name === `/${name}`) {
      const place = await this.#locator.locate(container, { name, session });
      const { apiVersion } = this.#client;
      return observeInspected(container, {
        ...{ place, apiVersion },
        stoppedBy: this.#cache.stoppedBy(container.Id),
      });
    }
    session.throwIfAborted();
    this.#locator.setMissing(name);
    return MISSING;
  }
}
