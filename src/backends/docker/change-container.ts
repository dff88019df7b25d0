/**
 * Starts, unpauses, pauses and stops containers. What counts is the container's state afterwards, whatever the engine has answered:
 * answers differ between engines and may get lost, and somebody else may have done the same.
 */
import { nameRun, type Observation } from '../../model/running/observation.ts';
import { abortable } from '../../system/waiting/abortable.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import { type Clock, parseTimestamp } from '../../system/clock.ts';
import { linkSignals } from '../../system/waiting/link-signals.ts';
import { CannotPause, WakeError } from '../backend.ts';
import { DEFAULT_GRACE_MS } from '../engine/call-deadlines.ts';
import type { EngineConnection } from '../engine/engine-connection.ts';
import type { EngineLink } from '../engine/engine-link.ts';
import type { InspectedContainer } from '../engine/engine-shapes.ts';
import { EngineRefusal, EngineUnreachable } from '../engine/errors.ts';
import { sharedNetworkOwner } from '../engine/network/addresses.ts';
import type { WorkloadObserver } from '../engine/workload-observer.ts';
import type { ContainerCache } from './container-cache.ts';
import { isWithoutNetwork, WITHOUT_NETWORK } from './observe.ts';

/** The stops that the proxy has under way, by the container's id. */
export type StopsUnderWay = ReadonlyMap<string, Promise<unknown>>;

interface StopOptions {
  readonly name: string;
  /** Between the polite signal and the kill; undefined = the container's own. */
  readonly graceMs: number | undefined;
  /** The polite signal; undefined = the container's own. */
  readonly stopSignal: string | undefined;
  /** The present session. */
  readonly session: AbortSignal;
  /** Ends the call. The engine may stop the container all the same. */
  readonly signal: AbortSignal;
}

/** What starting and stopping work with. */
export interface ChangeContext {
  readonly engine: Pick<EngineConnection, 'client' | 'membership'>;
  readonly cache: ContainerCache;
  readonly observer: WorkloadObserver;
  readonly link: Pick<EngineLink<unknown>, 'retry'>;
  readonly clock: Clock;
  /** The container whose network `name` uses; undefined where that isn't known. */
  readonly ownerOf: (name: string) => string | undefined;
  readonly stops: StopsUnderWay;
}

/** The container that this wake tried to start last; undefined where none had the name. */
interface Tried {
  id: string | undefined;
}

const RETRY = { firstMs: 50, maxMs: 1_000 };

/** An engine that has done its work answers well within this time. */
const PATIENCE_MS = 1_000;

/** Start, unpause, and both again where somebody else changes the container meanwhile. */
const MAX_STEPS = 4;

/**
 * Starts or unpauses a container, however long the engine is away meanwhile, and has it looked at afterwards.
 * @throws {WakeError} when the engine refuses, after it was looked at; the signal's reason when it aborts.
 */
export function wakeContainer(
  context: ChangeContext,
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
        // Looked at again first: somebody else may have removed or started it, and then the caller goes by its state.
        const seen = await abortable(observer.refreshAtOnce(name), signal).catch(() =>
          signal.throwIfAborted(),
        );
        // Another container has the name now, and the engine has not refused to start that one.
        if (seen !== undefined && seen.state !== 'missing' && seen.id !== tried.id) continue;
        throw error instanceof EngineRefusal ? refused(name, error) : error;
      }
    }
  };
  return link.retry(wake, signal);
}

