import {
  type CheckTimes,
  type Observation,
  portKey,
  type StoppedBy,
} from '../../model/running/observation.ts';
import { DEFAULT_GRACE_MS, ownGraceMs } from '../engine/call-deadlines.ts';
import { readProject } from '../engine/read-project.ts';
import type {
  InspectedContainer,
  InspectedHealthcheck,
  InspectedState,
  ListedContainer,
} from '../engine/engine-shapes.ts';

/** Where a running container answers. */
export interface ContainerPlace {
  /** Best first. */
  readonly hosts: readonly string[];
  /** Why nothing reaches it until it is started again: the network that it uses went with its owner. */
  readonly stranded?: string;
  /** Why nothing can ever reach it. */
  readonly problem?: string;
}

const REMOVED_BY_STOP = 'it was started with --rm, so that stopping it would remove it';

/**
 * What an inspect says about a container.
 * @param options.place where it answers; used only while it runs.
 * @param options.apiVersion of the engine; undefined counts as new.
 * @param options.stoppedBy how its last run ended, as far as events have told; used only where it is stopped.
 */
export function observeInspected(
  container: InspectedContainer,
  {
    place,
    apiVersion,
    stoppedBy,
  }: {
    readonly place: ContainerPlace;
    readonly apiVersion?: string | undefined;
    readonly stoppedBy?: StoppedBy | undefined;
  },
): Observation {
  const check = declaredCheck(container);
  const seen = readState(container.State ?? {});
  const state = seen === 'running' && place.stranded !== undefined ? 'stranded' : seen;
  const detail = describeObstacle(container, { state, place });
  const graceMs = ownGraceMs(container.Config?.StopTimeout);
  // A container that never ran has not ended by itself: somebody has just made it, perhaps in place of another one.
  const ended = container.State?.Status === 'created' ? 'others' : stoppedBy;
  const problem = isWithoutNetwork(container) ? WITHOUT_NETWORK : place.problem;
  return {
    state,
    id: container.Id,
    ...(state !== 'stopped' && readRun(container.State)),
    ...nameProject(container.Config?.Labels),
    hosts: state === 'running' ? place.hosts : [],
    health: readHealth(container, state),
    ...(check !== undefined && { checkTimes: readCheckTimes(check, apiVersion) }),
    ...(detail === undefined ? {} : { detail }),
    ...(container.HostConfig?.AutoRemove === true && { staysAwake: REMOVED_BY_STOP }),
    ...(graceMs === DEFAULT_GRACE_MS ? {} : { ownGraceMs: graceMs }),
    ...(state === 'stopped' && ended !== undefined && { stoppedBy: ended }),
    ...(state === 'stopped' && readExitCode(container.State)),
    ...(problem !== undefined && { problem }),
    ...readPublished(container),
    ...readOnlyPort(container),
    ...readMemoryLimit(container),
  };
}

function readRun({ StartedAt = '' }: InspectedState = {}): Pick<Observation, 'run'> {
  return StartedAt === '' ? {} : { run: StartedAt };
}

/** 0 = no limit. */
function readMemoryLimit({ HostConfig }: InspectedContainer): Pick<Observation, 'memoryLimitBytes'> {
  const bytes = HostConfig?.Memory ?? 0;
  return bytes > 0 ? { memoryLimitBytes: bytes } : {};
}

function readExitCode({ Status, ExitCode }: InspectedState = {}): Pick<Observation, 'exitCode'> {
  return ExitCode === undefined || Status === 'created' ? {} : { exitCode: ExitCode };
}

function readOnlyPort({ Config }: InspectedContainer): Pick<Observation, 'onlyPort'> {
  const ports = Object.keys(Config?.ExposedPorts ?? {}).flatMap((key) => {
    const [, port] = /^(\d+)(?:\/tcp)?$/.exec(key) ?? [];
    return port === undefined ? [] : [Number(port)];
  });
  const [port] = ports;
  return port === undefined || ports.length > 1 ? {} : { onlyPort: port };
}

function nameProject(labels: Parameters<typeof readProject>[0]): Pick<Observation, 'project'> {
  const project = readProject(labels);
  return project === undefined ? {} : { project };
}

function readPublished({ HostConfig }: InspectedContainer): Pick<Observation, 'publishedPorts'> {
  const publishedPorts = Object.entries(HostConfig?.PortBindings ?? {}).flatMap(([target, bindings]) => {
    const protocol = target.endsWith('/udp') ? 'udp' : 'tcp';
    // `0` and `''` stand for any port, and of a range the engine chooses one.
    const ports = (bindings ?? []).map(({ HostPort }) => Number(HostPort)).filter((port) => port > 0);
    return ports.map((port) => portKey(protocol, port));
  });
  return publishedPorts.length === 0 ? {} : { publishedPorts };
}

function describeObstacle(
  container: InspectedContainer,
  { state, place }: { readonly state: Observation['state']; readonly place: ContainerPlace },
): string | undefined {
  if (state === 'stopped') return describeStop(container.State ?? {});
  if (state === 'stranded') return place.stranded;
  return state === 'running' && place.hosts.length === 0 ? 'it is on no network' : undefined;
}

