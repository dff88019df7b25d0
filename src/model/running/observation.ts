import type { ListenerSpec, Protocol, TargetPort } from '../service.ts';

/**
 * What the engine says a workload does. `unknown` = it could not be asked, which is never read as stopped; `stranded` = it
 * runs, but nothing reaches it until it has been stopped and started again.
 */
export type EngineState =
  | 'unknown'
  | 'missing'
  | 'stopped'
  | 'starting'
  | 'running'
  | 'stranded'
  | 'paused'
  | 'stopping';

/** Whose doing the end of a run was: its own, or of somebody who stopped, killed or replaced the workload. */
export type StoppedBy = 'itself' | 'others';

/** Where one port of a running workload answers. */
export interface Endpoint {
  /** An IP address, or a name that the machine's resolver knows. */
  readonly host: string;
  /** 1–65535. */
  readonly port: number;
}

/**
 * Why nothing may be sent to an endpoint: it is one of the proxy's own listeners, or leads back to one. Undefined where it
 * isn't; a name is not looked up.
 */
export type ExplainOwn = (protocol: Protocol, endpoint: Endpoint) => string | undefined;

/** When an engine's health check first gives a result, in ms after a start. */
export interface CheckTimes {
  /** The earliest moment. */
  readonly firstMs: number;
  /** The latest moment, healthy or not. */
  readonly lastMs: number;
}

/** One look at a workload. */
export interface Observation {
  readonly state: EngineState;
  /** The engine's id of this incarnation; `''` where there is none. A new id is a new workload under the same name. */
  readonly id: string;
  /**
   * Of a workload that is up: which of its runs this is. Another one after it was stopped and started again, by whomever; a pause
   * ends none. Undefined where the engine doesn't tell.
   */
  readonly run?: string;
  /** The Compose project or the stack that it belongs to; absent where there is none. */
  readonly project?: string;
  /** Addresses at which a running workload answers, best first; empty unless running. */
  readonly hosts: readonly string[];
  /**
   * Where the engine maps ports: every port there is, by `portKey()`, with the endpoints that answer now, all equally
   * good, none unless running. A port that is absent doesn't exist. Undefined: each port of the workload is reached at
   * any of `hosts` under its own number.
   */
  readonly ports?: Readonly<Record<string, readonly Endpoint[]>>;
  /** Whose `ports` these are, where not the workload's own, for messages; for example `Service shop/db`. */
  readonly portsOf?: string;
  /** `none` where the workload declares no health check. */
  readonly health: 'none' | 'starting' | 'healthy' | 'unhealthy';
  /** Undefined where there is no health check, or the engine doesn't tell. */
  readonly checkTimes?: CheckTimes;
  /** Why it is stopped, stranded or missing, for the log; for example `exit code 1`. */
  readonly detail?: string;
  /** The workload's own time between the polite signal and the kill, in ms; absent = 10 s. */
  readonly ownGraceMs?: number;
  /** The memory that its engine lets it have, in bytes; absent where that is not limited, or not told. */
  readonly memoryLimitBytes?: number;
  /** Of a stopped workload: with what status its last run ended. Undefined where the engine doesn't tell. */
  readonly exitCode?: number;
  /** Of a stopped workload: how its last run ended. Undefined where the engine doesn't tell. */
  readonly stoppedBy?: StoppedBy;
  /** Why a start that is under way makes no progress, as far as the engine tells. */
  readonly hindrance?: string;
  /** Why it must not be put to sleep: what would be lost, and what to do about it. */
  readonly staysAwake?: string;
  /** Of a workload that counts as missing: it may well exist, but the proxy can't look at it, or not scale it. */
  readonly mayExist?: true;
  /** Why no client can be served in any state, and what has to be mended. */
  readonly problem?: string;
  /** The only TCP port that the workload itself says it offers; undefined where that is none, several, or not known. */
  readonly onlyPort?: number;
  /** Ports of the machine that the workload takes for itself while it runs, by `portKey()`; undefined where that isn't known. */
  readonly publishedPorts?: readonly string[];
}

/** The present run among those of all workloads, as text; undefined where it is down, or the engine doesn't tell. Pure. */
export function nameRun({ id, run }: Pick<Observation, 'id' | 'run'>): string | undefined {
  return run === undefined ? undefined : `${id} ${run}`;
}

export const UNKNOWN: Observation = { state: 'unknown', id: '', hosts: [], health: 'none' };
export const MISSING: Observation = { state: 'missing', id: '', hosts: [], health: 'none' };

/** Says that a container publishes a port on which the proxy listens for it; undefined if it doesn't. Pure. */
export function describePublished(
  { publishedPorts = [] }: Observation,
  listeners: readonly Pick<ListenerSpec, 'protocol' | 'port'>[],
): string | undefined {
  const wanted = listeners.filter(({ protocol, port }) => publishedPorts.includes(portKey(protocol, port)));
  if (wanted.length === 0) return undefined;
  const names = [...new Set(wanted.map(({ protocol, port }) => `${protocol} ${port}`))].join(', ');
  return `the container publishes ${names} itself, where the proxy listens for it; take it out of the container's own ports`;
}

/** The key of a port in `Observation.ports`: `tcp/80`, `udp/dns`. */
export function portKey(protocol: Protocol, port: TargetPort): string {
  return `${protocol}/${port}`;
}

/** Why clients of one target port can't be served, as far as the observation tells; undefined if they can. */
export function findPortProblem(
  observation: Observation,
  target: { readonly protocol: Protocol; readonly port: TargetPort },
): string | undefined {
  const { problem, ports, portsOf } = observation;
  if (problem !== undefined || ports === undefined) return problem;
  const key = portKey(target.protocol, target.port);
  if (Object.hasOwn(ports, key)) return undefined;
  const known = Object.keys(ports).join(', ');
  const where = portsOf === undefined ? '' : ` in ${portsOf}`;
  return `there is no target port ${key}${where}${known === '' ? '' : `; there is ${known}`}`;
}
