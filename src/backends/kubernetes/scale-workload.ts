import { type LabelPrefixes, recallReplicas, rememberReplicas } from '../../model/label-names.ts';
import { describeWorkloadRef } from '../../model/workload.ts';
import { backoffMs } from '../../system/waiting/backoff.ts';
import type { Clock } from '../../system/clock.ts';
import { describeError } from '../../system/message-of.ts';
import { WakeError } from '../backend.ts';
import { type ScalableRef, scalePath, workloadPath } from './api/api-paths.ts';
import type { ScalableWorkload, Scale } from './api/api-shapes.ts';
import type { KubeClient } from './api/kube-client.ts';
import { describePassing, isPassing, KubeRefusal, retryDelayMs } from './api/kube-errors.ts';
import { checkNames } from './api/object-names.ts';
import type { ClusterView, ScaleAnswer } from './cluster-view.ts';
import { FIELD_MANAGER } from './sharing/contest.ts';
import { refOf, selectWorkload, type WorkloadRecord } from './workload-record.ts';

/** What scaling works with. */
export interface ScaleContext {
  readonly client: KubeClient;
  readonly clock: Clock;
  /** Of the annotations that remember the count of replicas. */
  readonly labelPrefixes: LabelPrefixes;
  /** What is known; it takes what the API server answers, and why a wake was not done yet. */
  readonly view: ClusterView;
  /** The pauses that the API server has asked for. */
  readonly pauses: RequestedPauses;
}

/** How long the API server asked to wait before the next request about a workload, also for later wakes and sleeps. */
export class RequestedPauses {
  readonly #clock: Clock;
  /** On the monotonic clock, by the workload's path. */
  readonly #untilMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request about the workload has failed: the error may ask for a pause. */
  take(ref: ScalableRef, error: unknown): void {
    const delayMs = retryDelayMs(error, 0);
    if (delayMs > 0) this.#untilMs.set(workloadPath(ref), this.#clock.monotonicMs() + delayMs);
  }

