/** What is started and stopped on behalf of a service. */
export type Workload = DockerWorkload | ProcessWorkload;

export type WorkloadKind = Workload['kind'];

export interface DockerWorkload {
  readonly kind: 'docker';
  /** The container's name, without a leading slash. */
  readonly container: string;
}

export interface ProcessWorkload {
  readonly kind: 'process';
  /** The name of the service that owns the process. */
  readonly name: string;
  /** Program and arguments, at least one entry; no shell is involved. */
  readonly command: readonly string[];
  readonly cwd: string | undefined;
  /** Set on top of the proxy's own environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Identity of a workload across table versions: the same key is the same running thing. */
export function workloadKey(workload: Workload): string {
  return `${workload.kind}/${workloadName(workload)}`;
}

export function workloadName(workload: Workload): string {
  switch (workload.kind) {
    case 'docker':
      return workload.container;
    case 'process':
      return workload.name;
  }
}

/** What the engine says a workload does. `unknown` = it could not be asked, which is never read as stopped. */
export type EngineState = 'unknown' | 'missing' | 'stopped' | 'starting' | 'running' | 'paused' | 'stopping';

/** One look at a workload. */
export interface Observation {
  readonly state: EngineState;
  /** The engine's id of this incarnation; `''` where there is none. A new id is a new workload under the same name. */
  readonly id: string;
  /** Addresses at which a running workload answers, best first; empty unless running. */
  readonly hosts: readonly string[];
  /** `none` where the workload declares no health check. */
  readonly health: 'none' | 'starting' | 'healthy' | 'unhealthy';
  /** Why it is stopped or missing, for the log; for example `exit code 1`. */
  readonly detail?: string;
}

export const UNKNOWN: Observation = { state: 'unknown', id: '', hosts: [], health: 'none' };
export const MISSING: Observation = { state: 'missing', id: '', hosts: [], health: 'none' };
