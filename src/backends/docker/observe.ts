import type { Observation, StoppedBy } from '../../model/observation.ts';
import { DEFAULT_GRACE_MS, ownGraceMs } from './call-deadlines.ts';
import type { InspectedContainer, InspectedState, ListedContainer } from './engine-shapes.ts';

/**
 * What an inspect says about a container.
 * @param options.hosts the addresses chosen for it; told only while it runs.
 * @param options.stoppedBy how its last run ended, as far as events have told; told only where it is stopped.
 */
export function observeInspected(
  container: InspectedContainer,
  { hosts, stoppedBy }: { readonly hosts: readonly string[]; readonly stoppedBy?: StoppedBy | undefined },
): Observation {
  const state = readState(container.State ?? {});
  const detail = state === 'stopped' ? describeStop(container.State ?? {}) : undefined;
  const graceMs = ownGraceMs(container.Config?.StopTimeout);
  // What never ran has not ended by itself: it was put in the place of another.
  const ended = container.State?.Status === 'created' ? 'others' : stoppedBy;
  return {
    state,
    id: container.Id,
    hosts: state === 'running' ? hosts : [],
    health: readHealth(container, state),
    ...(detail === undefined ? {} : { detail }),
    ...(graceMs === DEFAULT_GRACE_MS ? {} : { ownGraceMs: graceMs }),
    ...(state === 'stopped' && ended !== undefined && { stoppedBy: ended }),
  };
}

/**
 * What a list's entry says about a container at rest, so that a thousand sleeping ones need no thousand inspects.
 * Undefined where only an inspect can tell: running ones have addresses and health.
 */
export function observeListed(container: ListedContainer): Observation | undefined {
  const stopped = { state: 'stopped', id: container.Id, hosts: [], health: 'none' } as const;
  switch (container.State) {
    case 'created':
      return { ...stopped, detail: 'never started' };
    case 'exited':
    case 'dead': {
      const exitCode = /\((-?\d+)\)/.exec(container.Status ?? '')?.[1];
      return exitCode === undefined ? stopped : { ...stopped, detail: `exit code ${exitCode}` };
    }
    default:
      return undefined;
  }
}

function readState(state: InspectedState): 'stopped' | 'starting' | 'running' | 'paused' | 'stopping' {
  if (state.Restarting === true || state.Status === 'restarting') return 'starting';
  if (state.Paused === true) return 'paused';
  // Nobody can start it any more; its place is free in a moment.
  if (state.Status === 'removing') return 'stopping';
  if (state.Status === 'dead') return 'stopped';
  return state.Running === true ? 'running' : 'stopped';
}

function describeStop(state: InspectedState): string | undefined {
  const error = state.Error ? `: ${state.Error}` : '';
  if (state.Status === 'created') return `never started${error}`;
  if (state.ExitCode === undefined) return undefined;
  return state.OOMKilled === true
    ? `out of memory (exit code ${state.ExitCode})`
    : `exit code ${state.ExitCode}${error}`;
}

/**
 * The engine keeps the last run's health of a stopped container (`unhealthy`, mostly), and tells none at all of one
 * that never ran although its image declares a check. Newer engines leave the field out, or say `none`, without one.
 */
function readHealth(container: InspectedContainer, state: Observation['state']): Observation['health'] {
  const test = container.Config?.Healthcheck?.Test ?? [];
  const declared = test.length > 0 && test[0] !== 'NONE';
  const status = container.State?.Health?.Status ?? '';
  if (state !== 'running' && state !== 'paused') return declared ? 'starting' : 'none';
  if (status === 'starting' || status === 'healthy' || status === 'unhealthy') return status;
  return declared ? 'starting' : 'none';
}
