import type { Observation } from '../../model/observation.ts';
import { abortable } from '../../system/abortable.ts';
import { backoffMs } from '../../system/backoff.ts';
import { type Clock, parseTimestamp } from '../../system/clock.ts';
import { WakeError } from '../backend.ts';
import { answeredOrSeen } from '../engine/answered-or-seen.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import type { EngineLink } from '../engine/engine-link.ts';
import type { InspectedContainer } from '../engine/engine-shapes.ts';
import { EngineRefusal, EngineUnreachable } from '../engine/errors.ts';
import { sharedNetworkOwner } from '../engine/network/addresses.ts';
import type { NetworkMembership } from '../engine/network/network-membership.ts';
import type { WorkloadObserver } from '../engine/workload-observer.ts';
import type { ContainerCache } from './container-cache.ts';
import { type StopsUnderWay, startNetworkOwner } from './network-owner.ts';

/** What waking works with. */
export interface WakeContext {
  readonly client: EngineClient;
  readonly cache: ContainerCache;
  readonly observer: WorkloadObserver;
  readonly link: Pick<EngineLink<unknown>, 'retry'>;
  readonly clock: Clock;
  /** Goes out of the way where the proxy itself has the container's address: see `NetworkMembership`. */
  readonly makeWay: NetworkMembership['makeWay'];
  /** The container whose network `name` uses, where that is known beforehand. */
  readonly ownerOf: (name: string) => string | undefined;
  readonly stops: StopsUnderWay;
  /** Whether the proxy itself runs in it. */
  readonly isOwn: (id: string) => Promise<boolean>;
}

/** The container that was last to be started; undefined where none had the name. */
interface Tried {
  id: string | undefined;
}

const OWNER_RETRY = { firstMs: 50, maxMs: 1_000 };

/** Start, unpause, and once more after somebody else's hand came between. */
const MAX_STEPS = 4;

/**
 * Starts or unpauses a container, however long the engine is away meanwhile, and has it looked at afterwards.
 * @throws {WakeError} when the engine refuses, after it was looked at; the signal's reason when it aborts.
 */
export function wakeContainer(
  context: WakeContext,
  options: { readonly name: string; readonly signal: AbortSignal },
): Promise<Observation> {
  const { link, observer } = context;
  const { name, signal } = options;
  const wake = async () => {
    for (;;) {
      const { begun } = observer;
      const tried: Tried = { id: undefined };
      try {
        await startOrUnpause(context, { ...options, tried });
        return await abortable(observer.refreshAwake(name, begun), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof EngineRefusal) && !(error instanceof WakeError)) throw error;
        // What was removed or started by somebody else meanwhile is no failure: whoever asked sees the state as it is now.
        const seen = await abortable(observer.refresh(name), signal).catch(() => signal.throwIfAborted());
        // Renamed or made anew at that moment: nobody has refused to start the one that has the name now.
        if (seen !== undefined && seen.state !== 'missing' && seen.id !== tried.id) continue;
        throw error instanceof EngineRefusal ? refused(name, error) : error;
      }
    }
  };
  return link.retry(wake, signal);
}

async function startOrUnpause(
  context: WakeContext,
  options: { readonly name: string; readonly signal: AbortSignal; readonly tried: Tried },
): Promise<void> {
  const { client } = context;
  const { name, signal, tried } = options;
  tried.id = context.cache.get(name)?.id;
  const known = context.ownerOf(name);
  if (known !== undefined) await startNetworkOwner(context, { name, owner: known, signal });
  let id = context.cache.get(name)?.id ?? (await findByName(context, options)).Id;
  let wasOwnerUp = false;
  let step: 'start' | 'unpause' = context.observer.last(name)?.state === 'paused' ? 'unpause' : 'start';
  for (let steps = 1, ownerTries = 1; ; steps++) {
    tried.id = id;
    if (await context.isOwn(id))
      throw new WakeError(`cannot start container "${name}": the proxy itself runs in it`);
    try {
      return await answeredOrSeen(context, {
        ...{ name, signal, wanted: (seen) => seen.state === 'running' },
        call: (callSignal) => client[step](id, callSignal),
      });
    } catch (error) {
      signal.throwIfAborted();
      const isRefused = error instanceof EngineRefusal;
      if (!(isRefused || error instanceof EngineUnreachable) || steps === MAX_STEPS) throw error;
      // The status alone doesn't tell why, and messages differ between engines; and no answer tells nothing. The
      // container's state decides.
      const found = (await client.inspect(id, signal)) ?? (await findByName(context, options));
      if (found.Id === id && isAwake(found)) return;
      if (!isRefused) throw error;
      const next = found.State?.Paused === true ? 'unpause' : 'start';
      const owner = sharedNetworkOwner(found);
      if (found.Id === id && next === step && owner !== undefined && !wasOwnerUp) {
        // It may go away again, or come only now: inside the budget that is tried as often as needed.
        wasOwnerUp = await startNetworkOwner(context, { name, owner, signal });
        await context.clock.sleep(backoffMs(ownerTries++, OWNER_RETRY), signal);
        steps--;
        continue;
      }
      if (found.Id === id && next === step) {
        const way = await context.makeWay(found, signal);
        if (way === undefined) throw refused(name, error);
        if (!way.isGone)
          throw refused(name, error, `; the proxy itself has ${way.address} on ${way.network}`);
        continue;
      }
      id = found.Id;
      step = next;
    }
  }
}

/**
 * Asks for a container that no event has told of yet. The engine takes ids and their beginnings for names too: only
 * an equal name counts.
 */
async function findByName(
  context: WakeContext,
  options: { readonly name: string; readonly signal: AbortSignal },
): Promise<InspectedContainer> {
  const { name, signal } = options;
  const found = await context.client.inspect(name, signal);
  if (found === undefined || found.Name !== `/${name}`)
    throw new WakeError(`container "${name}" does not exist`);
  const { Id: id, Image: imageId, Config, Created = '' } = found;
  const createdMs = Math.floor(parseTimestamp(Created) / 1_000) * 1_000 || undefined;
  context.cache.put({ id, name, labels: Config?.Labels ?? {}, imageId, createdMs, listed: undefined });
  return found;
}

function isAwake(container: InspectedContainer): boolean {
  return container.State?.Running === true && container.State.Paused !== true;
}

function refused(name: string, cause: EngineRefusal, reason = ''): WakeError {
  return new WakeError(`cannot start container "${name}": ${cause.message}${reason}`, { cause });
}
