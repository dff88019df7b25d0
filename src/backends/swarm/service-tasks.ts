import { readMode } from './replicas.ts';
import type { ServiceView, SwarmTask } from './swarm-shapes.ts';

/** States that a task never leaves. */
const FINAL_STATES = new Set(['complete', 'shutdown', 'failed', 'rejected', 'remove', 'orphaned']);

/** What a replicated service does, from its replicas and tasks. */
export interface ServicePhase {
  readonly state: 'stopped' | 'stopping' | 'starting' | 'running';
  /** Those that run and are meant to, in a lasting order. */
  readonly running: readonly SwarmTask[];
  /** `moving`: on its way to another state; `incomplete`: runs, but not yet with all replicas; `none`: at rest. */
  readonly unrest: Unrest;
}

export type Unrest = 'none' | 'incomplete' | 'moving';

/** @param lostNodes nodes that are down: their tasks never tell that they ended. */
export function readPhase({ service, tasks }: ServiceView, lostNodes: ReadonlySet<string>): ServicePhase {
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
  if (running.length === 0) return { state: 'starting', running, unrest: 'moving' };
  return { state: 'running', running, unrest: running.length < replicas ? 'incomplete' : 'none' };
}

/** Whether a task has a container, or will have one. */
export function isLive(task: SwarmTask): boolean {
  return !FINAL_STATES.has(task.Status?.State ?? 'new');
}

/** What the engine says went wrong with a task; undefined where nothing did. */
export function describeFailure(tasks: readonly SwarmTask[]): string | undefined {
  return tasks.map((task) => task.Status?.Err ?? '').find((text) => text !== '');
}
