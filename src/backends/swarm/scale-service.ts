import type { LabelPrefixes } from '../../model/label-names.ts';
import type { SwarmWorkload } from '../../model/workload.ts';
import { abortable } from '../../system/waiting/abortable.ts';
import { describeError } from '../../system/message-of.ts';
import { WakeError } from '../backend.ts';
import type { EngineLink } from '../engine/engine-link.ts';
import { EngineRefusal, EngineUnreachable } from '../engine/errors.ts';
import type { WorkloadObserver } from '../engine/workload-observer.ts';
import { readMode, toAsleepSpec, toAwakeSpec, toNextRun } from './replicas.ts';
import type { ServiceCatalog } from './service-catalog.ts';
import { NO_MANAGER } from './service-source.ts';
import { hasEnded, mayEnd } from './service-tasks.ts';
import type { SwarmClient } from './swarm-client.ts';
import type { ServiceSpec, SwarmService, SwarmView } from './swarm-shapes.ts';

/** What scaling works with. */
export interface ScaleContext {
  readonly client: SwarmClient;
  readonly catalog: ServiceCatalog;
  readonly observer: WorkloadObserver;
  readonly link: EngineLink<SwarmView>;
  /** Of the labels that remember the count of replicas. */
  readonly labelPrefixes: LabelPrefixes;
}

/**
 * Scales a service up to its replicas, or else to those that it had, however long the engine is away meanwhile, and has it looked at. One
 * that has its replicas, but whose tasks have ended for good, gets new ones.
 * @throws {WakeError} when the engine refuses; the signal's reason when it aborts.
 */
export function wakeService(
  context: ScaleContext,
  {
    workload: { service: name, scale },
    signal,
  }: { readonly workload: SwarmWorkload; readonly signal: AbortSignal },
): Promise<void> {
  const { client, catalog, observer, link, labelPrefixes: prefixes } = context;
  const wake = async () => {
    try {
      if (catalog.nodeId === undefined) throw new WakeError(NO_MANAGER);
      const service = await scaleService(context, {
        ...{ name, signal },
        change: async (service) => {
          const spec = toAwakeSpec(service.Spec, { prefixes, scale });
          if (!mayEnd(service.Spec)) return spec;
          if (spec !== undefined) return toNextRun(spec);
          const tasks = await client.tasks(service.ID, signal);
          return hasEnded({ service, tasks }) ? toNextRun(service.Spec) : undefined;
        },
      });
      if (service === undefined) throw new WakeError('it does not exist');
      const mode = readMode(service.Spec ?? {});
      if (mode.kind === 'unscalable') throw new WakeError(mode.problem);
      await abortable(observer.refreshAtOnce(name), signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof EngineRefusal) && !(error instanceof WakeError)) throw error;
      throw new WakeError(`cannot start swarm service "${name}": ${error.message}`, { cause: error });
    }
  };
  return link.retry(wake, signal);
}

/** Scales a service to 0 and remembers its replicas; fails at once while the engine is away. */
export async function sleepService(
  context: ScaleContext & {
    /** Whether the proxy itself runs in it. */
    readonly isOwn: (name: string, signal: AbortSignal) => Promise<boolean>;
  },
  name: string,
): Promise<void> {
  const { catalog, observer, link, labelPrefixes } = context;
  try {
    const { session } = link;
    if (session === undefined) throw new EngineUnreachable('the engine does not answer');
    if (catalog.nodeId === undefined) return;
    if (await context.isOwn(name, session)) throw new Error('the proxy itself runs in it');
    await scaleService(context, {
      ...{ name, signal: session },
      change: async ({ Spec }) => toAsleepSpec(Spec, labelPrefixes),
    });
    await observer.refresh(name);
  } catch (cause) {
    throw new Error(`cannot stop swarm service "${name}": ${describeError(cause)}`, { cause });
  }
}

/** Each time after somebody else has changed the service in between. */
const MAX_TRIES = 5;

/**
 * Changes a service, however often somebody else changes it meanwhile.
 * @param options.change the spec that it is to have; undefined where it is as wanted already.
 * @returns the service as it was read last; undefined where there is none of that name.
 * @throws {EngineUnreachable | EngineRefusal}
 */
async function scaleService(
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
