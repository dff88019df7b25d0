import type { Observation } from '../../model/observation.ts';
import type { Clock } from '../../system/clock.ts';
import { answeredOrSeen } from '../engine/answered-or-seen.ts';
import { DEFAULT_GRACE_MS } from '../engine/call-deadlines.ts';
import type { ContainerCache } from './container-cache.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { EngineRefusal } from '../engine/errors.ts';
import type { WorkloadObserver } from '../engine/workload-observer.ts';

/** What stopping works with. */
export interface StopContext {
  readonly client: EngineClient;
  readonly cache: ContainerCache;
  readonly observer: WorkloadObserver;
  readonly clock: Clock;
  /** Whether the proxy itself runs in it. */
  readonly isOwn: (id: string) => Promise<boolean>;
}

/**
 * Stops a container, and has it looked at afterwards: what is seen then counts, whatever the answer was, or where none came
 * in time. Success where it is stopped already, or doesn't exist.
 * @throws {EngineUnreachable | EngineRefusal} where it still runs, or that can't be found out; {Error} where stopping
 * would destroy it, or end the proxy.
 */
export async function stopContainer(
  context: StopContext,
  options: { readonly name: string; readonly graceMs: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const { observer } = context;
  const { name } = options;
  const reason = observer.last(name)?.staysAwake;
  if (reason !== undefined) throw new Error(reason);
  const failure = await callStop(context, options).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const seen = await observer.refresh(name).catch((error: unknown) => {
    throw failure === undefined ? error : failure.error;
  });
  if (failure !== undefined && !isDown(seen)) throw failure.error;
}

async function callStop(
  context: StopContext,
  options: { readonly name: string; readonly graceMs: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const { client, cache, observer } = context;
  const { name, graceMs, signal } = options;
  const id = cache.get(name)?.id;
  if (id === undefined) return;
  if (await context.isOwn(id)) throw new Error('the proxy itself runs in it');
  const ownGraceMs = observer.last(name)?.ownGraceMs ?? DEFAULT_GRACE_MS;
  try {
    await answeredOrSeen(context, {
      ...{ name, signal, wanted: isDown },
      call: (callSignal) => client.stop(id, { graceMs, ownGraceMs, signal: callSignal }),
    });
  } catch (error) {
    if (!(error instanceof EngineRefusal) || error.status !== 404) throw error;
  }
}

function isDown({ state }: Observation): boolean {
  return state === 'stopped' || state === 'missing';
}
