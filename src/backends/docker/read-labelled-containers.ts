import { findOptIns } from '../../model/opt-in.ts';
import { silentLogger } from '../../system/log/logger.ts';
import type { LabelledWorkload, LabelOptions } from '../backend.ts';
import { askOnce, type EngineQueryOptions } from '../engine/ask-once.ts';
import { ContainerCache } from './container-cache.ts';
import { ImageLabels } from './image-labels.ts';
import { selectLabelled } from '../label-feed.ts';

/**
 * The labels as they are now, without observing: connects, lists, and is gone.
 * @throws {Error} where the engine can't be asked.
 */
export function readLabelledContainers(
  options: EngineQueryOptions & LabelOptions,
): Promise<readonly LabelledWorkload[]> {
  return askOnce(options, async (client, signal) => {
    const cache = new ContainerCache();
    cache.replaceAll(await client.list(signal));
    const all = cache.labelled();
    if (options.imageLabels !== false) return selectLabelled(all, options);
    const images = new ImageLabels({ client, logger: silentLogger });
    const optingIn = all.filter(({ labels }) => findOptIns(labels, options.labelPrefix).length > 0);
    for (const container of optingIn) await images.learn(container, signal);
    const own = optingIn.map((container) => images.withOwnLabels(container, options.labelPrefix));
    return selectLabelled(own, options);
  });
}

/** Resolves where the engine answers. @throws {Error} where it doesn't, saying why. */
export function pingEngine(options: EngineQueryOptions): Promise<void> {
  return askOnce(options, (client, signal) => client.ping(signal));
}
