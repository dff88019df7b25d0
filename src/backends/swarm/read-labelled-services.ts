import type { LabelledWorkload, LabelOptions } from '../backend.ts';
import { askOnce, type EngineQueryOptions } from '../engine/ask-once.ts';
import { selectLabelled } from '../label-feed.ts';
import { ServiceCatalog } from './service-catalog.ts';
import { SwarmClient } from './swarm-client.ts';

/**
 * The labels of the swarm's services as they are now, without observing; none where the engine manages no swarm.
 * @throws {Error} where the engine can't be asked.
 */
export function readLabelledServices(
  options: EngineQueryOptions & LabelOptions,
): Promise<readonly LabelledWorkload[]> {
  return askOnce(options, async (client, signal) => {
    const catalog = new ServiceCatalog();
    catalog.replaceAll(await new SwarmClient(client).view(signal));
    return selectLabelled(catalog.labelled(options.labelPrefix), options);
  });
}