async function startOrUnpause(
  context: ChangeContext,
  options: { readonly name: string; readonly signal: AbortSignal; readonly tried: Tried },
): Promise<void> {
  const { client, membership } = context.engine;
  const { name, signal, tried } = options;
  tried.id = context.cache.get(name)?.id;
  const known = context.ownerOf(name);
  if (known !== undefined) await startNetworkOwner(context, { name, owner: known, signal });
  let id = context.cache.get(name)?.id ?? (await findUnseen(context, options)).Id;
  let wasOwnerUp = false;
  let step: 'start' | 'unpause' = context.observer.last(name)?.state === 'paused' ? 'unpause' : 'start';
  for (let steps = 1, retries = 1; ; steps++) {
    tried.id = id;
    if (await membership.isOwn(id, { isAwaited: false, signal }))
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
      // The container's state decides what to do next: the status of an answer doesn't say why it was refused, and messages
      // differ between engines.
      const found = (await client.inspect(id, signal)) ?? (await findByName(context, options));
      if (found.Id === id && isAwake(found)) return;
      if (!isRefused) throw error;
      const next = found.State?.Paused === true ? 'unpause' : 'start';
      const owner = sharedNetworkOwner(found);
      if (found.Id === id && next === step && owner !== undefined && !wasOwnerUp) {
        // The owner may stop again, or appear only now: the wake tries as often as its budget allows.
        wasOwnerUp = await startNetworkOwner(context, { name, owner, signal });
        await context.clock.sleep(backoffMs(retries++, RETRY), signal);
        steps--;
        continue;
      }
      // Podman doesn't start a container that is still stopping, and has a state of its own for that.
      if (found.Id === id && found.State?.Status === 'stopping') {
        await context.clock.sleep(backoffMs(retries++, RETRY), signal);
        steps--;
        continue;
      }
      if (found.Id === id && next === step) {
        const way = await membership.makeWay(found, signal);
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

/** One that nobody has looked at yet, so that nobody knows what keeps it from being served. */
async function findUnseen(
  context: ChangeContext,
  options: { readonly name: string; readonly signal: AbortSignal; readonly tried: Tried },
): Promise<InspectedContainer> {
  const found = await findByName(context, options);
  options.tried.id = found.Id;
  if (isWithoutNetwork(found))
    throw new WakeError(`cannot start container "${options.name}": ${WITHOUT_NETWORK}`);
  return found;
}

/**
 * Asks for a container that no event has announced yet. The engine also finds containers by an id, or the beginning of one:
 * only an equal name counts.
 */
async function findByName(
  context: ChangeContext,
  options: { readonly name: string; readonly signal: AbortSignal },
): Promise<InspectedContainer> {
  const { name, signal } = options;
  const found = await context.engine.client.inspect(name, signal);
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

/**
 * Starts the container whose network another one uses, since no engine starts that other one before. An owner that the proxy
 * is just stopping still runs, but its network will go with it, so this waits until it has stopped.
 * @returns whether it ran already.
 * @throws {WakeError} where it doesn't exist, or the engine refuses to start it; {EngineUnreachable}; the signal's reason.
 */
async function startNetworkOwner(
  { engine: { client }, stops }: ChangeContext,
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

/**
 * Stops a container, then looks at it. It succeeds where the container is down then, whatever the engine has answered, or
 * doesn't exist; also where the run that was to end has ended, and somebody has started the container again since: Podman
 * answers with an error then.
 * @throws {EngineUnreachable | EngineRefusal} where it still runs, or that can't be found out; {Error} where stopping
 * would destroy it, or end the proxy.
 */
export async function stopContainer(context: ChangeContext, options: StopOptions): Promise<void> {
  const { observer } = context;
  const { name } = options;
  const before = observer.last(name);
  if (before?.staysAwake !== undefined) throw new Error(before.staysAwake);
  const failure = await callStop(context, options).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const seen = await observer.refresh(name).catch((error: unknown) => {
    throw failure === undefined ? error : failure.error;
  });
  if (failure !== undefined && !isDown(seen) && !isOtherRun(seen, before)) throw failure.error;
}

async function callStop(context: ChangeContext, options: StopOptions): Promise<void> {
  const { cache, engine, observer } = context;
  const { client, membership } = engine;
  const { name, graceMs, stopSignal, session, signal } = options;
  const id = cache.get(name)?.id;
  if (id === undefined) return;
  if (await membership.isOwn(id, { isAwaited: true, signal: session })) throw new Error(OWN);
  const ownGraceMs = observer.last(name)?.ownGraceMs ?? DEFAULT_GRACE_MS;
  try {
    await answeredOrSeen(context, {
      ...{ name, signal, wanted: isDown },
      call: (callSignal) => client.stop(id, { graceMs, ownGraceMs, stopSignal, signal: callSignal }),
    });
  } catch (error) {
    if (!(error instanceof EngineRefusal)) cache.stopMayComeThrough(id);
    if (!(error instanceof EngineRefusal) || error.status !== 404) throw error;
  }
}

/**
 * Pauses a container, then looks at it. It succeeds where the container doesn't run then, whatever the engine has answered, or where
 * another run of it has begun: that the one before could not be paused says nothing of the container.
 * @throws {CannotPause} where it still runs because the engine has refused; {EngineUnreachable}; {Error} where it would pause the proxy.
 */
export async function pauseContainer(
  context: ChangeContext,
  options: Pick<StopOptions, 'name' | 'session' | 'signal'>,
): Promise<void> {
  const { cache, engine, observer } = context;
  const { client, membership } = engine;
  const { name, session, signal } = options;
  const id = cache.get(name)?.id;
  if (id === undefined) return;
  if (await membership.isOwn(id, { isAwaited: true, signal: session })) throw new Error(OWN);
  const before = observer.last(name);
  const wanted = (seen: Observation) => seen.state === 'paused' || isDown(seen);
  const failure = await answeredOrSeen(context, {
    ...{ name, signal, wanted },
    call: (callSignal) => client.pause(id, callSignal),
  }).then(
    () => undefined,
    (error: unknown) => ({ error }),
  );
  const seen = await observer.refresh(name);
  if (failure === undefined || wanted(seen) || isOtherRun(seen, before)) return;
  const { error } = failure;
  throw error instanceof EngineRefusal ? new CannotPause(error.message, { cause: error }) : error;
}

const OWN = 'the proxy itself runs in it';

function isOtherRun(seen: Observation, before: Observation | undefined): boolean {
  const [run, runBefore] = [nameRun(seen), before && nameRun(before)];
  return run !== undefined && runBefore !== undefined && run !== runBefore;
}

function isDown({ state }: Observation): boolean {
  return state === 'stopped' || state === 'missing';
}

/**
 * Makes a call that changes a container. Where a look sees its outcome and the answer still doesn't come, the call is given
 * up and counts as done: a socket proxy may have swallowed the answer.
 * @throws what `call` throws; the signal's reason.
 */
async function answeredOrSeen(
  { observer, clock }: ChangeContext,
  options: {
    readonly name: string;
    readonly wanted: (seen: Observation) => boolean;
    readonly call: (signal: AbortSignal) => Promise<void>;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { name, wanted, call, signal: parent } = options;
  const over = new AbortController();
  const { signal, unlink } = linkSignals([parent, over.signal]);
  const seen = observer.whenSeen(name, { wanted, signal }).then(() => clock.sleep(PATIENCE_MS, signal));
  try {
    await Promise.race([call(signal), seen]);
  } finally {
    seen.catch(() => {});
    over.abort(new Error('the call is over'));
    unlink();
  }
}
