import type { Clock } from '../../system/clock.ts';
import type { LabelledContainer } from '../backend.ts';
import { ContainerCache } from './container-cache.ts';
import { type Environment, parseEngineAddress } from './engine-address.ts';
import { createEngineClient, type EngineClient } from './engine-client.ts';
import { EngineUnreachable } from './errors.ts';
import { type LabelOptions, selectLabelled } from './label-feed.ts';

export interface EngineQueryOptions {
  /** The path of the engine's socket, or an address as in `DOCKER_HOST`. */
  readonly socket: string;
  readonly env: Environment;
  readonly clock: Clock;
  /** How long to wait for the answer. */
  readonly timeoutMs: number;
}

/**
 * The labels as they are now, without observing: connects, lists, and is gone.
 * @throws {Error} where the engine can't be asked.
 */
export function readLabelledContainers(
  options: EngineQueryOptions & LabelOptions,
): Promise<readonly LabelledContainer[]> {
  return askOnce(options, async (client, signal) => {
    const cache = new ContainerCache();
    cache.replaceAll(await client.list(signal));
    return selectLabelled(cache.all(), options);
  });
}

/** Resolves where the engine answers. @throws {Error} where it doesn't, saying why. */
export function pingEngine(options: EngineQueryOptions): Promise<void> {
  return askOnce(options, (client, signal) => client.ping(signal));
}

async function askOnce<T>(
  options: EngineQueryOptions,
  ask: (client: EngineClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = createEngineClient(parseEngineAddress(options.socket, options.env));
  const controller = new AbortController();
  const cancel = options.clock.schedule(options.timeoutMs, () => {
    controller.abort(new EngineUnreachable(`the engine did not answer within ${options.timeoutMs / 1000} s`));
  });
  try {
    return await ask(client, controller.signal);
  } finally {
    cancel();
    client.close();
  }
}
