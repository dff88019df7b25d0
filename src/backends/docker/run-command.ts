import type { Clock } from '../../system/clock.ts';
import type { EngineClient } from '../engine/engine-client.ts';

/** The end of what a command prints may come a moment before its own; ms between two looks then. */
const LOOK_MS = 20;

/**
 * Runs a command in a container, waits for its end, and returns its exit status. When the signal aborts, the command goes on: engines
 * have no call that ends one.
 * @throws {EngineRefusal} where the container doesn't run or has no such command, or a socket proxy doesn't let this through (403).
 */
export async function runInContainer(
  client: Pick<EngineClient, 'createExec' | 'startExec' | 'inspectExec'>,
  options: {
    readonly id: string;
    readonly command: readonly string[];
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<number> {
  const { id, command, clock, signal } = options;
  const exec = await client.createExec(id, command, signal);
  await client.startExec(exec, signal);
  for (;;) {
    const status = await client.inspectExec(exec, signal);
    if (status !== undefined) return status;
    await clock.sleep(LOOK_MS, signal);
  }
}