/** Only a container that is made anew helps. */
export const WITHOUT_NETWORK =
  'the container has no network (network_mode: none), so nothing can connect to it';

export function isWithoutNetwork({
  HostConfig,
  NetworkSettings,
}: InspectedContainer | ListedContainer): boolean {
  const others = Object.keys(NetworkSettings?.Networks ?? {}).filter((name) => name !== 'none');
  return HostConfig?.NetworkMode === 'none' && others.length === 0;
}

/**
 * What a list's entry says about a container at rest, so that a thousand sleeping ones need no thousand inspects.
 * Undefined where only an inspect can tell: running ones have addresses and health.
 */
export function observeListed(container: ListedContainer): Observation | undefined {
  const stopped = {
    ...({ state: 'stopped', id: container.Id, hosts: [], health: 'none' } as const),
    ...nameProject(container.Labels),
    ...(isWithoutNetwork(container) && { problem: WITHOUT_NETWORK }),
  };
  switch (container.State) {
    case 'created':
      return { ...stopped, detail: 'never started' };
    case 'exited':
    case 'dead': {
      const exitCode = /\((-?\d+)\)/.exec(container.Status ?? '')?.[1];
      return exitCode === undefined ? stopped : { ...stopped, detail: describeExit(Number(exitCode)) };
    }
    default:
      return undefined;
  }
}

/** The exit code of a container that SIGKILL has ended. */
const KILLED = 137;

function describeExit(exitCode: number): string {
  return exitCode === KILLED ? `killed by SIGKILL (exit code ${KILLED})` : `exit code ${exitCode}`;
}

function readState(state: InspectedState): 'stopped' | 'starting' | 'running' | 'paused' | 'stopping' {
  if (state.Restarting === true || state.Status === 'restarting') return 'starting';
  if (state.Paused === true) return 'paused';
  // It can't be started any more, and is gone in a moment.
  if (state.Status === 'removing') return 'stopping';
  if (state.Status === 'dead') return 'stopped';
  return state.Running === true ? 'running' : 'stopped';
}

function describeStop(state: InspectedState): string | undefined {
  const error = state.Error ? `: ${state.Error}` : '';
  if (state.Status === 'created') return `never started${error}`;
  if (state.ExitCode === undefined) return undefined;
  if (state.OOMKilled === true) return `killed, out of memory (exit code ${state.ExitCode})`;
  return `${describeExit(state.ExitCode)}${error}`;
}

/**
 * Reads the health. For a stopped container the engine keeps that of its last run, mostly `unhealthy`. For one that never ran
 * it tells nothing, although its image declares a check. Without a check, newer engines leave the field out or say `none`.
 */
function readHealth(container: InspectedContainer, state: Observation['state']): Observation['health'] {
  const declared = declaredCheck(container) !== undefined;
  const status = container.State?.Health?.Status ?? '';
  if (state !== 'running' && state !== 'paused') return declared ? 'starting' : 'none';
  if (status === 'starting' || status === 'healthy' || status === 'unhealthy') return status;
  return declared ? 'starting' : 'none';
}

function declaredCheck({ Config }: InspectedContainer): InspectedHealthcheck | undefined {
  const test = Config?.Healthcheck?.Test ?? [];
  return test.length > 0 && test[0] !== 'NONE' ? (Config?.Healthcheck ?? undefined) : undefined;
}

/** As moby's `daemon/health.go`: within the start period failures don't count, and newer engines ask more often. */
function readCheckTimes(check: InspectedHealthcheck, apiVersion: string | undefined): CheckTimes {
  const intervalMs = toMs(check.Interval) ?? 30_000;
  const timeoutMs = toMs(check.Timeout) ?? 30_000;
  const startPeriodMs = toMs(check.StartPeriod) ?? 0;
  const asksEarly = startPeriodMs > 0 && knowsStartInterval(apiVersion);
  const firstMs = asksEarly ? (toMs(check.StartInterval) ?? 5_000) : intervalMs;
  // One check more than the retries: the one that began within the start period.
  const lastMs = startPeriodMs + ((check.Retries || 3) + 1) * (intervalMs + timeoutMs);
  return { firstMs, lastMs };
}

function toMs(nanoseconds: number | undefined): number | undefined {
  return nanoseconds ? nanoseconds / 1e6 : undefined;
}

function knowsStartInterval(apiVersion: string | undefined): boolean {
  return isAtLeast(apiVersion, 44);
}

/** Whether the engine can be told by which signal it is to stop a container. @param apiVersion undefined counts as new. */
export function takesStopSignal(apiVersion: string | undefined): boolean {
  return isAtLeast(apiVersion, 42);
}

/** Whether an API's version is at least 1.`least`. */
function isAtLeast(apiVersion = '2.0', least: number): boolean {
  const [major = 1, minor = 0] = apiVersion.split('.').map(Number);
  return major > 1 || minor >= least;
}
