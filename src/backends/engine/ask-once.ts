import type { Clock } from '../../system/clock.ts';
import { withDeadline } from '../../system/deadline.ts';
import { type Environment, parseEngineAddress } from './engine-address.ts';
import { createEngineClient, type EngineClient } from './engine-client.ts';
import { EngineUnreachable } from './errors.ts';

export interface EngineQueryOptions {
  /** The path of the engine's socket, or an address as in `DOCKER_HOST`. */
  readonly socket: string;
  readonly env: Environment;
  readonly clock: Clock;
  /** How long to wait for the answer. */
  readonly timeoutMs: number;
}

/** Connects, does `ask`, and is gone. @throws {Error} where the engine can't be asked, or not in time. */
export async function askOnce<T>(
  options: EngineQueryOptions,
  ask: (client: EngineClient, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const client = createEngineClient(parseEngineAddress(options.socket, options.env), options.clock);
  const { clock, timeoutMs } = options;
  const expired = () => new EngineUnreachable(`the engine did not answer within ${timeoutMs / 1000} s`);
  try {
    return await withDeadline((signal) => ask(client, signal), { clock, timeoutMs, expired });
  } finally {
    client.close();
  }
}