  /** At most a minute; 0 where there is no pause. */
  remainingMs(ref: ScalableRef): number {
    const remainingMs = (this.#untilMs.get(workloadPath(ref)) ?? 0) - this.#clock.monotonicMs();
    if (remainingMs <= 0) this.#untilMs.delete(workloadPath(ref));
    return Math.max(0, remainingMs);
  }
}

interface ScaleOptions {
  readonly ref: ScalableRef;
  readonly signal: AbortSignal;
}

const RETRY = { firstMs: 100, maxMs: 1_000 };
/** Each conflict means that somebody else has changed the workload in between. */
const MAX_CONFLICTS = 5;
const MERGE_PATCH = 'application/merge-patch+json';
/** Server-side apply; it takes JSON, too. */
const APPLY_PATCH = 'application/apply-patch+yaml';

/**
 * Scales a workload from 0 up, however long the API server is away meanwhile.
 * @param options.scale to how many replicas; undefined: to what it had before it was put to sleep.
 * @throws {WakeError} when the API server refuses; the signal's reason when it aborts.
 */
export async function scaleUp(
  context: ScaleContext,
  options: ScaleOptions & { readonly scale: number | undefined },
): Promise<void> {
  const { ref, signal, scale } = options;
  const askedMs = context.pauses.remainingMs(ref);
  if (askedMs > 0) {
    context.view.hindered(ref, describePause(askedMs));
    await context.clock.sleep(askedMs, signal);
  }
  for (let failures = 1; ; failures++) {
    try {
      const finding = context.view.find(ref);
      if (finding.kind !== 'unlisted') {
        const record = finding.kind === 'listed' ? finding.record : undefined;
        if (record === undefined) throw new WakeError(`${describe(ref)} does not exist`);
        return await untilUncontended(context, { ...options, record }, async (current) => {
          if (current.replicas > 0) return current;
          const replicas = scale ?? recallReplicas(current.annotations, context.labelPrefixes);
          return patchScale(context, { ...options, current, replicas });
        });
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof WakeError) throw error;
      if (!isPassing(error))
        throw new WakeError(`cannot scale ${describe(ref)} up: ${describeError(error)}`, { cause: error });
      context.view.hindered(ref, describePassing(error));
      context.pauses.take(ref, error);
    }
    const delayMs = Math.max(backoffMs(failures, RETRY), context.pauses.remainingMs(ref));
    await context.clock.sleep(delayMs, signal);
  }
}

/**
 * Remembers how many replicas a workload has, and scales it to 0; with one try where the API server doesn't answer.
 * Success where it is at 0 already, or gone. @returns whether it was this call that did it.
 */
export async function scaleToZero(context: ScaleContext, options: ScaleOptions): Promise<boolean> {
  const finding = context.view.find(options.ref);
  const record = finding.kind === 'listed' ? finding.record : undefined;
  if (record === undefined) return false;
  const askedMs = context.pauses.remainingMs(options.ref);
  if (askedMs > 0 && record.replicas > 0) throw new Error(describePause(askedMs));
  let didIt = false;
  try {
    await untilUncontended(context, { ...options, record }, async (current) => {
      if (current.replicas === 0) return current;
      const remembered = await annotateReplicas(context, { ...options, current });
      const answer = await patchScale(context, { ...options, current: remembered, replicas: 0 });
      didIt = true;
      return answer;
    });
  } catch (error) {
    context.pauses.take(options.ref, error);
    if (!(error instanceof KubeRefusal) || error.status !== 404) throw error;
  }
  return didIt;
}

function describePause(askedMs: number): string {
  return `the API server asked to wait ${Math.ceil(askedMs / 1_000)} s more`;
}

/** Does `step` with what is known of a workload; after a conflict it reads the workload, and does it again. */
async function untilUncontended(
  context: ScaleContext,
  options: ScaleOptions & { readonly record: WorkloadRecord },
  step: (current: WorkloadRecord) => Promise<ScaleAnswer>,
): Promise<void> {
  const { ref } = options;
  let current = options.record;
  for (let conflicts = 1; ; conflicts++) {
    try {
      const { resourceVersion, replicas } = await step(current);
      return context.view.answered(ref, { resourceVersion, replicas });
    } catch (error) {
      const outdated = error instanceof KubeRefusal && error.status === 409;
      if (!outdated || conflicts === MAX_CONFLICTS) throw error;
    }
    current = await readWorkload(context, options);
  }
}

async function readWorkload(context: ScaleContext, { ref, signal }: ScaleOptions): Promise<WorkloadRecord> {
  const path = workloadPath(ref);
  const object = await context.client.request<ScalableWorkload>({ method: 'GET', path, signal });
  return selectWorkload(ref.resource, checkNames(object));
}

/**
 * What is outdated is refused with 409: nobody's change is undone unseen. The replicas are applied, because the API server
 * doesn't note who patches a scale to 0, nor, from then on, who patches it back: nobody could tell who that was.
 */
async function patchScale(
  context: ScaleContext,
  options: ScaleOptions & { readonly current: WorkloadRecord; readonly replicas: number },
): Promise<ScaleAnswer> {
  const { ref, signal, current, replicas } = options;
  const { name, namespace } = ref;
  const { metadata, spec } = await context.client.request<Scale>({
    method: 'PATCH',
    path: scalePath(ref),
    query: { fieldManager: FIELD_MANAGER, force: 'true' },
    contentType: APPLY_PATCH,
    body: {
      apiVersion: 'autoscaling/v1',
      kind: 'Scale',
      metadata: { name, namespace, resourceVersion: current.resourceVersion },
      spec: { replicas },
    },
    signal,
  });
  return { resourceVersion: metadata.resourceVersion ?? '', replicas: spec?.replicas ?? replicas };
}

async function annotateReplicas(
  context: ScaleContext,
  options: ScaleOptions & { readonly current: WorkloadRecord },
): Promise<WorkloadRecord> {
  const { ref, signal, current } = options;
  const { resourceVersion, replicas } = current;
  const annotations = rememberReplicas(current.annotations, { replicas, prefixes: context.labelPrefixes });
  if (Object.keys(annotations).length === 0) return current;
  const object = await context.client.request<ScalableWorkload>({
    method: 'PATCH',
    path: workloadPath(ref),
    query: { fieldManager: FIELD_MANAGER },
    contentType: MERGE_PATCH,
    body: { metadata: { resourceVersion, annotations } },
    signal,
  });
  return selectWorkload(ref.resource, checkNames(object));
}

function describe(ref: ScalableRef): string {
  return describeWorkloadRef(refOf(ref));
}
