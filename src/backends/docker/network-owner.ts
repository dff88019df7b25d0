import { abortable } from '../../system/abortable.ts';
import { WakeError } from '../backend.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { EngineRefusal } from '../engine/errors.ts';

/** The stops that the proxy has under way, by the container's id. */
export type StopsUnderWay = ReadonlyMap<string, Promise<unknown>>;

/**
 * Starts the container whose network another one uses, because no engine starts that other one before. One that the proxy is
 * just stopping still runs, but takes its network with it: its end is waited for.
 * @returns whether it ran already.
 * @throws {WakeError} where it doesn't exist, or the engine refuses to start it; {EngineUnreachable}; the signal's reason.
 */
export async function startNetworkOwner(
  { client, stops }: { readonly client: EngineClient; readonly stops: StopsUnderWay },
  options: { readonly name: string; readonly owner: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const { name, owner, signal } = options;
  const what = `cannot start container "${name}": the container whose network it uses, "${owner}"`;
  for (;;) {
    const found = await client.inspect(owner, signal);
    if (found === undefined) throw new WakeError(`${what}, does not exist`);
    const stop = stops.get(found.Id);
    if (stop !== undefined) {
      await abortable(stop, signal).catch(() => signal.throwIfAborted());
      continue;
    }
    if (found.State?.Running === true) return true;
    try {
      await client.start(found.Id, signal);
      return false;
    } catch (error) {
      if (!(error instanceof EngineRefusal)) throw error;
      throw new WakeError(`${what}, can't be started: ${error.message}`, { cause: error });
    }
  }
}
