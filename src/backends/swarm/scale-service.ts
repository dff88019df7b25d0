import { EngineRefusal } from '../engine/errors.ts';
import type { ServiceCatalog } from './service-catalog.ts';
import type { SwarmClient } from './swarm-client.ts';
import type { ServiceSpec, SwarmService } from './swarm-shapes.ts';

/** Each time after somebody else has changed the service in between. */
const MAX_TRIES = 5;

/**
 * Changes a service, however often somebody else changes it meanwhile.
 * @param options.change the spec that it is to have; undefined where it is as wanted already.
 * @returns the service as it was read last; undefined where there is none of that name.
 * @throws {EngineUnreachable | EngineRefusal}
 */
export async function scaleService(
  { client, catalog }: { readonly client: SwarmClient; readonly catalog: ServiceCatalog },
  options: {
    readonly name: string;
    readonly change: (
      service: SwarmService & { readonly Spec: ServiceSpec },
    ) => Promise<ServiceSpec | undefined>;
    readonly signal: AbortSignal;
  },
): Promise<SwarmService | undefined> {
  const { name, change, signal } = options;
  let refused: { readonly version: number | undefined; readonly error: EngineRefusal } | undefined;
  for (let tries = 1; ; tries++) {
    const id = catalog.idOf(name);
    const known = id === undefined ? undefined : await client.serviceById(id, signal);
    const service = known ?? (await client.serviceByName(name, signal));
    // The engine takes ids and their beginnings for names too.
    if (service?.Spec?.Name !== name) return undefined;
    catalog.put(service);
    // The status alone doesn't tell that it was a conflict, and messages differ between engines.
    if (refused !== undefined && refused.version === service.Version?.Index) throw refused.error;
    const spec = await change({ ...service, Spec: service.Spec });
    if (spec === undefined) return service;
    try {
      await client.update(service, { spec, signal });
      return service;
    } catch (error) {
      if (!(error instanceof EngineRefusal) || tries === MAX_TRIES) throw error;
      refused = { version: service.Version?.Index, error };
    }
  }
}
