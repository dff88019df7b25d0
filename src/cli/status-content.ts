import type { ListenerSet } from '../apply/listener-set.ts';
import type { Lifecycle } from '../lifecycle/lifecycle.ts';
import { findPortProblem, MISSING, type Observation } from '../model/observation.ts';
import type { ListenerSpec, Service } from '../model/service.ts';
import type { ServiceTable } from '../model/table.ts';
import type { ListenerView } from '../status/status-rows.ts';

/** What the status shows of every listener of the table, those included that were lost to another service. */
export function collectViews(
  table: ServiceTable,
  parts: { readonly lifecycle: Lifecycle; readonly listeners: ListenerSet },
): readonly ListenerView[] {
  const own = [...table.entries.values()].flatMap(({ service }) =>
    service.listeners.map((listener) => {
      return createView({
        service,
        listener,
        ...parts.listeners.status(listener),
        lifecycle: parts.lifecycle,
      });
    }),
  );
  const lost = table.conflicts.flatMap(({ loser, winner, listener }) => {
    const service = table.entries.get(loser)?.service;
    if (service === undefined) return [];
    const error = `service ${winner} listens there`;
    const unbound = { activeConnections: 0, drops: {}, error };
    return [createView({ service, listener, ...unbound, lifecycle: parts.lifecycle })];
  });
  return [...own, ...lost];
}

function createView(parts: {
  readonly service: Service;
  readonly listener: ListenerSpec;
  readonly activeConnections: number;
  readonly drops: Readonly<Record<string, number>>;
  readonly error: string | undefined;
  readonly lifecycle: Lifecycle;
}): ListenerView {
  const { lifecycle, ...view } = parts;
  const controller = lifecycle.find(parts.service.name);
  const observation = controller?.observation ?? MISSING;
  return {
    ...view,
    error: parts.error ?? describeObstacle(observation, parts.listener),
    observation,
    state: controller?.state.kind ?? 'unknown',
    lastActiveMs: controller?.lastActiveMs ?? 0,
  };
}

function describeObstacle(
  observation: Observation,
  { protocol, targetPort }: ListenerSpec,
): string | undefined {
  if (observation.state === 'missing') return observation.detail;
  return findPortProblem(observation, { protocol, port: targetPort });
}
