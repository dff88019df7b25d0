import { readMode } from './replicas.ts';
import type { ServiceSpec, ServiceView, SwarmTask } from './swarm-shapes.ts';

/** States that a task never leaves. */
const FINAL_STATES = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);

/** What a replicated service does, from its replicas and tasks. */
export interface ServicePhase {
  /** `stopped` also where all tasks have ended and the swarm restarts none. */
  readonly state: 'stopped' | 'stopping' | 'starting' | 'running';
  /** Tasks that run and are meant to, in a stable order. */
  readonly running: readonly SwarmTask[];
  /** `moving`: on its way to another state; `incomplete`: runs, but not yet with all replicas; `none`: at rest. */
  readonly unrest: Unrest;
}

export type Unrest = 'none' | 'incomplete' | 'moving';

/** @param lostNodes nodes that are down: their tasks never tell that they ended. */
export function readPhase(view: ServiceView, lostNodes: ReadonlySet<string>): ServicePhase {
  const { service, tasks } = view;
  const mode = readMode(service.Spec ?? {});
  const replicas = mode.kind === 'replicated' ? mode.replicas : 0;
  const live = tasks.filter((task) => isLive(task) && !lostNodes.has(task.NodeID ?? ''));
  if (replicas === 0) {
    const state = live.length === 0 ? 'stopped' : 'stopping';
    return { state, running: [], unrest: state === 'stopped' ? 'none' : 'moving' };
  }
  const running = live
    .filter((task) => task.Status?.State === 'running' && task.DesiredState === 'running')
    .sort((a, b) => (a.ID < b.ID ? -1 : 1));
  const ended = countEndedReplicas(view, live);
  if (live.length === 0 && ended >= replicas) return { state: 'stopped', running, unrest: 'none' };
  if (running.length === 0) return { state: 'starting', running, unrest: 'moving' };
  return { state: 'running', running, unrest: running.length + ended < replicas ? 'incomplete' : 'none' };
}

/** Whether a task has a container, or will have one. */
export function isLive(task: SwarmTask): boolean {
  return !FINAL_STATES.has(task.Status?.State ?? 'new');
}

/** Whether the service wants replicas, but all have ended, and its swarm restarts none of them. */
export function hasEnded(view: ServiceView): boolean {
  const mode = readMode(view.service.Spec ?? {});
  const isWanted = mode.kind === 'replicated' && mode.replicas > 0;
  return isWanted && readPhase(view, new Set()).state === 'stopped';
}

/** Whether the swarm may leave a replica ended, by the service's restart policy. */
export function mayEnd({ TaskTemplate }: ServiceSpec): boolean {
  const { Condition = 'any', MaxAttempts = 0 } = TaskTemplate?.RestartPolicy ?? {};
  return Condition !== 'any' || MaxAttempts > 0;
}

/** What the engine says of the newest tasks: what went wrong, else what they do; undefined where there is nothing to say. */
export function describeTasks({ service, tasks }: ServiceView): string | undefined {
  const current = tasks.filter((task) => runOf(task) === runOfService(service.Spec ?? {})).sort(newestFirst);
  const failure = current.map(({ Status }) => Status?.Err ?? '').find((text) => text !== '');
  if (failure !== undefined) return failure;
  const live = current.find(isLive);
  if (live !== undefined) return `its task is ${live.Status?.State ?? 'new'}`;
  return current.length === 0 ? undefined : 'its tasks have ended, and its restart policy starts no other';
}

/**
 * Replicas of which the newest task has ended and stays the last. A swarm makes the next task together with telling the
 * old one to shut down, unless the policy is against it.
 */
function countEndedReplicas({ service, tasks }: ServiceView, live: readonly SwarmTask[]): number {
  const { Spec: spec = {} } = service;
  if (!mayEnd(spec)) return 0;
  const newest = new Map<number | string, SwarmTask>();
  for (const task of [...tasks].sort(newestFirst)) {
    const slot = task.Slot ?? task.ID;
    if (!newest.has(slot)) newest.set(slot, task);
  }
  const isOver = (task: SwarmTask) =>
    !live.includes(task) && task.DesiredState === 'shutdown' && staysEnded(spec, task);
  return [...newest.values()].filter(isOver).length;
}

function staysEnded(spec: ServiceSpec, task: SwarmTask): boolean {
  // The task is of an earlier run; those of the new one are yet to come.
  if (runOf(task) !== runOfService(spec)) return false;
  const { Condition = 'any', MaxAttempts = 0 } = spec.TaskTemplate?.RestartPolicy ?? {};
  if (Condition === 'none' || MaxAttempts > 0) return true;
  return Condition === 'on-failure' && task.Status?.State === 'complete';
}

function runOf({ Spec }: SwarmTask): number {
  return Spec?.ForceUpdate ?? 0;
}

function runOfService({ TaskTemplate }: ServiceSpec): number {
  return TaskTemplate?.ForceUpdate ?? 0;
}

/** Times are in UTC, with as many digits as they need, so that their order is that of their text without its `Z`. */
function newestFirst(a: SwarmTask, b: SwarmTask): number {
  const [first = '', second = ''] = [a, b].map(({ CreatedAt = '' }) => CreatedAt.replace('Z', ''));
  if (first === second) return 0;
  return first < second ? 1 : -1;
}
