import { findPortProblem, type Observation, portKey } from '../../model/running/observation.ts';
import type { Protocol, TargetPort } from '../../model/service.ts';
import { describeWorkloadRef, toWorkloadRef, type Workload } from '../../model/workload.ts';
import type { WorkloadRun } from './workload-run.ts';
import type { LifecycleState } from '../workload/machine.ts';
import { withObstacle } from '../refusal.ts';

/** What is known of a workload that may explain why its clients wait. */
export interface Standing {
  readonly workload: Workload;
  readonly state: LifecycleState;
  readonly observation: Observation;
  /** The present run, once its health gate is passed. */
  readonly run: WorkloadRun | undefined;
  /** Why the health check over HTTP failed last. */
  readonly checkFailure: string | undefined;
  /** Why no wake has worked lately. */
  readonly wakeFailure: string | undefined;
  /** What it waits for in its sleep, its turn or room; undefined where it doesn't. */
  readonly queued: string | undefined;
  /** What it depends on and still lacks; undefined where it doesn't wait for that. */
  readonly lacking: string | undefined;
  /** Why its engine can't be asked now. */
  readonly engineAway: string | undefined;
}

type StartPhase = Extract<LifecycleState, { kind: 'starting' }>['phase'];

interface Target {
  readonly protocol: Protocol;
  readonly port: TargetPort;
}

/**
 * What stands between a workload and its clients, in words that name it: `connection refused at 172.18.0.3:81`;
 * undefined where nothing is known. Pure.
 * @param target the port that is asked for; left out: any.
 */
export function describeObstacle(standing: Standing, target?: Target): string | undefined {
  const { state, observation, wakeFailure, queued } = standing;
  const { problem, detail } = observation;
  const known = target === undefined ? problem : findPortProblem(observation, target);
  if (known !== undefined) return known;
  if (queued !== undefined) return queued;
  switch (state.kind) {
    case 'unknown':
      return detail ?? standing.engineAway ?? 'the engine has not told its state yet';
    case 'missing':
      return detail ?? describeMissing(standing.workload);
    case 'starting':
      return describeStart(standing, { phase: state.phase, target });
    case 'ready':
      return standing.run?.lastFailure(target);
    case 'failed':
      if (observation.state === 'stranded') return detail;
      return wakeFailure === undefined ? undefined : `the last start failed: ${wakeFailure}`;
    case 'stopping':
      return detail ?? 'it is still stopping';
    case 'stopped':
    case 'paused':
      return wakeFailure;
  }
}

/** That a workload does not exist, in words that name it, and where one command makes it, that one. Pure. */
export function describeMissing(workload: Workload): string {
  const remedy = workload.kind === 'docker' ? ' (docker compose create makes it)' : '';
  return `${describeWorkloadRef(toWorkloadRef(workload))} does not exist${remedy}`;
}

function describeStart(
  standing: Standing,
  { phase, target }: { readonly phase: StartPhase; readonly target: Target | undefined },
): string {
  const { observation } = standing;
  if (phase === 'needs') return standing.lacking ?? 'what it depends on is being woken';
  if (phase === 'interrupted')
    return withObstacle('somebody else stopped it while it was starting', observation.detail);
  // While the workload is stopped, the detail is about its run before.
  const detail = observation.state === 'stopped' ? undefined : observation.detail;
  if (phase === 'waking' && observation.state !== 'running')
    return observation.hindrance ?? standing.engineAway ?? detail ?? 'the engine has not started it yet';
  if (phase === 'engine') return detail ?? 'the engine is still starting it';
  const seen = describeRun(standing, target);
  return detail === undefined ? seen : `${seen} (${detail})`;
}

/** What a running workload still lacks. */
function describeRun(standing: Standing, target: Target | undefined): string {
  const { run, observation, checkFailure } = standing;
  const { ports, portsOf } = observation;
  if (ports !== undefined && target !== undefined) {
    const key = portKey(target.protocol, target.port);
    // As where a Kubernetes Service names a port that no container has.
    if (ports[key]?.length === 0)
      return `nothing that is ready${portsOf === undefined ? '' : ` behind ${portsOf}`} has the target port ${key}`;
  }
  if (run !== undefined) return run.lastFailure(target) ?? 'its port has not answered yet';
  if (checkFailure !== undefined) return checkFailure;
  if (observation.health === 'unhealthy') return 'its health check says that it is unhealthy';
  if (observation.hosts.length === 0 && observation.ports === undefined) return 'it has no address';
  return 'its health check has not passed yet';
}
