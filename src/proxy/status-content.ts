import type { WorkloadController } from '../lifecycle/workload/workload-controller.ts';
import { nextStartOf } from '../model/availability.ts';
import { findPortProblem, MISSING, type Observation } from '../model/running/observation.ts';
import type { ListenerSpec, Service } from '../model/service.ts';
import type { ServiceTable } from '../model/table.ts';
import type { ListenerView } from '../status/status-rows.ts';
import type { Runtime } from './runtime.ts';

/** The rows of the status: every listener of the table, including those that another service holds. */
export function collectViews(
  table: ServiceTable,
  parts: Pick<Runtime, 'lifecycle' | 'doors' | 'relay' | 'schedules'>,
): readonly ListenerView[] {
  const own = [...table.entries.values()].flatMap(({ service }) =>
    parts.doors.of(service).map((listener) => {
      return createView({
        service,
        listener,
        ...parts.doors.status(listener, service),
        ...parts,
      });
    }),
  );
  const lost = table.conflicts.flatMap(({ loser, winner, listener }) => {
    const service = table.entries.get(loser)?.service;
    if (service === undefined) return [];
    const error = `${describeHolder(winner)} listens there`;
    const unbound = { activeConnections: 0, drops: {}, refusals: {}, error };
    return [createView({ service, listener, ...unbound, ...parts })];
  });
  return [...own, ...lost];
}

function createView(
  parts: Pick<Runtime, 'lifecycle' | 'relay' | 'schedules'> & {
    readonly service: Service;
    readonly listener: ListenerSpec;
    readonly activeConnections: number;
    readonly drops: Readonly<Record<string, number>>;
    readonly refusals: Readonly<Record<string, number>>;
    readonly error: string | undefined;
  },
): ListenerView {
  const { lifecycle, relay, schedules, service, listener, activeConnections, drops, refusals } = parts;
  const controller = lifecycle.find(parts.service.name);
  const observation = controller?.observation ?? MISSING;
  return {
    ...{ service, listener, activeConnections, drops, refusals },
    relay: listener.mode ?? relay.kind,
    error:
      parts.error ??
      describeObstacle(observation, parts.listener) ??
      controller?.account.wakes.failure ??
      describeAbsence(controller, listener) ??
      describeStay(observation),
    unavailable: controller?.obstacles.refusalAsleep?.message,
    nextStartMs: nextStartOf(schedules.nextFires(service.name)),
    lastWake: controller?.account.wakes.last,
    observation,
    state: controller?.state.kind ?? 'unknown',
    lastActiveMs: controller?.lastActiveMs ?? 0,
  };
}

/** Who has a listen key that a service has lost. */
export function describeHolder(winner: string | undefined): string {
  return winner === undefined ? 'the status server' : `service ${winner}`;
}

/** Why clients of a listener can't be served at the moment, although the last start has not failed. */
export function explainUnserved(controller: WorkloadController, listener: ListenerSpec): string | undefined {
  return describeObstacle(controller.observation, listener) ?? describeAbsence(controller, listener);
}

/** Why a workload that serves its clients is never put to sleep. */
function describeStay({ state, staysAwake }: Observation): string | undefined {
  return state === 'running' && staysAwake !== undefined ? `not put to sleep: ${staysAwake}` : undefined;
}

function describeObstacle(
  observation: Observation,
  { protocol, targetPort }: ListenerSpec,
): string | undefined {
  if (observation.state === 'missing') return observation.detail;
  return findPortProblem(observation, { protocol, port: targetPort });
}

/** Why clients can't be served at the moment although nothing has failed. */
function describeAbsence(
  controller: WorkloadController | undefined,
  { protocol, targetPort: port }: ListenerSpec,
): string | undefined {
  const isThere =
    controller === undefined || (controller.state.kind !== 'missing' && controller.state.kind !== 'unknown');
  return isThere ? undefined : controller.obstacles.between({ protocol, port });
}
